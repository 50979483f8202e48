"""Strings that a source file spells out, worked out without running it.

Docstrings and help topics, read from source files without importing them.
"""

import ast
import importlib.util
import inspect
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_GAP = re.compile(r"\{(\w*)\}")
_UNFILLED = "\0"
_UNFILLED_LINE = re.compile(r"^[ \t]*\0[\0 \t]*\n?", re.MULTILINE)


def static_string(node: ast.expr, constants: dict) -> str | None:
    """Return the string that an expression spells out, or None if it is no string.

    Handles literals, `+`, f-strings, `"...".format(**mapping)` and `cleandoc(...)`.
    A gap filled from a name that `constants` lacks is removed, with its line if the
    line holds nothing else.

    >>> node = ast.parse("'Mean of {x}.\\\\n{y}\\\\nEnd.'.format(**args)", mode="eval")
    >>> static_string(node.body, {"args": {"x": "all"}})
    'Mean of all.\\nEnd.'
    """
    text = _spell(node, constants)
    if text is None:
        return None
    return _UNFILLED_LINE.sub("", text).replace(_UNFILLED, "")


def static_constants(tree: ast.Module, constants: dict) -> dict:
    """Return `constants` and the strings and mappings that a module assigns to names.

    >>> tree = ast.parse("a = 'x'; b = {'k': a + 'y'}; c = open('f')")
    >>> static_constants(tree, {})
    {'a': 'x', 'b': {'k': 'xy'}}
    """
    found = dict(constants)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = _spell(node.value, found)
            if value is None:
                value = _mapping(node.value, found)
            if value is not None:
                found[node.targets[0].id] = value
    return found


def _spell(node: ast.expr, constants: dict) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if isinstance(constants.get(name), str):
            return constants[name]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            parts = _spell(left, constants), _spell(right, constants)
            return None if None in parts else "".join(parts)
        case ast.JoinedStr(values=values):
            return "".join(_spell_part(value, constants) for value in values)
        case ast.Call(func=ast.Attribute(attr="format", value=value)):
            return _fill(_spell(value, constants), node, constants)
        case ast.Call(func=ast.Attribute(attr="cleandoc" | "dedent"), args=[value]):
            return _spell(value, constants)
    return None


def _spell_part(node: ast.expr, constants: dict) -> str:
    if isinstance(node, ast.FormattedValue):
        return _spell(node.value, constants) or _UNFILLED
    return _spell(node, constants) or ""


def _fill(text: str | None, call: ast.Call, constants: dict) -> str | None:
    """Fill the gaps of `text` from the keywords of a call of `str.format`."""
    if text is None:
        return None
    values: dict[str, str] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            values |= _mapping(keyword.value, constants) or {}
        else:
            values[keyword.arg] = _spell(keyword.value, constants) or _UNFILLED
    pieces = re.split(r"(\{\{|\}\})", text)
    braces = {"{{": "{", "}}": "}"}
    return "".join(
        braces.get(piece) or _GAP.sub(lambda gap: values.get(gap[1], _UNFILLED), piece)
        for piece in pieces
    )


def _mapping(node: ast.expr, constants: dict) -> dict[str, str] | None:
    """Read a dictionary of strings, as a literal or by torch's two helpers for it."""
    match node:
        case ast.Name(id=name) if isinstance(constants.get(name), dict):
            return constants[name]
        case ast.Dict(keys=keys, values=values):
            pairs = {
                _spell(key, constants): _spell(value, constants)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
            return {k: v for k, v in pairs.items() if k is not None and v is not None}
        case ast.Call(func=ast.Name(id="merge_dicts"), args=args):
            merged: dict[str, str] = {}
            for argument in args:
                merged |= _mapping(argument, constants) or {}
            return merged
        case ast.Call(func=ast.Name(id="parse_kwargs"), args=[argument]):
            return _arguments(_spell(argument, constants) or "")
    return None


def _arguments(text: str) -> dict[str, str]:
    """Split a list of arguments, indented by four spaces, into name and description.

    >>> _arguments("\\n    dim (int): the axis.\\n    out (Tensor): the result.\\n")
    {'dim': 'dim (int): the axis.', 'out': 'out (Tensor): the result.'}
    """
    entries = (entry.strip() for entry in re.split(r"\n {4}(?! )", text))
    return {entry.split(" ")[0]: entry for entry in entries if entry}


PACKAGES = ("numpy", "matplotlib", "torch")
# Tests, copies of other projects, code kept for old programs only, and the compiler
# behind torch.compile, whose half a million lines hold little English.
SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "_vendor", "dist-packages", "distutils", "ensurepip", "idlelib"}
    | {"lib2to3", "mpl-data", "pydoc_data", "site-packages", "test", "tests"}
    | {"turtledemo"}
)
SKIPPED_MODULES = frozenset(
    {"numpy.random._examples", "torch._VF", "torch._appdirs", "torch._dynamo"}
    | {"torch._inductor", "torch.bin", "torch.include", "torch.lib", "torch.share"}
    | {"torch.testing._internal", "torch.utils.hipify"}
)
# Files whose constants fill the gaps ("{input}") in the docstrings of their package.
SHARED_CONSTANTS = {
    "torch": ("_torch_docs.py", "optim/optimizer.py", "nn/modules/module.py")
}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BRANCHES = (ast.If, ast.Try, ast.With, ast.For)
# "name($self, /)\n--\n\n": a signature for programs, which `help` does not show either.
_CLINIC_SIGNATURE = re.compile(r"\A[\w.]+\([^\n]*\)\n--\n+")
# A line that holds nothing but a gap, to be filled when the package is imported.
_GAP_LINE = re.compile(
    r"^[ \t]*(?:%\([\w:.]+\)s|\$\{\w+\}|\{\w+\})[ \t]*\n?", re.MULTILINE
)


@dataclass
class Module:
    """What one source file says: its docstrings, and the names it takes from others."""

    name: str
    docs: dict[str, str] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)
    compiled: set[str] = field(default_factory=set)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    starred: list[str] = field(default_factory=list)
    attached: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, text: str | None) -> None:
        """Keep the longest text of a name: overloads and stubs repeat it."""
        if text is not None and len(text) > len(self.docs.get(name, "")):
            self.docs[name] = text

    def merge(self, other: "Module") -> None:
        """Add what another file says of the same module: a .py and its .pyi."""
        for name, text in other.docs.items():
            self.add(name, text)
        self.defined |= other.defined
        self.imported = other.imported | self.imported
        self.starred += other.starred
        self.attached += other.attached


def package_root(package: str) -> Path:
    """Return the folder of an installed package, or of "stdlib", importing nothing.

    >>> package_root("stdlib").is_dir()
    True
    """
    if package == "stdlib":
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {package!r}: install the requirements")
    return Path(spec.submodule_search_locations[0])


def source_files(package: str) -> list[tuple[str, Path]]:
    """List the (module name, file) pairs of a package that are worth reading.

    >>> ("json.decoder", "decoder.py") in [
    ...     (module, file.name) for module, file in source_files("stdlib")]
    True
    """
    prefix = "" if package == "stdlib" else package
    return sorted(_walk(package_root(package), prefix))


def _walk(folder: Path, module: str) -> Iterator[tuple[str, Path]]:
    for path in folder.iterdir():
        stem = path.name.removesuffix(".pyi").removesuffix(".py")
        name = ".".join(filter(None, (module, stem)))
        if name in SKIPPED_MODULES or path.name in SKIPPED_FOLDERS:
            continue
        if path.is_dir():
            if path.name.isidentifier():
                yield from _walk(path, name)
        elif stem != path.name:
            yield (module if stem == "__init__" else name), path


def shared_constants(package: str) -> dict:
    """Return the constants that docstrings all over a package are filled in from."""
    constants: dict = {}
    for relative in SHARED_CONSTANTS.get(package, ()):
        tree = _parse(package_root(package) / relative)
        if tree is not None:
            constants |= static_constants(tree, constants)
    return constants


def read_module(name: str, path: Path, constants: dict) -> Module | None:
    """Read one file; None if it holds no docstring or is not valid here."""
    tree = _parse(path)
    if tree is None:
        return None
    module = Module(name)
    reader = _Reader(module, path.stem == "__init__", static_constants(tree, constants))
    module.add("", ast.get_docstring(tree, clean=False))
    reader.read_body(tree.body, "")
    return module


def _parse(path: Path) -> ast.Module | None:
    """Parse a file; None for one that is broken, or for another version of Python."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
        if '"""' not in source and "'''" not in source and "import" not in source:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # others' invalid escapes in strings
            return ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Reader:
    """Walks the statements of one file and fills its `Module`."""

    def __init__(self, module: Module, is_package: bool, constants: dict):
        self.module = module
        self.constants = constants
        self.package = module.name if is_package else module.name.rpartition(".")[0]

    def read_body(self, body: list[ast.stmt], owner: str) -> None:
        for node in body:
            if isinstance(node, _DEFINITIONS):
                self._read_definition(node, owner)
            elif isinstance(node, ast.Assign):
                self._read_assignment(node, owner)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                self._read_call(node.value, None)
            elif isinstance(node, ast.ImportFrom) and not owner:
                self._read_import(node)
            elif isinstance(node, _BRANCHES):
                self.read_body(node.body, owner)
                for handler in getattr(node, "handlers", ()):
                    self.read_body(handler.body, owner)
                self.read_body(getattr(node, "orelse", []), owner)

    def _read_definition(self, node: ast.stmt, owner: str) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        if not owner:
            self.module.defined.add(node.name)
        self.module.add(name, ast.get_docstring(node, clean=False))
        if isinstance(node, ast.ClassDef):
            self.read_body(node.body, name)

    def _read_assignment(self, node: ast.Assign, owner: str) -> None:
        """Read `__doc__ = "..."`, `Name.__doc__ = "..."`, `name = add_docstr(...)`."""
        target = node.targets[0]
        if isinstance(node.value, ast.Call) and isinstance(target, ast.Name):
            self._read_call(node.value, target.id)
        elif isinstance(target, ast.Name) and target.id == "__doc__":
            self.module.add(owner, static_string(node.value, self.constants))
        elif isinstance(target, ast.Attribute) and target.attr == "__doc__":
            name = _dotted(target.value)
            if name is not None:
                self.module.add(name, static_string(node.value, self.constants))

    def _read_call(self, node: ast.Call, assigned: str | None) -> None:
        """Read the calls that attach documentation to what is written in C."""
        function = (_dotted(node.func) or "").rpartition(".")[2].lstrip("_")
        reader = {
            "add_newdoc": self._read_newdoc,
            "add_newdoc_for_scalar_type": self._read_scalar,
            "add_docstr": self._read_docstr,
            "add_docstr_all": self._read_docstr,
        }.get(function)
        if reader is None or len(node.args) < 2:
            return
        found = reader(node, assigned)
        if found is not None:
            name, text = found[0], static_string(found[1], self.constants)
            if text is not None:
                self.module.attached.append((name, text))

    def _read_newdoc(self, node: ast.Call, _: str | None):
        """`add_newdoc("module", "name", "doc")`, or a pair ("attribute", "doc")."""
        place, name, *rest = node.args
        if not rest or not all(isinstance(a, ast.Constant) for a in (place, name)):
            return None
        if isinstance(rest[0], ast.Tuple) and len(rest[0].elts) == 2:
            attribute, text = rest[0].elts
            attribute = static_string(attribute, self.constants)
            return f"{place.value}.{name.value}.{attribute}", text
        return f"{place.value}.{name.value}", rest[0]

    def _read_scalar(self, node: ast.Call, _: str | None):
        """`add_newdoc_for_scalar_type("name", "signature", "doc")`."""
        name = static_string(node.args[0], self.constants)
        return None if name is None else (f"numpy.{name}", node.args[-1])

    def _read_docstr(self, node: ast.Call, assigned: str | None):
        """`name = add_docstr(thing, "doc")`, or `add_docstr_all("method", "doc")`."""
        thing, text = node.args[:2]
        if isinstance(thing, ast.Constant):
            return f"torch.Tensor.{thing.value}", text
        name = f"{self.module.name}.{assigned}" if assigned else _dotted(thing)
        return None if name is None else (name, text)

    def _read_import(self, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            base = self.package.split(".")
            base = base[: len(base) - node.level + 1]
            source = ".".join(filter(None, (*base, source)))
        for alias in node.names:
            if alias.name == "*":
                self.module.starred.append(source)
            else:
                self.module.imported[alias.asname or alias.name] = (source, alias.name)


def _dotted(node: ast.expr) -> str | None:
    """Return "a.b.c" for a chain of attributes, None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def clean(text: str) -> str:
    """Dedent a docstring and normalise its white space; at most one empty line.

    >>> clean("  First.\\r\\n\\n\\n\\n  Second:  \\n      third.\\n  ")
    'First.\\n\\nSecond:\\n    third.'
    """
    text = text.encode(errors="replace").decode()  # a lone half of a pair is no text
    text = inspect.cleandoc(text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _GAP_LINE.sub("", _CLINIC_SIGNATURE.sub("", text))
    text = re.sub(r"[^\S\n]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")
