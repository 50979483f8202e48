import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import costs

OPENING = "# A title\n\nA finding.\n\n**Cost**: not yet measured."
README = "# Course\n<!-- costs -->\nold\n<!-- /costs -->\nThe end.\n"
SPEND = "import time\n\nheld = bytearray(400_000_000)\nheld[::4096] = b'x' * 97657"
RAW = {"seconds": 61.2, "slowest_cell_seconds": 21.0, "gigabytes": 0.52}


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (tmp_path / "tools").mkdir()
    cells = [
        new_markdown_cell(OPENING),
        new_code_cell(SPEND),
        new_code_cell("del held"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "00_start.ipynb")
    (tmp_path / "README.md").write_text(README, "utf-8")
    return tmp_path


def test_costs_are_measured_and_written_wherever_a_reader_looks(course):
    costs.update(course)
    record = json.loads((course / "tools" / "costs.json").read_text("utf-8"))
    cost = record["00_start.ipynb"]
    assert cost["seconds"] == 10
    assert cost["slowest_cell_seconds"] == 5
    assert 0.4 < cost["gigabytes"] < 0.8
    line = f"**Cost**: about 10 s and {cost['gigabytes']} GB on 2 cores; offline."
    notebook = nbformat.read(course / "notebooks" / "00_start.ipynb", as_version=4)
    assert notebook.cells[0].source == OPENING.replace(
        "**Cost**: not yet measured.", line
    )
    readme = (course / "README.md").read_text("utf-8")
    row = (
        f"| [A title](notebooks/00_start.ipynb) | 10 s | 5 s | {cost['gigabytes']} GB |"
    )
    assert row in readme.splitlines()
    assert readme.startswith("# Course\n<!-- costs -->\n| notebook |")
    assert readme.endswith("|\n<!-- /costs -->\nThe end.\n")


def test_only_the_notebooks_named_are_measured_anew(course, monkeypatch):
    record = course / "tools" / "costs.json"
    record.write_text(json.dumps({"00_start.ipynb": RAW}), "utf-8")
    cells = [new_markdown_cell(OPENING.replace("A title", "Next"))]
    nbformat.write(new_notebook(cells=cells), course / "notebooks" / "01_next.ipynb")
    measured = []
    monkeypatch.setattr(
        costs, "measure", lambda path: measured.append(path.name) or RAW
    )
    costs.update(course, ["01_next.ipynb"])
    assert measured == ["01_next.ipynb"]
    rounded = costs.settled(RAW, None)
    stored = json.loads(record.read_text("utf-8"))
    assert stored == {"00_start.ipynb": RAW, "01_next.ipynb": rounded}
    readme = (course / "README.md").read_text("utf-8")
    assert "| 61.2 s | 21 s | 0.52 GB |" in readme
    assert "| [Next](notebooks/01_next.ipynb) | 70 s | 25 s | 0.6 GB |" in readme


def test_a_name_that_is_no_notebook_is_refused(course):
    with pytest.raises(ValueError, match="is missing"):
        costs.update(course, ["00_stop.ipynb"])
    (course / "tools" / "costs.json").write_text(json.dumps({"a": RAW}), "utf-8")
    with pytest.raises(ValueError, match="no notebook 00_stop.ipynb: there are 00_st"):
        costs.update(course, ["00_stop.ipynb"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("{}", "names no notebook"),
        ("[]", "names no notebook"),
        ('{"a.ipynb": {"seconds": 10}}', "lacks seconds, .* of a.ipynb"),
        (json.dumps({"a": RAW | {"seconds": "10"}}), "a cost of a is no number"),
        (json.dumps({"a": RAW | {"seconds": 0}}), "a cost of a is no number over 0"),
    ],
)
def test_a_record_that_is_not_whole_never_reads_as_empty(tmp_path, text, fault):
    record = tmp_path / "costs.json"
    with pytest.raises(ValueError, match="costs.json is missing: run `make costs`"):
        costs.load(record)
    record.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=f"costs.json.*{fault}.*run `make costs`"):
        costs.load(record)


def test_costs_are_rounded_up():
    assert costs.settled(RAW, None) == {
        "seconds": 70,
        "slowest_cell_seconds": 25,
        "gigabytes": 0.6,
    }


def test_a_stored_cost_stays_while_the_new_one_is_within_a_step():
    stored = {"seconds": 70, "slowest_cell_seconds": 15, "gigabytes": 0.6}
    assert costs.settled(RAW, stored) == {
        "seconds": 70,
        "slowest_cell_seconds": 25,
        "gigabytes": 0.6,
    }
    assert costs.settled(RAW | {"seconds": 80.1}, stored)["seconds"] == 90


def test_a_notebook_without_a_cost_line_is_refused():
    notebook = new_notebook(cells=[new_markdown_cell("# A title")])
    with pytest.raises(ValueError, match="the first cell has no line"):
        costs.with_cost_line(notebook, costs.settled(RAW, None))


@pytest.mark.parametrize("readme", ["", "<!-- costs -->", "<!-- /costs -->"])
def test_a_readme_without_both_markers_is_refused(readme):
    with pytest.raises(ValueError, match=r"README.md lacks the markers"):
        costs.with_table(readme, "table")
