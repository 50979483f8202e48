"""What a notebook reports: measured figures, claims, samples, tables, source code.

Exact values are printed plainly and compared strictly when the notebooks are tested.
Everything that differs from machine to machine carries a mark: `≈` stands before a
measured number and its spread, a bar before every line of a generated text. The tests
mask what follows a mark, and only that.
"""

import html
import inspect
import math
import os
import random
import sys
import textwrap
from dataclasses import dataclass

from IPython.display import display
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

MARK = "≈"
BAR = "│"
SAMPLE_WIDTH = 84
# Ink and paper both, for a reader's theme may be dark; and the font, for static pages.
CODE_LOOK = "font-family:monospace;color:#000;background:#f8f8f8;padding:0.5em"
LEFT, RIGHT = 'style="text-align:left"', 'style="text-align:right"'
KEPT_JOINERS = "\u200c\u200d"  # parts of Persian words and of emoji, not layout


def seed() -> int:
    """The seed of this run: the environment's `GPTCOURSE_SEED`, or 0.

    Raises: ValueError when the variable holds no whole number from 0 up.

    >>> seed() >= 0
    True
    """
    text = os.environ.get("GPTCOURSE_SEED", "0")
    if not text.isdecimal():
        raise ValueError(
            f"GPTCOURSE_SEED is {text!r}: set it to a whole number from 0 up"
        )
    return int(text)


def generator(offset=0) -> "torch.Generator":  # noqa: F821
    """A fresh `torch.Generator`, seeded with `seed()` and `offset`.

    Different offsets give independent streams within one notebook.

    >>> first, again = generator(offset=3), generator(offset=3)
    >>> first.initial_seed() == again.initial_seed()
    True
    """
    import torch  # here, so that a table or a claim needs no torch

    return torch.Generator().manual_seed(1_000_003 * seed() + offset)


def rng(offset=0) -> random.Random:
    """Python's own generator, seeded like `generator`: for what draws no tensors.

    >>> rng(3).random() == rng(3).random()
    True
    """
    return random.Random(1_000_003 * seed() + offset)


def approx(value, digits=3, spread=None) -> str:
    """A measured number as marked text, to `digits` significant digits.

    `spread` is what it varies by (a standard deviation or error), written to 2 digits.

    >>> approx(3.4142), approx(1234567), approx(0.0000123), approx(-0.5)
    ('≈ 3.41', '≈ 1,230,000', '≈ 1.23e-05', '≈ -0.500')
    >>> approx(76.49, spread=8.06)
    '≈ 76.5 ± 8.1'
    """
    if digits < 1:
        raise ValueError(f"digits is {digits}: a number needs at least 1 digit")
    text = f"{MARK} {_significant(float(value), digits)}"
    if spread is None:
        return text
    if spread < 0:
        raise ValueError(f"the spread is {float(spread):g}: it cannot be below 0")
    return f"{text} ± {_significant(float(spread), 2)}"


def _significant(number, digits):
    if not math.isfinite(number) or number == 0:
        return f"{number:g}"
    scientific = f"{number:.{digits - 1}e}"
    exponent = int(scientific.split("e")[1])
    if not -4 <= exponent < 9:
        return scientific
    return f"{float(scientific):,.{max(digits - 1 - exponent, 0)}f}"


def measured(name, value, unit="", digits=3, spread=None) -> None:
    """Print a measured figure with its unit, marked as differing between machines.

    `value` and `spread` are numbers or tensors of one element.

    >>> measured("validation loss", 3.4142, unit="nats/token")
    validation loss ≈ 3.41 nats/token
    >>> measured("accuracy", 76.49, "%", spread=8.06)
    accuracy ≈ 76.5 ± 8.1 %
    """
    print(f"{name} {approx(value, digits, spread)} {unit}".rstrip())


def claim(text, holds) -> None:
    """Print a claim that holds; raise AssertionError for one that does not.

    `holds` is a truth value: a bool, or a tensor or array of one bool. A number is
    refused with TypeError, because `claim("the gap is positive", gap)` proves nothing.

    >>> claim("Two is more than one", 2 > 1)
    ✓ Two is more than one
    """
    if not (isinstance(holds, bool) or "bool" in str(getattr(holds, "dtype", ""))):
        kind = type(holds).__name__
        raise TypeError(f"a claim needs True or False, not {kind}: compare it first")
    if not bool(holds):
        raise AssertionError(f"claim does not hold: {text}")
    print(f"✓ {text}")


def sample(text, title="sample") -> None:
    """Print generated text so that tests compare only that there is one.

    Characters that would move the cursor or hide are shown as escapes.

    >>> sample("to be\\r or not", title="greedy")
    greedy:
    │ to be\\r or not
    """
    print(f"{title}:")
    for line in text.split("\n"):
        pieces = textwrap.wrap(_visible(line), SAMPLE_WIDTH, drop_whitespace=False)
        for piece in pieces or [""]:
            print(f"{BAR} {piece}".rstrip())


def _visible(line):
    return "".join(
        char
        if char.isprintable() or char in KEPT_JOINERS
        else char.encode("unicode_escape").decode()
        for char in line.expandtabs(4)
    )


@dataclass(repr=False)
class Shown:
    """One output as plain text and as HTML: `display` picks what a page can show."""

    plain: str
    rich: str

    def __repr__(self):
        return self.plain

    def _repr_html_(self):
        return self.rich


def source(obj) -> None:
    """Show the source of a function, class or module of the package, highlighted.

    The stored output changes when the package does, so a notebook cannot show stale
    code. Raises: TypeError for what has no Python source.

    >>> source(seed)  # doctest: +ELLIPSIS
    def seed() -> int:
        ...
        return int(text)
    """
    code = textwrap.dedent(inspect.getsource(obj)).rstrip()
    home = obj if inspect.ismodule(obj) else sys.modules[obj.__module__]
    where = f"{home.__name__}.{getattr(obj, '__qualname__', '')}".rstrip(".")
    look = HtmlFormatter(noclasses=True, prestyles=CODE_LOOK)
    coloured = highlight(code, PythonLexer(), look)
    display(Shown(code, f"<code>{html.escape(where)}</code>\n{coloured}"))


def table(rows, columns) -> None:
    """Show a table; a cell is text, a whole number or a fact of a paper.

    A float is refused with TypeError: a measured one goes through `approx`, an exact
    one is written as text. So nothing unmarked can differ between machines.

    >>> table([("loss", approx(3.41)), ("tokens", 5000)], ["what", "here"])
    what | here
    loss | ≈ 3.41
    tokens | 5,000
    """
    texts = [[_cell(value) for value in row] for row in rows]
    for number, row in enumerate(texts):
        if len(row) != len(columns):
            raise ValueError(
                f"row {number} has {len(row)} cells, the table {len(columns)} columns"
            )
    # No padding: the width of a measured number would move the cells after it.
    plain = "\n".join(" | ".join(line) for line in [list(columns), *texts])
    display(Shown(plain, _html_table(texts, columns)))


def _cell(value):
    if isinstance(value, float):
        raise TypeError(f"{value} is a bare float: use approx({value}) or text")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return " ".join(str(value).split())


def _html_table(texts, columns):
    head = "".join(
        f'<th scope="col" {LEFT}>{html.escape(name)}</th>' for name in columns
    )
    body = "\n".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in texts)
    return (
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )


def _html_cell(text):
    number = text[:1].isdecimal() or text.startswith((MARK, "-"))
    return f"<td {RIGHT if number else LEFT}>{html.escape(text)}</td>"


def paper_and_here(rows) -> None:
    """Show the paper's figures beside ours: the table "Paper and here".

    A row is (what, paper, here, why): `paper` is a `papers.Fact` or several in a tuple,
    `here` a cell of `table`, `why` the scale between the two and why they differ.

    >>> from gptcourse.lesson import papers
    >>> no_pretraining = papers.fact("gpt1.t5.no_pretraining")
    >>> paper_and_here([("score", no_pretraining, approx(41), "1,000 × smaller")])
    what | paper | place | here | scale between them, why they differ
    score | 59.9 points | GPT-1, T5 | ≈ 41.0 | 1,000 × smaller
    """
    full = []
    for what, paper, here, why in rows:
        facts = paper if isinstance(paper, tuple) else (paper,)
        figures = " / ".join(fact.figure for fact in facts)
        places = "; ".join(dict.fromkeys(fact.cite for fact in facts))
        full.append((what, figures, places, here, why))
    columns = ["what", "paper", "place", "here", "scale between them, why they differ"]
    table(full, columns)
