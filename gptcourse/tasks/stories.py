"""Labelled examples drawn from the story world: what makes one, task by task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from gptcourse.corpora.stories.chance import Table, Teller, whole_number
from gptcourse.corpora.stories.plots import Outcome, Plot
from gptcourse.corpora.stories.telling import COIN, Telling, capital
from gptcourse.corpora.stories.world import World, full_world
from gptcourse.tasks.labelled import Example, LabelledSet

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


TASKS = ("feelings", "entailment", "similarity", "endings")
#: So many examples in a row that all stood there before mean that the world is used up.
PATIENCE = 1000


def story_task(
    name: str,
    n_train: int,
    n_validation: int,
    n_test: int,
    seed: int,
    world: World | None = None,
) -> LabelledSet:
    """Draw one of the `TASKS`: labels balanced, no text twice, the same for a seed.

    - "feelings": how did a child in the story feel at its end? The text says only what
      happened.
    - "entailment": is the second text true after the first: yes, no, or undecided?
    - "similarity": do two texts tell the same events? Where they do not, one ends well
      and the other badly.
    - "endings": which of two last sentences follows? The wrong one has the same words.

    Raises: ValueError for an unknown name, a size below 1, and for more examples than
    the world has.

    >>> story_task("endings", 4, 2, 2, seed=0).train[0].label
    1
    """
    world = world or full_world()
    if name not in TASKS:
        raise ValueError(f"task {name!r}; choose one of {', '.join(TASKS)}")
    sizes = {"n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    for size in sizes.items():
        whole_number(*size, 1)
    kind = tasks_of(world)[name]
    found = _different(world, kind, sum(sizes.values()), seed)
    parts = (tuple(islice(found, size)) for size in sizes.values())
    return LabelledSet(name, kind.kind, kind.labels, *parts)


def story_tasks(
    n_train: int,
    n_validation: int,
    n_test: int,
    seed: int,
    world: World | None = None,
) -> dict[str, LabelledSet]:
    """Draw all four tasks in the same sizes; see `story_task`.

    >>> list(story_tasks(6, 6, 6, seed=0))
    ['feelings', 'entailment', 'similarity', 'endings']
    """
    return {
        name: story_task(name, n_train, n_validation, n_test, seed, world)
        for name in TASKS
    }


def _different(world: World, task: Task, wanted: int, seed: int) -> Iterator[Example]:
    """Yield so many examples, none of whose first texts is another's."""
    random = Random(whole_number("seed", seed, 0)).random
    seen: set[str] = set()
    for label in islice(labels_in_rounds(len(task.labels), random), wanted):
        for _ in range(PATIENCE):
            texts = task.example(world, Teller(random), task.labels[label])
            if texts[0] not in seen:
                break
        else:
            raise ValueError(
                f"{wanted} examples: this world gave only {len(seen)} different "
                "ones; ask for fewer"
            )
        seen.add(texts[0])
        yield Example(texts, label)
