"""The world that stories come from: its people, things, asides, feelings and plots."""

import functools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import permutations, product
from typing import Any

from gptcourse.corpora.stories.chance import Table
from gptcourse.corpora.stories.plots import (
    Claims,
    Endings,
    claims_of,
    forms,
    plot_of,
    role_tables,
    role_words,
    swapped,
)


@dataclass(frozen=True)
class Side:
    """One of two things that can be told of a child, and what is then true.

    What other asides tell is left undecided by it.
    """

    forms: Table
    claims: Claims


@dataclass(frozen=True)
class World:
    """All that stories are made of, as tables to draw from.

    `roles` has for every role what it can be: one table for each name that its partner
    may have, and one (None) for no partner so far.
    """

    roles: Mapping[Any, Mapping[str | None, Table]]
    openings: Table
    asides: Table
    plots: Table
    feelings: Mapping[str, Mapping[str, Table]]
    said: Mapping[str, Table]
    claims: Mapping[str, Table]
    retellings: Mapping[str, Table]


def world_of(data: Mapping[str, Any], endings: Endings | None = None) -> World:
    """Return a world from its description, as `description` gives it.

    `endings`, in place of the description's, says what stories go on with after the
    outcome, as names of moves, and how often: `{("said", "claim"): 4, ("coda",): 10}`.

    >>> world_of(description(), {("claim",): 1}).plots.values[0].name
    'lost'
    """
    if endings is None:
        endings = {tuple(e.split()): weight for e, weight in data["endings"].items()}
    swapped_said = [swapped(text) for text in data["said"]["plain"]]
    return World(
        roles={role: role_tables(words) for role, words in role_words(data).items()},
        openings=forms(data["openings"]["forms"]),
        asides=Table(_sides(data["asides"])),
        plots=Table(plot_of(plot, data, endings) for plot in data["plots"]),
        feelings={
            name: {how: forms(feeling[how]) for how in ("said", "shown")}
            for name, feeling in data["feelings"].items()
        },
        said=_by_name(data["said"] | {"other": swapped_said}),
        claims=_by_name(data["claims"]),
        retellings=_by_name(data["retellings"]),
    )


def _by_name(texts: Mapping[str, Sequence[str]]) -> dict[str, Table]:
    return {name: forms(templates) for name, templates in texts.items()}


def _sides(asides: Sequence[Mapping[str, Any]]) -> Iterator[Side]:
    """Yield the two sides of each aside, told of the other child and of the hero."""
    for aside, turned in product(asides, (str, swapped)):
        others = [
            one for other in asides if other is not aside for one in other["sides"]
        ]
        for side, contrary in permutations(aside["sides"]):
            texts = {"yes": [side], "no": [contrary], "undecided": others}
            gists = {
                truth: [turned(one["gist"]) for one in some]
                for truth, some in texts.items()
            }
            # The first side is the one that people sooner claim.
            good = side is aside["sides"][0]
            told = forms(turned(text) for text in side["tell"])
            yield Side(told, claims_of(gists, good))


def description() -> dict[str, Any]:
    """Return the description of the course's story world: word lists and plots.

    >>> description()["words"]["girls"][:2]
    ['Anna', 'Mia']
    """
    source = resources.files(__package__) / "world.toml"
    return tomllib.loads(source.read_text("utf-8"))


@functools.cache
def full_world() -> World:
    """Return the course's story world, built once.

    >>> len(full_world().plots.values)
    9
    """
    return world_of(description())
