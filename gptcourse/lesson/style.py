"""The one style of the course's figures, and what all of them need.

Colours are told apart by the colour-blind; in grey, dashes, markers and hatches tell
lines and bars apart. Nothing global changes: the style holds while a figure is made.
"""

import io
import textwrap
from functools import cache

import numpy as np
from matplotlib import font_manager, ft2font, style
from matplotlib.figure import Figure
from PIL import Image as PillowImage

# Okabe and Ito's palette, the dark ones first; yellow is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
BOX_SHADES = ("#ffffff", "#cfe2f0")  # of tokens: told apart in grey, and by borders
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 10,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "image.cmap": "viridis",
}
PIXELS_PER_INCH = 96
SHARPNESS = 1.5  # stored pixels per shown pixel
SLANTED = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}


def styled():
    """A context in which the course's style holds, whatever the reader has set."""
    return style.context(["default", STYLE])


def png(figure):
    """The figure as the bytes of a PNG of at most 256 colours.

    >>> png(Figure(figsize=(1, 1)))[1:4]
    b'PNG'
    """
    raw, small = io.BytesIO(), io.BytesIO()
    with styled():
        figure.savefig(raw, format="png", dpi=PIXELS_PER_INCH * SHARPNESS)
    picture = PillowImage.open(raw).convert("RGB")
    picture = picture.quantize(256, kmeans=1, dither=PillowImage.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


def axes_for(title, x_label, y_label, height=3.8):
    """A figure `height` inches high with one pair of named axes: (figure, axes)."""
    with styled():
        figure = Figure(figsize=(7.0, height), layout="constrained")
        axes = figure.subplots()
        axes.set_title(fold(title))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return figure, axes


def fold(title):
    """A title in lines that fit the figure."""
    return textwrap.fill(title, 74)


def array(values):
    """A float array of a list, an array or a tensor, also of one with gradients."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().float().numpy()
    return np.asarray(values, dtype=float)


def refuse_too_many(items, styles):
    """Raise ValueError unless there is something to draw and a style for each."""
    if not 1 <= len(items) <= len(styles):
        raise ValueError(f"{len(items)} series: draw 1 to {len(styles)} in one figure")


def token_ticks(set_ticks, tokens, **text):
    """Name the ticks 0, 1, ... of one axis after tokens, `$` and spaces kept."""
    texts = [drawable(token) for token in tokens]
    set_ticks(range(len(texts)), texts, parse_math=False, **{"fontsize": 8} | text)


def add_legend(axes, below=False):
    """The legend, without a frame: where it hides least, or `below` the axes."""
    with styled():
        if below:
            axes.figure.legend(loc="outside lower center", ncols=4)
        else:
            axes.legend()


def drawable(text):
    """A token as a figure can write it: spaces visible, missing glyphs as escapes.

    >>> drawable(" the"), drawable("a\\n"), drawable("语")
    ('␣the', 'a↵', '\\\\u8bed')
    """
    return "".join(
        VISIBLE.get(char) or (char if _has_glyph(char) else _escape(char))
        for char in text
    )


def _escape(char):
    return ascii(char)[1:-1]


@cache
def _font():
    return ft2font.FT2Font(font_manager.findfont("DejaVu Sans"))


def _has_glyph(char):
    return char.isprintable() and _font().get_char_index(ord(char)) != 0
