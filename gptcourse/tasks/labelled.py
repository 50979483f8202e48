"""Labelled examples: what a supervised task is learnt from and measured on."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The four kinds of task in GPT-1's figure 1; `Kind("entailment")` finds one.

    A kind equals its name, so a plain string does wherever a kind is asked for.

    Raises: ValueError for an unknown name.

    >>> Kind("entailment") is Kind.ENTAILMENT == "entailment"
    True
    """

    CLASSIFICATION = "classification"
    ENTAILMENT = "entailment"
    SIMILARITY = "similarity"
    MULTIPLE_CHOICE = "multiple_choice"

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"kind {value!r}; choose one of {', '.join(cls)}")

    def n_texts(self, n_labels: int) -> int:
        """Return how many texts an example has; a choice: a context, then endings.

        >>> [kind.n_texts(n_labels=4) for kind in Kind]
        [1, 2, 2, 5]
        """
        if self is Kind.MULTIPLE_CHOICE:
            return 1 + n_labels
        return 1 if self is Kind.CLASSIFICATION else 2


@dataclass(frozen=True, slots=True)
class Example:
    """The texts of one example and the number of its label.

    >>> Example(("Tom lost his kite. He cried.",), 1).label
    1
    """

    texts: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class LabelledSet:
    """A task: its kind, its labels' names, and three sets that share no example.

    `labels` names the numbers that an example's label may be; for multiple choice it
    names the endings ("first", "second", ...).

    Raises: ValueError for an unknown kind, a label outside the labels, an empty or a
    missing text, and for texts that stand in two of the sets.

    >>> sets = [(Example((text,), 0),) for text in ("I won!", "We won!", "You won!")]
    >>> LabelledSet("feelings", "classification", ("glad", "sad"), *sets).chance
    0.5
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]

    def __post_init__(self) -> None:
        """Refuse what could not be learnt from, or would measure memory."""
        seen: dict[tuple[str, ...], str] = {}
        for part in ("train", "validation", "test"):
            for number, example in enumerate(getattr(self, part)):
                place = f"{self.name}, {part} example {number}"
                self.check(example, place)
                if seen.setdefault(example.texts, part) != part:
                    raise ValueError(
                        f"{place}: also stands in {seen[example.texts]}; "
                        "keep the sets disjoint"
                    )

    @property
    def chance(self) -> float:
        """The accuracy of a blind guess among the labels."""
        return 1 / len(self.labels)

    def check(self, example: Example, place: str) -> None:
        """Raise ValueError, naming `place`, for what is no example of this task."""
        expected = Kind(self.kind).n_texts(len(self.labels))
        if len(example.texts) != expected:
            raise ValueError(
                f"{place}: {len(example.texts)} texts; {self.kind} needs {expected}"
            )
        if not all(text.strip() for text in example.texts):
            raise ValueError(f"{place}: an empty text; give every part its words")
        if example.label not in range(len(self.labels)):
            raise ValueError(
                f"{place}: label {example.label}; it must be 0 to "
                f"{len(self.labels) - 1}, for {', '.join(self.labels)}"
            )
