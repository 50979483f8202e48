"""The names under which readers know documented things: numpy.mean, torch.nn.Linear.

Links between documents: Sphinx roles, "See Also" sections, dotted names.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache

from gptcourse.corpora.docstrings import Module

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


# Roles that name things; :attr: names parameters as often, unless it has a dot.
_ROLE = re.compile(
    r":(?:py:)?(?:func|meth|class|mod|obj|data|exc|attr(?=:`[^`]*\.))"
    r":`(?:[^`<>]*<([^`<>]+)>|([^`<>]+))`"
)
_DOTTED = re.compile(
    r"(?<![:`\w])`{1,2}~?(\.[A-Za-z_][\w.]*|[A-Za-z_]\w*(?:\.\w+)+)(?:\(\))?`"
)
_SEE_ALSO = re.compile(
    r"^See Also\n-{4,}\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL
)
_ENTRY = re.compile(r"^([\w.`~:][\w.`~:, ]*?)(?: +: .*| *:)?$", re.MULTILINE)
_ROLE_MARK = re.compile(r":[a-z]+(?::[a-z]+)?:(?=`)")
_SHORT = {"np": "numpy", "plt": "matplotlib.pyplot", "mpl": "matplotlib"}


class LinkResolver:
    """Finds the document that a text means by a name.

    `names` maps every name under which a document is known to the document's own.
    """

    def __init__(self, names: dict[str, str]):
        self.names = names
        self.by_ending: dict[str, list[str]] = defaultdict(list)
        for name in sorted(set(names.values()), key=lambda name: (len(name), name)):
            parts = name.split(".")
            for i in range(1, len(parts)):
                self.by_ending[".".join(parts[i:])].append(name)

    def resolve(self, target: str, place: str) -> str | None:
        """Return the document that `target` names in the documentation of `place`.

        A name is looked up beside and above the place, as Sphinx does; one that begins
        with a dot, or holds one, anywhere in the same package.

        >>> names = ["numpy.mean", "numpy.linalg.norm", "numpy.linalg.inv"]
        >>> resolver = LinkResolver({name: name for name in names})
        >>> resolver.resolve("inv", "numpy.linalg.norm")
        'numpy.linalg.inv'
        >>> resolver.resolve("np.mean", "numpy.linalg.norm")
        'numpy.mean'
        """
        anywhere = target.startswith(".")
        target = target.strip("~!. ").removesuffix("()")
        head, dot, rest = target.partition(".")
        target = _SHORT.get(head, head) + dot + rest
        scope = place
        while scope and not anywhere:
            found = self.names.get(f"{scope}.{target}")
            if found:
                return found
            scope = scope.rpartition(".")[0]
        if not anywhere and not dot:
            return None
        if target in self.names:
            return self.names[target]
        package = place.partition(".")[0] + "."
        endings = self.by_ending.get(target, ())
        return next((name for name in endings if name.startswith(package)), None)

    def links(self, text: str, name: str) -> tuple[str, ...]:
        """Return the documents that `text`, the documentation of `name`, links to.

        >>> resolver = LinkResolver({"a.f": "a.f", "a.g": "a.g", "a.C.h": "a.C.h"})
        >>> resolver.links("Like :func:`f`, not ``C.h``.", "a.g")
        ('a.C.h', 'a.f')
        """
        found = {self.resolve(target, name) for target in mentions(text)}
        return tuple(sorted(found - {None, name}))


def mentions(text: str) -> Iterator[str]:
    """Yield the names that a text marks as those of something else.

    >>> list(mentions("See :func:`~a.b` and ``c.d``, not `x`."))
    ['~a.b', 'c.d']
    """
    for titled, plain in _ROLE.findall(text):
        yield titled or plain
    yield from _DOTTED.findall(text)
    for section in _SEE_ALSO.findall(text):
        yield from _entries(_ENTRY.findall(_ROLE_MARK.sub("", section)))


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """Split the lines of a "See Also" section, "mean, median : text", into names."""
    for line in lines:
        for name in line.split(","):
            name = name.strip(" `")
            if name and " " not in name:
                yield name
