"""One story told, many of them, and how probable a story is.

Every choice of the generator shows in the words, so a text has one derivation, and its
probability is the product of the choices. No language model can have a lower loss on
these stories, in the long run, than their mean negative log-probability.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import fsum
from random import Random

from gptcourse.corpora.stories.chance import Table, Teller, score, whole_number
from gptcourse.corpora.stories.plots import PARTNERS, ROLE_OF, Outcome, Plot
from gptcourse.corpora.stories.world import Side, World, full_world

OPENED = Table((True, False), (2, 1))
COIN = Table((True, False))
SEPARATOR = "\n\n"


class Slots(dict):
    """The words of a story's roles; a role is drawn when a text first needs it."""

    def __init__(self, draw_role: Callable[[str], None]):
        """Take what draws the role of a slot and adds its words."""
        self.draw_role = draw_role

    def __missing__(self, slot: str) -> str:
        """Draw the role of this slot, then return its word."""
        self.draw_role(slot)
        return self[slot]


class Telling:
    """A story while it is told: its plot, its outcome, and who has which role.

    First come `open`, `aside`, `begin` and `end`; the methods after `conclude` are the
    moves that a story can go on with, named as in the endings of a world.
    """

    def __init__(self, world: World, teller: Teller, plot: Plot | None = None):
        """Take what to tell of and who tells it; the plot is drawn if not given."""
        self.world = world
        self.teller = teller
        self.plot = plot
        self.outcome: Outcome | None = None
        self.side: Side | None = None
        self.slots = Slots(self._draw_role)

    def open(self) -> None:
        """Say how the two children know each other, or leave it out."""
        if self.teller.draw(OPENED):
            self._say(self.world.openings)

    def aside(self) -> None:
        """Say something about one of the children that the plot does not need."""
        self.side = self.teller.draw(self.world.asides)
        self._say(self.side.forms)

    def begin(self) -> None:
        """Draw the plot, unless it is given, and say what comes before the outcome."""
        self.plot = self.plot or self.teller.draw(self.world.plots)
        self._say(*self.plot.begin)

    def end(self, outcome: Outcome | None = None) -> None:
        """Draw the outcome, unless it is given, and say it."""
        self.outcome = outcome or self.teller.draw(self.plot.outcomes)
        self._say(*self.outcome.tell)

    def conclude(self) -> None:
        """Go on after the outcome: what was felt, what followed, what was said."""
        for move in self.teller.draw(self.outcome.endings):
            getattr(self, move)()

    def said(self) -> None:
        """Say what the hero felt."""
        self._feel("a", "plain")

    def other(self) -> None:
        """Say what the other child felt."""
        self._feel("b", "other")

    def shown(self) -> None:
        """Show what the hero felt by what was done, without a word for it."""
        self._say(self.world.feelings[self.outcome.feels["a"]]["shown"])

    def coda(self) -> None:
        """Say what followed between the two children."""
        self._say(self.outcome.codas)

    def both(self) -> None:
        """Say what the two children felt."""
        self._say(self.outcome.both)

    def claim(self) -> None:
        """Let somebody claim something, and say whether it was true."""
        aside = self.side is not None and self.teller.draw(COIN)
        claims = (self.side if aside else self.outcome).claims
        truth = self.teller.draw(claims.truths)
        self._fill("claim", claims.texts[truth])
        self._say(self.world.claims["said"], self.world.claims[truth])

    def retelling(self) -> None:
        """Tell it all again, in other words."""
        self._say(self.world.retellings["leads"])
        self.retold(self.outcome)

    def disputed(self) -> None:
        """Tell it all again, with the right outcome or a false one, and say which."""
        self._say(self.world.retellings["leads"])
        right = self.teller.draw(self.outcome.claims.truths) == "yes"
        self.retold(self.outcome if right else self._contrary())
        self._say(self.world.retellings["right" if right else "wrong"])

    def truth(self) -> None:
        """Say what happened, and what did not."""
        self._fill("wrong", self._contrary().gists)
        self._fill("right", self.outcome.gists)
        self._say(self.world.retellings["contrast"])

    def contrast(self) -> None:
        """Say what the hero felt, and what the hero did not feel."""
        unfelt = self.teller.draw(self.outcome.unfelt)
        self._fill("unfelt", self.world.feelings[unfelt]["said"])
        self._feel("a", "contrast")

    def retold(self, outcome: Outcome) -> None:
        """Say the gist of the plot and that of an outcome, one way or another."""
        self._fill("first", self.plot.gists)
        self._fill("second", outcome.gists)
        self._say(self.world.retellings["frames"])

    def _say(self, *steps: Table) -> None:
        for forms in steps:
            self.teller.say(forms, self.slots)

    def _contrary(self) -> Outcome:
        return self.teller.draw(self.plot.contraries[self.outcome.name])

    def _feel(self, who: str, form: str) -> None:
        self._fill("feeling", self.world.feelings[self.outcome.feels[who]]["said"])
        self._say(self.world.said[form])

    def _fill(self, slot: str, templates: Table) -> None:
        """Draw words for a slot, and for its use at the start of a sentence."""
        words = self.teller.draw(templates).format_map(self.slots)
        self.slots[slot] = words
        self.slots[slot.capitalize()] = capital(words)

    def _draw_role(self, slot: str) -> None:
        role = ROLE_OF.get(slot, slot)
        partner = self.slots.get(PARTNERS.get(role))
        key = (role, self.plot.things) if role in ("x", "y") else role
        self.slots.update(self.teller.draw(self.world.roles[key][partner]))


def capital(words: str) -> str:
    """Return words as they stand at the start of a sentence.

    >>> capital("the kite got lost")
    'The kite got lost'
    """
    return words[0].upper() + words[1:]


@dataclass(frozen=True, slots=True)
class Story:
    """A story's text, the natural log of its probability, and what it means.

    `feelings` has (name, feeling) for those whose feeling follows from what happened,
    whether it is said or not. The outcome "open" leaves the end untold.
    """

    text: str
    log_probability: float
    plot: str
    outcome: str
    feelings: tuple[tuple[str, str], ...]


def tell(world: World, teller: Teller) -> Telling:
    """Tell a whole story."""
    telling = Telling(world, teller)
    telling.open()
    if teller.draw(COIN):
        telling.aside()
    telling.begin()
    telling.end()
    telling.conclude()
    return telling


def story(world: World, teller: Teller) -> Story:
    """Tell a whole story, and return it with its probability and its meaning."""
    telling = tell(world, teller)
    # Read before the next line, which may draw a name that the text never used.
    log_probability = teller.log_probability
    feels = telling.outcome.feels.items()
    feelings = tuple((telling.slots[who], feeling) for who, feeling in feels)
    plot, outcome = telling.plot.name, telling.outcome.name
    return Story(teller.text, log_probability, plot, outcome, feelings)


def stories(seed: int, world: World | None = None) -> Iterator[Story]:
    """Yield stories without end, the same for a seed on every machine.

    >>> first = next(stories(seed=0))
    >>> first.text.split(". ")[-1]
    'Rosa would not shake hands with Paul.'
    >>> first.plot, first.outcome, first.feelings
    ('contest', 'cheated', (('Rosa', 'angry'),))
    """
    world = world or full_world()
    random = Random(whole_number("seed", seed, 0)).random
    while True:
        yield story(world, Teller(random))


def text(seed: int, n_bytes: int, world: World | None = None) -> str:
    """Return whole stories, an empty line between them, of `n_bytes` or a little more.

    Raises: ValueError for a number of bytes below 1.

    >>> len(text(seed=0, n_bytes=1000)) >= 1000
    True
    """
    whole_number("n_bytes", n_bytes, 1)
    told, parts, size = stories(seed, world), [], -len(SEPARATOR)
    while size < n_bytes:
        parts.append(next(told).text)
        size += len(SEPARATOR) + len(parts[-1].encode())
    return SEPARATOR.join(parts)


def log_probability(text: str, world: World | None = None) -> float:
    """Return the natural log of the probability that the next story is this text.

    It is worked out from the text alone, over all ways to tell it.

    Raises: ValueError for a text that the world never writes.

    >>> first = next(stories(seed=0))
    >>> log_probability(first.text) == first.log_probability
    True
    """
    world = world or full_world()
    return score(lambda teller: tell(world, teller), text)


def entropy(seed: int, n_stories: int, world: World | None = None) -> float:
    """Return an estimate of a story's entropy in nats: the mean over so many stories.

    Raises: ValueError for a number of stories below 1.

    >>> 20 < entropy(seed=0, n_stories=200) < 40
    True
    """
    whole_number("n_stories", n_stories, 1)
    some = islice(stories(seed, world), n_stories)
    return -fsum(one.log_probability for one in some) / n_stories
