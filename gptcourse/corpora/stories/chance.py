"""Telling by chance: draws that are counted, replayed, enumerated and scored."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from math import exp, fsum, log
from string import Formatter
from typing import Any


class Table:
    """What may be drawn, with its weights; a draw costs one random number.

    Raises: ValueError for no values, or as many weights as values are not.

    >>> table = Table(("sun", "rain"), (3, 1))
    >>> table.values[table.index(0.7)], table.values[table.index(0.8)]
    ('sun', 'rain')
    """

    __slots__ = ("cumulative", "logs", "values")

    def __init__(self, values, weights=None):
        self.values = tuple(values)
        weights = tuple(weights or [1] * len(self.values))
        if not self.values or len(weights) != len(self.values) or min(weights) <= 0:
            raise ValueError(
                f"{len(self.values)} values and {len(weights)} weights: "
                "give one value or more, each with a weight above 0"
            )
        total = sum(weights)
        # Without the last sum, which is 1: no random number can fall behind it.
        self.cumulative = [part / total for part in accumulate(weights)][:-1]
        self.logs = [log(weight / total) for weight in weights]

    def index(self, number: float) -> int:
        """Return which value a random number in [0, 1) draws."""
        return bisect_right(self.cumulative, number)


class Slots(dict):
    """The words of a story's roles; a role is drawn when a text first needs it."""

    __slots__ = ("draw_role",)

    def __init__(self, draw_role: Callable[["Slots", str], None]):
        self.draw_role = draw_role

    def __missing__(self, key: str) -> str:
        """Draw the role that has this word, then give the word."""
        self.draw_role(self, key)
        return self[key]


class Teller:
    """Draws values and says texts, and adds up the log-probability of the draws.

    `random` gives numbers in [0, 1): `random.Random(seed).random`, whose numbers are
    the same on every platform and in every version of Python.
    """

    __slots__ = ("log_probability", "parts", "random")

    def __init__(self, random: Callable[[], float]):
        self.random = random
        self.parts: list[str] = []
        self.log_probability = 0.0

    def draw(self, table: Table) -> Any:
        """Draw one value of the table."""
        index = bisect_right(table.cumulative, self.random())
        self.log_probability += table.logs[index]
        return table.values[index]

    def say(self, forms: Table, slots: Slots) -> None:
        """Draw one of the forms, and say it with the words of the slots."""
        self.parts.append(self.draw(forms).format_map(slots))

    @property
    def text(self) -> str:
        """What was said, sentences parted by a space."""
        return " ".join(self.parts)


class Mismatch(Exception):
    """What was said is not what stands in the text."""


class Replayer(Teller):
    """A teller whose first draws are prescribed, and whose others take the first value.

    It records how many values each draw had. With a `target` it raises `Mismatch` as
    soon as what is said departs from it.
    """

    __slots__ = ("arities", "path", "said", "target")

    def __init__(self, path: list[int], target: str | None = None):
        super().__init__(lambda: 0.0)
        self.path = path
        self.target = target
        self.said = ""
        self.arities: list[int] = []

    def draw(self, table: Table) -> Any:
        """Take the prescribed value, or the first one and prescribe that."""
        place = len(self.arities)
        if place == len(self.path):
            self.path.append(0)
        self.arities.append(len(table.values))
        self.log_probability += table.logs[self.path[place]]
        return table.values[self.path[place]]

    def say(self, forms: Table, slots: Slots) -> None:
        """Say a form piece by piece, so that a wrong piece is seen at once."""
        if self.said:
            self._add(" ")
        for literal, key, _, _ in Formatter().parse(self.draw(forms)):
            self._add(literal)
            if key is not None:
                self._add(slots[key])

    def finish(self) -> None:
        """Raise Mismatch if the target goes on."""
        if self.target is not None and len(self.said) != len(self.target):
            raise Mismatch

    @property
    def text(self) -> str:
        """What was said."""
        return self.said

    def _add(self, piece: str) -> None:
        if self.target is not None and not self.target.startswith(
            piece, len(self.said)
        ):
            raise Mismatch
        self.said += piece


def derivations(
    tell: Callable[[Teller], Any], target: str | None = None
) -> Iterator[tuple[str, float]]:
    """Every way in which `tell` can tell (the target): its text and log-probability.

    >>> coin = Table(("Heads.", "Tails."))
    >>> def twice(teller):
    ...     for _ in range(2):
    ...         teller.say(coin, Slots(None))
    >>> [text for text, _ in derivations(twice)]
    ['Heads. Heads.', 'Heads. Tails.', 'Tails. Heads.', 'Tails. Tails.']
    """
    path: list[int] = []
    while True:
        teller = Replayer(path, target)
        try:
            tell(teller)
            teller.finish()
            yield teller.text, teller.log_probability
        except Mismatch:
            pass
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
    >>> round(exp(score(lambda teller: teller.say(coin, Slots(None)), "Tails.")), 12)
    0.25
    """
    logs = [found for _, found in derivations(tell, text)]
    if not logs:
        raise ValueError(
            f"{text[:40]!r}: this world never writes that text; score whole stories"
        )
    return logs[0] if len(logs) == 1 else log(fsum(map(exp, logs)))


def whole_number(name: str, value: int, least: int) -> int:
    """Return a whole number; raise ValueError for one below `least`."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} {value!r}: give a whole number, {least} or more")
    return value
