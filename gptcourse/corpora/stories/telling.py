"""One story told: an opening, a plot with its outcome, a feeling, a last word.

Story world: endless short stories whose exact probability and meaning are known.

Every choice of the generator shows in the words, so a text has one derivation, and its
probability is the product of the choices. No language model can have a lower loss on
these stories, in the long run, than their mean negative log-probability.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import fsum
from random import Random

from gptcourse.corpora.stories.chance import Slots, Table, Teller, score, whole_number
from gptcourse.corpora.stories.plots import PARTNERS, ROLE_OF, Outcome, Plot
from gptcourse.corpora.stories.world import Side, World, full_world

OPENED = Table((True, False), (2, 1))
COIN = Table((True, False))


@dataclass(frozen=True, slots=True)
class Story:
    """A story's text, the natural log of its probability, and what it means.

    `feelings` has (name, feeling) for those whose feeling follows from what happened,
    said or not. The outcome "open" leaves the end untold.
    """

    text: str
    log_probability: float
    plot: str
    outcome: str
    feelings: tuple[tuple[str, str], ...]


class Telling:
    """A story while it is told: its plot, its outcome, and who has which role."""

    __slots__ = ("outcome", "plot", "side", "slots", "teller", "world")

    def __init__(self, world: World, teller: Teller, plot: Plot | None = None):
        self.world = world
        self.teller = teller
        self.plot = plot
        self.outcome: Outcome | None = None
        self.side: Side | None = None
        self.slots = Slots(self._draw_role)

    def open(self) -> None:
        """Say how the two children know each other, or leave it out."""
        if self.teller.draw(OPENED):
            self.teller.say(self.world.openings, self.slots)

    def aside(self) -> None:
        """Say something about one of the children that the plot does not need."""
        self.side = self.teller.draw(self.world.asides)
        self.teller.say(self.side.forms, self.slots)

    def begin(self) -> None:
        """Draw the plot, unless it is given, and say what comes before the outcome."""
        self.plot = self.plot or self.teller.draw(self.world.plots)
        for step in self.plot.begin:
            self.teller.say(step, self.slots)

    def end(self, outcome: Outcome | None = None) -> None:
        """Draw the outcome, unless it is given, and say it."""
        self.outcome = outcome or self.teller.draw(self.plot.outcomes)
        for step in self.outcome.tell:
            self.teller.say(step, self.slots)

    def conclude(self) -> None:
        """Go on after the outcome: what was felt, what followed, what was said."""
        for move in self.teller.draw(self.outcome.endings):
            MOVES[move](self)

    def feeling(self) -> None:
        """Say what the hero felt."""
        self._feel("a", "plain")

    def other_feeling(self) -> None:
        """Say what the other child felt."""
        self._feel("b", "other")

    def reaction(self) -> None:
        """Show what the hero felt by what was done, without a word for it."""
        self.teller.say(self.world.feelings[self.outcome.feels["a"]][1], self.slots)

    def coda(self) -> None:
        """Say what followed between the two children."""
        self.teller.say(self.outcome.codas, self.slots)

    def both(self) -> None:
        """Say what the two children felt."""
        self.teller.say(self.outcome.both, self.slots)

    def claim(self) -> None:
        """Let somebody claim something, and say whether it was true."""
        aside = self.side is not None and self.teller.draw(COIN)
        claims = (self.side if aside else self.outcome).claims
        truth = self.teller.draw(claims.truths)
        self._fill("claim", claims.texts[truth])
        self.teller.say(self.world.claims["said"], self.slots)
        self.teller.say(self.world.claims[truth], self.slots)

    def retelling(self) -> None:
        """Tell it all again, in other words."""
        self.teller.say(self.world.retellings["leads"], self.slots)
        self.retold(self.plot.gists, self.outcome.gists)

    def disputed(self) -> None:
        """Tell it all again, rightly or with a false outcome, and say which."""
        self.teller.say(self.world.retellings["leads"], self.slots)
        right = self.teller.draw(self.outcome.claims.truths) == "yes"
        outcome = self.outcome if right else self._contrary()
        self.retold(self.plot.gists, outcome.gists)
        verdict = "right" if right else "wrong"
        self.teller.say(self.world.retellings[verdict], self.slots)

    def truth(self) -> None:
        """Say what happened, and what did not."""
        self._fill("wrong", self._contrary().gists)
        self._fill("right", self.outcome.gists)
        self.teller.say(self.world.retellings["contrast"], self.slots)

    def contrast(self) -> None:
        """Say what the hero felt, and what not."""
        unfelt = self.teller.draw(self.outcome.unfelt)
        self._fill("unfelt", self.world.feelings[unfelt][0])
        self._feel("a", "contrast")

    def retold(self, first: Table, second: Table) -> None:
        """Say a gist of the plot and one of an outcome, one way or another."""
        self._fill("first", first)
        self._fill("second", second)
        self.teller.say(self.world.retellings["frames"], self.slots)

    def _contrary(self) -> Outcome:
        return self.teller.draw(self.plot.contraries[self.outcome.name])

    def _feel(self, who: str, form: str) -> None:
        self._fill("feeling", self.world.feelings[self.outcome.feels[who]][0])
        self.teller.say(self.world.said[form], self.slots)

    def _fill(self, slot: str, templates: Table) -> None:
        """Draw words for a slot, and for its use at the start of a sentence."""
        words = self.teller.draw(templates).format_map(self.slots)
        self.slots[slot] = words
        self.slots[slot.capitalize()] = capital(words)

    def _draw_role(self, slots: Slots, key: str) -> None:
        role = ROLE_OF.get(key, key)
        table = (role, self.plot.things) if role in ("x", "y") else role
        partner = slots.get(PARTNERS.get(role))
        if partner is None:
            options = self.world.roles[table]
        else:
            options = self.world.others[table][partner]
        slots.update(self.teller.draw(options))


def capital(words: str) -> str:
    """The words as they stand at the start of a sentence."""
    return words[0].upper() + words[1:]


MOVES = {
    "said": Telling.feeling,
    "other": Telling.other_feeling,
    "shown": Telling.reaction,
    "coda": Telling.coda,
    "both": Telling.both,
    "claim": Telling.claim,
    "retelling": Telling.retelling,
    "disputed": Telling.disputed,
    "truth": Telling.truth,
    "contrast": Telling.contrast,
}


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
    """Tell a whole story, and give it with its probability and its meaning."""
    telling = tell(world, teller)
    slots, outcome = telling.slots, telling.outcome
    return Story(
        teller.text,
        teller.log_probability,
        telling.plot.name,
        outcome.name,
        tuple((slots[who], feeling) for who, feeling in outcome.feels.items()),
    )


SEPARATOR = "\n\n"


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
    parts, size = [], -len(SEPARATOR)
    for one in stories(seed, world):
        parts.append(one.text)
        size += len(one.text) + len(SEPARATOR)  # All letters are ASCII.
        if size >= n_bytes:
            return SEPARATOR.join(parts)
    raise AssertionError("stories have no end")


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
    """Estimate the entropy of a story in nats, by the mean over so many stories.

    Raises: ValueError for a number of stories below 1.

    >>> 20 < entropy(seed=0, n_stories=200) < 40
    True
    """
    whole_number("n_stories", n_stories, 1)
    some = islice(stories(seed, world), n_stories)
    return -fsum(one.log_probability for one in some) / n_stories
