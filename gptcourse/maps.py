"""Maps: matrices as colours, attention, and vectors as points.

Axis letters as everywhere: `h` head, `t` query position, `s` key position.
"""

import numpy as np
from matplotlib.figure import Figure

from gptcourse.drawing import (
    COLOURS,
    MARKERS,
    SLANTED,
    add_legend,
    array,
    axes_for,
    drawable,
    fold,
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
