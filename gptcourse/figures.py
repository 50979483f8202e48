"""Figures in one style: colour-blind-safe, readable in grey, shown with a text for all.

Every function returns a matplotlib `Figure` whose title the caller gives: the finding.
Axes carry units. `show` stores the alternative text with the picture. The maps of
`gptcourse.maps` are here too, so that a notebook imports one module.
"""

import numpy as np
from matplotlib.patches import Rectangle

from gptcourse.drawing import (
    BOX_SHADES,
    COLOURS,
    DASHES,
    HATCHES,
    MARKERS,
    PIXELS_PER_INCH,
    add_legend,
    array,
    axes_for,
    drawable,
    png,
    refuse_too_many,
    token_ticks,
)
from gptcourse.maps import attention_heads, attention_map, heatmap, scatter_map

__all__ = [
    "attention_heads",
    "attention_map",
    "bars",
    "curves",
    "distribution",
    "heatmap",
    "history",
    "scatter_map",
    "show",
    "token_boxes",
]

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

    >>> from gptcourse.history import History
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
