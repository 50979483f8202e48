"""Setting up: what is installed, by which Python, and what is opened then."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
#: a Python that says its version, makes an "environment" of itself, and notes the rest
FAKE = """#!/bin/sh
case "$1 $2" in
    "-c "*) echo VERSION ;;
    "-m venv")
        if [ "$3" = --clear ]; then rm -rf "$4"; fi
        for folder; do :; done
        mkdir -p "$folder/bin"
        touch "$folder/pyvenv.cfg"
        cp "$0" "$folder/bin/python"
        cp "$0" "$folder/bin/jupyter" ;;
    *) echo "$@" >>log ;;
esac
"""

make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


@pytest.fixture
def course(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def lab(course, version="3.12", python="./python"):
    fake = course / "python"
    fake.write_text(FAKE.replace("VERSION", version))
    fake.chmod(0o755)
    return subprocess.run(
        ["make", "lab", f"PYTHON={python}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=course,
    )


def said(done):
    """What was written on stderr, without make's own last word."""
    return [line for line in done.stderr.splitlines() if not line.startswith("make")]


def log(course):
    return (course / "log").read_text().splitlines()


@make
@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10", "3.15"])
def test_a_python_without_torch_is_refused_in_one_line_before_anything_is_made(
    course, version
):
    done = lab(course, version)
    assert done.returncode != 0
    [line] = said(done)
    assert line.startswith(f"./python is {version}, but the course needs Python 3.11")
    assert not (course / ".venv").exists()
    assert version not in SpecifierSet(PROJECT["requires-python"])


@make
def test_a_python_that_is_not_there_is_named(course):
    done = lab(course, python="python0")
    assert done.returncode != 0
    [line] = said(done)
    assert line.startswith("python0 is not there, but the course needs Python 3.11")


@make
@pytest.mark.parametrize("version", ["3.11", "3.14"])
def test_jupyterlab_opens_the_first_notebook_with_the_repository_as_its_root(
    course, version
):
    done = lab(course, version)
    assert done.returncode == 0, done.stderr
    assert log(course) == [
        "-m pip install --quiet -c constraints.txt -e .[test]",
        "lab --notebook-dir=. notebooks/00_start_here.ipynb",
    ]
    assert version in SpecifierSet(PROJECT["requires-python"])


@make
def test_an_environment_that_was_not_finished_is_made_anew(course):
    left = course / ".venv" / "lib" / "python3.9"
    left.mkdir(parents=True)
    (course / ".venv" / "pyvenv.cfg").touch()
    assert lab(course).returncode == 0
    assert not left.exists()
    assert (course / ".venv" / ".installed").exists()


@make
def test_a_finished_environment_is_kept_and_brought_up_to_date(course):
    lab(course)
    kept = course / ".venv" / "kept"
    kept.touch()
    installed = (course / ".venv" / ".installed").stat().st_mtime
    lab(course)
    assert len([line for line in log(course) if "pip install" in line]) == 1
    (course / "pyproject.toml").touch()
    lab(course)
    assert len([line for line in log(course) if "pip install" in line]) == 2
    assert kept.exists()
    assert (course / ".venv" / ".installed").stat().st_mtime >= installed


@make
def test_a_folder_that_is_no_environment_is_left_alone(course):
    kept = course / ".venv" / "thesis.txt"
    kept.parent.mkdir()
    kept.touch()
    done = lab(course)
    assert done.returncode != 0
    assert said(done)[0].startswith(".venv is no virtual environment: move it away")
    assert kept.exists()


@make
def test_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert {line.split()[1] for line in done.stdout.splitlines()} == targets


def test_every_way_of_the_readme_opens_the_repository_as_the_root():
    readme = (ROOT / "README.md").read_text("utf-8")
    ways = re.findall(r"jupyter(?:\.exe)? lab\b[^\n`]*", readme)
    assert len(ways) >= 2
    assert [way for way in ways if "--notebook-dir=. " not in way] == []


def names(requirements):
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def imported(source, everywhere=True):
    """The packages that a text imports; only when it is imported, or everywhere."""
    body = ast.parse(source)
    nodes = ast.walk(body) if everywhere else body.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"gptcourse"}


def not_installed_by(packages, requirements):
    """Those of the packages that no requirement brings by its own name."""
    wanted = names(requirements)
    owners = importlib.metadata.packages_distributions()
    return {
        package
        for package in packages
        if not wanted & {canonicalize_name(name) for name in owners.get(package, [])}
    }


def notebook_sources():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        yield from (cell.source for cell in cells if cell.cell_type == "code")


def package_sources():
    return (path.read_text("utf-8") for path in (ROOT / "gptcourse").rglob("*.py"))


def test_what_a_notebook_imports_is_a_plain_dependency():
    packages = set().union(*map(imported, notebook_sources()))
    assert {"torch", "einops"} <= packages
    assert not_installed_by(packages, PROJECT["dependencies"]) == set()


def test_what_the_package_imports_is_a_plain_dependency_or_an_extra():
    at_once = set().union(*(imported(text, False) for text in package_sources()))
    assert not_installed_by(at_once, PROJECT["dependencies"]) == set()
    packages = set().union(*map(imported, package_sources()))
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["online"], *extras["scale"]]
    assert not_installed_by(packages, asked) == set()


def test_an_import_that_nothing_installs_is_caught():
    packages = imported("import torch\n\ndef f():\n    from yaml import safe_load")
    assert packages == {"torch", "yaml"}
    assert imported("import torch\n\ndef f():\n    import yaml", False) == {"torch"}
    assert not_installed_by(packages, PROJECT["dependencies"]) == {"yaml"}


def test_every_package_is_pinned():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = [Requirement(line) for line in lines]
    assert all(re.fullmatch(r"==[^,*]+", str(one.specifier)) for one in pinned)
    extras = PROJECT["optional-dependencies"]
    assert extras.keys() == {"online", "scale", "test"}
    asked = names([*PROJECT["dependencies"], *sum(extras.values(), [])])
    assert asked - {"gptcourse"} <= {canonicalize_name(one.name) for one in pinned}
    assert "torch==2.13.0" in PROJECT["dependencies"]


def test_an_editable_install_names_its_folder_in_no_file_of_the_locale():
    files = importlib.metadata.files("gptcourse") or []
    paths = [file.locate() for file in files if file.suffix == ".pth"]
    assert all(str(ROOT) not in path.read_text("utf-8") for path in paths)
