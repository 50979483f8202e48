"""The course's figures: curves, laws, bars, token boxes, maps of matrices and vectors.

Every function returns a matplotlib `Figure` whose title the caller gives: the finding.
Axes carry units. `show` stores the alternative text with the picture, and refuses one
with a text cut off. The pictures are the same whatever the reader has set.

Axis letters as everywhere: `h` head, `t` query position, `s` key position,
`v` vocabulary.
"""

import numpy as np
from IPython.display import Image, display
from matplotlib import ticker
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gptcourse.lesson import style

FEW_POINTS = 30  # up to here every point of a curve gets a marker
FEW_TICKS = 8
CROWD = 0.11  # the least distance of two ticks, as a share of a log axis
LONG = 1e6  # from here on, numbers of a log axis are written with powers of ten
LIKELIEST = 10  # outcomes of a distribution
BOX_COLUMNS = 78  # characters in a line of token boxes
EDGE = "#555555"  # of boxes and level lines
BAND = style.BOX_SHADES[1]
LATER = {"color": "black", "linestyle": "none", "capsize": 4, "zorder": 4}
FORECAST = LATER | {"marker": "D", "markersize": 12, "markerfacecolor": "none"}
MEASURED = LATER | {"marker": "*", "markersize": 9, "label": "measured", "zorder": 5}
KEY, QUERY = "key position s (looked at)", "query position t (looking)"
WEIGHT = "attention weight"


def show(figure, alt) -> None:
    """Display a figure once, as a small PNG with its alternative text.

    `alt` says what the picture shows to a reader who cannot see it. ValueError when it
    is empty, or when a text of the figure is cut off at its edge.

    >>> figure = bars({"a": 1, "b": 2}, y_label="count", title="b is twice a")
    >>> show(figure, alt="Two bars: a 1, b 2.")
    <IPython.core.display.Image object>
    """
    if not alt.strip():
        raise ValueError("the figure has no alternative text: say what it shows in alt")
    if lost := style.cut_off(figure):
        raise ValueError(f"cut off at the figure's edge: {lost}; shorten or move it")
    look = {"alt": " ".join(alt.split()), "width": style.shown_width(figure)}
    display(Image(data=style.png(figure), **look))


@style.styled()
def curves(
    series, *, x_label, y_label, title, log_x=False, log_y=False, reference=None
) -> Figure:
    """Lines over one pair of axes, told apart by colour, dash and marker.

    `series` maps a name to `(x, y)` or `(x, y, error)`; the error, if given, is drawn
    as bars up and down. `reference` is a `(name, y)` drawn as a level line: chance, a
    known floor, the paper's figure. ValueError when lengths differ, there is nothing
    to draw, or there are more lines than styles.

    >>> figure = curves({"train": ([1, 2], [3.0, 2.5])}, x_label="step",
    ...                 y_label="loss [nats/token]", title="The loss falls")
    >>> figure.get_suptitle()
    'The loss falls'
    """
    style.refuse_too_many(series)
    figure, axes = style.axes_for(title, x_label, y_label)
    measured_at = set()
    for index, (name, points) in enumerate(series.items()):
        x, y, error = _points(f"curve {name!r}", points)
        look = _look(index) | ({} if len(x) <= FEW_POINTS else {"marker": None})
        axes.errorbar(x, y, error, label=name, **look)
        measured_at.update(x.tolist())
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    _name_the_points(axes, sorted(measured_at), log_x)
    _add_reference_and_legend(figure, reference, len(series) > 1)
    return figure


def _look(index):
    look = {"color": style.COLOURS[index], "linestyle": style.DASHES[index]}
    look |= {"marker": style.MARKERS[index], "markersize": 5}
    return look | {"linewidth": 1.8, "capsize": 3}


def _points(what, points):
    x, y, *rest = _of_one_length(what, "x, y and error", points)
    return x, y, rest[0] if rest else None


def _of_one_length(what, parts, values):
    arrays = [np.atleast_1d(np.asarray(one, dtype=float)) for one in values]
    lengths = sorted({len(one) for one in arrays})
    if len(lengths) > 1 or not lengths[0]:
        raise ValueError(f"{what} needs {parts} of one length, not {lengths}")
    return arrays


def _name_the_points(axes, values, log_x):
    """Ticks at the values that were measured, if they are few and do not crowd."""
    counted = all(value.is_integer() for value in values)
    apart = log_x or (counted and values[-1] - values[0] < FEW_TICKS)
    if len(values) <= FEW_TICKS and apart:
        axes.set_xticks(values, [f"{value:,.10g}" for value in values])
        axes.minorticks_off()


def _add_reference_and_legend(figure, reference, several):
    if reference is not None:
        name, level = reference
        look = {"color": EDGE, "linestyle": (0, (2, 2)), "linewidth": 1.2}
        figure.axes[0].axhline(level, label=name, **look)
    if several or reference is not None:
        style.add_legend(figure)


@style.styled()
def law(
    points, *, curves=None, band=None, forecast=None, measured=None, x_label, y_label,
    title,
) -> Figure:  # fmt: skip
    """Runs as markers and laws as lines, on log axes whose ticks are round numbers.

    `points` maps a name to `(x, y)` or `(x, y, error)`, `curves` to `(x, y)`; a curve
    of the same name as points has their colour, and no second entry in the legend.
    `band` is a 95 % interval `(x, low, high)`, shaded. `forecast` is `(x, y, low,
    high)`: an open diamond within its 95 % interval. `measured` is the `(x, y)` of one
    run or several, made later: filled stars.

    ValueError as `curves`, for a number that is not above 0, and for crossed bounds.

    >>> figure = law({"runs": ([1e12, 1e13], [3.5, 3.1])}, x_label="compute [FLOPs]",
    ...              y_label="loss [nats/token]", title="Forecast and met",
    ...              forecast=(1e14, 2.8, 2.7, 2.9), measured=(1e14, 2.82))
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['2.8', '3', '3.2', '3.4']
    """
    lines = curves or {}
    names = list(dict.fromkeys([*points, *lines]))
    style.refuse_too_many(names)
    figure, axes = style.axes_for(title, x_label, y_label)
    axes.set(xscale="log", yscale="log")
    if band is not None:
        x, low, high = _of_one_length("the band", "x, low and high", band)
        _refuse_on_log_axes("the band", x, low, high)
        axes.fill_between(x, low, high, color=BAND, label="95 % interval", zorder=1)
    for index, name in enumerate(names):
        if name in points:
            look = {"label": name, "linestyle": "none", "zorder": 3}
            _draw_above_0(axes, f"points {name!r}", points[name], index, look)
        if name in lines:
            look = {"label": "_" if name in points else name, "marker": None}
            _draw_above_0(axes, f"curve {name!r}", lines[name], index, look)
    if forecast is not None:
        x, y, low, high = _of_one_length("the forecast", "x, y and bounds", forecast)
        _refuse_on_log_axes("the forecast", x, low, y, high)
        axes.errorbar(x, y, [y - low, high - y], label="forecast", **FORECAST)
    if measured is not None:
        _draw_above_0(axes, "measured", measured, 0, MEASURED)
    _round_ticks(axes.xaxis)
    _round_ticks(axes.yaxis)
    style.add_legend(figure)
    return figure


def _draw_above_0(axes, what, points, index, look):
    x, y, error = _points(what, points)
    _refuse_on_log_axes(what, x, y if error is None else y - error)
    axes.errorbar(x, y, error, **_look(index) | look)


def _refuse_on_log_axes(what, x, *rising):
    values = np.concatenate([x, *rising])
    if not ((values > 0) & (values < np.inf)).all():  # so that a NaN fails too
        raise ValueError(f"{what}: log axes need finite numbers above 0")
    if (np.diff(rising, axis=0) < 0).any():
        raise ValueError(f"{what} is not within its bounds: low first, then high")


def _round_ticks(axis):
    """Name round numbers; matplotlib names none on a log axis that holds no 10^n."""
    low, high = axis.get_view_interval()
    locators = [ticker.LogLocator(subs=(1, 2, 5)), ticker.LogLocator(numticks=7)]
    if high < 10 * low:
        locators = [ticker.MaxNLocator(n, steps=[1, 2, 5, 10]) for n in range(2, 8)]
    best, apart = [], CROWD * np.log(high / low)
    for locator in locators:
        ticks = [x for x in locator.tick_values(low, high) if low <= x <= high]
        if len(ticks) > len(best) and (np.diff(np.log(ticks)) > apart).all():
            best = ticks
    plain = best[0] > 1 / LONG and best[-1] < LONG
    write = "{:,.10g}".format if plain else ticker.LogFormatterSciNotation()
    axis.set_ticks(best, [write(x) for x in best])
    axis.set_ticks([], minor=True)


@style.styled()
def bars(values, *, y_label, title, reference=None, errors=None) -> Figure:
    """One bar for each name, or a group of bars.

    `values` maps a name to a number, or the name of a series to such a mapping: then
    bars of one name stand together, a colour and hatch for each series. `errors` has
    the same form. `reference` is a `(name, y)` drawn across.

    >>> scores = {"pre-trained": {"a": 3, "b": 4}, "from scratch": {"a": 1, "b": 2}}
    >>> figure = bars(scores, y_label="accuracy [%]", title="It helps",
    ...               reference=("chance", 2))
    >>> len(figure.axes[0].patches)
    4
    """
    grouped = all(isinstance(value, dict) for value in values.values())
    groups = values if grouped else {"": values}
    spread = errors if grouped or errors is None else {"": errors}
    style.refuse_too_many(groups)
    figure, axes = style.axes_for(title, "", y_label)
    names = list(next(iter(groups.values())))
    bar = 0.8 / len(groups)
    for index, (label, group) in enumerate(groups.items()):
        places = np.arange(len(names)) + (index - (len(groups) - 1) / 2) * bar
        heights = [group[name] for name in names]
        error = spread and [spread[label][name] for name in names]
        look = {"color": style.COLOURS[index], "hatch": style.HATCHES[index]}
        axes.bar(places, heights, bar, yerr=error, label=label or "_", capsize=3,
                 edgecolor="white", **look)  # fmt: skip
    axes.grid(visible=False, axis="x")
    style.name_columns(axes, names, (style.WIDTH - 0.9) / len(names), size=10)
    _add_reference_and_legend(figure, reference, grouped)
    return figure


@style.styled()
def distribution(probabilities, labels, *, title) -> Figure:
    """The ten likeliest outcomes of a distribution as horizontal bars.

    `probabilities` (v,) and `labels` (v,), the text of each. The likeliest stands
    first; spaces and line ends are made visible.

    >>> figure = distribution([0.1, 0.7, 0.2], [" a", "b", "c"], title="b")
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['b', 'c', '␣a']
    """
    p = style.array(probabilities)
    if p.shape != (len(labels),):
        raise ValueError(f"{len(labels)} labels for probabilities of shape {p.shape}")
    best = np.argsort(-p, kind="stable")[:LIKELIEST]
    figure, axes = style.axes_for(title, "probability", "", 1.2 + 0.3 * len(best))
    drawn = axes.barh(range(len(best)), p[best], color=style.COLOURS[0], height=0.7)
    axes.bar_label(drawn, [f"{share:.1%}" for share in p[best]], padding=4)
    texts = [style.drawable(labels[index]) for index in best]
    style.token_ticks(axes.set_yticks, texts)
    axes.invert_yaxis()
    axes.set_xlim(0, min(1.0, p[best].max() * 1.15) or 1)
    axes.grid(visible=False, axis="y")
    return figure


@style.styled()
def token_boxes(rows, *, title) -> Figure:
    """Texts cut into tokens: a box a token, one or more lines a text.

    `rows` maps the name of a text to the texts of its tokens. Neighbours differ in
    shade; spaces are visible. ValueError when there is no text.

    >>> figure = token_boxes({"pieces": ["read", "ing"]}, title="Two tokens")
    >>> len(figure.axes[0].patches)
    2
    """
    if not rows:
        raise ValueError("there is no text: give a name and its tokens")
    names, boxes, line = [], [], 0
    for name, tokens in rows.items():
        for part in style.fold(name, style.WIDTH - 0.3, size=9).split("\n"):
            names.append((line, part))
            line += 1
        column = 0
        for index, token in enumerate(tokens):
            text = style.drawable(token, BOX_COLUMNS - 2)
            if column and column + len(text) + 1 > BOX_COLUMNS:
                line, column = line + 1, 0
            boxes.append((line, column, text, style.BOX_SHADES[index % 2]))
            column += len(text) + 1
        line += 1
    figure, axes = style.axes_for(title, "", "", height=0.6 + 0.25 * line)
    axes.set(xlim=(-0.3, BOX_COLUMNS), ylim=(line, 0))
    axes.set_axis_off()
    for line, name in names:
        axes.text(0, line + 0.55, name, va="center", fontsize=9, parse_math=False)
    for box in boxes:
        _draw_box(axes, *box)
    return figure


def _draw_box(axes, line, column, text, shade):
    size = (len(text) + 0.8, 0.8)
    look = {"facecolor": shade, "edgecolor": EDGE, "linewidth": 0.8}
    axes.add_patch(Rectangle((column, line + 0.1), *size, **look))
    axes.text(
        column + size[0] / 2, line + 0.52, text, ha="center", va="center", fontsize=8,
        family=["DejaVu Sans Mono", "DejaVu Sans"], parse_math=False,
    )  # fmt: skip


@style.styled()
def heatmap(
    matrix, *, x_label, y_label, title, value_label, x_ticks=None, y_ticks=None,
    limits=None,
) -> Figure:  # fmt: skip
    """A matrix as colours, with a colour bar that names the values and their unit.

    `matrix` (rows, columns). Where values have both signs, the scale is centred on 0.
    Both colour maps grow steadily lighter, so they read in grey. `limits` (low, high)
    fixes the scale, so that figures compare. Ticks are texts. Small matrices show
    their numbers.

    >>> figure = heatmap([[0.0, 1.0]], x_label="key position", y_label="query position",
    ...                  title="All on the last", value_label="weight")
    >>> len(figure.axes)
    2
    """
    values = style.array(matrix)
    if values.ndim != 2:
        raise ValueError(f"a heat map needs a matrix, not shape {values.shape}")
    rows, columns = values.shape
    height = float(np.clip(1.2 + 5.6 * rows / columns, 2.4, 5.0))
    figure, axes = style.axes_for(title, x_label, y_label, height)
    image = _draw_map(axes, values, limits)
    if x_ticks is not None:
        texts = [style.drawable(tick) for tick in x_ticks]
        style.name_columns(axes, texts, (style.WIDTH - 2.5) / len(texts), size=8)
    if y_ticks is not None:
        style.token_ticks(axes.set_yticks, [style.drawable(tick) for tick in y_ticks])
    figure.colorbar(image, ax=axes, label=style.fold(value_label, height - 1))
    return figure


def _draw_map(axes, values, limits):
    low, high = limits or (values.min(), values.max())
    signed = low < 0 < high
    if signed and limits is None:
        low, high = -np.abs(values).max(), np.abs(values).max()
    cmap = "cividis" if signed else "viridis"  # light to dark one way: reads in grey
    image = axes.imshow(
        values, cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest"
    )
    axes.grid(visible=False)
    if max(values.shape) <= 10:
        _write_numbers(axes, image, values)
    return image


def _write_numbers(axes, image, values):
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        axes.text(
            column, row, f"{value:.2g}", ha="center", va="center", fontsize=8,
            color="white" if dark else "black",
        )  # fmt: skip


def attention_map(weights, tokens, *, title) -> Figure:
    """Attention weights (t, s) of one head: a row a query, a column a key.

    `tokens` are the texts at the positions. Colours always run from 0 to 1, so that
    maps compare. ValueError when shapes do not fit or a weight is no probability.

    >>> figure = attention_map([[1, 0], [0.5, 0.5]], ["a", " b"], title="Looks back")
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['a', '␣b']
    """
    values = _probabilities(weights, (len(tokens), len(tokens)))
    return heatmap(
        values, x_label=KEY, y_label=QUERY, title=title, value_label=WEIGHT,
        x_ticks=tokens, y_ticks=tokens, limits=(0, 1),
    )  # fmt: skip


@style.styled()
def attention_heads(weights, tokens, *, title) -> Figure:
    """Attention weights (h, t, s): one map for each head, on one scale from 0 to 1.

    >>> figure = attention_heads([[[1, 0], [0, 1]]] * 3, ["a", "b"], title="Alike")
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['head 0', 'head 1', 'head 2']
    """
    n_head = len(weights)
    values = _probabilities(weights, (n_head, len(tokens), len(tokens)))
    columns = min(4, n_head)
    rows = -(-n_head // columns)
    figure = style.new_figure(title, 0.7 + 2.0 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[n_head:]:
        axes.set_visible(False)
    for head, axes in enumerate(grid.flat[:n_head]):
        axes.set_title(f"head {head}")
        image = axes.imshow(values[head], vmin=0, vmax=1, aspect="equal")
        axes.grid(visible=False)
        axes.tick_params(labelsize=7)
    if len(tokens) <= 12:
        texts = [style.drawable(token, longest=8) for token in tokens]
        for axes in grid[-1]:
            style.token_ticks(axes.set_xticks, texts, fontsize=7, rotation=90)
        for axes in grid[:, 0]:
            style.token_ticks(axes.set_yticks, texts, fontsize=7)
    figure.supxlabel(KEY, fontsize=9)
    figure.supylabel(QUERY, fontsize=9)
    figure.colorbar(image, ax=list(grid.flat), label=WEIGHT, shrink=0.8)
    return figure


def _probabilities(weights, shape):
    values = style.array(weights)
    if values.shape != shape:
        raise ValueError(f"weights of shape {values.shape} do not fit {shape} tokens")
    if not (values.min() >= 0 and values.max() <= 1.001):  # so that a NaN fails too
        raise ValueError("attention weights must lie from 0 to 1: are these scores?")
    return values


@style.styled()
def scatter_map(points, labels, groups, *, title, x_label, y_label) -> Figure:
    """Points (n, 2) with their names: a map of vectors.

    `groups` (n,) names the group of each point: a colour and a marker each.

    >>> figure = scatter_map([[0, 1], [2, 3]], ["in", "on"], ["place", "place"],
    ...                      title="Near", x_label="first", y_label="second")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['in', 'on']
    """
    values = style.array(points)
    if values.shape != (len(labels), 2):
        raise ValueError(f"{len(labels)} labels need ({len(labels)}, 2) points")
    names = list(dict.fromkeys(groups))
    style.refuse_too_many(names)
    figure, axes = style.axes_for(title, x_label, y_label, height=5.2)
    for index, name in enumerate(names):
        mine = values[[group == name for group in groups]]
        look = {"color": style.COLOURS[index], "marker": style.MARKERS[index]}
        axes.scatter(*mine.T, s=22, label=name, **look)
    for place, label in zip(values, labels, strict=True):
        look = {"textcoords": "offset points", "fontsize": 8, "parse_math": False}
        axes.annotate(style.drawable(label), place, (4, 3), **look)
    style.add_legend(figure)
    return figure
