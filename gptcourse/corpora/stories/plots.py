"""What a story is made of: roles and their words, plots, and how a plot can end.

An outcome says what is told of it, what is then true, false or left open, and what the
story can go on with. All of it is worked out here, once, from the description of a
world (`world.toml`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gptcourse.corpora.stories.chance import Table

PRONOUNS = {
    "girls": ("she", "She", "her", "her", "Her", "herself"),
    "boys": ("he", "He", "him", "his", "His", "himself"),
}
#: The slots that stand for the hero, and those that stand for the other child.
HERO = ("a", "she", "She", "her", "hers", "Hers", "herself")
OTHER = ("b", *(f"b{slot}" for slot in HERO[1:]))
SWAPPED = dict(zip(HERO + OTHER, OTHER + HERO, strict=True))
#: The role of a slot that is not named after its role.
ROLE_OF = {"to_p": "p", "to_q": "q", "ax": "x", "ay": "y", "ak": "k"}
ROLE_OF |= dict.fromkeys(HERO, "a") | dict.fromkeys(OTHER, "b")
#: Roles that must differ: whichever is needed second is drawn among the others.
PARTNERS = {"a": "b", "b": "a", "p": "q", "q": "p", "x": "y", "y": "x"}


def swapped(template: str) -> str:
    """Return a template in which the hero and the other child change places.

    >>> swapped("{a} gave {b} {hers} kite")
    '{b} gave {a} {bhers} kite'
    """
    return re.sub(
        r"{(\w+)}", lambda slot: f"{{{SWAPPED.get(slot[1], slot[1])}}}", template
    )


def with_article(noun: str) -> str:
    """Return a noun or an adjective after "a" or "an".

    >>> with_article("egg")
    'an egg'
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


#: What a role can be: for every name, the words of its slots.
Words = dict[str, dict[str, str]]


def role_words(data: Mapping[str, Any]) -> dict[Any, Words]:
    """Return the words of every role; things have a role for each kind of them."""
    words = data["words"]
    people = [(name, *PRONOUNS[kind]) for kind in PRONOUNS for name in words[kind]]
    roles: dict[Any, Words] = {
        "a": {child[0]: dict(zip(HERO, child, strict=True)) for child in people},
        "b": {child[0]: dict(zip(OTHER, child, strict=True)) for child in people},
        "c": {name: {"c": name} for name in words["family"]},
        "r": {name: {"r": name} for name in words["relations"]},
        "k": {name: {"k": name, "ak": with_article(name)} for name in words["colours"]},
    }
    for role in "pq":
        roles[role] = {at: {role: at, f"to_{role}": to} for at, to in words["places"]}
    for kind, things in data["things"].items():
        for role in "xy":
            roles[role, kind] = {
                name: {role: name, f"a{role}": with_article(name)} for name in things
            }
    return roles


def role_tables(words: Words) -> dict[str | None, Table]:
    """Return what can be drawn for a role beside each name of its partner, and None.

    >>> words = {"Tom": {"b": "Tom"}, "Mia": {"b": "Mia"}}
    >>> role_tables(words)["Tom"].values
    ({'b': 'Mia'},)
    """
    partners = [None, *words] if len(words) > 1 else [None]
    return {
        partner: Table(words[name] for name in words if name != partner)
        for partner in partners
    }


OPEN = "open"
#: What a story can go on with after its outcome, and how often each ending is drawn. An
#: ending is a series of moves, which are methods of `Telling`.
Endings = Mapping[tuple[str, ...], int]
#: How many times as often good news is claimed as bad, whatever happened. So the end of
#: a story and a claim each say something about the truth on their own: a reader can
#: find both before it compares them.
HOPE = 3


def forms(templates: Iterable[str]) -> Table:
    """Return a table of templates; one that stands there twice is drawn twice as often.

    >>> forms(["She ran.", "She ran.", "She hid."]).cumulative
    [0.6666666666666666]
    """
    counts = Counter(templates)
    return Table(counts, counts.values())


def forms_if_any(templates: Sequence[str]) -> Table | None:
    """Return a table of templates, or None if there are none."""
    return forms(templates) if templates else None


@dataclass(frozen=True)
class Claims:
    """What can be claimed after something was told.

    `texts` has what is true ("yes"), false ("no") and left open ("undecided");
    `truths` how often a claim is each of them.
    """

    texts: Mapping[str, Table]
    truths: Table


def claims_of(texts: Mapping[str, Iterable[str]], good: bool | None) -> Claims:
    """Return the claims after good news (or bad, or neither)."""
    # Sorted: the order of a set of strings changes from run to run.
    tables = {truth: Table(sorted(some)) for truth, some in texts.items() if some}
    hopes = {} if good is None else {"yes" if good else "no": HOPE}
    return Claims(tables, Table(tables, [hopes.get(truth, 1) for truth in tables]))


@dataclass(frozen=True)
class Outcome:
    """How a plot can end: what is said of it, and what is true then.

    `feels` has the feelings of "a" and "b" that follow from it; `unfelt`, where "a"
    ends well or badly, what "a" can feel where the plot ends the other way; `both`
    sentences with the two feelings; `endings` what a story can go on with.
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

    `contraries` has, by the name of an outcome, those that are false if it is true.
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
    """Return a plot from its description, that of its world, and its endings."""
    untold = {"name": OPEN, "tell": [plot["open"]], "gist": [], "feels": {}}
    outcomes = {
        end["name"]: _outcome(end, plot, world, ends)
        for end in (*plot["outcomes"], untold)
    }
    return Plot(
        plot["name"],
        plot["things"],
        tuple(forms(step) for step in plot["begin"]),
        forms(plot["gist"]),
        Table(outcomes.values()),
        {
            end["name"]: Table([outcomes[other["name"]] for other in others])
            for end in plot["outcomes"]
            if (others := _contraries(end, plot))
        },
    )


def _contraries(outcome, plot) -> list:
    """Return the outcomes that an outcome denies, or that deny it."""
    return [
        other
        for other in plot["outcomes"]
        if other["name"] in outcome.get("denies", ())
        or outcome["name"] in other.get("denies", ())
    ]


def _outcome(outcome, plot, world, endings) -> Outcome:
    feels, codas = outcome["feels"], outcome.get("coda", ())
    differ = len({*feels.values()}) == 2
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
        forms_if_any(unfelt),
        forms_if_any(outcome["gist"]),
        forms_if_any(codas),
        forms_if_any(both),
        _claims(outcome, plot, world["feelings"]),
        Table(possible, possible.values()),
    )


def _unfelt(outcome, plot, feelings) -> list[str]:
    """Return what the hero can feel where the plot ends well instead of badly, or back.

    Nothing, where the hero's feeling does not follow from the outcome.
    """
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
    """Return what is true, false and undecided after an outcome."""

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
