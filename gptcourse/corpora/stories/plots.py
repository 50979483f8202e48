"""The roles of a story, the words that each has, and how two children change places.

Plots and their outcomes: what is told, what is true after it, what can follow.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gptcourse.corpora.stories.chance import Table

PRONOUNS = {
    "girls": ("she", "her", "her", "herself"),
    "boys": ("he", "him", "his", "himself"),
}
HERO_WORDS = ("a", "she", "She", "her", "hers", "Hers", "herself")
#: What names the other child as `HERO_WORDS` names the hero, and the way back.
SWAPPED = {word: "b" if word == "a" else f"b{word}" for word in HERO_WORDS}
SWAPPED |= {other: word for word, other in SWAPPED.items()}
ROLE_OF = {"to_p": "p", "to_q": "q", "ax": "x", "ay": "y", "ak": "k"}
ROLE_OF |= dict.fromkeys(HERO_WORDS, "a")
ROLE_OF |= {SWAPPED[word]: "b" for word in HERO_WORDS}
#: Roles that must differ: whichever is needed second is drawn among the others.
PARTNERS = {"a": "b", "b": "a", "p": "q", "q": "p", "x": "y", "y": "x"}


def swapped(template: str) -> str:
    """Let hero and other child change places in a template.

    >>> swapped("{a} gave {b} {hers} kite")
    '{b} gave {a} {bhers} kite'
    """
    return re.sub(
        r"{(\w+)}", lambda slot: f"{{{SWAPPED.get(slot[1], slot[1])}}}", template
    )


def with_article(noun: str) -> str:
    """Put "a" or "an" before a noun or an adjective."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def role_words(data: Mapping[str, Any]) -> dict[Any, dict[str, dict[str, str]]]:
    """For every role, or role and kind of thing: the names, and the words of each."""
    words = data["words"]
    people = {name: PRONOUNS[kind] for kind in PRONOUNS for name in words[kind]}
    places = dict(words["places"])
    roles: dict[Any, dict[str, dict[str, str]]] = {
        "c": {name: {"c": name} for name in words["family"]},
        "r": {name: {"r": name} for name in words["relations"]},
        "k": {name: {"k": name, "ak": with_article(name)} for name in words["colours"]},
    }
    for role in "ab":
        roles[role] = {name: _person(role, name, of) for name, of in people.items()}
    for role in "pq":
        roles[role] = {at: {role: at, f"to_{role}": to} for at, to in places.items()}
    for kind, things in data["things"].items():
        for role in "xy":
            roles[role, kind] = {
                name: {role: name, f"a{role}": with_article(name)} for name in things
            }
    return roles


def others_words(words: Mapping[str, Any]) -> dict[str, Table]:
    """For every name, the table of the others' words."""
    return {
        name: Table([words[other] for other in words if other != name])
        for name in words
        if len(words) > 1
    }


def _person(role: str, name: str, pronouns: tuple[str, ...]) -> dict[str, str]:
    she, her, hers, herself = pronouns
    words = (name, she, she.capitalize(), her, hers, hers.capitalize(), herself)
    names = HERO_WORDS if role == "a" else [SWAPPED[word] for word in HERO_WORDS]
    return dict(zip(names, words, strict=True))


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
    ("disputed",): 3,
    ("contrast",): 4,
    ("truth",): 3,
}
#: Good news is claimed so many times as often as bad, whatever happened. So the end of
#: a story, and a claim, each say something about the truth by itself: a reader can
#: find both before it compares them.
HOPE = 3


def forms(templates: Sequence[str]) -> Table:
    """A table of templates; one that stands there twice is drawn twice as often."""
    counts = Counter(templates)
    return Table(counts, counts.values())


@dataclass(frozen=True)
class Claims:
    """What can be claimed after something was told.

    `texts` has what is true ("yes"), false ("no") and left open ("undecided");
    `truths` how often a claim is each of them.
    """

    texts: Mapping[str, Table]
    truths: Table


def claims_of(texts: Mapping[str, Iterable[str]], good: bool | None) -> Claims:
    """Build the claims about what is good news (or bad, or neither)."""
    # Sorted: the order of a set of strings changes from run to run.
    tables = {truth: Table(sorted(some)) for truth, some in texts.items() if some}
    hopes = {} if good is None else {"yes" if good else "no": HOPE}
    return Claims(tables, Table(tables, [hopes.get(truth, 1) for truth in tables]))


@dataclass(frozen=True)
class Outcome:
    """How a plot can end: what is said of it, and what then is true.

    `feels` has the feelings of "a" and "b" that follow from it; `unfelt`, where "a"
    ends well or badly, what "a" can feel where the plot ends the other way; `both`
    sentences with the two feelings; `endings` what a story can go on with, as names of
    moves.
    """

    name: str
    tell: tuple[Table, ...]
    feels: Mapping[str, str]
    unfelt: Table | None
    gists: Table | None
    codas: Table | None
    both: Table | None
    claims: Claims
    endings: Table


@dataclass(frozen=True)
class Plot:
    """What happens to two children over one kind of thing, and how it can end.

    `contraries` has, by the name of an outcome, those that are false beside it.
    """

    name: str
    things: str
    begin: tuple[Table, ...]
    gists: Table
    outcomes: Table
    contraries: Mapping[str, Table]

    @property
    def open(self) -> Outcome:
        """The plot broken off before its outcome."""
        return self.outcomes.values[-1]


def plot_of(plot: Mapping[str, Any], world: Mapping[str, Any], ends: Endings) -> Plot:
    """Build a plot from its description, that of its world, and its endings."""
    untold = {"name": OPEN, "tell": [plot["open"]], "gist": [], "feels": {}}
    outcomes = {
        end["name"]: _outcome(end, plot, world, ends)
        for end in (*plot["outcomes"], untold)
    }
    return Plot(
        plot["name"],
        plot["things"],
        tuple(forms(step) for step in plot["begin"]),
        Table(plot["gist"]),
        Table(outcomes.values()),
        {
            end["name"]: Table([outcomes[other["name"]] for other in others])
            for end in plot["outcomes"]
            if (others := _contraries(end, plot))
        },
    )


def _contraries(outcome, plot) -> list:
    """The outcomes that an outcome denies, or that deny it."""
    return [
        other
        for other in plot["outcomes"]
        if other["name"] in outcome.get("denies", ())
        or outcome["name"] in other.get("denies", ())
    ]


def _outcome(outcome, plot, world, endings) -> Outcome:
    feels = outcome["feels"]
    differ = len({*feels.values()}) == 2
    codas = outcome.get("coda", ())
    both = [
        text.replace("FIRST", feels["a"]).replace("SECOND", feels["b"])
        for text in (world["said"]["both"] if differ else ())
    ]
    unfelt = _unfelt(outcome, plot, world["feelings"])
    moves = {"claim"}
    moves |= {"said", "shown"} if "a" in feels else set()
    moves |= {"other"} if "b" in feels else set()
    moves |= {"both"} if both else set()
    moves |= {"coda"} if codas else set()
    moves |= {"retelling"} if outcome["gist"] else set()
    moves |= {"disputed", "truth"} if _contraries(outcome, plot) else set()
    moves |= {"contrast"} if unfelt else set()
    possible = {e: weight for e, weight in endings.items() if moves.issuperset(e)}
    return Outcome(
        outcome["name"],
        tuple(forms(step) for step in outcome["tell"]),
        feels,
        Table(unfelt) if unfelt else None,
        Table(outcome["gist"]) if outcome["gist"] else None,
        forms(codas) if codas else None,
        forms(both) if both else None,
        _claims(outcome, plot, world["feelings"]),
        Table(possible, possible.values()),
    )


def _unfelt(outcome, plot, feelings) -> list[str]:
    """What the hero can feel where the plot ends well instead of badly, or badly."""
    if "a" not in outcome["feels"]:
        return []
    good = feelings[outcome["feels"]["a"]]["good"]
    heros = {end["feels"].get("a") for end in plot["outcomes"]}
    return [
        name
        for name, feeling in feelings.items()
        if name in heros and feeling["good"] != good
    ]


def _claims(outcome, plot, feelings) -> Claims:
    """Work out what is true, false and undecided after an outcome."""

    def felt(names):
        return {
            f"{{a}} was {word}" for name in names for word in feelings[name]["said"]
        }

    def told(end):
        hero = end["feels"].get("a")
        return {*end["gist"], *felt([hero] if hero else [])}

    if outcome["name"] == OPEN:
        untold = set().union(*map(told, plot["outcomes"]))
        return claims_of({"undecided": untold}, good=None)
    denied = {gist for other in _contraries(outcome, plot) for gist in other["gist"]}
    denied |= felt(_unfelt(outcome, plot, feelings))
    hero = outcome["feels"].get("a")
    good = feelings[hero]["good"] if hero else None
    return claims_of({"yes": told(outcome), "no": denied}, good)
