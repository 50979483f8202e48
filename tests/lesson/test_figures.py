import io
import warnings

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from gptcourse.lesson import figures, style
from gptcourse.training.history import History

TOKENS = ["The", " cat", " sat", "."]
EVEN = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]


def every_figure():
    rng = np.random.default_rng(0)
    line = ([1, 2, 4], [3.0, 2.0, 1.5])
    record = History(
        step=[1, 2], loss=[4.0, 3.0], validation_step=[2], validation_loss=[3.5]
    )
    return {
        "curves": figures.curves(
            {"a": line, "b": (*line, [0.1] * 3)}, x_label="context [tokens]",
            y_label="loss [nats]", title="It falls", log_x=True, log_y=True,
            reference=("chance", 4.0),
        ),
        "history": figures.history(record, title="It falls", reference=("ln v", 5)),
        "bars": figures.bars(
            {"ours": {"x": 1, "y": 2}, "theirs": {"x": 2, "y": 1}}, y_label="score [%]",
            title="A draw", errors={"ours": {"x": 0.1, "y": 0.2},
            "theirs": {"x": 0.1, "y": 0.2}}, reference=("chance", 0.5),
        ),
        "distribution": figures.distribution([0.2, 0.8], ["a\n", "$x_"], title="b"),
        "heatmap": figures.heatmap(
            rng.normal(size=(5, 9)), x_label="c", y_label="t", title="Noise",
            value_label="value",
        ),
        "attention_map": figures.attention_map(EVEN, TOKENS, title="Evenly"),
        "attention_heads": figures.attention_heads([EVEN] * 5, TOKENS, title="Alike"),
        "scatter_map": figures.scatter_map(
            rng.normal(size=(3, 2)), ["a", " b", "語$"], x_label="first",
            y_label="second", title="Near", groups=["x", "y", "x"],
        ),
        "token_boxes": figures.token_boxes(
            {"long": [" read", "ing$", "語\n"] * 12, "short": ["a"]}, title="Cut"
        ),
    }  # fmt: skip


def title_of(figure):
    if figure.get_suptitle():
        return figure.get_suptitle()
    return figure.axes[0].get_title(loc="left")


@pytest.fixture(scope="module")
def drawn():
    """Every figure with its PNG, drawn once, and the settings before and after."""
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = {name: (one, style.png(one)) for name, one in every_figure().items()}
    return made, before, dict(mpl.rcParams)


def test_every_figure_has_its_title_and_draws_without_a_warning(drawn):
    for name, (figure, data) in drawn[0].items():
        assert isinstance(figure, Figure), name
        assert title_of(figure), name
        assert data.startswith(b"\x89PNG"), name


def test_every_axis_of_numbers_is_labelled():
    for name, figure in every_figure().items():
        axes = figure.axes[0]
        if name == "attention_heads":
            assert figure.get_supxlabel()
            assert figure.get_supylabel()
        elif name != "token_boxes":  # has no numbers
            assert axes.get_xlabel() or name == "bars", name
            assert axes.get_ylabel() or name == "distribution", name


def test_making_figures_changes_no_global_setting(drawn):
    _, before, after = drawn
    assert before == after


def test_a_users_own_style_does_not_change_a_figure():
    def draw():
        return style.png(every_figure()["bars"])

    plain = draw()
    with mpl.rc_context({"axes.facecolor": "black", "font.size": 20}):
        assert draw() == plain


def test_lines_differ_by_more_than_colour():
    line = ([1, 2], [1, 2])
    figure = figures.curves(
        {str(i): line for i in range(7)}, x_label="x", y_label="y", title="t"
    )
    lines = figure.axes[0].get_lines()[:7]
    assert len({(str(one.get_linestyle()), one.get_marker()) for one in lines}) == 7
    assert len({one.get_color() for one in lines}) == 7


def luminance(colour):
    return np.dot(mpl.colors.to_rgb(colour), [0.2126, 0.7152, 0.0722])


def test_the_colour_maps_grow_steadily_lighter_so_that_they_read_in_grey():
    for data in ([[0.0, 1.0]], [[-1.0, 1.0]]):
        figure = figures.heatmap(
            data, x_label="x", y_label="y", title="t", value_label="v"
        )
        cmap = figure.axes[0].images[0].cmap
        light = [luminance(cmap(x)) for x in np.linspace(0, 1, 64)]
        assert (np.diff(light) > 0).all()


def test_a_map_of_both_signs_is_centred_on_zero():
    figure = figures.heatmap(
        [[-1, 3]], x_label="x", y_label="y", title="t", value_label="v"
    )
    assert figure.axes[0].images[0].get_clim() == (-3, 3)


def test_attention_is_always_on_a_scale_from_0_to_1():
    one = figures.attention_map(EVEN, TOKENS, title="t").axes[0].images[0]
    many = figures.attention_heads([EVEN], TOKENS, title="t").axes[0].images[0]
    assert one.get_clim() == many.get_clim() == (0, 1)
    assert one.cmap.name == many.cmap.name


def test_tensors_with_gradients_and_on_half_precision_are_drawn():
    weights = torch.tensor(EVEN, dtype=torch.bfloat16, requires_grad=True)
    assert figures.attention_map(weights, TOKENS, title="t")


@pytest.mark.parametrize(
    ("weights", "message"),
    [(EVEN[:3], "do not fit"), (EVEN - 0.1, "from 0 to 1"), (EVEN * 9, "from 0 to 1"),
     (np.full((4, 4), np.nan), "from 0 to 1")],
)  # fmt: skip
def test_attention_that_is_no_probability_or_does_not_fit_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        figures.attention_map(weights, TOKENS, title="t")


def test_curves_refuse_points_that_do_not_match_and_too_many_lines():
    labels = {"x_label": "x", "y_label": "y", "title": "t"}
    with pytest.raises(ValueError, match=r"curve 'a' needs x, y and error of one"):
        figures.curves({"a": ([1, 2], [1])}, **labels)
    with pytest.raises(ValueError, match="8 series: draw 1 to 7"):
        figures.curves({str(i): ([1], [1]) for i in range(8)}, **labels)
    with pytest.raises(ValueError, match="0 series"):
        figures.curves({}, **labels)


def test_a_log_axis_of_few_points_is_labelled_with_them():
    figure = figures.curves(
        {"a": ([1, 4, 1024], [3, 2, 1])}, x_label="x", y_label="y", title="t",
        log_x=True,
    )  # fmt: skip
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert labels == ["1", "4", "1,024"]


def test_distribution_needs_a_label_for_each_probability():
    with pytest.raises(ValueError, match=r"1 labels for probabilities of shape \(2,\)"):
        figures.distribution([0.5, 0.5], ["a"], title="t")


def test_scatter_map_needs_two_coordinates_for_each_label():
    with pytest.raises(ValueError, match=r"2 labels need \(2, 2\) points"):
        figures.scatter_map(
            np.ones((2, 3)), ["a", "b"], title="t", x_label="x", y_label="y"
        )


def test_a_heat_map_needs_a_matrix():
    with pytest.raises(ValueError, match=r"needs a matrix, not shape \(3,\)"):
        figures.heatmap([1, 2, 3], x_label="x", y_label="y", title="t", value_label="v")


def displayed(monkeypatch, *args, **keywords):
    seen = []
    monkeypatch.setattr("IPython.display.display", seen.append)
    figures.show(*args, **keywords)
    [image] = seen
    return image._repr_mimebundle_()


def test_show_displays_once_with_the_alternative_text_and_the_width(monkeypatch):
    figure = every_figure()["bars"]
    data, metadata = displayed(monkeypatch, figure, alt="Two groups\n  of bars.")
    assert list(data) == ["image/png"]
    assert metadata["image/png"] == {"alt": "Two groups of bars.", "width": 672}


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_show_refuses_an_empty_alternative_text(alt):
    with pytest.raises(ValueError, match="no alternative text"):
        figures.show(Figure(), alt=alt)


def test_pictures_are_small_and_sharp(drawn):
    for name, (figure, data) in drawn[0].items():
        assert len(data) < 40_000, name
        width, _ = Image.open(io.BytesIO(data)).size
        assert width == pytest.approx(figure.get_figwidth() * 96 * 1.5, abs=1)


def test_the_same_figure_gives_the_same_bytes(drawn):
    assert style.png(every_figure()["curves"]) == drawn[0]["curves"][1]


def test_token_boxes_have_a_box_a_token_within_the_figure_and_differ_from_the_next():
    axes = every_figure()["token_boxes"].axes[0]
    boxes = axes.patches
    assert len(boxes) == 37
    assert all(box.get_x() + box.get_width() <= axes.get_xlim()[1] for box in boxes)
    assert all(box.get_y() + box.get_height() <= axes.get_ylim()[0] for box in boxes)
    shades = [luminance(box.get_facecolor()[:3]) for box in boxes[:36]]
    assert (np.abs(np.diff(shades)) > 0.1).all()


def test_token_boxes_need_a_text():
    with pytest.raises(ValueError, match="no text: give a name and its tokens"):
        figures.token_boxes({}, title="Nothing")
