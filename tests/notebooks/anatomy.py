"""The anatomy of a notebook: opening, what you learn, exercises, ending.

A rule takes a notebook and returns its faults, one line each.
"""

import ast
import re

from form import code_cells, headings, lines, outputs, tree

from gptcourse.lesson import papers
from tools.costs import cost_line

LEARN = (3, 5)
EXERCISES = 3
COST_LIMITS = {"seconds": 180, "slowest_cell_seconds": 60, "gigabytes": 1.0}
PAPERS_OWN = {"seconds": 300}  # a notebook that stands for a paper may take more
#: or for its finding, or for a few papers
OF_A_PAPER = re.compile(r"\d\d_(gpt\d|shot_learning|scaling|rlhf)")
ENDING = ("Paper and here", "Exercise", "Summary", "Glossary", "Sources")


def section(notebook, name):
    """The cells from the heading that contains `name` to the next heading, as text."""
    inside, kept = False, []
    for cell in notebook.cells:
        parts = [cell.source]
        if cell.cell_type == "markdown":
            parts = re.split(r"^(?=#+ )", cell.source, flags=re.MULTILINE)
        for part in parts:
            if cell.cell_type == "markdown" and part.startswith("#"):
                inside = name.lower() in part.splitlines()[0].lower()
            if inside:
                kept.append(part)
    return "\n".join(kept)


def opening(notebook, name, costs):
    """A title, one sentence that says the finding, and the measured cost."""
    title, *blocks = notebook.cells[0].source.split("\n\n")
    if not re.match(r"# \S", title):
        return ["the first cell has no `# title`"]
    faults = []
    finding = " ".join(blocks[0].split()) if blocks else ""
    if finding.startswith("**Cost**") or not re.search(r"[.!?]$", finding):
        faults.append("after the title stands no sentence that says the finding")
    if len(re.findall(r"[.!?](?=\s|$)", finding)) > 1:
        faults.append("the finding takes more than one sentence")
    if name not in costs:
        faults.append("tools/costs.json has no cost for it: run `make costs`")
    elif cost_line(costs[name]) not in "\n".join(blocks).splitlines():
        faults.append(f"no line {cost_line(costs[name])!r}: run `make costs`")
    return faults


def budget(name, cost):
    """What a notebook may cost on two cores."""
    own = PAPERS_OWN if OF_A_PAPER.match(name) else {}
    return [
        f"{key}: {cost[key]:g}, over the limit of {limit:g}"
        for key, limit in (COST_LIMITS | own).items()
        if cost[key] > limit
    ]


def what_you_learn(notebook):
    """A list of 3 to 5 points, and what to know first."""
    text = section(notebook, "What you will learn")
    if not text:
        return ["no section 'What you will learn'"]
    before = re.split(r"know first", text, maxsplit=1, flags=re.IGNORECASE)
    points = re.findall(r"^\s*(?:[-*]|\d+\.) ", before[0], re.MULTILINE)
    faults = []
    if not LEARN[0] <= len(points) <= LEARN[1]:
        faults.append(f"'What you will learn' has {len(points)} points, not 3 to 5")
    if len(before) == 1:
        faults.append("'What you will learn' does not say what to know first")
    return faults


def widget(notebook):
    """At least one widget."""
    shown = [
        output.get("data", {}).get("text/plain", "") for output in outputs(notebook)
    ]
    if any(text.startswith("[widget: ") for text in shown):
        return []
    return ["no widget: show a panel of gptcourse.lesson.widgets"]


def exercises(notebook):
    """Three or more: a task, a folded solution, a check that gives nothing away."""
    faults, found = [], 0
    cells = notebook.cells
    for index, cell in enumerate(cells):
        if "solution" not in cell.metadata.get("tags", []):
            continue
        found += 1
        name = f"solution {found}"
        before, after = cells[index - 1], cells[index + 1 : index + 2]
        if before.cell_type != "markdown" or "exercise" not in before.source.lower():
            faults.append(f"{name}: no markdown cell with the exercise before it")
        if not after or "check" not in after[0].metadata.get("tags", []):
            faults.append(f"{name}: no cell with the tag check after it")
        else:
            faults += [f"{name}: {fault}" for fault in check_of(cell, after[0])]
        faults += [f"{name}: {fault}" for fault in task(before) + solution(cell)]
    if found < EXERCISES:
        faults.append(f"{found} exercises, fewer than {EXERCISES}")
    return faults


def task(cell):
    """An exercise says how long it takes and how hard it is."""
    if all(re.search(sign, cell.source) for sign in (r"[●○]{3}", r"\d+ min")):
        return []
    return ["its task does not say its minutes and its level (●○○)"]


def body(cell):
    """The lines of a solution between its marks, or None without them."""
    found = re.search(
        r"^\s*### BEGIN SOLUTION\n(.*?)^\s*### END SOLUTION\s*$",
        cell.source,
        re.MULTILINE | re.DOTALL,
    )
    return None if found is None else [line.strip() for line in found[1].splitlines()]


def solution(cell):
    faults = []
    if not body(cell):
        faults.append("no body between ### BEGIN SOLUTION and ### END SOLUTION")
    if not cell.metadata.get("jupyter", {}).get("source_hidden"):
        faults.append("it is not collapsed: set jupyter.source_hidden in its metadata")
    return faults


def check_of(solved, check):
    faults = []
    calls = [node for node in ast.walk(tree(check)) if is_check(node)]
    if not calls:
        faults.append("its check calls nothing of gptcourse.lesson.checks")
    if not any("✓" in output.get("text", "") for output in check.outputs):
        faults.append("its check does not say ✓ and what holds")
    given = {line.strip() for line in lines(check)}
    told = [line for line in body(solved) or [] if len(line) > 12 and line in given]
    faults += [f"its check gives the answer away: {line!r}" for line in told]
    return faults


def is_check(node):
    call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return call and getattr(node.func.value, "id", "") == "checks"


def ending(notebook):
    """The end of every notebook: paper and here, summary, glossary, sources."""
    titles = " / ".join(headings(notebook)).lower()
    faults = [f"no section {name!r}" for name in ENDING if name.lower() not in titles]
    if not glossary_in_two_languages(section(notebook, "Glossary")):
        faults.append("the glossary is no table of English and 中文")
    if "paper_and_here(" not in section(notebook, "Paper and here"):
        faults.append("'Paper and here' does not show results.paper_and_here")
    return faults


def glossary_in_two_languages(text):
    rows = [line for line in text.splitlines() if line.startswith("|")]
    if len(rows) < 3 or "中文" not in rows[0]:
        return False
    return all(re.search(r"[\u4e00-\u9fff]", row) for row in rows[2:])


def facts(notebook):
    """Every key of a fact exists."""
    known = set(papers.every_key())
    used = [
        key
        for cell in code_cells(notebook)
        for key in re.findall(r"""\bfact\(\s*["']([^"']+)["']""", cell.source)
    ]
    return [f"no fact {key!r}" for key in used if key not in known]
