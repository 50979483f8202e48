"""What a reader meets in JupyterLab: links, console, runs, widgets, colours."""

import lab
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NOTEBOOKS = sorted(path.name for path in (lab.ROOT / "notebooks").glob("*.ipynb"))
# 02 is the shortest beside 00; together they have every kind of control
RUN = ("00_start_here.ipynb", "02_masked_attention.ipynb")
BROKEN = "notebooks/broken.ipynb"

pytestmark = pytest.mark.skipif(
    lab.BROWSER is None,
    reason=f"no browser on this machine: none of {', '.join(lab.NAMES)} is on the path",
)


def broken_notebook():
    """One fault of each kind that the checks look for, beside what is right."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    links = """# Links
[right](../README.md), [gone](../gone.md), [plain](http://example.com),
[no host](https:///page), [paper](https://arxiv.org/abs/1706.03762),
[below](#The-end), [nowhere](#Nowhere),
[there](02_masked_attention.ipynb#What-you-will-learn)"""
    folded = {"jp-MarkdownHeadingCollapsed": True}
    table = """| a | b |\n|---|---|\n| [hidden](gone.ipynb) | 1 |"""
    panel = """from IPython.display import HTML, SVG, Javascript
from gptcourse.lesson import widgets
widgets.explore(
    lambda n, still, kind, on, text: f"<p>{n} {kind} {on} {text}</p>",
    n=widgets.slider(0, 9, 1, 3, "n"),
    still=widgets.slider(0.0, 1.0, 0.1, 0.5, "still"),
    kind=widgets.choice(["a", "b"], "a", "kind"),
    on=widgets.toggle(True, "on"),
    text=widgets.text("x", "text"),
)"""
    writer = """def stuck(n):
    yield "always the same"
widgets.writer(stuck, n=widgets.slider(0, 9, 1, 3, "stuck"))"""
    page = """pale = "<b style='color:#888;background:#999'>pale</b>"
half = "<p style='opacity:0.3'>half seen</p>"
black = "<p style='color:#000'>black</p>"
large = "<p style='color:#888;background:#fff;font-size:24px'>large</p>"
HTML(pale + half + black + large + widgets.token_row(["a", " b"], [1, 2]))"""
    clear = """SVG("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")"""
    script = "Javascript('console.error(\"broken script\")')"
    return new_notebook(
        metadata={"kernelspec": kernel},
        cells=[
            new_markdown_cell(links),
            *map(new_code_cell, (panel, writer, page, clear, script, "1 / 0")),
            new_markdown_cell("filler\n\n" * 30),
            new_markdown_cell("# The end"),
            new_markdown_cell("## Deeper", metadata=folded),
            new_markdown_cell(table),
        ],
    )


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """JupyterLab on a copy of the repository, a notebook with faults added."""
    repository = tmp_path_factory.mktemp("repository")
    lab.copy_repository(repository)
    nbformat.write(broken_notebook(), repository / BROKEN)
    with (
        lab.serve(repository, tmp_path_factory.mktemp("jupyter")) as page,
        lab.browse(page) as reader,
    ):
        yield reader


def test_make_lab_opens_the_first_notebook_with_the_repository_as_root(reader):
    assert reader.path() == "notebooks/00_start_here.ipynb"
    assert reader.console_faults() == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_links_lead_somewhere_and_the_console_has_no_error(reader, name):
    assert reader.link_faults(f"notebooks/{name}") == []
    assert reader.console_faults() == []


@pytest.mark.parametrize("theme", lab.THEMES)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stored_outputs_can_be_read(reader, screenshots, name, theme):
    assert reader.contrast_faults(f"notebooks/{name}", theme, screenshots) == []


@pytest.mark.parametrize("name", RUN)
def test_a_notebook_runs_to_its_end_and_its_widgets_move(reader, screenshots, name):
    path = f"notebooks/{name}"
    assert reader.run_faults(path) == []
    assert reader.widget_faults(path) == []
    for theme in lab.THEMES:
        assert reader.contrast_faults(path, theme, screenshots) == []
    assert reader.console_faults() == []


def test_the_checks_see_every_fault_of_a_broken_notebook(reader, screenshots):
    assert reader.link_faults(BROKEN) == [
        "gone: does not open",
        "plain: http://example.com is no https address",
        "no host: https:///page is no https address",
        "nowhere: leads to no heading",
        "hidden: does not open",
    ]
    assert len(reader.console_faults()) > 0  # of the two missing files
    assert reader.run_faults(BROKEN) == ["cell 6: ZeroDivisionError: division by zero"]
    assert "console: broken script" in reader.console_faults()
    assert reader.widget_faults(BROKEN) == [
        "still: moves nothing",
        "stuck: moves nothing",
    ]
    light, dark = (
        reader.contrast_faults(BROKEN, theme, screenshots) for theme in lab.THEMES
    )
    pale = "contrast 1.2: pale"
    assert light == [pale, "contrast 1.9: half seen", "transparent picture: "]
    assert dark == [
        pale,
        "contrast 2.7: half seen",
        "contrast 1.1: black",
        "transparent picture: ",
    ]
