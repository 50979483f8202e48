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
    ENDINGS,
    Claims,
    Endings,
    claims_of,
    forms,
    others_words,
    plot_of,
    role_words,
    swapped,
)


@dataclass(frozen=True)
class Side:
    """One of two things that can be told of a child, and what is true if it is told.

    It leaves undecided what other asides tell.
    """

    forms: Table
    claims: Claims


@dataclass(frozen=True)
class World:
    """All that stories are made of, as tables to draw from.

    `roles` has for every role the table of its words; `others`, for a role that must
    differ from its partner, one table for every name of the partner.
    """

    roles: Mapping[Any, Table]
    others: Mapping[Any, Mapping[str, Table]]
    openings: Table
    asides: Table
    plots: Table
    feelings: Mapping[str, tuple[Table, Table]]
    said: Mapping[str, Table]
    claims: Mapping[str, Table]
    retellings: Mapping[str, Table]


def world_of(data: Mapping[str, Any], endings: Endings = ENDINGS) -> World:
    """Build a world from its description, as `world.toml` gives it.

    `endings` says what its stories go on with after the outcome, as names of moves,
    and how often: `{("said", "claim"): 4, ("coda",): 10}`.
    """
    plots = [plot_of(plot, data, endings) for plot in data["plots"]]
    roles = role_words(data)
    return World(
        roles={role: Table(words.values()) for role, words in roles.items()},
        others={role: others_words(words) for role, words in roles.items()},
        openings=forms(data["openings"]["forms"]),
        asides=Table(_sides(data["asides"])),
        plots=Table(plots),
        feelings={
            name: (forms(feeling["said"]), forms(feeling["shown"]))
            for name, feeling in data["feelings"].items()
        },
        said={name: forms(texts) for name, texts in data["said"].items()}
        | {"other": forms([swapped(text) for text in data["said"]["plain"]])},
        claims={name: forms(texts) for name, texts in data["claims"].items()},
        retellings={name: forms(texts) for name, texts in data["retellings"].items()},
    )


def _sides(asides: Sequence[Mapping[str, Any]]) -> Iterator[Side]:
    """The two sides of each aside, told of the other child and of the hero."""
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
            sooner = side is aside["sides"][0]
            told = forms([turned(text) for text in side["tell"]])
            yield Side(told, claims_of(gists, sooner))


def description() -> dict[str, Any]:
    """Read the course's story world: word lists and plots.

    >>> description()["words"]["girls"][:2]
    ['Anna', 'Mia']
    """
    source = resources.files(__package__) / "world.toml"
    return tomllib.loads(source.read_text("utf-8"))


@functools.cache
def full_world() -> World:
    """The course's story world, built once."""
    return world_of(description())
