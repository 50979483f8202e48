"""Diagrams: a machine as boxes, and arrows for what goes from one to the next."""

from gptcourse.lesson import style

LOOK = {"ha": "center", "va": "center"}
EDGE = "#555555"


@style.styled()
def boxes(places, arrows, *, title, height=3.6):
    """Boxes joined by arrows, as a matplotlib `Figure`.

    `places` maps the name of a box to `(x, y, shade)`: its centre, from 0 to 1 across
    and up, and a shade, 0 or 1. `arrows` are `(start, end, words)`, the words set in
    the arrow's middle. Names and words may be broken into lines.

    ValueError for an arrow from or to a box that is not there, and a place outside.

    >>> boxes({"model": (0.2, 0.5, 1), "text": (0.8, 0.5, 0)},
    ...       [("model", "text", "writes")], title="A loop").get_suptitle()
    'A loop'
    """
    _check(places, arrows)
    figure = style.new_figure(title, height)
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    patches = {}
    for name, (x, y, shade) in places.items():
        frame = {"boxstyle": "round,pad=0.5", "facecolor": style.BOX_SHADES[shade]}
        drawn = axes.text(
            x, y, name, bbox=frame | {"edgecolor": EDGE}, zorder=3, **LOOK
        )
        patches[name] = drawn.get_bbox_patch()
    for start, end, words in arrows:
        (x0, y0, _), (x1, y1, _) = places[start], places[end]
        ends = {"patchA": patches[start], "patchB": patches[end]}
        arrow = {"arrowstyle": "-|>", "color": "black", "shrinkA": 4, "shrinkB": 4}
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=arrow | ends, zorder=1)
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        axes.text(*middle, words, fontsize=8, bbox=paper, zorder=2, **LOOK)
    return figure


def _check(places, arrows):
    for name, (x, y, shade) in places.items():
        if not (0 <= x <= 1 and 0 <= y <= 1 and shade in (0, 1)):
            raise ValueError(
                f"box {name!r} is at {(x, y)} in shade {shade}; need a place from 0 to "
                "1 across and up, and shade 0 or 1"
            )
    for start, end, _ in arrows:
        for name in (start, end):
            if name not in places:
                raise ValueError(f"an arrow names {name!r}, but no box has that name")
