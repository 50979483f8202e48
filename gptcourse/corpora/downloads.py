"""The field's usual training sets, from the Hugging Face Hub, for readers online."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from gptcourse.common import missing_extra
from gptcourse.corpora.corpus import Corpus, Document

_CONVERTED, _FINEWEB = "refs/convert/parquet", "HuggingFaceFW/fineweb"
#: What `datasets.load_dataset` is asked for.
SETS = {
    # The Hub's own copy: the set itself is a program, which is no longer run.
    "tiny_shakespeare": {"path": "karpathy/tiny_shakespeare", "revision": _CONVERTED},
    "tinystories": {"path": "roneneldan/TinyStories"},
    "wikitext-2": {"path": "Salesforce/wikitext", "name": "wikitext-2-raw-v1"},
    "wikitext-103": {"path": "Salesforce/wikitext", "name": "wikitext-103-raw-v1"},
    # Too large to be fetched whole.
    "fineweb": {"path": _FINEWEB, "name": "sample-10BT", "streaming": True},
}
# " = Title = " opens an article of WikiText, " = = Section = = " only a part of one.
_TITLE = re.compile(r" = (?!= )(\S.*?)(?<! =) = \n?")


def download(name: str, split: str = "train", max_documents: int = 10_000) -> Corpus:
    """Fetch the first documents of a well-known training set, as a `Corpus`.

    `name` is "tiny_shakespeare" (one document), "tinystories", "wikitext-2",
    "wikitext-103" (an article is a document) or "fineweb". Sets are kept in the cache
    of the Hugging Face Hub and need a network once; of FineWeb's sample, which is 10
    billion tokens, only what is asked for is read, each time anew. Needs the extra
    `online`. The sets are cut up by their makers: ask for a `split` by its name.

    Raises: ValueError for a set, a split or a number that does not exist, ImportError
    without the extra, ConnectionError without a network.

    >>> download("tinystories").documents[0].text[:9]  # doctest: +SKIP
    'One day, '
    """
    if name not in SETS:
        known = ", ".join(map(repr, SETS))
        raise ValueError(f"no training set {name!r}; known are {known}")
    if max_documents < 1:
        raise ValueError(f"max_documents={max_documents}: ask for at least one")
    try:
        from datasets import load_dataset
    except ImportError:
        raise missing_extra("downloads need", "online") from None
    try:
        rows = (row["text"] for row in load_dataset(**SETS[name], split=split))
        found = _articles(rows) if name.startswith("wikitext") else _numbered(rows)
        first = list(islice(found, max_documents))
    except (ConnectionError, TimeoutError):
        raise ConnectionError(
            f"cannot download {name!r}: no network; connect and try again, or use"
            " corpora.python_docs(), which needs none"
        ) from None
    return Corpus([Document(name, f"{split}.{title}", text) for title, text in first])


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
