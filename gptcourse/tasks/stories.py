"""Four labelled tasks drawn from the story world, one of each kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from gptcourse.corpora.stories.chance import Table, Teller, whole_number
from gptcourse.corpora.stories.plots import Outcome, Plot
from gptcourse.corpora.stories.telling import COIN, Telling, capital
from gptcourse.corpora.stories.world import World, full_world
from gptcourse.tasks.labelled import Example, Kind, LabelledSet


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
    return (f"{teller.text} How did {telling.slots[who]} feel?",)


def entailment(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story, and claim what is true or false after it, or left undecided.

    The claim is drawn in the same way for every label: on its own it tells nothing.
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
    full, teller.text = teller.text, ""
    telling.retold(contrary if label == "different" else outcome)
    return (full, teller.text) if teller.draw(COIN) else (teller.text, full)


def endings(world: World, teller: Teller, label: str) -> tuple[str, ...]:
    """Tell a story, and say what is true and what is not; then the same, exchanged."""
    plot, outcome, contrary = teller.draw(_contraries(world))
    slots = _told(world, teller, plot, outcome).slots
    if teller.draw(COIN):
        roles, form = ("feeling", "unfelt"), teller.draw(world.said["contrast"])
        felt = outcome.feels["a"], teller.draw(outcome.unfelt)
        words = [teller.draw(world.feelings[name]["said"]) for name in felt]
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


def _ends(world: World) -> list[tuple[Plot, Outcome]]:
    return [(plot, end) for plot in world.plots.values for end in plot.outcomes.values]


def _contraries(world: World) -> Table:
    return Table(
        (plot, outcome, contrary)
        for plot, outcome in _ends(world)
        if outcome.name in plot.contraries
        for contrary in plot.contraries[outcome.name].values
    )


def _told(world: World, teller: Teller, plot: Plot, outcome: Outcome) -> Telling:
    telling = Telling(world, teller, plot)
    telling.begin()
    telling.end(outcome)
    return telling


@dataclass(frozen=True)
class Task:
    """A task: its kind, what makes the texts of an example, and its labels' names.

    Without labels: they are the feelings that the world's outcomes lead to.
    """

    kind: Kind
    texts: Callable[[World, Teller, str], tuple[str, ...]]
    labels: tuple[str, ...] = ()


TASKS = {
    "feelings": Task(Kind.CLASSIFICATION, feelings),
    "entailment": Task(Kind.ENTAILMENT, entailment, ("yes", "no", "undecided")),
    "similarity": Task(Kind.SIMILARITY, similarity, ("different", "same")),
    "endings": Task(Kind.MULTIPLE_CHOICE, endings, ("first", "second")),
}


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
    task = TASKS[name]
    felt = {feeling for _, end in _ends(world) for feeling in end.feels.values()}
    labels = task.labels or tuple(one for one in world.feelings if one in felt)
    drawn = _different(world, task, labels, sum(sizes.values()), seed)
    parts = [tuple(islice(drawn, size)) for size in sizes.values()]
    return LabelledSet(name, task.kind, labels, *parts)


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


def _different(
    world: World, task: Task, labels: tuple[str, ...], wanted: int, seed: int
) -> Iterator[Example]:
    """Yield so many examples, whose first texts all differ."""
    random = Random(whole_number("seed", seed, 0)).random
    seen: set[str] = set()
    for label in islice(_in_rounds(len(labels), random), wanted):
        # After a thousand in a row that were drawn before, the world is used up.
        for _ in range(1000):
            texts = task.texts(world, Teller(random), labels[label])
            if texts[0] not in seen:
                break
        else:
            raise ValueError(
                f"{wanted} examples: this world gave only {len(seen)} different "
                "ones; ask for fewer"
            )
        seen.add(texts[0])
        yield Example(texts, label)


def _in_rounds(n_labels: int, random: Callable[[], float]) -> Iterator[int]:
    """Yield labels without end, each once in a round, in a random order."""
    while True:
        # Not by shuffle: only random() is promised to stay the same.
        drawn = sorted((random(), label) for label in range(n_labels))
        yield from (label for _, label in drawn)
