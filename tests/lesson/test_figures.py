import contextlib
import io
import warnings

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gptcourse.lesson import figures, style

TOKENS = ["The", " cat", " sat", "."]
EVEN = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]


def law(points, **more):
    labels = {"x_label": "compute [FLOPs]", "y_label": "loss [nats]", "title": "t"}
    return figures.law(points, **labels | more)


def forecast_of_a_run(**changed):
    """A law with all that it can hold."""
    x = np.geomspace(1e12, 1e15, 4)
    y = 2 + 2 * (x / 1e12) ** -0.2
    parts = {
        "curves": {"a·C^-b + c": (x, y), "a·C^-b": (x, y - 0.1)},
        "band": (x, 0.9 * y, 1.1 * y),
        "forecast": (1e16, 2.3, 2.2, 2.5),
        "measured": (1e16, 2.4),
    }
    points = {"short": (x, y), "long": (x, y + 1, [0.1] * 4)}
    return law(points, **parts | changed)


def every_figure():
    rng = np.random.default_rng(0)
    line = ([1, 2, 4], [3.0, 2.0, 1.5])
    return {
        "curves": figures.curves(
            {"a": line, "b": (*line, [0.1] * 3)}, x_label="context [tokens]",
            y_label="loss [nats]", title="It falls", log_x=True, log_y=True,
            reference=("chance", 4.0),
        ),
        "law": forecast_of_a_run(),
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
            rng.normal(size=(3, 2)), ["a", " b", "語$"], ["x", "y", "x"],
            x_label="first", y_label="second", title="Near",
        ),
        "token_boxes": figures.token_boxes(
            {"long": [" read", "ing$", "語\n"] * 12, "short": ["a"]}, title="Cut"
        ),
    }  # fmt: skip


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
        assert figure.get_suptitle(), name
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


READERS = {
    "a dark style": mpl.style.library["dark_background"],
    "LaTeX": {"text.usetex": True},
    "large letters": {"font.size": 24},
    "red letters": {"text.color": "red"},
    "a wobbly hand": {"path.sketch": (3, 100, 2)},
    "dark axes": {"axes.facecolor": "black"},
    "blurred files": {"savefig.dpi": 20, "savefig.bbox": "tight"},
    "another layout": {"figure.autolayout": True},
    "no formulas": {"text.parse_math": False},
}


@pytest.mark.parametrize("theirs", READERS.values(), ids=READERS.keys())
def test_a_readers_own_style_changes_no_picture(drawn, theirs):
    with mpl.rc_context(theirs):
        made = every_figure()
        for name in ("curves", "token_boxes"):
            assert style.png(made[name]) == drawn[0][name][1], name


# What a setting may be changed to: the first of these that it takes and is not.
OTHERS = [True, False, 17, 0.3, "red", "right", "bottom", "center", "large", "serif",
          "--", "x", "both", "minor", "log", "nearest", "magma", [3, 3]]  # fmt: skip
NOT_OF_PICTURES = {"backend", "date.epoch", "interactive", "toolbar", "timezone"}


def another_value(key):
    for value in OTHERS:
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("error")
            with mpl.rc_context({key: value}):
                if mpl.rcParams[key] != mpl.rcParamsDefault[key]:
                    return value
    return None


def test_no_other_setting_of_the_reader_changes_a_picture(drawn):
    others = {key: another_value(key) for key in {*mpl.rcParams} - NOT_OF_PICTURES}
    theirs = {key: value for key, value in others.items() if value is not None}
    assert len(theirs) > 250
    keys = sorted(theirs)
    np.random.default_rng(0).shuffle(keys)
    for some in (keys[:120], keys[120:]):
        with mpl.rc_context({key: theirs[key] for key in some}):
            for name, figure in every_figure().items():
                assert style.png(figure) == drawn[0][name][1], (name, some)


def test_a_figure_made_by_us_and_saved_by_a_reader_is_in_our_style():
    def saved(figure, draw):
        file = io.BytesIO()
        draw(figure, file)
        return file.getvalue()

    def save(figure, file):
        figure.savefig(file, format="png")

    def as_a_notebook_shows_it(figure, file):
        FigureCanvasAgg(figure).print_figure(file, dpi=90, facecolor="white")

    for draw in (save, as_a_notebook_shows_it):
        plain = saved(every_figure()["heatmap"], draw)
        with mpl.rc_context({"savefig.facecolor": "black", "path.snap": False}):
            assert saved(every_figure()["heatmap"], draw) == plain


LONG = "a name far longer than anybody would write, with all that belongs to it in it"
WIDE = "W" * 140
ODD = ["supercalifragilisticexpialidocious" * 3, WIDE, " ", "語" * 9, "$x_$", "\n\n"]
LABELS = {"x_label": LONG, "y_label": LONG, "title": f"{LONG}, {WIDE}"}
LINE = ([1, 2, 4], [3.0, 2.0, 1.5])
LOOKS = np.tril(np.ones((6, 6))) / np.arange(1, 7)[:, None]
AWKWARD = {
    "the legend of notebook 02": lambda: figures.curves(
        {f"{n} of 4 heads removed": LINE for n in (0, 1, 2, 4)}, x_label="position",
        y_label="loss [nats/token]", title="It falls",
        reference=("nothing known: ln 32", 3),
    ),
    "seven long names": lambda: figures.curves(
        {f"{n} {LONG}": LINE for n in range(7)}, reference=(WIDE, 1), **LABELS
    ),
    "names full of dollars": lambda: figures.curves(
        {"$_$": LINE, "$^$": LINE}, **LABELS
    ),
    "many decades": lambda: figures.curves(
        {"a": ([1, 123_456_789], [1e-30, 1e30])}, log_x=True, log_y=True, **LABELS
    ),
    "a law of long names": lambda: figures.law(
        {f"{n} {LONG}": LINE for n in range(3)}, curves={WIDE: LINE, "$_$": LINE},
        band=(*LINE, [9, 9, 9]), measured=LINE, **LABELS
    ),
    "a law over many decades": lambda: figures.law(
        {"a": ([1, 123_456_789], [1e-30, 1e30])}, **LABELS
    ),
    "groups of bars": lambda: figures.bars(
        {f"{n} {LONG}": {f"{m} {LONG}": m for m in range(5)} for n in range(3)},
        y_label=LONG, title=WIDE, reference=(LONG, 2),
    ),
    "many bars": lambda: figures.bars(
        {f"documentation {n}": 1e9 * n for n in range(24)}, y_label=LONG, title=WIDE
    ),
    "bars with one wide name": lambda: figures.bars(
        {WIDE: 1, "b": 2}, y_label=LONG, title=WIDE
    ),
    "long outcomes": lambda: figures.distribution(LOOKS[-1], ODD, title=WIDE),
    "certainty": lambda: figures.distribution([1.0, 0.0], [WIDE, "b"], title="Certain"),
    "long ticks": lambda: figures.heatmap(
        LOOKS * 1e9, x_ticks=ODD, y_ticks=ODD, value_label=LONG, **LABELS
    ),
    "many ticks": lambda: figures.attention_map(
        np.eye(90), ODD * 15, title=WIDE
    ),
    "one head": lambda: figures.attention_heads([LOOKS], ODD, title=LONG),
    "many heads": lambda: figures.attention_heads([LOOKS] * 11, ODD, title=WIDE),
    "points": lambda: figures.scatter_map(
        np.eye(6)[:, :2], ODD, [f"{n} {LONG}" for n in range(6)], **LABELS
    ),
    "boxes": lambda: figures.token_boxes({LONG * 2: ODD * 4, WIDE: [WIDE]}, title=LONG),
}  # fmt: skip


@pytest.mark.parametrize("make", AWKWARD.values(), ids=AWKWARD.keys())
def test_no_text_is_cut_off_however_awkward(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert style.cut_off(make()) == []


@pytest.mark.parametrize("name", every_figure())
def test_no_text_of_an_ordinary_figure_is_cut_off(name):
    assert style.cut_off(every_figure()[name]) == []


def test_a_figure_with_a_text_cut_off_is_not_shown(monkeypatch):
    figure = every_figure()["curves"]
    figure.axes[0].text(1.02, 0.5, "beside", transform=figure.axes[0].transAxes)
    figure.text(0.5, -0.1, "below the figure")
    monkeypatch.setattr(figures, "display", lambda image: pytest.fail("shown"))
    with pytest.raises(ValueError, match=r"edge: \['below the figure'\]; shorten"):
        figures.show(figure, alt="Curves.")


@pytest.mark.parametrize(
    ("x", "angle", "whole"),
    [(0.5, 0, True), (0.98, 0, False), (0.98, 90, True), (-0.02, 90, False)],
)
def test_the_box_of_a_text_is_turned_with_it(x, angle, whole):
    figure = style.new_figure("t", 3)
    figure.text(x, 0.3, "a label", rotation=angle)
    assert style.cut_off(figure) == ([] if whole else ["a label"])


def test_what_is_not_drawn_is_not_cut_off():
    figure = style.new_figure("t", 3)
    figure.text(2, 2, "hidden", visible=False)
    axes = figure.subplots()
    axes.set(xlim=(0, 1), xticks=[0, 1, 50])
    assert style.cut_off(figure) == []


def test_a_legend_leaves_the_axes_their_height():
    def height(names):
        figure = figures.curves(dict.fromkeys(names, LINE), **LABELS | {"title": "t"})
        style.cut_off(figure)  # lays it out
        return figure.axes[0].get_position().height * figure.get_figheight()

    assert height(LONG.split()[:7]) == pytest.approx(height(["a"]), rel=0.1)
    assert height([f"{n} {LONG}" for n in range(7)]) == pytest.approx(
        height(["a"]), rel=0.1
    )


def test_text_is_folded_by_its_measured_width_and_nothing_is_lost():
    for text in (LONG, WIDE, "iiii " * 60, "語" * 9):
        lines = style.fold(text, inches=2).split("\n")
        shown = "".join(lines).replace(" ", "")
        assert shown == text.replace(" ", "").replace("語", "\\u8a9e")
        figure = Figure(figsize=(9, 9))
        with style.styled():
            boxes = [figure.text(0, 0, line).get_window_extent() for line in lines]
        assert max(box.width for box in boxes) < 2.05 * figure.dpi
        assert len(lines) < 2 * sum(box.width for box in boxes) / 2 / figure.dpi + 1


def test_whole_numbers_close_together_are_ticks_and_others_are_not():
    def ticks(x):
        figure = figures.curves({"a": (x, x)}, x_label="x", y_label="y", title="t")
        return [tick.get_text() for tick in figure.axes[0].get_xticklabels()]

    assert ticks([0, 1, 3]) == ["0", "1", "3"]
    assert ticks([1, 2, 1000]) != ["1", "2", "1,000"]


def test_lines_differ_by_more_than_colour():
    line = ([1, 2], [1, 2])
    figure = figures.curves(
        {str(i): line for i in range(7)}, x_label="x", y_label="y", title="t"
    )
    lines = figure.axes[0].get_lines()[:7]
    assert len({(str(one.get_linestyle()), one.get_marker()) for one in lines}) == 7
    assert len({one.get_color() for one in lines}) == 7


def marks(figure):
    """The lines of a figure by name; of bars of error, the line between them."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    of_name = dict(zip(names, handles, strict=True))
    return {name: getattr(one, "lines", [one])[0] for name, one in of_name.items()}


def test_a_law_names_all_that_it_holds():
    names = {text.get_text() for text in forecast_of_a_run().legends[0].get_texts()}
    assert names == {"short", "long", "a·C^-b + c", "a·C^-b", "95 % interval",
                     "forecast", "measured"}  # fmt: skip


def test_in_a_law_runs_are_markers_and_laws_are_lines_and_all_differ():
    of_name = marks(forecast_of_a_run())
    runs = [of_name["short"], of_name["long"]]
    laws = [of_name["a·C^-b + c"], of_name["a·C^-b"]]
    assert {line.get_linestyle() for line in runs} == {"None"}
    assert {line.get_marker() for line in laws} == {"None"}
    assert len({line.get_marker() for line in runs} - {"None"}) == 2
    dashes = {str(line._unscaled_dash_pattern) for line in laws}
    assert len(dashes) == 2
    assert len({line.get_color() for line in runs + laws}) == 4


def test_in_a_law_a_forecast_is_an_open_diamond_with_a_whisker_and_a_star_is_measured():
    figure = forecast_of_a_run()
    of_name = marks(figure)
    forecast, star = of_name["forecast"], of_name["measured"]
    assert (forecast.get_marker(), star.get_marker()) == ("D", "*")
    assert forecast.get_markerfacecolor() == "none"
    assert star.get_markerfacecolor() == star.get_color() == "black"
    assert star.get_xydata().tolist() == [[1e16, 2.4]]
    [container] = [
        one for one in figure.axes[0].containers if one.get_label() == "forecast"
    ]
    [whisker] = container.lines[2][0].get_segments()
    assert whisker[:, 1] == pytest.approx([2.2, 2.5])


def test_several_measured_runs_are_stars_each():
    star = marks(forecast_of_a_run(measured=([1, 2], [3, 4])))["measured"]
    assert star.get_xydata().tolist() == [[1, 3], [2, 4]]


def test_the_band_of_a_law_lies_between_its_bounds():
    figure = law({"a": LINE}, band=([1, 4], [1, 2], [3, 5]))
    [band] = figure.axes[0].collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert corners == {(1, 1), (1, 3), (4, 2), (4, 5)}


def test_a_curve_through_points_of_its_name_has_their_colour_and_no_second_entry():
    names = ["1e12 FLOPs", "1e13 FLOPs", "1e14 FLOPs"]
    points = dict.fromkeys(names, LINE)
    lines = {"a law": LINE} | dict.fromkeys(reversed(names), LINE)
    figure = law(points, curves=lines)
    entries = [one.get_text() for one in figure.legends[0].get_texts()]
    assert entries == [*names, "a law"]
    colours = [line.get_color() for line in figure.axes[0].get_lines()]
    assert sorted(colours) == sorted([*style.COLOURS[:3] * 2, style.COLOURS[3]])


@pytest.mark.parametrize(
    ("ends", "named"),
    [((2.7, 5.2), ["3", "3.5", "4", "4.5", "5"]),
     ((2.9, 3.1), ["2.9", "2.95", "3", "3.05", "3.1"]),
     ((0.5, 80), ["0.5", "1", "2", "5", "10", "20", "50", "100"]),
     ((0.001, 1000), ["0.001", "0.01", "0.1", "1", "10", "100", "1,000"]),
     ((2e4, 6e5), ["20,000", "50,000", "100,000", "200,000", "500,000"])],
)  # fmt: skip
def test_a_law_names_round_numbers_however_short_its_axis(ends, named):
    axes = law({"a": (ends, ends)}).axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        assert [text.get_text() for text in axis.get_ticklabels()] == named
        assert not len(axis.get_minorticklocs())


def test_a_law_names_large_numbers_by_powers_of_ten():
    [tick, *_] = forecast_of_a_run().axes[0].get_xticklabels()
    assert tick.get_text() == r"$\mathdefault{10^{12}}$"
    [tick, *_] = law({"a": ([3e13, 7e13], [2, 3])}).axes[0].get_xticklabels()
    assert tick.get_text() == r"$\mathdefault{3\times10^{13}}$"


@pytest.mark.parametrize("low", [1e-4, 0.95, 2.6, 3e5, 4e12])
@pytest.mark.parametrize("factor", [1.01, 1.3, 3, 9.9, 12, 150, 900, 1e5])
def test_no_two_names_on_an_axis_of_a_law_overlap(low, factor):
    figure = law({"a": ([low, low * factor], [low, low * factor])})
    assert style.cut_off(figure) == []  # lays it out
    for labels in (
        figure.axes[0].get_xticklabels(),
        figure.axes[0].get_yticklabels(),
    ):
        boxes = [text.get_window_extent() for text in labels]
        assert len(boxes) > 1
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:i])


NO_LAW = {
    "nothing": ({"points": {}}, "0 series: draw 1 to 7"),
    "too many": (
        {"points": {str(i): LINE for i in range(4)},
         "curves": {f"{i}th": LINE for i in range(4)}}, "8 series: draw 1 to 7",
    ),
    "points": ({"points": {"a": ([1, 2], [1])}}, "points 'a' needs x, y and error of"),
    "curve": ({"curves": {"a": ([], [])}}, r"curve 'a' needs .* length, not \[0\]"),
    "band": ({"band": ([1, 2], [1, 2], [3])}, "the band needs x, low and high of one"),
    "forecast": ({"forecast": (1, 2, 1, [3, 3])}, "the forecast needs x, y and bounds"),
    "measured": ({"measured": ([1, 2], [1])}, "measured needs x, y and error of one"),
    "compute 0": ({"points": {"a": ([0, 1], [1, 2])}}, "points 'a': log axes need"),
    "error over y": ({"points": {"a": ([1], [2], [2])}}, "points 'a': log axes need"),
    "nan": ({"curves": {"b": ([1], [np.nan])}}, "curve 'b': log axes need finite"),
    "band to 0": ({"band": ([1], [0], [2])}, "the band: log axes need finite"),
    "forecast of 0": ({"forecast": (0, 2, 1, 3)}, "the forecast: log axes need"),
    "measured inf": ({"measured": (1, np.inf)}, "measured: log axes need finite"),
    "band crossed": ({"band": ([1], [3], [2])}, "the band is not within its bounds"),
    "forecast out": ({"forecast": (1, 4, 1, 3)}, "the forecast is not within its"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_LAW)
def test_a_law_refuses_what_it_cannot_draw_in_one_line(name):
    changed, message = NO_LAW[name]
    with pytest.raises(ValueError, match=message) as caught:
        law(**{"points": {"a": LINE}} | changed)
    assert "\n" not in str(caught.value)


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
            np.ones((2, 3)), ["a", "b"], "xx", title="t", x_label="x", y_label="y"
        )


def test_a_heat_map_needs_a_matrix():
    with pytest.raises(ValueError, match=r"needs a matrix, not shape \(3,\)"):
        figures.heatmap([1, 2, 3], x_label="x", y_label="y", title="t", value_label="v")


def displayed(monkeypatch, *args, **keywords):
    seen = []
    monkeypatch.setattr(figures, "display", seen.append)
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


def test_a_sign_without_a_glyph_is_never_cut_in_half():
    assert style.drawable("语" * 9, longest=8) == r"\u8bed…"
