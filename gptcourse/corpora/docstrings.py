"""Docstrings, read from source files that are parsed and never run.

`ast.get_docstring` gives the texts; imports in the files of packages give the names
under which readers know them: `numpy._core.fromnumeric.mean` is `numpy.mean`.
"""

import ast
import importlib.util
import inspect
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from gptcourse.common import bar

# Tests, copies of other projects, code kept for old programs only, and the compiler
# behind torch.compile, whose half a million lines hold little English.
SKIPPED = frozenset(
    "__pycache__ _vendor dist-packages distutils ensurepip idlelib lib2to3 mpl-data "
    "pydoc_data site-packages test tests turtledemo "
    "_dynamo _examples _inductor _internal _VF.pyi hipify".split()
)
# Public names that no import in a package's own file tells.
SHOWN = {("numpy._core._add_newdocs", "*"): "numpy._core"}
RENAMED = {
    "_collections_abc": "collections.abc",
    "_pydatetime": "datetime",
    "_pydecimal": "decimal",
    "torch.TensorBase": "torch.Tensor",
}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_BRANCHES = (ast.If, ast.Try, ast.ExceptHandler)
# "name($self, /)\n--\n\n": a signature for programs, which `help` does not show either.
_SIGNATURE = re.compile(r"\A[\w.]+\([^\n]*\)\n--\n+")
# A line that holds nothing but a gap, to be filled when the package is imported.
_GAP_LINE = re.compile(r"^[ \t]*(?:%\([\w:.]+\)s|\{\w+\})[ \t]*\n?", re.MULTILINE)


def package_root(package: str) -> Path:
    """Return the folder of an installed package, or of "stdlib", importing nothing.

    Raises: ModuleNotFoundError for a package that is not installed.

    >>> package_root("stdlib").is_dir()
    True
    """
    if package == "stdlib":
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {package!r}: install the requirements")
    return Path(spec.submodule_search_locations[0])


def source_files(package: str) -> list[Path]:
    """List the source files and stubs of a package that are worth reading.

    >>> "decoder.py" in [path.name for path in source_files("stdlib")]
    True
    """
    found = []
    for folder, folders, files in os.walk(package_root(package)):
        folders[:] = [name for name in folders if name not in SKIPPED]
        paths = (Path(folder, name) for name in files if name not in SKIPPED)
        found += [path for path in paths if path.suffix in (".py", ".pyi")]
    return sorted(found)


def read_docstrings(package: str) -> Iterator[tuple[str, str]]:
    """Yield the public name and the text of everything that a package documents.

    A name may come more than once: with overloads, and with stubs beside the code.

    >>> "json.load" in dict(read_docstrings("stdlib"))  # doctest: +SKIP
    True
    """
    root = package_root(package)
    folder = root if package == "stdlib" else root.parent
    found: list[tuple[str, str, str]] = []
    exports = dict(SHOWN)
    for path in bar(source_files(package), desc=f"reading {package}", unit="file"):
        parts = path.relative_to(folder).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        tree = _parse(path)
        found += [(module, *one) for one in _documented(tree, "")]
        if path.stem == "__init__":
            exports = _exports(tree, module) | exports
    for module, name, text in found:
        yield public_name(module, name, exports), clean(text)


def _parse(path: Path) -> ast.Module:
    """Parse a file; one that is broken, or for another Python, counts as empty."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # others' invalid escapes in strings
            return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    """Yield the names within a file and the texts of a node and of what is in it."""
    text = None if isinstance(node, _BRANCHES) else ast.get_docstring(node, clean=False)
    if text:
        yield name, text
    if isinstance(node, _FUNCTIONS):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _DEFINITIONS):
            yield from _documented(child, f"{name}.{child.name}".lstrip("."))
        elif isinstance(child, _BRANCHES):
            yield from _documented(child, name)
        elif isinstance(child, (ast.Assign, ast.Expr)):
            yield from _attached(child, name)


def _attached(node: ast.stmt, owner: str) -> Iterator[tuple[str, str]]:
    """Yield the documentation that a statement gives to what is defined elsewhere."""
    match node:
        case ast.Assign([ast.Name("__doc__")], text):
            yield owner, _spelt(text)
        case ast.Assign([ast.Attribute(ast.Name(name), "__doc__")], text):
            yield name, _spelt(text)
        case ast.Assign([ast.Name(name)], ast.Call(ast.Name("_add_docstr"), [_, text])):
            yield name, _spelt(text)  # torch
        case ast.Expr(ast.Call(ast.Name("add_newdoc"), [_, ast.Constant(name), text])):
            if isinstance(text, ast.Tuple):  # numpy; a pair of attribute and text
                name = f"{name}.{_spelt(text.elts[0])}"
                text = text.elts[1]
            yield name, _spelt(text)


def _spelt(node: ast.expr) -> str:
    """Join the literal strings of an expression, in order; what is computed is left."""
    literals = [part for part in ast.walk(node) if isinstance(part, ast.Constant)]
    literals.sort(key=lambda part: (part.lineno, part.col_offset))
    return "".join(one.value for one in literals if isinstance(one.value, str))


def _exports(tree: ast.Module, package: str) -> dict[tuple[str, str], str]:
    """Return the shorter package that shows (module, name); the name "*" means all."""
    found = {}
    top = (node for node in tree.body if not isinstance(node, _DEFINITIONS))
    for node in (inner for outer in top for inner in ast.walk(outer)):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            private = "._" in module and "._" not in package
            shorter = module.count(".") > package.count(".")
            if module.startswith(f"{package}.") or (private and shorter):
                for alias in node.names:
                    if alias.asname in (None, alias.name):
                        found[module, alias.name] = package
    return found


def public_name(module: str, name: str, exports: dict[tuple[str, str], str]) -> str:
    """Return the shortest public name of what a module defines.

    `exports` tells which package above shows a module's name; "*" stands for all names
    that are not private.

    >>> exports = {("json.decoder", "load"): "json", ("json", "*"): "js"}
    >>> public_name("json.decoder", "load", exports)
    'js.load'
    """
    head = name.partition(".")[0]
    shown = head and module
    while shown:
        module = shown
        shown = exports.get((module, head))
        if shown is None and not head.startswith("_"):
            shown = exports.get((module, "*"))
    full = f"{module}.{name}".rstrip(".")
    for inner, outer in RENAMED.items():
        if f"{full}.".startswith(f"{inner}."):
            return outer + full.removeprefix(inner)
    return full


def clean(text: str) -> str:
    """Dedent a docstring; drop unfilled lines and all but one of several empty ones.

    >>> clean("  First.\\n\\n\\n\\n  Second:  \\n      third.\\n  ")
    'First.\\n\\nSecond:\\n    third.'
    """
    text = text.encode(errors="replace").decode()  # a lone half of a pair is no text
    text = _GAP_LINE.sub("", _SIGNATURE.sub("", inspect.cleandoc(text)))
    text = re.sub(r"[^\S\n]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")
