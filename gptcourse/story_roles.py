"""The roles of a story, the words that each has, and how two children change places."""

import re
from collections.abc import Mapping
from typing import Any

from gptcourse.story_engine import Table

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
