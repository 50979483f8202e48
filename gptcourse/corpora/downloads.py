"""The field's usual training sets, from the Hugging Face Hub, for readers online."""

import errno
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from gptcourse.common import missing_extra
from gptcourse.corpora.corpus import Corpus, Document


@dataclass(frozen=True, slots=True)
class HubSet:
    """Where a set lies on the Hub, and how its rows become documents."""

    repository: str
    configuration: str | None = None
    splits: tuple[str, ...] = ("train", "validation", "test")
    lines: bool = False  # a row is a line of an article, not a document
    streamed: bool = False  # too large to be fetched whole


SETS = {
    "tiny_shakespeare": HubSet("karpathy/tiny_shakespeare"),
    "tinystories": HubSet("roneneldan/TinyStories", splits=("train", "validation")),
    "wikitext-2": HubSet("Salesforce/wikitext", "wikitext-2-raw-v1", lines=True),
    "wikitext-103": HubSet("Salesforce/wikitext", "wikitext-103-raw-v1", lines=True),
    "fineweb": HubSet(
        "HuggingFaceFW/fineweb", "sample-10BT", splits=("train",), streamed=True
    ),
}
# " = Title = " opens an article of WikiText, " = = Section = = " only a part of one.
_TITLE = re.compile(r" = (?!= )(\S.*?)(?<! =) = \n?")
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}


def download(name: str, split: str = "train", max_documents: int = 10_000) -> Corpus:
    """Fetch the first documents of a well-known training set, as a `Corpus`.

    `name` is "tiny_shakespeare" (one document), "tinystories", "wikitext-2",
    "wikitext-103" (an article is a document) or "fineweb". Sets are kept in the cache
    of the Hugging Face Hub and need a network once; of FineWeb's sample, which is 10
    billion tokens, only what is asked for is read, each time anew. Needs the extra
    `online`. The sets are cut up by their makers: ask for a `split` by its name.

    Raises ValueError for a set, a split or a number that does not exist, ImportError
    without the extra, ConnectionError without a network.

    >>> download("tinystories").documents[0].text[:9]  # doctest: +SKIP
    'One day, '
    """
    chosen = _choose(name, split)
    if max_documents < 1:
        raise ValueError(f"max_documents={max_documents}: ask for at least one")
    try:
        rows = (row["text"] for row in _load(chosen, split))
        found = _articles(rows) if chosen.lines else _numbered(rows)
        first = list(islice(found, max_documents))
    except Exception as error:
        if not _is_network(error):
            raise
        raise ConnectionError(
            f"cannot download {name!r}: no network; connect and try again, or use"
            " corpora.python_docs(), which needs none"
        ) from None
    return Corpus([Document(name, f"{split}.{title}", text) for title, text in first])


def _choose(name: str, split: str) -> HubSet:
    """Look a set up and check that it has the split."""
    if name not in SETS:
        known = ", ".join(map(repr, SETS))
        raise ValueError(f"no training set {name!r}; known are {known}")
    splits = SETS[name].splits
    if split not in splits:
        known = ", ".join(map(repr, splits))
        raise ValueError(f"{name!r} has no split {split!r}; it has {known}")
    return SETS[name]


def _load(chosen: HubSet, split: str) -> Iterable[dict]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise missing_extra("downloads need", "online") from None
    return load_dataset(
        chosen.repository,
        chosen.configuration,
        split=split,
        streaming=chosen.streamed,
    )


def _numbered(rows: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield every row that is not blank, named by its number."""
    for i, row in enumerate(rows):
        if row.strip():
            yield str(i), row.strip()


def _articles(rows: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Join lines into articles, named by their titles.

    >>> list(_articles([" = A = \\n", " Of A . \\n", "", " = B = \\n", " Of B . \\n"]))
    [('A', '= A =\\nOf A .'), ('B', '= B =\\nOf B .')]
    """
    title, lines = "", []
    for row in rows:
        heading = _TITLE.fullmatch(row)
        if heading:
            if any(lines):
                yield title, "\n".join(lines).strip()
            title, lines = heading[1], []
        lines.append(row.strip())
    if any(lines):
        yield title, "\n".join(lines).strip()


def _is_network(error: BaseException | None) -> bool:
    """Tell whether an error, or one behind it, is that of a missing network.

    The libraries wrap the system's errors in their own classes, which change.
    """
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)):
            return True
        if isinstance(error, OSError) and error.errno in _UNREACHABLE:
            return True
        error = error.__cause__ or error.__context__
    return False
