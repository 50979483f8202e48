"""How notebooks are executed, stored and compared, on small notebooks of our own."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import notebooks

ROOT = Path(__file__).resolve().parents[2]
CELLS = [
    "import random\n\nfrom gptcourse import common\n"
    "from gptcourse.lesson import figures, results, widgets",
    "for _ in common.bar(range(3)):\n    pass\nprint(6 * 7, end='')\nprint(' exact')",
    'results.measured("loss", random.random(), "nats")\n'
    'results.sample("a\\n" * random.randint(1, 9))\n'
    'results.claim("It is so", True)',
    'rows = [("x", results.approx(random.expovariate(1e-3)), 5000)]\n'
    'results.table(rows, ["what", "measured", "exact"])\n'
    "results.source(results.seed)",
    'def draw(n):\n    return figures.bars({"n": n}, y_label="n", title="n")\n\n\n'
    'figures.show(draw(random.randint(1, 9)), alt="A bar.")',
    'start = random.randint(1, 9)\nslider = widgets.slider(1, 9, 1, start, "n")\n'
    'widgets.explore(draw, alt="A bar of {n}.", n=slider)',
]


ENDS = [
    "from gptcourse.lesson import widgets",
    'widgets.explore(lambda n: str(1 / n), n=widgets.slider(0, 9, 1, 5, "n"))',
]


def written(path, sources):
    cells = [new_markdown_cell("# A test"), *map(new_code_cell, sources)]
    cells[0].metadata = {"jp-MarkdownHeadingCollapsed": True}
    cells[1].metadata = {"tags": ["check"], "jupyter": {"source_hidden": True}}
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook of everything the package shows, executed and stored."""
    path = written(tmp_path_factory.mktemp("notebooks") / "good.ipynb", CELLS)
    notebooks.run(path)
    return path


def nbval(*paths):
    """What strict nbval says: (notebook, cell) to PASSED or FAILED."""
    options = {
        "-p": "conftest",
        "-c": ROOT / "pyproject.toml",
        "--rootdir": paths[0].parent,
        "--nbval-sanitize-with": ROOT / "tests" / "nbval_sanitize.cfg",
    }
    flags = ["--nbval", "-rA", "--color=no", "-p", "no:cacheprovider"]
    flags += ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    words = [word for option in options.items() for word in option]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, *map(str, [*words, *paths])],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    found = re.findall(
        r"^(PASSED|FAILED) .*?(\w+)\.ipynb::(Cell \d+|Widgets)",
        done.stdout,
        re.MULTILINE,
    )
    assert found, done.stdout + done.stderr
    return {(name, cell): verdict for verdict, name, cell in found}


def changed(path, name, *changes):
    """A copy whose stored outputs, not its cells, say something else."""
    notebook = nbformat.read(path, as_version=4)
    for old, new in changes:
        assert sum(replaced(cell, old, new) for cell in notebook.cells)
    nbformat.write(notebook, path.with_name(name))
    return path.with_name(name)


def replaced(cell, old, new):
    found = False
    for output in cell.get("outputs", []):
        for place in (output, output.get("data", {})):
            for kind, text in place.items():
                if isinstance(text, str) and old in text:
                    place[kind] = text.replace(old, new)
                    found = True
    return found


@pytest.fixture(scope="module")
def verdicts(executed):
    """Strict nbval's verdicts on a good, a changed, and a badly ending notebook."""
    bad = changed(
        executed,
        "bad.ipynb",
        ("42 exact", "43 exact"),
        (" nats", " bits"),
        ('">5,000</td>', '">5,001</td>'),
        ("[widget: n;", "[widget: m;"),
    )
    ends = written(executed.with_name("ends.ipynb"), ENDS)
    notebooks.run(ends)
    return nbval(executed, bad, ends)


def test_measured_outputs_pass_strict_comparison(verdicts):
    good = {verdict for (name, _), verdict in verdicts.items() if name == "good"}
    assert good == {"PASSED"}


def test_changed_exact_outputs_fail_strict_comparison(verdicts):
    of_bad = {
        cell: verdict for (name, cell), verdict in verdicts.items() if name == "bad"
    }
    assert len(of_bad) == len(CELLS) + 1
    failed = {cell for cell, verdict in of_bad.items() if verdict == "FAILED"}
    assert failed == {f"Cell {number}" for number in (1, 2, 3, 5)}


def test_a_widget_that_fails_at_an_end_of_a_control_fails_its_notebook(verdicts):
    assert verdicts["ends", "Cell 1"] == "PASSED"
    assert verdicts["ends", "Widgets"] == "FAILED"


def test_running_again_changes_results_only(executed):
    before = nbformat.read(executed, as_version=4)
    copy = executed.with_name("again.ipynb")
    nbformat.write(before, copy)
    notebooks.run(copy)
    after = nbformat.read(copy, as_version=4)
    assert before.metadata == after.metadata
    for old, new in zip(before.cells, after.cells, strict=True):
        assert old.id == new.id
        assert old.metadata == new.metadata
        kinds = [
            [sorted(output.get("data", {})) for output in cell.get("outputs", [])]
            for cell in (old, new)
        ]
        assert kinds[0] == kinds[1]


def test_nothing_of_the_run_is_stored_and_what_the_author_set_survives(executed):
    text = executed.read_text("utf-8")
    for volatile in ("widget-view", "iopub", 'execution":', "jupytext", "widget-state"):
        assert volatile not in text
    notebook = nbformat.read(executed, as_version=4)
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.cells[0].metadata == {"jp-MarkdownHeadingCollapsed": True}
    assert notebook.cells[1].metadata == {
        "tags": ["check"],
        "jupyter": {"source_hidden": True},
    }
    [panel] = [out for out in notebook.cells[6].outputs if out.output_type != "stream"]
    assert panel.data["text/plain"].startswith("[widget: n;")


def test_no_progress_bar_is_stored(executed):
    cell = nbformat.read(executed, as_version=4).cells[2]
    assert [output.text for output in cell.outputs] == ["42 exact\n"]


def test_an_edit_changes_the_id_of_its_own_cell_only():
    def ids(*sources):
        notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
        notebooks.settle(notebook)
        return [cell.id for cell in notebook.cells]

    first, edited = ids("a", "b", "b", "c"), ids("a", "b", "b", "d")
    assert first[:3] == edited[:3]
    assert first[3] != edited[3]
    assert len(set(first)) == 4


def test_the_longest_notebook_begins_and_an_unmeasured_one_before_it(tmp_path):
    record = tmp_path / "costs.json"
    paths = [tmp_path / name for name in ("a.ipynb", "b.ipynb", "c.ipynb", "d.ipynb")]
    assert notebooks.longest_first(paths[::-1], record) == paths
    record.write_text(
        '{"a.ipynb": {"seconds": 10}, "b.ipynb": {"seconds": 30},'
        ' "d.ipynb": {"seconds": 20}}'
    )
    ordered = notebooks.longest_first(paths, record)
    assert [path.stem for path in ordered] == ["c", "b", "d", "a"]


def test_a_kernel_is_given_its_threads_and_its_seed_and_none_of_ours(monkeypatch):
    monkeypatch.setenv("GPTCOURSE_SEED", "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    given = notebooks.environment(threads=1)
    assert "GPTCOURSE_SEED" not in given
    assert (given["OMP_NUM_THREADS"], given["TQDM_DISABLE"]) == ("1", "1")
    assert notebooks.environment(2, seed=0)["GPTCOURSE_SEED"] == "0"


def test_a_notebook_that_fails_is_left_as_it_was_and_named(tmp_path, capsys):
    path = written(tmp_path / "bad.ipynb", ["x = 1", "1 / 0"])
    before = path.read_bytes()
    assert notebooks.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    error = capsys.readouterr().err
    assert "bad.ipynb: cell 2:" in error
    assert "ZeroDivisionError" in error
