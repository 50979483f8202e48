"""Documents and corpora: text that knows where it came from and how to be split."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from gptcourse.corpora.near_copies import near_copy_groups

SEPARATOR = "\n\n\n"


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its source, its name and the names of the documents it links to.

    >>> Document("stdlib", "abc.ABC", "Helper class.", links=("abc.ABCMeta",)).name
    'abc.ABC'
    """

    source: str
    name: str
    text: str
    links: tuple[str, ...] = ()


class SourceSummary(NamedTuple):
    """How much of a corpus comes from one source: documents, and bytes in UTF-8."""

    documents: int
    bytes: int


class Corpus:
    """A fixed, ordered collection of documents.

    `groups[i]` numbers the near copies that `documents[i]` belongs to; left out, it is
    computed when `split` needs it. Corpora of equal documents are equal.

    >>> corpus = Corpus([Document("a", "x", "One."), Document("b", "y", "Two.")])
    >>> corpus
    Corpus(2 documents, 8 bytes)
    >>> corpus.sources["a"]
    SourceSummary(documents=1, bytes=4)
    """

    def __init__(
        self, documents: Iterable[Document], groups: Iterable[int] | None = None
    ):
        """Take documents; raise ValueError if there is not one group for each."""
        self.documents = tuple(documents)
        if groups is not None:
            self.groups = tuple(groups)
            if len(self.groups) != len(self.documents):
                raise ValueError(
                    f"{len(self.documents)} documents but {len(self.groups)} group"
                    " numbers: give one for each document, or none at all"
                )

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """The number of each document's near copies, found when first asked for."""
        return tuple(near_copy_groups([document.text for document in self.documents]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Corpus) and self.documents == other.documents

    def __len__(self) -> int:
        return len(self.documents)

    def __repr__(self) -> str:
        size = sum(source.bytes for source in self.sources.values())
        return f"Corpus({len(self):,} documents, {size:,} bytes)"

    def texts(self) -> list[str]:
        """Return the text of every document, in order; ValueError if there is none.

        >>> Corpus([Document("a", "x", "One.")]).texts()
        ['One.']
        """
        if not self.documents:
            raise ValueError("the corpus is empty: it needs documents, at least one")
        return [document.text for document in self.documents]

    @property
    def text(self) -> str:
        """All documents in one string, two empty lines (`SEPARATOR`) between them.

        >>> Corpus([Document("a", "x", "One."), Document("b", "y", "Two.")]).text
        'One.\\n\\n\\nTwo.'
        """
        return SEPARATOR.join(self.texts())

    @property
    def sources(self) -> dict[str, SourceSummary]:
        """Documents and bytes of every source, in order of appearance."""
        totals: dict[str, SourceSummary] = {}
        for document in self.documents:
            count, size = totals.get(document.source, (0, 0))
            size += len(document.text.encode())
            totals[document.source] = SourceSummary(count + 1, size)
        return totals

    def by_source(self, source: str) -> "Corpus":
        """Return the documents of one source; ValueError if it is not in the corpus.

        >>> corpus = Corpus([Document("a", "x", "One."), Document("b", "y", "Two.")])
        >>> corpus.by_source("b").texts()
        ['Two.']
        """
        chosen = [i for i, d in enumerate(self.documents) if d.source == source]
        if not chosen:
            known = ", ".join(repr(name) for name in self.sources) or "none"
            raise ValueError(f"no source {source!r} in this corpus; it has {known}")
        return self._subset(chosen)

    def split(
        self, validation: float = 0.05, seed: int = 0
    ) -> tuple["Corpus", "Corpus"]:
        """Split whole documents into (train, validation), near copies on one side.

        `validation` is the largest share of the bytes that may be held out. Which
        documents these are depends on their text and on `seed` alone, so that every
        machine with the same documents holds out the same ones.

        Near copies are documents that share most of their runs of three words. Not
        kept together: documents of one class or module, a short text quoted in a long
        one, and the same thing said in other words.

        Raises: ValueError for an empty corpus, for a share outside (0, 1), and where
        all documents are near copies of one another.

        >>> words = "one two three four five six seven eight nine ten".split()
        >>> corpus = Corpus([Document("a", word, f"{word} " * 9) for word in words])
        >>> train, validation = corpus.split(validation=0.2)
        >>> len(train), len(validation)
        (8, 2)
        """
        if not 0 < validation < 1:
            raise ValueError(
                f"validation={validation} is no share: give one between 0 and 1"
            )
        held_out = self._held_out_groups(validation, seed)
        sides: tuple[list[int], list[int]] = ([], [])
        for i, group in enumerate(self.groups):
            sides[group in held_out].append(i)
        return self._subset(sides[0]), self._subset(sides[1])

    def _held_out_groups(self, validation: float, seed: int) -> set[int]:
        """Choose groups in hash order while they fit into the share of the bytes."""
        sizes: dict[int, int] = {}
        keys: dict[int, bytes] = {}
        for text, group in zip(self.texts(), self.groups, strict=True):
            data = text.encode()
            key = sha256(f"{seed}\0".encode() + data).digest()
            sizes[group] = sizes.get(group, 0) + len(data)
            keys[group] = min(keys.get(group, key), key)
        if len(sizes) < 2:
            raise ValueError(
                "cannot split: the corpus is one document, or near copies of one;"
                " add documents"
            )
        room = validation * sum(sizes.values())
        held_out = set()
        for group in sorted(keys, key=keys.__getitem__):
            if sizes[group] <= room:
                held_out.add(group)
                room -= sizes[group]
        return held_out or {min(sizes, key=lambda group: (sizes[group], keys[group]))}

    def _subset(self, indices: Iterable[int]) -> "Corpus":
        indices = list(indices)
        documents = [self.documents[i] for i in indices]
        known = "groups" in vars(self)
        return Corpus(documents, [self.groups[i] for i in indices] if known else None)
