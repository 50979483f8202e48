"""Facts of the papers, by key: `fact("gpt1.t5.no_pretraining")`.

They stand in `papers.toml` beside this module. A table there may set `place`, `unit`,
`mark` and `note` for everything below it; a fact is a bare value, or a table with
`value` and whatever differs from its surroundings.
"""

import difflib
import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

INHERITED = ("place", "unit", "mark", "note")


@dataclass(frozen=True)
class Fact:
    """One figure or setting of a paper, with its unit and the place where it stands.

    `mark` tells how it is known: "verified" in the paper's text, "computed" from such
    figures, read off a "figure" (within a few per cent), or "from memory". `note` warns
    of a trap: a misprint, a clash between text and table, a common misreading.
    """

    key: str
    value: int | float | str
    unit: str
    place: str
    paper: str
    mark: str = "verified"
    note: str = ""

    @property
    def figure(self) -> str:
        """The value with its unit, as text: "18.4 perplexity"."""
        kind = {int: ",", float: ",.10g"}.get(type(self.value), "")
        return f"{self.value:{kind}} {self.unit}".rstrip()

    @property
    def cite(self) -> str:
        """The paper and the place in it: "GPT-1, T5"."""
        return f"{self.paper}, {self.place}"

    def __str__(self):
        return f"{self.figure} ({self.cite})"


def fact(key) -> Fact:
    """The fact with this key.

    Raises: KeyError with near keys for an unknown one.

    >>> print(fact("gpt1.t5.no_pretraining"))
    59.9 points (GPT-1, T5)
    >>> fact("gpt1.t5.no_pretraining").value
    59.9
    """
    facts = _all_facts()
    if key in facts:
        return facts[key]
    near = difflib.get_close_matches(key, facts, n=3, cutoff=0.5)
    hint = f"near ones: {', '.join(near)}" if near else "see papers.toml"
    raise KeyError(f"no fact {key!r}; {hint}")


def every_key() -> list[str]:
    """Every key, sorted.

    >>> "gpt1.t5.no_pretraining" in every_key()
    True
    """
    return sorted(_all_facts())


@functools.cache
def _all_facts():
    text = resources.files(__package__).joinpath("papers.toml").read_text("utf-8")
    facts = {}
    for paper, tables in tomllib.loads(text).items():
        name = tables.pop("name")
        for one in _facts_below(tables, paper, {"paper": name, "unit": ""}):
            facts[one.key] = one
    return facts


def _facts_below(node, key, above):
    """Yield the facts of a table, each with what the tables around it set."""
    here = above | {name: node[name] for name in INHERITED if name in node}
    if "value" in node:
        yield Fact(key, node["value"], **here)
        return
    for name, child in node.items():
        if name in INHERITED:
            continue
        if not isinstance(child, dict):
            child = {"value": child}
        yield from _facts_below(child, f"{key}.{name}", here)
