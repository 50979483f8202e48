"""Every check of the notebooks passes on the right part, and fails on a wrong one.

The wrong ones are listed in `mutants.toml`; `mutation.py` runs them.
"""

import json
import os
import subprocess
import sys
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import mutation
import nbformat
import pytest
from mutation import Exempt, Mutant
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebooks import environment

NOTEBOOKS = sorted((mutation.ROOT / "notebooks").glob("*.ipynb"))
MUTANTS, EXEMPT = mutation.load()
SECONDS = 300

runs_notebooks = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="a mutant runs in a fork; Windows has none"
)


def verdicts(path, mutants):
    done = subprocess.run(
        [sys.executable, mutation.__file__, str(path)],
        input=mutation.as_json(mutants),
        env=environment(threads=1) | {"TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@lru_cache
def of_notebook(path):
    mine = [mutant for mutant in MUTANTS if mutant.notebook == path.stem]
    return dict(zip(mine, verdicts(path, mine), strict=True))


def uncovered(cells, mutants, exempt):
    """Checks that have neither a mutant nor a reason, or both."""
    sources = {cell.number: cell.source for cell in cells}
    tried = {mutation.statement_of(cells, mutant.check) for mutant in mutants}
    spared = [
        mutation.statement_of(cells, text) for entry in exempt for text in entry.checks
    ]
    faults = [f"exempt twice or in vain: {one}" for one in spared if one in tried]
    for check in {one for cell in cells for one in mutation.statements(cell)}:
        if check not in tried and check not in spared:
            text = sources[check.cell][check.text.start : check.text.stop]
            faults.append(f"cell {check.cell}: no mutant for {text!r}")
    return faults


def unsolved(cells, mutants):
    """Exercises whose check has no wrong solution."""
    wrong = {
        (
            mutation.only_cell(cells, m.old).number,
            mutation.statement_of(cells, m.check).cell,
        )
        for m in mutants
        if not m.file
    }
    return [
        f"{solution.name}: no wrong solution that its check sees"
        for solution, check in pairwise(cells)
        if "solution" in solution.tags and (solution.number, check.number) not in wrong
    ]


@runs_notebooks
@pytest.mark.parametrize(
    "mutant", MUTANTS, ids=lambda mutant: f"{mutant.notebook[:2]} {mutant.why}"
)
def test_a_check_sees_its_wrong_part(mutant):
    path = mutation.ROOT / "notebooks" / f"{mutant.notebook}.ipynb"
    assert of_notebook(path)[mutant] == ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_check_of_a_notebook_has_a_mutant_or_a_reason(path):
    cells = mutation.read(path)
    mutants = [one for one in MUTANTS if one.notebook == path.stem]
    exempt = [one for one in EXEMPT if one.notebook == path.stem]
    assert uncovered(cells, mutants, exempt) + unsolved(cells, mutants) == []


def test_every_entry_is_of_a_notebook_and_every_reason_a_sentence():
    names = {path.stem for path in NOTEBOOKS}
    assert {entry.notebook for entry in [*MUTANTS, *EXEMPT]} <= names
    assert all(len(e.reason.split()) > 4 and e.reason[-1] == "." for e in EXEMPT)
    assert len(set(MUTANTS)) == len(MUTANTS)


PART = "def double(x):\n    return 2 * x\n\ntriple = lambda x: 3 * x"
PROOF = "numbers = [1, 5]\nassert double(2) == 4, double(2)\nassert triple(0) == 0"
CAUGHT = ("return 2 * x", "return 2 + x + 1")


def made_up(folder, *cells):
    """A notebook of our own: sources, or pairs of a source and a tag."""
    path = Path(folder) / "made_up.ipynb"
    cells = [(cell, None) if isinstance(cell, str) else cell for cell in cells]
    notebook = new_notebook(
        cells=[
            new_code_cell(source, metadata={"tags": [tag] if tag else []})
            for source, tag in cells
        ]
    )
    nbformat.write(notebook, path)
    return path


def wrong(old, new, check="assert double(2)", **more):
    return Mutant("made_up", check, "wrong", old, new, **more)


@runs_notebooks
def test_what_a_mutant_does_is_told(tmp_path):
    path = made_up(tmp_path, "import math", PART, ("1 / 0", "experiment"), PROOF)
    found = {
        wrong(*CAUGHT): "",
        wrong("return 2 * x", "return 2 + x"): "survives",
        wrong("return 2 * x", "return y"): "NameError",
        wrong("return 2 * x", "return 2 *"): "SyntaxError",
        wrong("return 2 * x", "assert False"): "",
        wrong("numbers = [1, 5]", "assert False"): "not caught by this check",
        wrong("import math", "import math; math.nothing"): "AttributeError",
        wrong("import math", "import os; os._exit(3)"): "status 768",
        wrong("nowhere", "x"): "stands 0 times",
        wrong("def", "x", check="assert"): "stands 2 times",
        wrong("triple", "x"): "stands 2 times",
        wrong("double(2) == 4", "True"): "does not stand before its check",
        wrong("= [1, 5]", "= []", check="import math"): "names 0 checks",
        wrong(*CAUGHT, check=PROOF): "names 2 checks",
        wrong("1 / 0", "x"): "stands 0 times",
        wrong(*CAUGHT, check="assert triple(0)"): "not caught by this check",
        wrong("lambda x: 3 * x", "abs", check="assert triple(0)"): "survives",
        wrong("lambda x: 3 * x", "lambda x: x + 3", check="assert triple(0)"): "",
    }
    for (mutant, told), verdict in zip(
        found.items(), verdicts(path, list(found)), strict=True
    ):
        assert told in verdict and bool(told) == bool(verdict), (mutant, verdict)


@runs_notebooks
def test_a_notebook_that_fails_unchanged_is_named_with_its_line(tmp_path):
    path = made_up(tmp_path, "import math", "x = 1\nassert x == 2")
    with pytest.raises(
        AssertionError, match="without a change: made_up, cell 1, line 2"
    ):
        verdicts(path, [])


@runs_notebooks
def test_a_mutant_of_a_package_file_is_imported_by_its_child_alone(tmp_path):
    use = "text = results.approx(2.0)"
    path = made_up(
        tmp_path,
        "from gptcourse.lesson import results",
        use,
        'assert text == "≈ 2.00"',
    )
    file = "gptcourse/lesson/results.py"
    changes = {
        wrong('MARK = "≈"', 'MARK = "="', check="assert text", file=file): "",
        wrong("nowhere", "", check="assert text", file=file): "stands 0 times",
        wrong(
            "import", "", check="assert text", file="gptcourse/lesson/results.py"
        ): "s",
        wrong(use, 'text = ""', check="assert text"): "",
    }
    for told, verdict in zip(
        changes.values(), verdicts(path, list(changes)), strict=True
    ):
        assert told in verdict and bool(told) == bool(verdict), verdict


CHECKS = {
    "assert x": True,
    "checks.shape(x, (2,))": True,
    "torch.testing.assert_close(x, y)": True,
    'results.claim("same", torch.equal(x, y))': True,
    'results.claim("same", a.eq(b).all())': True,
    'results.claim("as many", len(x) == 3)': True,
    'same = torch.equal(x, y)\nresults.claim("same", same)': True,
    'results.claim("more", x > y)': False,
    "print(x == y)": False,
    "try:\n    checks.shape(x, (2,))\nexcept AssertionError:\n    print()": False,
    "try:\n    checks.shape(x, (2,))\nexcept ValueError:\n    print()": True,
    "for x in y:\n    if x:\n        assert x": True,
}


@pytest.mark.parametrize(("source", "counts"), CHECKS.items())
def test_what_counts_as_a_check(source, counts):
    found = mutation.statements(mutation.Cell("made_up", 0, source))
    assert len(found) == counts


def test_a_check_without_a_mutant_is_found(tmp_path):
    cells = mutation.read(made_up(tmp_path, PART, PROOF))
    mutant = wrong(*CAUGHT)
    assert uncovered(cells, [mutant], []) == [
        "cell 1: no mutant for 'assert triple(0) == 0'"
    ]
    exempt = Exempt("made_up", ["assert triple"], "Zero times three is zero.")
    assert uncovered(cells, [mutant], [exempt]) == []
    again = Exempt("made_up", ["assert double"], "It has a mutant already.")
    assert "in vain" in uncovered(cells, [mutant], [exempt, again])[0]


def test_an_exercise_without_a_wrong_solution_is_found(tmp_path):
    path = made_up(tmp_path, (PART, "solution"), (PROOF, "check"))
    cells = mutation.read(path)
    assert len(unsolved(cells, [])) == 1
    assert unsolved(cells, [wrong(*CAUGHT)]) == []
    assert len(unsolved(cells, [wrong("numbers = [1, 5]", "numbers = []")])) == 1
