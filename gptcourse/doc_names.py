"""The names under which readers know documented things: numpy.mean, torch.nn.Linear."""

from functools import cache

from gptcourse.docstrings import Module

# Stubs of compiled code, whose contents are known under another name.
STUBS = {
    "torch._C._VariableFunctions": "torch",
    "torch._C.TensorBase": "torch.Tensor",
    "torch._C": "torch",
}


def attach(modules: dict[str, Module]) -> None:
    """Move documentation that is attached from afar to the module that it is about."""
    for module in list(modules.values()):
        for name, text in module.attached:
            owner = name.rpartition(".")[0]
            while owner and owner not in modules:
                owner = owner.rpartition(".")[0]
            if owner:
                inner = name.removeprefix(owner + ".")
                modules[owner].add(inner, text)
                modules[owner].compiled.add(inner.partition(".")[0])


def public_names(modules: dict[str, Module]) -> dict[str, str]:
    """Map the full name of everything documented to its shortest public name.

    A thing is public under the package above its module that imports it: readers know
    `numpy._core.fromnumeric.mean` as `numpy.mean`.

    >>> inner = Module("json.decoder", docs={"load": "..."}, defined={"load"})
    >>> outer = Module("json", imported={"load": ("json.decoder", "load")})
    >>> public_names({"json": outer, "json.decoder": inner})
    {'json.decoder.load': 'json.load'}
    """
    finder = _Finder(modules)
    names = {}
    for module in modules.values():
        for inner in module.docs:
            if not inner:
                names[module.name] = module.name
                continue
            head, dot, rest = inner.partition(".")
            names[f"{module.name}.{inner}"] = finder.public(module.name, head) + (
                dot + rest
            )
    return names


class _Finder:
    """Follows imports from module to module, as Python would, but without running."""

    def __init__(self, modules: dict[str, Module]):
        self.modules = modules
        self.by_flat_name = {name.replace(".", "_"): name for name in modules}
        self.origin = cache(self._origin)
        self.public = cache(self._public)

    def _public(self, module: str, name: str) -> str:
        full = f"{module}.{name}"
        for stub, public in STUBS.items():
            if full == stub or full.startswith(stub + "."):
                return public + full.removeprefix(stub)
        # Of what is compiled, only the documentation has a place, private as a rule:
        # any origin of the same name will do.
        compiled = "._" in module and name in self.modules[module].compiled
        for above in self._modules_above(module):
            origin = self.origin(above, name)
            if origin and (compiled or origin == (module, name)):
                return f"{above}.{name}"
        return full

    def _modules_above(self, module: str) -> list[str]:
        parts = module.split(".")
        above = [".".join(parts[:i]) for i in range(1, len(parts))]
        # _collections_abc is the inside of collections.abc, _pydecimal of decimal.
        for prefix in ("_py", "_"):
            outside = self.by_flat_name.get(module.removeprefix(prefix), module)
            if outside != module:
                above.append(outside)
        return [name for name in above if name in self.modules]

    def _origin(
        self, module: str, name: str, seen: frozenset = frozenset()
    ) -> tuple[str, str] | None:
        """Return the (module, name) that defines what a module calls `name`."""
        found = self.modules.get(module)
        if found is None or (module, name) in seen:
            return None
        if name in found.defined or name in found.compiled:
            return module, name
        seen |= {(module, name)}
        if name in found.imported:
            return self.origin(*found.imported[name], seen)
        if not name.startswith("_"):
            for source in found.starred:
                origin = self.origin(source, name, seen)
                if origin is not None:
                    return origin
        return None
