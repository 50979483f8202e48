"""Run the proofs of a notebook on wrong parts: a check must pass, then see its mutant.

    python tests/notebooks/mutation.py NOTEBOOK < mutants.json

The code cells run one after the other in one namespace, those tagged `experiment` left
out. Before a cell that a mutant changes the process forks, and the child runs the
changed cell and the next ones up to the check. So the way there is run once for all
mutants of a notebook, and going on it proves that each check passes on the right part.
A mutant of a package file forks before the first cell and imports the changed text.
"""

import ast
import contextlib
import io
import json
import linecache
import os
import signal
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).parent / "mutants.toml"
CHILD_SECONDS = 120


@dataclass(frozen=True)
class Mutant:
    """A wrong version of a part, and the check that must see it.

    `check` is a text that stands once in the notebook's cells; one check begins in it,
    or it stands inside one. `old` stands once, in the cells or, where `file` names one,
    in that file of the package.
    """

    notebook: str
    check: str
    why: str
    old: str
    new: str
    file: str = ""


@dataclass(frozen=True)
class Exempt:
    """Checks that have no mutant, and the reason in a sentence."""

    notebook: str
    checks: list[str]
    reason: str


@dataclass(frozen=True)
class Cell:
    """A code cell: its place among all cells, its source, its tags."""

    notebook: str
    number: int
    source: str
    tags: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What a traceback calls it."""
        return f"{self.notebook}, cell {self.number}"


@dataclass(frozen=True)
class Statement:
    """A check: its cell, its lines, and where in the cell's text it begins and ends."""

    cell: int
    lines: range
    text: range


def load(path: Path = LIST) -> tuple[list[Mutant], list[Exempt]]:
    """Return the mutants and the exempt checks of a list."""
    found = tomllib.loads(path.read_text("utf-8"))
    return (
        [Mutant(**entry) for entry in found.get("mutant", [])],
        [Exempt(**entry) for entry in found.get("exempt", [])],
    )


def read(path: Path) -> list[Cell]:
    """Return the code cells of a notebook that are run here: all but experiments."""
    cells = [
        Cell(path.stem, i, cell.source, frozenset(cell.metadata.get("tags", [])))
        for i, cell in enumerate(nbformat.read(path, as_version=4).cells)
        if cell.cell_type == "code"
    ]
    return [cell for cell in cells if "experiment" not in cell.tags]


def only_cell(cells: Iterable[Cell], text: str) -> Cell:
    """Return the one cell with this text; ValueError where it does not stand once."""
    found = [cell for cell in cells for _ in range(cell.source.count(text))]
    if len(found) != 1:
        raise ValueError(f"stands {len(found)} times in the notebook's cells: {text!r}")
    return found[0]


def statements(cell: Cell) -> list[Statement]:
    """Return the checks of a cell.

    Not those whose failure is caught: there the cell shows that a wrong part fails, and
    its stored output says so.
    """
    tree = ast.parse(cell.source)
    values = {
        ast.unparse(target): node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    caught = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        and "AssertionError" in [ast.unparse(h.type or node) for h in node.handlers]
        for part in node.body
        for inner in ast.walk(part)
    }
    return [
        Statement(
            cell.number,
            range(node.lineno, node.end_lineno + 1),
            range(
                place(cell, node.lineno, node.col_offset),
                place(cell, node.end_lineno, node.end_col_offset),
            ),
        )
        for node in ast.walk(tree)
        if node not in caught and is_check(node, values)
    ]


def place(cell: Cell, line: int, column: int) -> int:
    """Return the place in a cell's text of a line and a column, counted in bytes."""
    lines = cell.source.splitlines(keepends=True)
    before = lines[line - 1].encode()[:column].decode()
    return len("".join(lines[: line - 1])) + len(before)


def is_check(node: ast.AST, values: dict[str, ast.expr]) -> bool:
    """Say whether a statement proves something: an assertion, a check, an equality."""
    if isinstance(node, ast.Assert):
        return True
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    called = ast.unparse(node.value.func)
    if called == "results.claim":
        condition = node.value.args[1]
        return is_equality(values.get(ast.unparse(condition), condition))
    return called.startswith("checks.") or called == "torch.testing.assert_close"


def is_equality(condition: ast.expr) -> bool:
    """Say whether a condition holds only where two things are the same."""
    nodes = list(ast.walk(condition))
    methods = {
        node.func.attr
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    compared = any(isinstance(node, ast.Eq) for node in nodes)
    return compared or bool(methods & {"equal", "allclose", "eq"})


def statement_of(cells: Iterable[Cell], text: str) -> Statement:
    """Return the check that begins in a text, or around it; ValueError if not one."""
    cell = only_cell(cells, text)
    span = span_of(cell, text)
    checks = statements(cell)
    found = [one for one in checks if one.text.start in span] or [
        one for one in checks if span.start in one.text and span[-1] in one.text
    ]
    if len(found) != 1:
        raise ValueError(f"names {len(found)} checks, not one: {text!r}")
    return found[0]


def span_of(cell: Cell, text: str) -> range:
    """Return the places of a text in its cell."""
    start = cell.source.index(text)
    return range(start, start + len(text))


def changed(cells: list[Cell], mutant: Mutant) -> tuple[int, list[Cell]]:
    """Return the number of the first changed cell, and all cells with the change.

    ValueError where the change is not one of a part before the check.
    """
    check = statement_of(cells, mutant.check)
    if mutant.file:
        wrong_file(mutant)  # which raises where it cannot be made
        return cells[0].number, cells
    cell = only_cell(cells, mutant.old)
    if cell.number > check.cell:
        raise ValueError(f"stands after its check: {mutant.old!r}")
    if cell.number == check.cell and span_of(cell, mutant.old).stop > check.text.start:
        raise ValueError(f"does not stand before its check: {mutant.old!r}")
    wrong = replace(cell, source=cell.source.replace(mutant.old, mutant.new))
    return cell.number, [wrong if one is cell else one for one in cells]


class WrongFile(SourceFileLoader):
    """Import one file of the package with a text changed."""

    def __init__(self, module: str, path: str, old: str, new: str):
        """Read the file; ValueError where the old text does not stand once."""
        super().__init__(module, path)
        text = Path(path).read_text("utf-8")
        if text.count(old) != 1:
            raise ValueError(f"stands {text.count(old)} times in {path}: {old!r}")
        self.text = text.replace(old, new)

    def get_code(self, fullname: str) -> Any:
        """Compile the changed text, never what Python has kept of the right one."""
        return compile(self.text, self.path, "exec")

    def find_spec(
        self, name: str, _path: Any, _target: Any = None
    ) -> ModuleSpec | None:
        """Claim the one module."""
        if name != self.name:
            return None
        return spec_from_file_location(name, self.path, loader=self)


def wrong_file(mutant: Mutant) -> WrongFile:
    """Return what imports a mutant's file of the package."""
    module = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return WrongFile(module, str(ROOT / mutant.file), mutant.old, mutant.new)


def execute(cell: Cell, namespace: dict) -> None:
    """Run a cell as a kernel does, but show nothing."""
    kept = (len(cell.source), None, cell.source.splitlines(keepends=True), cell.name)
    linecache.cache[cell.name] = kept
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(cell.source, cell.name, "exec"), namespace)


def line_in(cell: Cell, error: BaseException) -> int:
    """Return the line of a cell at which an error left it for code elsewhere."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame.lineno for frame in frames if frame.filename == cell.name]
    return inside[-1] if inside else 0


def told(cell: Cell, error: BaseException) -> str:
    """Say in one line what went wrong where."""
    if isinstance(error, SyntaxError):
        return f"{cell.name}: {error!r}"
    line = line_in(cell, error)
    text = linecache.getline(cell.name, line).strip()
    why = (str(error).strip().splitlines() or [""])[0]
    return f"{cell.name}, line {line} ({text}): {type(error).__name__}: {why}"


def verdict(cells: list[Cell], mutant: Mutant, namespace: dict) -> str:
    """Run changed cells up to the check; "" where it fails, else what happened."""
    check = statement_of(cells, mutant.check)
    for cell in cells:
        try:
            execute(cell, namespace)
        except BaseException as error:  # whatever a wrong part does is a finding
            at_check = (
                isinstance(error, AssertionError)
                and cell.number == check.cell
                and line_in(cell, error) in check.lines
            )
            return "" if at_check else f"not caught by this check: {told(cell, error)}"
        if cell.number == check.cell:
            return f"survives: the check passes: {mutant.check!r}"
    raise ValueError(f"no cell with the check {mutant.check!r}")


def in_a_child(work: Callable[[], Any], seconds: int = 0) -> Any:
    """Do the work in a fork of this process; return its result, or a text of its end.

    After so many seconds, if any are given, it is interrupted.
    """
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(seconds)
        try:
            result = work()
        except BaseException as error:
            result = f"{type(error).__name__}: {error}"
        with os.fdopen(into, "w", encoding="utf-8") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(into)
    with os.fdopen(out, encoding="utf-8") as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if text else f"its process ended with the status {status}"


def _too_long(*_signal) -> None:
    raise TimeoutError(f"it took more than {CHILD_SECONDS} s")


def warm_up(cells: list[Cell]) -> None:
    """Import the libraries of a notebook, and forget the package among them.

    No picture is drawn from here on: a proof needs none, and they take most time.
    """
    execute(cells[0], {"__name__": "__main__"})
    forget_package()
    if "matplotlib" in sys.modules:
        from matplotlib.figure import Figure
        from PIL import Image

        def savefig(_figure, file, **_settings):
            Image.new("RGB", (1, 1)).save(file, "png")

        Figure.savefig = savefig


def forget_package() -> None:
    """Let the next import of `gptcourse` read its files."""
    for name in [name for name in sys.modules if name.split(".")[0] == "gptcourse"]:
        del sys.modules[name]


def try_file(cells: list[Cell], mutant: Mutant) -> str:
    """The verdict on a mutant of a package file, in a child before the first cell."""
    finder = wrong_file(mutant)
    sys.meta_path.insert(0, finder)
    found = verdict(cells, mutant, {"__name__": "__main__"})
    if finder.name not in sys.modules:
        return f"the notebook does not import {mutant.file}"
    return found


def try_cells(cells: list[Cell], mutants: list[Mutant]) -> list[str]:
    """The verdicts on mutants of cells, on the way through the unchanged notebook."""
    namespace, found = {"__name__": "__main__"}, {}
    changes = {mutant: changed(cells, mutant) for mutant in mutants}
    for cell in cells:
        for mutant, (first, wrong) in changes.items():
            if first == cell.number:
                rest = [one for one in wrong if one.number >= first]
                work = partial(verdict, rest, mutant, namespace)
                found[mutant] = in_a_child(work, CHILD_SECONDS)
        try:
            execute(cell, namespace)
        except BaseException as error:
            raise RuntimeError(f"without a change: {told(cell, error)}") from error
    return [found[mutant] for mutant in mutants]


def verdicts(path: Path, mutants: list[Mutant]) -> list[str]:
    """Return a verdict for each mutant of a notebook, "" for each that is caught."""
    cells, found = read(path), {}
    for mutant in mutants:
        try:
            changed(cells, mutant)
        except ValueError as error:
            found[mutant] = f"a text of its entry {error}"
    warm_up(cells)
    good = [mutant for mutant in mutants if mutant not in found]
    # The package is not imported here, but in children: some import it with a change.
    of_cells = [mutant for mutant in good if not mutant.file]
    of_files = [mutant for mutant in good if mutant.file]
    answer = in_a_child(partial(try_cells, cells, of_cells))
    if isinstance(answer, str):
        raise RuntimeError(answer)
    found |= dict(zip(of_cells, answer, strict=True))
    for mutant in of_files:
        found[mutant] = in_a_child(partial(try_file, cells, mutant), CHILD_SECONDS)
    return [found[mutant] for mutant in mutants]


def main() -> None:
    """Read mutants from standard input, write the verdicts to standard output."""
    path = Path(sys.argv[1]).resolve()
    mutants = [Mutant(**entry) for entry in json.load(sys.stdin)]
    os.chdir(path.parent)
    sys.path[:0] = [str(ROOT)]
    print(json.dumps(verdicts(path, mutants)))


def as_json(mutants: Iterable[Mutant]) -> str:
    """Return mutants as `main` reads them."""
    return json.dumps([asdict(mutant) for mutant in mutants])


if __name__ == "__main__":
    main()
