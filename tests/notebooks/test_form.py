"""The rules of style on every notebook, and a mutant for every rule."""

from pathlib import Path

import anatomy
import form
import nbformat
import pytest
import sample as sample_notebook
import sections
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

from tools import costs

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
RULES = [
    anatomy.what_you_learn, anatomy.widget, anatomy.exercises, anatomy.ending,
    anatomy.facts, form.imports, form.sizes, form.executed, form.compared,
    form.pictures, form.reshapes, sections.core_path, sections.deeper,
    sections.hidden, sections.headings_followed,
]  # fmt: skip


def all_faults(notebook, path, record):
    found = [fault for rule in RULES for fault in rule(notebook)]
    opening = anatomy.opening(notebook, path.name, record)
    return [*opening, *found, *form.links(notebook, path.parent)]


def faults_of_sample(notebook):
    path = NOTEBOOKS / sample_notebook.NAME
    return all_faults(notebook, path, sample_notebook.COSTS)


@pytest.mark.parametrize(
    "path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem
)
def test_every_notebook_keeps_the_rules(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all_faults(notebook, path, costs.load()) == []


def test_every_notebook_and_the_course_stay_within_their_budgets():
    record = costs.load()
    assert record.keys() == {path.name for path in NOTEBOOKS.glob("*.ipynb")}
    assert [one for name in record for one in anatomy.budget(name, record[name])] == []
    assert sum(cost["seconds"] for cost in record.values()) < 40 * 60


@pytest.mark.parametrize(
    ("name", "changed", "fault"),
    [
        ("01_x.ipynb", {"seconds": 190}, "seconds: 190, over the limit of 180"),
        ("03_gpt1.ipynb", {"seconds": 310}, "seconds: 310, over the limit of 300"),
        ("01_x.ipynb", {"slowest_cell_seconds": 65}, "slowest_cell_seconds: 65"),
        ("01_x.ipynb", {"gigabytes": 1.1}, "gigabytes: 1.1, over the limit of 1"),
    ],
)
def test_a_notebook_over_its_budget_is_caught(name, changed, fault):
    cost = {"seconds": 180, "slowest_cell_seconds": 60, "gigabytes": 1.0}
    assert anatomy.budget(name, cost) == []
    assert anatomy.budget("03_gpt1.ipynb", cost | {"seconds": 300}) == []
    assert anatomy.budget("06_shot_learning.ipynb", cost | {"seconds": 300}) == []
    assert anatomy.budget("08_scaling_curves.ipynb", cost | {"seconds": 300}) == []
    (found,) = anatomy.budget(name, cost | changed)
    assert fault in found


def test_the_sample_keeps_the_rules():
    notebook = sample_notebook.sample()
    nbformat.validate(notebook)
    assert faults_of_sample(notebook) == []


def text(old, new):
    """A mutant that replaces a text wherever it stands in a cell's source."""

    def mutate(notebook):
        sources = [cell.source for cell in notebook.cells]
        assert any(old in source for source in sources)
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return mutate


def add(cell, **output):
    """A mutant with one more cell before the last, perhaps with an output."""

    def mutate(notebook):
        fresh = cell()
        if output:
            fresh.outputs.append(new_output(**output))
        notebook.cells.insert(-1, fresh)
        sample_notebook.number_cells(notebook.cells)

    return mutate


def code(source, **metadata):
    return lambda: new_code_cell(source, metadata=metadata)


def prose(source):
    return lambda: new_markdown_cell(source)


def without(tag):
    def mutate(notebook):
        notebook.cells = [
            cell for cell in notebook.cells if tag not in cell.metadata.get("tags", [])
        ]
        sample_notebook.number_cells(notebook.cells)

    return mutate


def with_each(kind, change):
    """A mutant that changes every cell, or every output, of a kind."""

    def mutate(notebook):
        for cell in notebook.cells:
            if kind in (cell.cell_type, *cell.metadata.get("tags", [])):
                change(cell)

    return mutate


def without_alt(cell):
    for output in cell.outputs:
        output.metadata = {}


def shown(cell):
    cell.metadata.pop("jupyter")


def silent(cell):
    cell.outputs = []


def unfolded(cell):
    cell.metadata.pop(sections.COLLAPSED, None)


def folded(cell):
    cell.metadata[sections.COLLAPSED] = True


def in_hidden(source):
    """A mutant whose hidden cell does this as well."""
    return text("figures.show(", f"{source}\nfigures.show(")


def in_deeper(source):
    """A mutant whose section Deeper does this as well."""
    return text("three = 1", f"{source}\nthree = 1")


def then(*mutants):
    def mutate(notebook):
        for mutant in mutants:
            mutant(notebook)

    return mutate


def in_reverse(notebook):
    for cell in form.code_cells(notebook):
        cell.execution_count = 99 - cell.execution_count


def long_cells(cell):
    cell.source += "\nx = 1" * 12


def picture_in_html(html):
    return add(code("x"), output_type="display_data", data={"text/html": html})


MUTANTS = {
    "no title": (text("# A sample", "A sample"), "no `# title`"),
    "no finding": (text("Two is more than one, by 1.0 exactly.\n\n", ""), "finding"),
    "long finding": (text("exactly.", "exactly. Three too."), "more than one sentence"),
    "stale cost": (text("about 10 s", "about 20 s"), "run `make costs`"),
    "no cost": (text("**Cost**", "Cost"), "run `make costs`"),
    "nothing learnt": (text("What you will learn", "What"), "no section"),
    "little learnt": (text("- counting\n- comparing\n", ""), "1 points, not 3 to 5"),
    "much learnt": (text("- counting", "- a\n- b\n- c\n- d"), "6 points, not 3"),
    "no start": (text("Know first", "See"), "what to know first"),
    "work in imports": (
        text("import torch", "import torch\nx = 1"),
        "more than import",
    ),
    "many imports": (text("import torch", "import torch\n" * 11), "imports take"),
    "late import": (add(code("import os")), "imports outside"),
    "hidden import": (add(code("def f():\n    import os")), "imports outside"),
    "long cells": (with_each("code", long_cells), "the median code cell has"),
    "long cell": (add(code("x = 1\n" * 31)), "31 lines in the cell"),
    "gaps in a cell": (add(code("x = 1" + "\n" * 31 + "y = 2")), "32 lines in the"),
    "wide line": (add(code("x = 1  # " + "x" * 80)), "a line of 89 columns"),
    "long text": (add(prose("word " * 151)), "151 words in the cell"),
    "many cells": (
        lambda one: [add(prose("x"))(one) for _ in range(67)],
        "cells, more",
    ),
    "big output": (
        add(code("x"), output_type="stream", name="stdout", text="x" * 600_000),
        "stored outputs take",
    ),
    "out of order": (in_reverse, "not executed in order"),
    "not executed": (lambda one: one.cells.insert(5, new_code_cell("x")), "in order"),
    "stored error": (
        add(code("x"), output_type="error", ename="NameError", evalue="x"),
        "a stored error: NameError",
    ),
    "stored stderr": (
        add(code("x"), output_type="stream", name="stderr", text="Warning"),
        "stored stderr",
    ),
    "exempt by tag": (add(code("x", tags=["nbval-skip"])), "a cell has the tags"),
    "may raise": (add(code("x", tags=["raises-exception"])), "a cell has the tags"),
    "exempt by comment": (add(code("# NBVAL_IGNORE_OUTPUT\nx")), "steers its output"),
    "captured": (add(code("%%capture\nx")), "steers its output"),
    "shell": (add(code("!ls")), "steers its output"),
    "filtered": (add(code('warnings.filterwarnings("ignore")')), "silences"),
    "picture without text": (with_each("code", without_alt), "no alternative text"),
    "html picture without text": (picture_in_html('<img src="a.png">'), "no alt in"),
    "html picture, empty text": (picture_in_html('<img alt="" src="">'), "no alt in"),
    "linked picture without text": (add(prose("![](../README.md)")), "no text for the"),
    "no widget": (lambda one: one.cells.pop(7), "no widget"),
    "two exercises": (lambda one: one.cells.__delitem__(slice(12, 15)), "2 exercises"),
    "no task": (text("Exercise 2", "Something"), "no markdown cell with the exercise"),
    "no check": (without("check"), "no cell with the tag check"),
    "no minutes": (text(" 5 minutes", ""), "does not say its minutes and its level"),
    "no level": (text("●○○ ", ""), "does not say its minutes and its level"),
    "silent check": (with_each("check", silent), "does not say ✓ and what holds"),
    "idle check": (text("checks.is_largest(", "print("), "calls nothing of gptcourse"),
    "telling check": (
        text("checks.is", "return max(numbers, default=0)\nchecks.is"),
        "gives the answer away",
    ),
    "unmarked solution": (text("### END SOLUTION", ""), "no body between"),
    "open solution": (with_each("solution", shown), "it is not collapsed"),
    "no paper": (text("Paper and here", "Paper"), "no section 'Paper and here'"),
    "empty paper": (text("results.paper_and_here", "print"), "does not show results"),
    "no summary": (text("## Summary", "Summary"), "no section 'Summary'"),
    "no sources": (text("## Sources", "Sources"), "no section 'Sources'"),
    "no glossary": (text("## Glossary", "Glossary"), "no section 'Glossary'"),
    "English glossary": (text("词元", "token"), "no table of English and 中文"),
    "unknown fact": (text("gpt1.t5.full", "gpt1.t5.empty"), "no fact 'gpt1.t5.empty'"),
    "dead link": (text("../README.md", "../NONE.md"), "no file of the repository"),
    "link outside": (text("../README.md", "../../../etc"), "no file of the repository"),
    "dead anchor": (text("#Summary", "#Summery"), "no heading for the link"),
    "dead html link": (add(prose('<a href="none.md">x</a>')), "no file of the"),
    "long core": (
        lambda one: [add(prose("x"))(one) for _ in range(40)],
        "the core path has",
    ),
    "open Deeper": (with_each("markdown", unfolded), "is not folded"),
    "folded core": (with_each("markdown", folded), "folded, but no section Deeper"),
    "Deeper in a cell": (text("### Deeper", "First.\n\n### Deeper"), "not begin its"),
    "Deeper in two": (text("More than two.", "A.\n#### B\nC."), "one heading a cell"),
    "core needs Deeper": (add(code("print(three)")), "the core path uses three"),
    "core calls Deeper": (
        then(in_deeper("def f():\n    return 3"), add(code("def g():\n    f()"))),
        "the core path uses f,",
    ),
    "open figure code": (with_each("hide-input", shown), "source_hidden is not set"),
    "hidden without tag": (
        add(code("x", jupyter={"source_hidden": True})),
        "a hidden cell without the tag hide-input",
    ),
    "hidden work": (
        add(code("x = 1", tags=["hide-input"], jupyter={"source_hidden": True})),
        "shows no figure or table",
    ),
    "hidden claim": (in_hidden('results.claim("So", True)'), "a claim or a check is"),
    "hidden check": (in_hidden("assert counts"), "a claim or a check is hidden"),
    "hidden name": (
        then(in_hidden("total = 3"), add(code("print(total)"))),
        "a hidden cell makes total",
    ),
    "two headings": (text("Count.", "### Really?\nYes."), "under the heading '## How"),
    "last heading empty": (text("- Nobody, *Nothing*, 2018.", ""), "'## Sources'"),
    "view": (add(code("x.view(2, 3)")), "view() in the cell"),
    "transpose": (add(code("y = x.transpose(1, 2).sum()")), "use einops"),
}


FINE = {
    "a name made anew": then(
        in_hidden("total = 3"), add(code("total = 4")), add(code("print(total)"))
    ),
    "a parameter of the same name": then(
        in_deeper("total = 3"), add(code("def double(total):\n    return 2 * total"))
    ),
    "an exercise on Deeper": text("checks.is", "print(three)\nchecks.is"),
    "Deeper uses the core": in_deeper("more = dict(counts)"),
    "a comment in a fence": text("Count.", "```\n# one\n# two\n```"),
    "any exercise's length": text("Find the largest.", "Find it.\n\n### Hint\nLook."),
}


@pytest.mark.parametrize("name", FINE)
def test_a_notebook_that_breaks_no_rule_passes(name):
    notebook = sample_notebook.sample()
    FINE[name](notebook)
    assert faults_of_sample(notebook) == []


def test_a_section_ends_at_the_next_heading_of_its_level_or_a_higher_one():
    texts = ["# A", "## Deeper: b\nx", "### C\nx", "y", "## D\nx", "# Deeper: e", "z"]
    notebook = new_notebook(cells=[new_markdown_cell(text) for text in texts])
    assert sections.within(notebook, "Deeper:") == {1, 2, 3, 5, 6}


def test_exercises_and_deeper_sections_are_no_part_of_the_core_path():
    def with_cells(tag, title):
        notebook = sample_notebook.sample()
        core = len(notebook.cells) - 2 - 9
        fill = sections.CORE_CELLS - core
        more = [new_markdown_cell(f"## {title}"), *[new_code_cell("x")] * (fill + 5)]
        for cell in more[1:]:
            cell.metadata.tags = [tag]
        notebook.cells[11:11] = more
        return sections.core_path(notebook)

    assert with_cells("experiment", "Deeper: more") == []
    assert with_cells("check", "Exercise 0") == []
    assert "the core path has 51 cells" in with_cells("experiment", "More")[0]


@pytest.mark.parametrize("name", MUTANTS)
def test_a_notebook_that_breaks_a_rule_is_caught(name):
    mutate, fault = MUTANTS[name]
    notebook = sample_notebook.sample()
    mutate(notebook)
    found = faults_of_sample(notebook)
    assert any(fault in one for one in found), found


@pytest.mark.parametrize(
    ("source", "words"),
    [("one two - three", 3), ("| a | b |\n|---|---|\nafter it", 2), ("$a b c$ is", 2),
     ("```\ncode here\n```\nafter", 1), ("[the text](https://x.y/a) here", 3),
     ("<b>bold</b> word", 2), ("$$\na\n$$\nx", 2)],
)  # fmt: skip
def test_words_are_those_of_prose(source, words):
    assert len(form.prose_words(source)) == words
