"""Maps: matrices as colours, attention, and vectors as points.

Axis letters as everywhere: `h` head, `t` query position, `s` key position.

Figures in one style: colour-blind-safe, readable in grey, shown with a text for all.

Every function returns a matplotlib `Figure` whose title the caller gives: the finding.
Axes carry units. `show` stores the alternative text with the picture. The maps of
`gptcourse.maps` are here too, so that a notebook imports one module.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gptcourse.lesson.style import (
    BOX_SHADES,
    COLOURS,
    DASHES,
    HATCHES,
    MARKERS,
    PIXELS_PER_INCH,
    SLANTED,
    add_legend,
    array,
    axes_for,
    drawable,
    fold,
    png,
    refuse_too_many,
    styled,
    token_ticks,
)


def heatmap(
    matrix, *, x_label, y_label, title, value_label, x_ticks=None, y_ticks=None,
    limits=None,
):  # fmt: skip
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
    values = array(matrix)
    if values.ndim != 2:
        raise ValueError(f"a heat map needs a matrix, not shape {values.shape}")
    figure, axes = axes_for(title, x_label, y_label, height=_map_height(values.shape))
    image = _draw_map(axes, values, limits, x_ticks, y_ticks)
    figure.colorbar(image, ax=axes, label=value_label)
    return figure


def _map_height(shape):
    rows, columns = shape
    return float(np.clip(1.2 + 5.6 * rows / columns, 2.4, 5.0))


def _draw_map(axes, values, limits, x_ticks, y_ticks):
    low, high = limits if limits is not None else (values.min(), values.max())
    signed = low < 0 < high
    if signed and limits is None:
        low, high = -np.abs(values).max(), np.abs(values).max()
    cmap = "cividis" if signed else "viridis"  # light to dark one way: reads in grey
    image = axes.imshow(
        values, cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest"
    )
    axes.grid(visible=False)
    if x_ticks is not None:
        long = max(map(len, x_ticks)) > 2
        token_ticks(axes.set_xticks, x_ticks, **(SLANTED if long else {}))
    if y_ticks is not None:
        token_ticks(axes.set_yticks, y_ticks)
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


def attention_map(weights, tokens, *, title, queries=None):
    """Attention weights (t, s) of one head: a row a query, a column a key.

    `tokens` are the s keys' texts; `queries` the t queries' where they differ. Colours
    always run from 0 to 1, so that maps compare. ValueError when shapes do not fit or
    a weight is no probability.

    >>> figure = attention_map([[1, 0], [0.5, 0.5]], ["a", " b"], title="Looks back")
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['a', '␣b']
    """
    values = _probabilities(weights, (len(queries or tokens), len(tokens)))
    return heatmap(
        values,
        x_label="key position s (looked at)",
        y_label="query position t (looking)",
        title=title,
        value_label="attention weight",
        x_ticks=tokens,
        y_ticks=queries or tokens,
        limits=(0, 1),
    )


def attention_heads(weights, tokens, *, title, columns=4):
    """Attention weights (h, t, s): one map for each head, on one scale from 0 to 1.

    >>> figure = attention_heads([[[1, 0], [0, 1]]] * 3, ["a", "b"], title="Alike")
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['head 0', 'head 1', 'head 2']
    """
    n_head = len(weights)
    values = _probabilities(weights, (n_head, len(tokens), len(tokens)))
    columns = min(columns, n_head)
    rows = -(-n_head // columns)
    with styled():
        figure = Figure(figsize=(7.5, 0.7 + 2.0 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        figure.suptitle(fold(title), x=0.01, ha="left", fontsize=11.5)
        for head, axes in enumerate(grid.flat):
            axes.set_visible(head < n_head)
            if head < n_head:
                axes.set_title(f"head {head}", loc="center", fontsize=9)
                image = axes.imshow(values[head], vmin=0, vmax=1, aspect="equal")
                axes.grid(visible=False)
                axes.tick_params(labelsize=7)
        if len(tokens) <= 12:
            token_ticks(grid[0, 0].set_xticks, tokens, fontsize=7)
            token_ticks(grid[0, 0].set_yticks, tokens, fontsize=7)
            for axes in grid[-1]:
                axes.tick_params(axis="x", rotation=90)
        figure.supxlabel("key position s (looked at)", fontsize=9)
        figure.supylabel("query position t (looking)", fontsize=9)
        figure.colorbar(image, ax=list(grid.flat), label="attention weight", shrink=0.8)
    return figure


def _probabilities(weights, shape):
    values = array(weights)
    if values.shape != shape:
        raise ValueError(f"weights of shape {values.shape} do not fit {shape} tokens")
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1.001):
        raise ValueError("attention weights must lie from 0 to 1: are these scores?")
    return values


def scatter_map(points, labels, *, title, x_label, y_label, groups=None):
    """Points (n, 2) with their names: a map of vectors.

    `groups` (n,) names the group of each point: a colour and a marker each.

    >>> figure = scatter_map([[0, 1], [2, 3]], ["in", "on"], title="Near",
    ...                      x_label="first component", y_label="second component")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['in', 'on']
    """
    values = array(points)
    if values.shape != (len(labels), 2):
        raise ValueError(f"{len(labels)} labels need ({len(labels)}, 2) points")
    kinds = ["points"] * len(labels) if groups is None else list(groups)
    names = list(dict.fromkeys(kinds))
    refuse_too_many(names, COLOURS)
    figure, axes = axes_for(title, x_label, y_label, height=5.2)
    for index, name in enumerate(names):
        mine = values[[kind == name for kind in kinds]]
        axes.scatter(*mine.T, s=22, c=COLOURS[index], marker=MARKERS[index], label=name)
    for (x, y), label in zip(values, labels, strict=True):
        text = drawable(label)
        axes.annotate(
            text, (x, y), (4, 3), textcoords="offset points", fontsize=8,
            parse_math=False,
        )  # fmt: skip
    if groups is not None:
        add_legend(axes)
    return figure


FEW_POINTS = 30  # up to here every point of a curve gets a marker
FEW_TICKS = 8
BOX_COLUMNS = 78  # characters in a line of token boxes


def show(figure, alt):
    """Display a figure once, as a small PNG with its alternative text.

    `alt` says what the picture shows to a reader who cannot see it. ValueError when it
    is empty.

    >>> figure = bars({"a": 1, "b": 2}, y_label="count", title="b is twice a")
    >>> show(figure, alt="Two bars: a 1, b 2.")
    <IPython.core.display.Image object>
    """
    from IPython.display import Image, display

    if not alt.strip():
        raise ValueError("the figure has no alternative text: say what it shows in alt")
    width = round(figure.get_figwidth() * PIXELS_PER_INCH)
    display(Image(data=png(figure), alt=" ".join(alt.split()), width=width))


def curves(
    series, *, x_label, y_label, title, log_x=False, log_y=False, reference=None
):
    """Lines over one pair of axes, told apart by colour, dash and marker.

    `series` maps a name to `(x, y)` or `(x, y, error)`; the error, if given, is drawn
    as bars up and down. `reference` is a `(name, y)` drawn as a level line: chance, a
    known floor, the paper's figure. ValueError when lengths differ, there is nothing
    to draw, or there are more lines than styles.

    >>> figure = curves({"train": ([1, 2], [3.0, 2.5])}, x_label="step",
    ...                 y_label="loss [nats/token]", title="The loss falls")
    >>> figure.axes[0].get_title(loc="left")
    'The loss falls'
    """
    refuse_too_many(series, COLOURS)
    figure, axes = axes_for(title, x_label, y_label)
    for index, (name, points) in enumerate(series.items()):
        x, y, error = _points(name, points)
        axes.errorbar(x, y, error, label=name, capsize=3, **_line_style(index, len(x)))
    if reference is not None:
        _level_line(axes.axhline, reference)
    if log_x:
        axes.set_xscale("log")
        _name_the_points(axes, series)
    if log_y:
        axes.set_yscale("log")
    if len(series) > 1 or reference is not None:
        add_legend(axes, below=reference is not None)  # else it may hide the level
    return figure


def _points(name, points):
    x, y, *rest = (np.asarray(values, dtype=float) for values in points)
    error = rest[0] if rest else None
    lengths = {len(values) for values in (x, y, *rest)}
    if len(lengths) > 1 or not len(x):
        raise ValueError(
            f"curve {name!r} needs x, y and error of one length, not {sorted(lengths)}"
        )
    return x, y, error


def _name_the_points(axes, series):
    """On a log axis, ticks at the values that were measured, if they are few."""
    values = sorted({float(value) for x, *_ in series.values() for value in x})
    if len(values) <= FEW_TICKS:
        axes.set_xticks(values, [f"{value:,g}" for value in values])
        axes.minorticks_off()


def _line_style(index, n_points):
    few = n_points <= FEW_POINTS
    return {
        "color": COLOURS[index],
        "linestyle": DASHES[index],
        "marker": MARKERS[index] if few else None,
        "markersize": 5,
        "linewidth": 1.8,
    }


def _level_line(draw, reference):
    name, level = reference
    draw(level, color="#555555", linestyle=(0, (2, 2)), linewidth=1.2, label=name)


def history(record, *, title, reference=None):
    """The loss of a training run, and the validation loss where it was measured.

    `record` is a `gptcourse.history.History`; its loss is drawn as the mean of the
    last steps, in nats/token.

    >>> from gptcourse.training.history import History
    >>> record = History(step=[1, 2], loss=[4.0, 3.0], validation_step=[2],
    ...                  validation_loss=[3.2])
    >>> len(history(record, title="Learning").axes[0].containers)
    2
    """
    series = {"training, mean of the last 20": (record.step, record.smoothed(20))}
    if record.validation_step:
        series["validation"] = (record.validation_step, record.validation_loss)
    return curves(
        series,
        x_label="step",
        y_label="loss [nats/token]",
        title=title,
        reference=reference,
    )


def bars(values, *, y_label, title, reference=None, errors=None):
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
    refuse_too_many(groups, COLOURS)
    figure, axes = axes_for(title, "", y_label)
    names = list(next(iter(groups.values())))
    width = 0.8 / len(groups)
    for index, (label, group) in enumerate(groups.items()):
        axes.bar(
            np.arange(len(names)) + (index - (len(groups) - 1) / 2) * width,
            [group[name] for name in names],
            width,
            yerr=spread and [spread[label][name] for name in names],
            label=label or "_",
            color=COLOURS[index],
            hatch=HATCHES[index],
            edgecolor="white",
            capsize=3,
        )
    axes.grid(visible=False, axis="x")
    axes.set_xticks(range(len(names)), names, parse_math=False)
    if reference is not None:
        _level_line(axes.axhline, reference)
    if grouped or reference is not None:
        add_legend(axes, below=True)
    return figure


def distribution(probabilities, labels, *, title, top=10):
    """The likeliest outcomes of a distribution as horizontal bars.

    `probabilities` (v,) and `labels` (v,), the text of each; the `top` likeliest are
    drawn, the likeliest first, spaces and line ends made visible.

    >>> figure = distribution([0.1, 0.7, 0.2], [" a", "b", "c"], title="b", top=2)
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['b', 'c']
    """
    p = array(probabilities)
    if p.shape != (len(labels),):
        raise ValueError(f"{len(labels)} labels for probabilities of shape {p.shape}")
    best = np.argsort(-p, kind="stable")[:top]
    figure, axes = axes_for(title, "probability", "", height=1.2 + 0.3 * len(best))
    axes.barh(range(len(best)), p[best], color=COLOURS[0], height=0.7)
    for row, index in enumerate(best):
        axes.annotate(
            f"{p[index]:.1%}", (p[index], row), (4, 0), textcoords="offset points",
            va="center",
        )  # fmt: skip
    token_ticks(axes.set_yticks, [labels[index] for index in best])
    axes.invert_yaxis()
    axes.set_xlim(0, min(1.0, p[best].max() * 1.15) or 1)
    axes.grid(visible=False, axis="y")
    return figure


def token_boxes(rows, *, title):
    """Texts cut into tokens: a box a token, one or more lines a text.

    `rows` maps the name of a text to the texts of its tokens. Neighbours differ in
    shade; spaces are visible. ValueError when there is no text.

    >>> figure = token_boxes({"pieces": ["read", "ing"]}, title="Two tokens")
    >>> len(figure.axes[0].patches)
    2
    """
    if not rows:
        raise ValueError("there is no text: give a name and its tokens")
    boxes, line = [], 0
    for name, tokens in rows.items():
        boxes.append((line, 0, name, None))
        line, column = line + 1, 0
        for index, token in enumerate(map(drawable, tokens)):
            if column and column + len(token) + 1 > BOX_COLUMNS:
                line, column = line + 1, 0
            boxes.append((line, column, token, BOX_SHADES[index % 2]))
            column += len(token) + 1
        line += 1
    figure, axes = axes_for(title, "", "", height=0.6 + 0.25 * line)
    axes.set(xlim=(-0.3, BOX_COLUMNS), ylim=(line, 0))
    axes.set_axis_off()
    for line, column, text, shade in boxes:
        _draw_box(axes, line, column, text, shade)
    return figure


def _draw_box(axes, line, column, text, shade):
    if shade is None:
        axes.text(0, line + 0.55, text, va="center", fontsize=9, parse_math=False)
        return
    size = (len(text) + 0.8, 0.8)
    outline = {"edgecolor": "#555555", "linewidth": 0.8}
    axes.add_patch(Rectangle((column, line + 0.1), *size, facecolor=shade, **outline))
    axes.text(
        column + size[0] / 2, line + 0.52, text, ha="center", va="center", fontsize=8,
        family=["DejaVu Sans Mono", "DejaVu Sans"], parse_math=False,
    )  # fmt: skip
