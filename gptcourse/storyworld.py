"""Story world: endless short stories whose exact probability and meaning are known.

Every choice of the generator shows in the words, so a text has one derivation, and its
probability is the product of the choices. No language model can have a lower loss on
these stories, in the long run, than their mean negative log-probability.
"""

from collections.abc import Iterator
from itertools import islice
from math import fsum
from random import Random

from gptcourse.labelled import Example, LabelledSet
from gptcourse.story_engine import Teller, score
from gptcourse.story_tasks import Task, labels_in_rounds, tasks_of
from gptcourse.story_telling import Story, story, tell
from gptcourse.story_world import World, full_world

SEPARATOR = "\n\n"
TASKS = ("feelings", "entailment", "similarity", "endings")
#: So many examples in a row that all stood there before mean that the world is used up.
PATIENCE = 1000


def stories(seed: int, world: World | None = None) -> Iterator[Story]:
    """Yield stories without end, the same for a seed on every machine.

    >>> first = next(stories(seed=0))
    >>> first.text.split(". ")[-1]
    'Rosa would not shake hands with Paul.'
    >>> first.plot, first.outcome, first.feelings
    ('contest', 'cheated', (('Rosa', 'angry'),))
    """
    world = world or full_world()
    random = Random(_whole("seed", seed, 0)).random
    while True:
        yield story(world, Teller(random))


def text(seed: int, n_bytes: int, world: World | None = None) -> str:
    """Return whole stories, an empty line between them, of `n_bytes` or a little more.

    Raises: ValueError for a number of bytes below 1.

    >>> len(text(seed=0, n_bytes=1000)) >= 1000
    True
    """
    _whole("n_bytes", n_bytes, 1)
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
    _whole("n_stories", n_stories, 1)
    some = islice(stories(seed, world), n_stories)
    return -fsum(one.log_probability for one in some) / n_stories


def task(
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

    >>> task("endings", 4, 2, 2, seed=0).train[0].label
    1
    """
    world = world or full_world()
    if name not in TASKS:
        raise ValueError(f"task {name!r}; choose one of {', '.join(TASKS)}")
    sizes = {"n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    for size in sizes.items():
        _whole(*size, 1)
    kind = tasks_of(world)[name]
    found = _different(world, kind, sum(sizes.values()), seed)
    parts = (tuple(islice(found, size)) for size in sizes.values())
    return LabelledSet(name, kind.kind, kind.labels, *parts)


def tasks(
    n_train: int,
    n_validation: int,
    n_test: int,
    seed: int,
    world: World | None = None,
) -> dict[str, LabelledSet]:
    """Draw all four tasks in the same sizes; see `task`.

    >>> list(tasks(6, 6, 6, seed=0))
    ['feelings', 'entailment', 'similarity', 'endings']
    """
    return {
        name: task(name, n_train, n_validation, n_test, seed, world) for name in TASKS
    }


def _different(world: World, task: Task, wanted: int, seed: int) -> Iterator[Example]:
    """Yield so many examples, none of whose first texts is another's."""
    random = Random(_whole("seed", seed, 0)).random
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


def _whole(name: str, value: int, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} {value!r}: give a whole number, {least} or more")
    return value
