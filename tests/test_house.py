"""The house's rules that ruff and import-linter do not know, and proof that those see.

Each rule takes a folder and returns its faults; each has a wrong case that it catches.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "gptcourse"
FILE_LINES = (20, 450)
FOLDER_FILES = (3, 10)
#: what every field uses, and the names of a field's public parts
EXEMPT = {"common.py", "__init__.py"}
#: places of the machine that runs the tests; none belongs into a text
MACHINE = {str(ROOT), os.path.expanduser("~"), tempfile.gettempdir()}
BUILT = r"Built by hand in notebook (\d\d)\b"
TEXTS = {".py", ".md", ".toml", ".ipynb", ".cfg", ".yml", ".json", ".txt", ""}


def modules(root):
    found = (root / PACKAGE).rglob("*.py")
    return sorted(path for path in found if path.name not in EXEMPT)


def size_faults(root):
    """A file is one idea."""
    least, most = FILE_LINES
    return [
        f"{path.relative_to(root)} has {length} lines, not {least} to {most}"
        for path in modules(root)
        if not least <= (length := len(path.read_text("utf-8").splitlines())) <= most
    ]


def folder_faults(root):
    """A folder has as many rooms as a reader oversees."""
    least, most = FOLDER_FILES
    counts = {}
    for path in modules(root):
        if path.parent != root / PACKAGE:
            counts[path.parent] = counts.get(path.parent, 0) + 1
    return [
        f"{folder.relative_to(root)} holds {count} files, not {least} to {most}"
        for folder, count in counts.items()
        if not least <= count <= most
    ]


def name_faults(root):
    """A file's name says what its folder's does not."""
    return [
        f"{path.relative_to(root)} repeats its folder's name"
        for path in modules(root)
        if path.parent.name.removesuffix("s") in path.stem
    ]


def readme_faults(root):
    """The README has a line for each folder."""
    readme = (root / "README.md").read_text("utf-8")
    folders = {path.parent for path in modules(root)}
    folders |= {path for path in root.iterdir() if list(path.glob("*.py"))}
    folders |= {root / "notebooks"}
    return [
        f"README.md has no line for {folder.name}/"
        for folder in sorted(folders)
        if not re.search(rf"^.*`(\w+/)*{folder.name}/`", readme, re.MULTILINE)
    ]


def notebook_faults(root):
    """A file that names the notebook where its idea is built names one that exists."""
    return [
        f"{path.relative_to(root)}: there is no notebook {number}"
        for path in modules(root)
        for number in re.findall(BUILT, path.read_text("utf-8"))
        if not list((root / "notebooks").glob(f"{number}_*.ipynb"))
    ]


def place_faults(root):
    """No text names a place of the machine that it was written on."""
    found = []
    for folder, folders, files in os.walk(root):
        kept = [name for name in folders if re.match(r"[^._]|\.ci$", name)]
        folders[:] = sorted(kept)
        for path in sorted(Path(folder, name) for name in files):
            if path.suffix in TEXTS:
                text = path.read_text("utf-8", errors="replace")
                inside = path.relative_to(root)
                found += [f"{inside} names {place}" for place in sorted(places(text))]
    return found


def places(text):
    return {
        place
        for place in MACHINE
        if len(place) > 1 and re.search(rf"(?<![\w.]){re.escape(place)}\b", text)
    }


def conda_faults(root):
    """Conda brings Python and pip; pip the rest, at the pinned versions."""
    environment = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    *conda, last = environment["dependencies"]
    names = [re.match(r"[a-z]+", name)[0] for name in conda]
    pinned = ["-c constraints.txt", "-e .[test]"]
    if names == ["python", "pip"] and last == {"pip": pinned}:
        return []
    return ["environment.yml asks for more than Python, pip and the pinned rest"]


RULES = [
    size_faults, folder_faults, name_faults, readme_faults, notebook_faults,
    place_faults, conda_faults,
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule):
    assert rule(ROOT) == []


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A house of one folder that keeps every rule."""
    monkeypatch.setattr(f"{__name__}.MACHINE", {"/home/somebody"}, raising=False)
    folder = tmp_path / PACKAGE / "birds"
    folder.mkdir(parents=True)
    for name in ("ducks", "geese", "owls"):
        (folder / f"{name}.py").write_text("Built by hand in notebook 02.\n" * 80)
    (folder / "__init__.py").write_text("")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_birds.ipynb").write_text("{}")
    (tmp_path / "README.md").write_text("- `gptcourse/birds/` fly\n- `notebooks/`\n")
    shutil.copy(ROOT / "environment.yml", tmp_path)
    return tmp_path


def test_a_house_that_keeps_the_rules_passes(house):
    assert [fault for rule in RULES for fault in rule(house)] == []


WRONG = {
    "short file": ("birds/owls.py", "x\n" * 19, "owls.py has 19 lines"),
    "long file": ("birds/owls.py", "x\n" * 451, "owls.py has 451 lines"),
    "deep file": ("birds/big/owls.py", "x\n" * 9, "owls.py has 9 lines"),
    "small folder": ("insects/bees.py", "x\n" * 80, "insects holds 1 files"),
    "name of the folder": ("birds/birds.py", "x\n" * 80, "birds.py repeats"),
    "name in the name": ("birds/bird_wings.py", "x\n" * 80, "bird_wings.py repeats"),
    "folder unsaid": ("insects/bees.py", "x\n" * 80, "no line for insects/"),
    "no such notebook": (
        "birds/owls.py",
        "Built by hand in notebook 03.",
        "notebook 03",
    ),
    "place": ("birds/owls.py", "see /home/somebody/x\n" * 80, "names /home/somebody"),
    "conda": ("../environment.yml", "dependencies: [python, numpy]", "asks for more"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_house_that_breaks_a_rule_is_caught(house, name):
    place, text, fault = WRONG[name]
    path = house / PACKAGE / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    found = [fault for rule in RULES for fault in rule(house)]
    assert any(fault in one for one in found), found


def test_a_folder_of_eleven_files_is_caught(house):
    for number in range(8):
        (house / PACKAGE / "birds" / f"x{number}.py").write_text("x\n" * 80)
    assert folder_faults(house) == ["gptcourse/birds holds 11 files, not 3 to 10"]


def lint_imports(folder):
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache", "--no-logo", "--config", ROOT / "pyproject.toml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=ignored)
    return tmp_path


def test_imports_go_downward_only(copy):
    code, said = lint_imports(copy)
    assert code == 0, said


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("common.py", "from gptcourse import corpora"),
        ("corpora/corpus.py", "from gptcourse.tokenizers.base import Tokenizer"),
        ("models/gpt.py", "def late():\n    import gptcourse.training.loop"),
        ("tasks/docs.py", "from gptcourse.lesson import results"),
        ("agents/calls.py", "CALLS = 1"),
    ],
)
def test_an_import_upward_or_a_folder_without_a_floor_is_caught(copy, place, line):
    path = copy / PACKAGE / place
    if not path.exists():
        path.parent.mkdir()
        path.with_name("__init__.py").write_text("")
        path.write_text("")
    path.write_text(f"{path.read_text('utf-8')}\n{line}\n", "utf-8")
    code, said = lint_imports(copy)
    assert code == 1
    assert "BROKEN" in said or "exhaustive" in said.lower(), said


def ruff(text, name):
    """The codes of what ruff, as it is set up here, finds in a text of this name."""
    flags = ["--output-format", "json", "--stdin-filename", ROOT / name, "-"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *flags],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return {fault["code"] for fault in json.loads(done.stdout)}


LINTED = {
    "a pickle": ("import pickle", "TID251"),
    "a part of pickle": ("from pickle import loads", "TID251"),
    "joblib": ("import joblib", "TID251"),
    "torch.load": ("import torch\n\ntorch.load('x')", "TID251"),
    "torch.load by name": ("from torch import load", "TID251"),
    "numpy.load": ("import numpy as np\n\nnp.load('x')", "TID251"),
    "eval": ("eval('1')", "S307"),
    "exec": ("exec('1')", "S102"),
    "unsafe YAML": ("import yaml\n\nyaml.load('x')", "S506"),
    "unfinished": ("x = 1  # TODO: two", "FIX002"),
    "dead code": ("x = 1\n# y = x + 1", "ERA001"),
    "undocumented": ("def f():\n    return 1", "D103"),
    "a wide line": (f"x = {'1' * 85}", "E501"),
    "many statements": ("def f():\n" + "    f()\n" * 31, "PLR0915"),
    "many branches": ("def f(x):\n" + "    if x:\n        f(x)\n" * 11, "C901"),
}


@pytest.mark.parametrize("name", LINTED)
def test_ruff_catches(name):
    text, code = LINTED[name]
    assert code in ruff(text + "\n", "gptcourse/models/new.py")


def test_ruff_reads_notebooks_too():
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": ["import pickle\n", "eval('1')"],
    }
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    assert {"TID251", "S307"} <= ruff(json.dumps(notebook), "notebooks/99_new.ipynb")
