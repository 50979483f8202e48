"""Labelled examples: what a supervised task is learnt from and measured on."""

from dataclasses import dataclass

#: The kinds of task in GPT-1's figure 1, and how many texts an example of each has.
#: A multiple-choice example is its context, then the endings to choose from.
TEXTS = {
    "classification": 1,
    "entailment": 2,
    "similarity": 2,
    "multiple_choice": None,
}


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
    names the endings ("first", "second", ...), so that there are len(labels) + 1 texts.

    Raises: ValueError for an unknown kind, a label outside the labels, an empty or a
    missing text, and for texts that stand in two of the sets.

    >>> sets = [(Example((text,), 0),) for text in ("I won!", "We won!", "You won!")]
    >>> LabelledSet("feelings", "classification", ("glad", "sad"), *sets).chance
    0.5
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]

    def __post_init__(self) -> None:
        """Refuse what could not be learnt from, or would measure memory."""
        if self.kind not in TEXTS:
            raise ValueError(
                f"{self.name}: kind {self.kind!r}; choose one of {list(TEXTS)}"
            )
        seen: dict[tuple[str, ...], str] = {}
        for part in ("train", "validation", "test"):
            for number, example in enumerate(getattr(self, part)):
                self.check(example, f"{self.name}, {part} example {number}")
                if seen.setdefault(example.texts, part) != part:
                    raise ValueError(
                        f"{self.name}, {part} example {number}: also stands in "
                        f"{seen[example.texts]}; keep the sets disjoint"
                    )

    @property
    def chance(self) -> float:
        """The accuracy of a blind guess among the labels."""
        return 1 / len(self.labels)

    def check(self, example: Example, place: str) -> None:
        """Raise ValueError, naming `place`, for what is no example of this task."""
        expected = TEXTS[self.kind] or len(self.labels) + 1
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
