"""Labelled examples drawn from the story world: what makes one, task by task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gptcourse.story_engine import Table, Teller
from gptcourse.story_plots import Outcome, Plot
from gptcourse.story_telling import COIN, Telling, capital
from gptcourse.story_world import World

QUESTION = "How did {a} feel?"


@dataclass(frozen=True)
class Task:
    """A task: its kind, the names of its labels, and what makes one example of it."""

    kind: str
    labels: tuple[str, ...]
    example: Callable[[World, Teller, str], tuple[str, ...]]


def feelings(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story up to its outcome, and ask what one of the children felt."""
    ends = [
        (plot, outcome, who)
        for plot, outcome in _ends(world)
        for who, feeling in outcome.feels.items()
        if feeling == label
    ]
    plot, outcome, who = teller.draw(Table(ends))
    telling = Telling(world, teller, plot)
    telling.open()
    telling.begin()
    telling.end(outcome)
    return (f"{teller.text} {QUESTION.format(a=telling.slots[who])}",)


def entailment(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story, and claim what is true or false after it, or left undecided.

    What is claimed is drawn in the same way for every label: it tells nothing alone.
    """
    if teller.draw(COIN):
        telling = Telling(world, teller)
        telling.aside()
        telling.begin()
        telling.end()
        claim = teller.draw(telling.side.claims.texts[label])
    else:
        plot, outcome, contrary = teller.draw(_contraries(world))
        ends = {"yes": outcome, "no": contrary, "undecided": plot.open}
        telling = _told(world, teller, plot, ends[label])
        claim = teller.draw(outcome.claims.texts["yes"])
    return teller.text, f"{capital(claim.format_map(telling.slots))}."


def similarity(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story, and retell it in short: with the same end, or another one."""
    plot, outcome, contrary = teller.draw(_contraries(world))
    telling = _told(world, teller, plot, outcome)
    full = teller.text
    teller.parts.clear()
    end = contrary if label == "different" else outcome
    telling.retold(plot.gists, end.gists)
    return (full, teller.text) if teller.draw(COIN) else (teller.text, full)


def endings(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story, and what is true and what is not; then the same, exchanged."""
    plot, outcome, contrary = teller.draw(_contraries(world))
    slots = _told(world, teller, plot, outcome).slots
    if teller.draw(COIN):
        roles, form = ("feeling", "unfelt"), teller.draw(world.said["contrast"])
        felt = outcome.feels["a"], teller.draw(outcome.unfelt)
        words = [teller.draw(world.feelings[name][0]) for name in felt]
    else:
        roles, form = ("right", "wrong"), teller.draw(world.retellings["contrast"])
        gists = [teller.draw(end.gists) for end in (outcome, contrary)]
        words = [gist.format_map(slots) for gist in gists]
    right, wrong = (
        form.format_map(slots | dict(zip(roles, order, strict=True)))
        for order in (words, words[::-1])
    )
    pair = (right, wrong) if label == "first" else (wrong, right)
    return teller.text, *pair


def feelings_of(world: World) -> tuple[str, ...]:
    """The feelings that some outcome of the world leads to, in the world's order."""
    felt = {feeling for _, end in _ends(world) for feeling in end.feels.values()}
    return tuple(feeling for feeling in world.feelings if feeling in felt)


def tasks_of(world: World) -> dict[str, Task]:
    """The four tasks by name."""
    return {
        "feelings": Task("classification", feelings_of(world), feelings),
        "entailment": Task("entailment", ("yes", "no", "undecided"), entailment),
        "similarity": Task("similarity", ("different", "same"), similarity),
        "endings": Task("multiple_choice", ("first", "second"), endings),
    }


def labels_in_rounds(n_labels: int, random: Callable[[], float]) -> Iterator[int]:
    """Yield labels without end, every one once in a round, in a drawn order."""
    while True:
        yield from (
            label for _, label in sorted((random(), i) for i in range(n_labels))
        )


def _ends(world: World) -> list[tuple[Plot, Outcome]]:
    return [(plot, end) for plot in world.plots.values for end in plot.outcomes.values]


def _contraries(world: World) -> Table:
    return Table(
        [
            (plot, outcome, contrary)
            for plot, outcome in _ends(world)
            if outcome.name in plot.contraries
            for contrary in plot.contraries[outcome.name].values
        ]
    )


def _told(world: World, teller: Teller, plot: Plot, outcome: Outcome) -> Telling:
    telling = Telling(world, teller, plot)
    telling.begin()
    telling.end(outcome)
    return telling
