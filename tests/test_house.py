"""The rules of style on the package, and on every text of the repository."""

import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gptcourse"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem != "__init__")
MODULE_LINES = 300
FUNCTION_LINES = 45  # without the docstring; the design says: rarely over 30
COLUMNS = 88
#: places of the machine that runs the tests; none belongs into a text
MACHINE = {str(ROOT), str(Path.home()), tempfile.gettempdir()}
TEXTS = {".py", ".md", ".toml", ".ipynb", ".cfg", ".yml", ".json", ".txt", ""}
SKIPPED = {
    ".git",
    ".venv",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
}


def tree(path):
    return ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_one_idea_in_lines_that_fit(path):
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= MODULE_LINES
    assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize(
    "command", ["check", "format --check", "check --isolated --select FIX"]
)
def test_ruff_finds_nothing_dead_undocumented_or_out_of_form(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command.split(), "--quiet", ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_functions_are_short(path):
    long = {}
    for node in ast.walk(tree(path)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        body = node.body[1:] if ast.get_docstring(node) else node.body
        count = body[-1].end_lineno - body[0].lineno + 1 if body else 0
        if count > FUNCTION_LINES:
            long[node.name] = count
    assert long == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_pickle_is_loaded_and_no_text_is_run(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "torch.load", "numpy.load", "np.load"}
        names = [
            alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")
        ]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None)
            heads = {(name or "").split(".")[0] for name in [module, *names]}
            assert not heads & {"pickle", "dill", "shelve", "marshal", "joblib"}


def test_importing_the_package_imports_no_torch_and_prints_nothing():
    code = "import gptcourse, sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def texts():
    """Every text file that belongs to the repository."""
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT)
        if SKIPPED & set(inside.parts) or not path.is_file():
            continue
        if path.suffix in TEXTS:
            yield inside, path.read_text("utf-8", errors="replace")


def places_named(text):
    """The places of this machine that a text names, themselves or below them."""
    return [
        place
        for place in MACHINE
        if len(place) > 1 and re.search(rf"(?<![\w.]){re.escape(place)}\b", text)
    ]


def test_no_text_names_a_place_of_the_machine_it_was_written_on():
    found = {str(path): places_named(text) for path, text in texts()}
    assert {path: places for path, places in found.items() if places} == {}


def test_a_place_of_this_machine_is_caught():
    assert places_named(f"see {ROOT / 'notes.txt'}")
    assert places_named(f'"{Path.home()}"')


def test_conda_gives_python_and_pip_and_pip_the_rest():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert [re.match(r"[a-z]+", name)[0] for name in conda] == ["python", "pip"]
    assert set(pip) == {"pip"}
    line = " ".join(pip["pip"])
    assert re.fullmatch(r"(-c|--constraint) constraints\.txt -e \.(\[[a-z,]+\])?", line)
