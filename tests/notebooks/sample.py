"""A small notebook that keeps every rule, with outputs as an execution stores them."""

from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

from tools.costs import cost_line

NAME = "99_sample.ipynb"
COSTS = {NAME: {"seconds": 10, "slowest_cell_seconds": 5, "gigabytes": 0.3}}
OPENING = f"""# A sample

Two is more than one, by 1.0 exactly.

{cost_line(COSTS[NAME])}"""
LEARN = """## What you will learn
- counting
- comparing
- writing $1 + 1 = 2$

Know first: [the course](../README.md)."""
PAPER = "## Paper and here\nOne pays for the other, see [the summary](#Summary)."
SUMMARY = "## Summary\nTwo is more than one."
GLOSSARY = """## Glossary
| English | 中文 |
|---|---|
| number | 数 |
| token | 词元 |"""
SOURCES = "## Sources\n- Nobody, *Nothing*, 2018."
IMPORTS = (
    "import torch\n\n"
    "from gptcourse.lesson import checks, figures, papers, results, widgets"
)
DEEPER = "### Deeper: what of three?\nMore than two."
FIGURE = 'figures.show(figures.bars(counts, y_label="n", title="Two"), alt="Two bars.")'
TABLE = """results.paper_and_here(
    [("score", papers.fact("gpt1.t5.full"), results.approx(1), "smaller")]
)"""
SOLUTION = """def largest(numbers):
    ### BEGIN SOLUTION
    return max(numbers, default=0)
    ### END SOLUTION"""


def sample():
    """The notebook, built anew, so that a test may break it."""
    picture = new_output(
        "display_data",
        data={"image/png": "iVBORw0KGgo=", "text/plain": "<Image>"},
        metadata={"image/png": {"alt": "Two bars."}},
    )
    panel = new_output("execute_result", {"text/plain": "[widget: n; run this cell]"})
    claim = new_output("stream", name="stdout", text="✓ Two is more than one\n")
    cells = [
        new_markdown_cell(OPENING),
        new_markdown_cell(LEARN),
        new_code_cell(IMPORTS),
        new_markdown_cell("## How many?\nCount."),
        new_code_cell('counts = {"one": 1, "two": 2}'),
        new_code_cell('results.claim("Two is more than one", 2 > 1)', outputs=[claim]),
        new_code_cell(
            FIGURE,
            outputs=[picture],
            metadata={"tags": ["hide-input"], "jupyter": {"source_hidden": True}},
        ),
        new_code_cell(
            'widgets.explore(str, n=widgets.slider(0, 1, 1, 0, "n"))', outputs=[panel]
        ),
        new_markdown_cell(DEEPER, metadata={"jp-MarkdownHeadingCollapsed": True}),
        new_code_cell('three = 1 + counts["two"]', metadata={"tags": ["experiment"]}),
        new_markdown_cell(PAPER),
        new_code_cell(TABLE),
    ]
    for number in (1, 2, 3):
        hidden = {"tags": ["solution"], "jupyter": {"source_hidden": True}}
        cells += [
            new_markdown_cell(
                f"## Exercise {number}\n●○○ 5 minutes. Find the largest."
            ),
            new_code_cell(SOLUTION, metadata=hidden),
            new_code_cell(
                "checks.is_largest(largest)",
                outputs=[new_output("stream", name="stdout", text="✓ the largest\n")],
                metadata={"tags": ["check"]},
            ),
        ]
    cells += [new_markdown_cell(text) for text in (SUMMARY, GLOSSARY, SOURCES)]
    number_cells(cells)
    return new_notebook(cells=cells)


def number_cells(cells):
    """Number the code cells as one run from top to bottom does."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
