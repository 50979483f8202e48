"""Random draws that can be replayed, enumerated and scored exactly.

A story is told by a function that draws from tables and says texts. Given a `Teller`
it writes; given a `Replayer` it makes prescribed draws instead, so that all stories can
be listed, and the probability of a text worked out from the text alone.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from math import exp, fsum, log
from string import Formatter
from typing import Any


class Table:
    """Values to draw from, with their weights (all equal if none are given).

    Raises: ValueError for no values, a weight too many or too few, or one of 0 or less.

    >>> Table(("sun", "rain"), (3, 1)).cumulative
    [0.75]
    """

    def __init__(self, values: Iterable, weights: Iterable[float] | None = None):
        """Take the values and their weights, which need not sum to 1."""
        self.values = tuple(values)
        weights = tuple(weights or [1] * len(self.values))
        if not self.values or len(weights) != len(self.values) or min(weights) <= 0:
            raise ValueError(
                f"{len(self.values)} values and {len(weights)} weights: "
                "give one value or more, each with a weight above 0"
            )
        total = sum(weights)
        # Without the last sum, which is 1: no random number can fall beyond it.
        self.cumulative = [part / total for part in accumulate(weights)][:-1]
        self.logs = [log(weight / total) for weight in weights]


class Teller:
    """Draws values, says texts, and adds up the log-probability of its draws.

    `random` returns numbers in [0, 1): `random.Random(seed).random`, whose numbers are
    the same on every platform and in every version of Python.

    >>> teller = Teller(lambda: 0.8)
    >>> teller.say(Table(("The sun shone.", "It rained on {a}."), (3, 1)), {"a": "Tom"})
    >>> teller.text, round(exp(teller.log_probability), 12)
    ('It rained on Tom.', 0.25)
    """

    def __init__(self, random: Callable[[], float]):
        """Take the source of random numbers; nothing has been said yet."""
        self.random = random
        self.text = ""
        self.log_probability = 0.0

    def draw(self, table: Table) -> Any:
        """Return one value of the table, at the cost of one random number."""
        index = bisect_right(table.cumulative, self.random())
        self.log_probability += table.logs[index]
        return table.values[index]

    def say(self, forms: Table, slots: Mapping[str, str]) -> None:
        """Draw one of the forms and add it to the text, its slots filled."""
        words = self.draw(forms).format_map(slots)
        self.text = f"{self.text} {words}" if self.text else words


class Mismatch(Exception):
    """What is being said departs from the text that was to be told."""


class Replayer(Teller):
    """A teller whose first draws are prescribed; the others take the first value.

    It notes how many values each draw had. With a `target` it raises `Mismatch` as soon
    as the text departs from it.
    """

    def __init__(self, path: list[int], target: str | None = None):
        """Take the prescribed draws, to which further ones are added."""
        super().__init__(lambda: 0.0)
        self.path = path
        self.target = target
        self.arities: list[int] = []

    def draw(self, table: Table) -> Any:
        """Return the prescribed value, or the first one and prescribe that."""
        place = len(self.arities)
        if place == len(self.path):
            self.path.append(0)
        self.arities.append(len(table.values))
        self.log_probability += table.logs[self.path[place]]
        return table.values[self.path[place]]

    def say(self, forms: Table, slots: Mapping[str, str]) -> None:
        """Say a form piece by piece, so that a wrong piece is noticed at once."""
        if self.text:
            self._add(" ")
        for literal, key, _, _ in Formatter().parse(self.draw(forms)):
            self._add(literal)
            if key is not None:
                self._add(slots[key])

    def _add(self, piece: str) -> None:
        target = self.target
        if target is not None and not target.startswith(piece, len(self.text)):
            raise Mismatch
        self.text += piece


def derivations(
    tell: Callable[[Teller], Any], target: str | None = None
) -> Iterator[tuple[str, float]]:
    """Yield text and log-probability of each way in which `tell` can tell the target.

    Without a target: of all that it can tell.

    >>> coin = Table(("Heads.", "Tails."))
    >>> def twice(teller):
    ...     for _ in range(2):
    ...         teller.say(coin, {})
    >>> [text for text, _ in derivations(twice)]
    ['Heads. Heads.', 'Heads. Tails.', 'Tails. Heads.', 'Tails. Tails.']
    """
    path: list[int] = []
    while True:
        teller = Replayer(path, target)
        with suppress(Mismatch):
            tell(teller)
            if target in (None, teller.text):
                yield teller.text, teller.log_probability
        # The next path: the last draw that has a further value takes it.
        path = path[: len(teller.arities)]
        while path and path[-1] + 1 == teller.arities[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


def score(tell: Callable[[Teller], Any], text: str) -> float:
    """Return the log-probability of a text, summed over all ways to tell it.

    Raises: ValueError for a text that `tell` cannot tell.

    >>> coin = Table(("Heads.", "Tails."), (3, 1))
    >>> round(exp(score(lambda teller: teller.say(coin, {}), "Tails.")), 12)
    0.25
    """
    logs = [found for _, found in derivations(tell, text)]
    if not logs:
        raise ValueError(
            f"{text[:40]!r}: this world never writes that text; score whole stories"
        )
    return logs[0] if len(logs) == 1 else log(fsum(map(exp, logs)))


def whole_number(name: str, value: int, least: int) -> int:
    """Return a whole number; raise ValueError for one below `least`.

    >>> whole_number("seed", 3, 0)
    3
    """
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} {value!r}: give a whole number, {least} or more")
    return value
