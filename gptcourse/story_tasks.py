"""Labelled examples drawn from the story world: what makes one, task by task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gptcourse.labelled import Example
from gptcourse.story_engine import Table, Teller
from gptcourse.story_plots import Outcome, Plot
from gptcourse.story_roles import SWAPPED, swapped
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
    telling = _told(world, teller, plot, outcome)
    if who == "b":
        swap_children(telling)
    return (f"{teller.text} {QUESTION.format_map(telling.slots)}",)


def entailment(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story, and claim what is true or false after it, or left undecided.

    What is claimed is drawn in the same way for every label: it tells nothing alone.
    """
    plot, end, contrary = teller.draw(_contraries(world))
    if teller.draw(COIN):
        telling = _told_of_two_alike(world, teller, plot, teller.draw(plot.outcomes))
        claim = teller.draw(telling.side.claims[label])
    else:
        claim = teller.draw(end.gists)
        turned = swapped(claim)
        turn = label == "no" and turned != claim and teller.draw(COIN)
        ends = {"yes": end, "no": end if turn else contrary, "undecided": plot.open}
        telling = _told_of_two_alike(world, teller, plot, ends[label])
        claim = turned if turn else claim
    return teller.text, f"{capital(claim.format_map(telling.slots))}."


def similarity(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story in full and in short: the same, or names swapped, or another end."""
    plot, outcome, contrary = teller.draw(_contraries(world))
    telling = _told_of_two_alike(world, teller, plot, outcome)
    full = teller.text
    if label == "different":
        if teller.draw(COIN):
            swap_children(telling)
        else:
            telling.outcome = contrary
    teller.parts.clear()
    telling.retold()
    return (full, teller.text) if teller.draw(COIN) else (teller.text, full)


def endings(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story, and what followed: once so, and once with the names swapped."""
    ends = [
        (plot, outcome, codas)
        for plot, outcome in _ends(world)
        for codas in (outcome.codas, outcome.both)
        if codas
    ]
    plot, outcome, codas = teller.draw(Table(ends))
    telling = _told(world, teller, plot, outcome)
    coda = teller.draw(codas)
    right = coda.format_map(telling.slots)
    swap_children(telling)
    wrong = coda.format_map(telling.slots)
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


def examples(
    world: World, task: Task, random: Callable[[], float]
) -> Iterator[Example]:
    """Yield examples without end, every label once in a round, in a drawn order."""
    while True:
        labels = sorted((random(), label) for label in range(len(task.labels)))
        for _, label in labels:
            texts = task.example(world, Teller(random), task.labels[label])
            yield Example(texts, label)


def swap_children(telling: Telling) -> None:
    """Let the hero and the other child change places in what is told from now on."""
    slots = telling.slots
    slots.update({SWAPPED[word]: slots[word] for word in SWAPPED})


def _ends(world: World) -> list[tuple[Plot, Outcome]]:
    return [(plot, end) for plot in world.plots.values for end in plot.outcomes.values]


def _contraries(world: World) -> Table:
    return Table(
        [(plot, *pair) for plot in world.plots.values for pair in plot.contraries]
    )


def _told(world: World, teller: Teller, plot: Plot, outcome: Outcome) -> Telling:
    telling = Telling(world, teller, plot)
    telling.open()
    telling.begin()
    telling.end(outcome)
    return telling


def _told_of_two_alike(
    world: World, teller: Teller, plot: Plot, outcome: Outcome
) -> Telling:
    """Tell without an opening, of two girls or two boys who both are named.

    Swapped names then change no pronoun and bring in no new word.
    """
    while True:
        telling = Telling(world, teller, plot)
        telling.aside()
        telling.begin()
        telling.end(outcome)
        slots = telling.slots
        if slots["she"] == slots["bshe"] and slots["b"] in teller.text:
            return telling
        teller.parts.clear()
