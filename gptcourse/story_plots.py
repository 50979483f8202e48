"""Plots and their outcomes: what is told, what is true after it, what can follow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from gptcourse.story_engine import Table
from gptcourse.story_roles import swapped

OPEN = "open"
Endings = Mapping[tuple[str, ...], int]
#: What a story can go on with after its outcome, and how often each ending is drawn.
ENDINGS: Endings = {
    (): 2,
    ("said",): 7,
    ("shown",): 1,
    ("shown", "said"): 5,
    ("other",): 5,
    ("both",): 6,
    ("coda",): 10,
    ("said", "coda"): 5,
    ("coda", "both"): 3,
    ("said", "claim"): 4,
    ("claim",): 8,
    ("retelling",): 3,
    ("retelling", "said"): 2,
}


def forms(templates: Sequence[str]) -> Table:
    """A table of templates; one that stands there twice is drawn twice as often."""
    counts = Counter(templates)
    return Table(counts, counts.values())


@dataclass(frozen=True)
class Outcome:
    """How a plot can end: what is said of it, and what then is true.

    `feels` has the feelings of "a" and "b" that follow from it; `both` sentences with
    the two feelings; `claims` what is true ("yes"), false ("no") and left open
    ("undecided") after it; `endings` what a story can go on with, as names of moves.
    """

    name: str
    tell: tuple[Table, ...]
    feels: Mapping[str, str]
    gists: Table | None
    codas: Table | None
    both: Table | None
    claims: Mapping[str, Table]
    endings: Table


@dataclass(frozen=True)
class Plot:
    """What happens to two children over one kind of thing, and how it can end.

    `contraries` are the pairs of outcomes that cannot both be true, both ways round.
    """

    name: str
    things: str
    begin: tuple[Table, ...]
    gists: Table
    outcomes: Table
    contraries: tuple[tuple[Outcome, Outcome], ...]

    @property
    def open(self) -> Outcome:
        """The plot broken off before its outcome."""
        return self.outcomes.values[-1]


def plot_of(plot: Mapping[str, Any], both: Sequence[str], endings: Endings) -> Plot:
    """Build a plot from its description, sentences with two feelings, and endings."""
    untold = {"name": OPEN, "tell": [plot["open"]], "gist": []}
    ends = (*plot["outcomes"], untold)
    outcomes = [_outcome(end, plot, both, endings) for end in ends]
    return Plot(
        plot["name"],
        plot["things"],
        tuple(forms(step) for step in plot["begin"]),
        Table(plot["gist"]),
        Table(outcomes),
        tuple(
            pair
            for pair in permutations(outcomes, 2)
            if _contrary(plot, *(outcome.name for outcome in pair))
        ),
    )


def _contrary(plot, one: str, other: str) -> bool:
    denied = {end["name"]: end.get("denies", ()) for end in plot["outcomes"]}
    return other in denied.get(one, ()) or one in denied.get(other, ())


def _outcome(outcome, plot, both, endings) -> Outcome:
    feels = outcome.get("feels", {})
    differ = len({*feels.values()}) == 2
    codas = outcome.get("coda", ())
    pairs = [
        text.replace("FIRST", feels["a"]).replace("SECOND", feels["b"])
        for text in (both if differ else ())
    ]
    moves = {"claim"}
    moves |= {"said", "shown"} if "a" in feels else set()
    moves |= {"other"} if "b" in feels else set()
    moves |= {"both"} if pairs else set()
    moves |= {"coda"} if codas else set()
    moves |= {"retelling"} if outcome["gist"] else set()
    possible = {e: weight for e, weight in endings.items() if moves.issuperset(e)}
    return Outcome(
        outcome["name"],
        tuple(forms(step) for step in outcome["tell"]),
        feels,
        Table(outcome["gist"]) if outcome["gist"] else None,
        forms(codas) if codas else None,
        forms(pairs) if pairs else None,
        _claims(outcome, plot),
        Table(possible, possible.values()),
    )


def _claims(outcome, plot) -> dict[str, Table]:
    """Work out what is true, false and undecided after an outcome."""
    true = {*plot["gist"], *outcome["gist"]}
    denied = {
        gist
        for other in plot["outcomes"]
        if _contrary(plot, outcome["name"], other["name"])
        for gist in other["gist"]
    }
    untold = {gist for other in plot["outcomes"] for gist in other["gist"]}
    claims = {
        "yes": true,
        "no": {*map(swapped, true), *denied} - true,
        "undecided": untold if outcome["name"] == OPEN else {},
    }
    # Sorted: the order of a set of strings changes from run to run.
    return {name: Table(sorted(texts)) for name, texts in claims.items() if texts}
