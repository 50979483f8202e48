"""The one style of the course's figures, and what all of them need.

Colours are told apart by the colour-blind; in grey, dashes, markers and hatches tell
lines and bars apart. Nothing global changes, and nothing that the reader has set comes
in: the style holds while a figure is made, drawn and saved. Text is broken into lines
by its measured width, so that no label is cut off at the figure's edge.
"""

import io
import textwrap
from contextlib import AbstractContextManager
from functools import cache

import numpy as np
from matplotlib import font_manager, ft2font, style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D
from PIL import Image as PillowImage

# Okabe and Ito's palette, the dark ones first; yellow is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
BOX_SHADES = ("#ffffff", "#cfe2f0")  # of tokens: told apart in grey, and by borders
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.titlesize": 11.5,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}
WIDTH = 7.0  # of every figure, in inches
PIXELS_PER_INCH = 96
SHARPNESS = 1.5  # stored pixels per shown pixel
LONGEST_TOKEN = 24  # characters of a token that names a tick or a point
SLANTED = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}


def styled() -> AbstractContextManager:
    """The course's style on top of matplotlib's defaults: a context or a decorator."""
    return style.context(["default", STYLE])


class StyledFigure(Figure):
    """A figure drawn and saved in the course's style, whoever does it and when.

    Matplotlib makes ticks and reads many settings only when it draws.
    """

    draw = styled()(Figure.draw)
    savefig = styled()(Figure.savefig)


@styled()
def new_figure(title, height) -> Figure:
    """An empty figure with its title, `height` inches high for a title of one line.

    >>> new_figure("The loss falls", 3).get_suptitle()
    'The loss falls'
    """
    lines = fold(title, WIDTH - 0.3, STYLE["figure.titlesize"])
    height += 0.2 * lines.count("\n")
    figure = StyledFigure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(lines, x=0.01, ha="left", parse_math=False)
    return figure


def axes_for(title, x_label, y_label, height=3.8) -> tuple[Figure, Axes]:
    """A new figure with one pair of named axes."""
    figure = new_figure(title, height)
    axes = figure.subplots()
    axes.set_xlabel(fold(x_label, WIDTH - 2))
    axes.set_ylabel(fold(y_label, height - 1))
    return figure, axes


def add_legend(figure) -> None:
    """Name the series of a figure below its axes, in as few lines as fit its width.

    The figure grows by the height of the legend, so that the axes keep theirs.
    """
    handles, names = figure.axes[0].get_legend_handles_labels()
    names = [fold(name, WIDTH - 1) for name in names]
    for lines in range(1, len(names) + 1):
        columns = -(-len(names) // lines)
        place = {"loc": "outside lower center", "ncols": columns}
        legend = figure.legend(handles, names, **place)
        for text in legend.get_texts():
            text.set_parse_math(False)
        box = legend.get_window_extent()
        if columns == 1 or box.width < 0.97 * figure.bbox.width:
            break
        legend.remove()
    _grow(figure, box.height / figure.dpi)


def name_columns(axes, names, room, size) -> None:
    """Name the places 0, 1, ... of the x axis, each with `room` inches.

    A name is broken into lines if each of its words fits, else all are slanted. The
    figure grows by what the names take, so that the axes keep their height.
    """
    words = " ".join(names).split()
    if all(_width(word, size) <= room for word in words):
        names = [fold(name, room, size) for name in names]
        token_ticks(axes.set_xticks, names, fontsize=size)
        _grow(axes.figure, 0.17 * max(name.count("\n") for name in names))
    else:
        names = [fold(name, 2.5, 8) for name in names]
        token_ticks(axes.set_xticks, names, **SLANTED)
        longest = max(_width(line, 8) for name in names for line in name.split("\n"))
        _grow(axes.figure, 0.9 * longest)


def _grow(figure, inches):
    figure.set_figheight(figure.get_figheight() + inches)


def token_ticks(set_ticks, texts, **look) -> None:
    """Name the ticks 0, 1, ... of one axis after drawable tokens, `$` kept."""
    set_ticks(range(len(texts)), texts, parse_math=False, **{"fontsize": 8} | look)


def drawable(token, longest=LONGEST_TOKEN) -> str:
    """A token as a figure can write it: spaces visible, missing glyphs as escapes.

    >>> drawable(" the"), drawable("a\\n"), drawable("语"), drawable("a" * 9, longest=4)
    ('␣the', 'a↵', '\\\\u8bed', 'aaa…')
    """
    signs = [_escaped(VISIBLE.get(char, char)) for char in token]
    if sum(map(len, signs)) > longest:
        while sum(map(len, signs)) >= longest:
            signs.pop()
        signs.append("…")
    return "".join(signs)


def fold(text, inches, size=10) -> str:
    """Text in lines no wider than `inches`, in letters of `size` points.

    >>> fold("The loss falls", inches=0.8)
    'The loss\\nfalls'
    """
    text = _escaped(" ".join(text.split()))
    fitting = len(text) * inches / max(_width(text, size), inches)  # of average letters
    for longest in range(round(1.2 * fitting) + 1, 0, -1):
        lines = textwrap.wrap(text, longest)
        if all(_width(line, size) <= inches for line in lines):
            break
    return "\n".join(lines)


def _escaped(text):
    return "".join(char if _has_glyph(char) else ascii(char)[1:-1] for char in text)


def _has_glyph(char):
    return char.isprintable() and _font().get_char_index(ord(char)) != 0


def _width(text, size):
    """The width of a line in inches."""
    font = _font()
    font.set_size(size, 72)
    font.set_text(text, 0.0)
    return font.get_width_height()[0] / 64 / 72


@cache
def _font():
    return ft2font.FT2Font(font_manager.findfont("DejaVu Sans"))


def array(values) -> np.ndarray:
    """A float array of a list, an array or a tensor, also of one with gradients."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().float().numpy()
    return np.asarray(values, dtype=float)


def refuse_too_many(series) -> None:
    """Raise ValueError unless there is something to draw and a style for each."""
    if not 1 <= len(series) <= len(COLOURS):
        raise ValueError(f"{len(series)} series: draw 1 to {len(COLOURS)} in a figure")


def shown_width(figure) -> int:
    """The width in pixels at which a page shows a figure."""
    return round(figure.get_figwidth() * PIXELS_PER_INCH)


def png(figure) -> bytes:
    """The figure as the bytes of a PNG of at most 256 colours.

    >>> png(new_figure("Empty", 1))[1:4]
    b'PNG'
    """
    raw, small = io.BytesIO(), io.BytesIO()
    with styled():
        figure.savefig(raw, format="png", dpi=PIXELS_PER_INCH * SHARPNESS)
    picture = PillowImage.open(raw).convert("RGB")
    picture = picture.quantize(256, kmeans=1, dither=PillowImage.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


@styled()
def cut_off(figure) -> list[str]:
    """The lines of text that do not lie within the figure, whole.

    >>> figure = new_figure("The loss falls", 3)
    >>> label = figure.text(0.9, 0.5, "too far to the right")
    >>> cut_off(figure)
    ['too far to the right']
    """
    renderer = _EdgeWatcher(*map(round, figure.bbox.size), figure.dpi)
    figure.draw(renderer)
    return renderer.cut_off


class _EdgeWatcher(RendererAgg):
    """Draws a figure to see which lines of text reach over its edge.

    Asked where they are, texts that are never drawn answer too, such as ticks outside
    the axes: so this looks at what is drawn.
    """

    def __init__(self, width, height, dpi):
        super().__init__(width, height, dpi)
        self.cut_off = []

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        width, height, descent = self.get_text_width_height_descent(s, prop, ismath)
        sides, rows = (x, x + width), (y + descent - height, y + descent)
        corners = [(side, row) for side in sides for row in rows]
        turned = Affine2D().rotate_deg_around(x, y, -angle).transform(corners)
        edges = np.array([self.width, self.height])
        if (turned < -1).any() or (turned > edges + 1).any():  # a pixel is rounding
            self.cut_off.append(s)
