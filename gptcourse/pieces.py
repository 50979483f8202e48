"""Cutting text into pieces that merges never cross: words, numbers, signs, spaces."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

import regex

GPT2_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)

# The same rule for ASCII in the standard library's `re`, twice as fast as `regex`.
# Where a character beyond ASCII could change a piece, the last branch takes all up to
# a place where every piece ends: a visible ASCII sign before an ASCII space.
_SPACE, _BEYOND = r"\t-\r ", r"\x80-\U0010ffff"
_GPT2_ASCII = re.compile(
    rf" ?[A-Za-z]++(?![{_BEYOND}])"
    r"|'(?:[sdmt]|ll|ve|re)"
    rf"| ?[^{_SPACE}0-9A-Za-z{_BEYOND}]++(?![{_BEYOND}])"
    rf"|[{_SPACE}]+(?=[{_SPACE}][^{_SPACE}{_BEYOND}]|\Z)"
    rf"|[\t-\r](?=[^{_SPACE}{_BEYOND}])"
    rf"| ?[0-9]++(?![{_BEYOND}])"
    rf"|(?s:.+?(?:(?<=[!-~])(?=[{_SPACE}])|\Z))"
)
# Above this length pieces are made one by one, so that a long text needs no long list.
_LIST_LIMIT = 1 << 22


class PieceSplitter:
    """Cuts text by a pattern, in two steps so that repeated pieces cost little.

    `rough` cuts fast but may leave some pieces together; `refine` cuts such a piece
    to the end and returns a whole one as it is. Call the splitter for both at once.

    Source: GPT-2 §2.2; openai/gpt-2, src/encoder.py.

    >>> splitter = PieceSplitter(GPT2_PATTERN)
    >>> splitter("It's 3 naïve  dogs!")
    ['It', "'s", ' 3', ' naïve', ' ', ' dogs', '!']
    """

    def __init__(self, pattern: str):
        try:
            self._exact = regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"pattern {pattern!r} cannot be read: {error}") from None
        if self._exact.groups:
            raise ValueError(
                f"pattern {pattern!r} has a group: write (?:...) for (...)"
            )
        self.pattern = pattern
        self._quick = _GPT2_ASCII if pattern == GPT2_PATTERN else None

    def __call__(self, text: str) -> list[str]:
        """Return all pieces; joined, they are the text."""
        return list(chain.from_iterable(map(self.refine, self.rough(text))))

    def rough(self, text: str) -> Iterable[str]:
        """Cut fast; ValueError names the first character that no piece holds."""
        if self._quick is None:
            return self._cut_with_care(text)
        if len(text) <= _LIST_LIMIT:
            return self._quick.findall(text)
        return (match[0] for match in self._quick.finditer(text))

    def refine(self, piece: str) -> list[str]:
        """Cut one piece of `rough` to the end."""
        if self._quick is None or piece.isascii():
            return [piece]
        return self._exact.findall(piece)

    def count(self, texts: Iterable[str]) -> Counter[str]:
        """Count the pieces of all texts together."""
        rough = Counter()
        for text in texts:
            rough.update(self.rough(text))
        counts = Counter()
        for piece, n in rough.items():
            for part in self.refine(piece):
                counts[part] += n
        return counts

    def _cut_with_care(self, text: str) -> Iterator[str]:
        end = 0
        for match in self._exact.finditer(text):
            if match.start() != end:
                break
            end = match.end()
            yield match[0]
        if end != len(text):
            raise ValueError(
                f"pattern {self.pattern!r} leaves out {text[end]!r} at position {end}:"
                r" end it with |(?s:.)"
            )
