"""WebText's recipe: links that people voted for, their text, filters, copies, overlap.

Everything takes and gives plain iterators, so that a set larger than the memory flows
through. Nothing here fetches a page: bring pairs of link and HTML.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from gptcourse.bloom import BloomFilter, ngram_hashes, normalise, overlap
from gptcourse.corpus import Corpus, Document
from gptcourse.page_text import extract_documents, extract_text
from gptcourse.submissions import MIN_KARMA, outbound_links, read_lines
from gptcourse.tally import Tally
from gptcourse.text_filters import (
    ExactCopies,
    Filter,
    not_english,
    too_short,
)
from gptcourse.web_domains import refused_site

__all__ = [
    "BloomFilter",
    "ExactCopies",
    "Filter",
    "Tally",
    "extract_documents",
    "extract_text",
    "karma",
    "keep",
    "ngram_hashes",
    "normalise",
    "not_english",
    "outbound_links",
    "overlap",
    "read_lines",
    "too_short",
    "well_liked",
    "webtext",
]


def webtext(
    pages: Iterable[tuple[str, str | bytes]],
    tally: Tally,
    blocked_domains: Collection[str] = (),
) -> Iterator[Document]:
    """Turn fetched pages, pairs of link and HTML, into documents as WebText's.

    Pages of blocked sites and of Wikipedia, pages without text, short ones, ones in
    other languages and exact copies are dropped and counted in `tally`, each for the
    first of these reasons.

    Source: GPT-2 §2.1; the limits are ours.

    >>> page = f"<html><body><p>{'It is the cat that sat. ' * 20}</p></body></html>"
    >>> pages = [("https://a.org/cat", page), ("https://b.org/cat", page)]
    >>> tally = Tally()
    >>> [document.name for document in webtext(pages, tally)]
    ['https://a.org/cat']
    >>> tally.rows()
    [('kept', 1), ('exact copy', 1)]
    """
    allowed = _from_allowed_sites(pages, tally, blocked_domains)
    documents = extract_documents(allowed, tally)
    return keep(documents, [too_short, not_english, ExactCopies()], tally)


def _from_allowed_sites(
    pages: Iterable[tuple[str, str | bytes]],
    tally: Tally,
    blocked_domains: Collection[str],
) -> Iterator[tuple[str, str | bytes]]:
    for url, html in pages:
        reason = refused_site(url, blocked_domains)
        if reason is None:
            yield url, html
        else:
            tally.drop(reason)


def keep(
    documents: Iterable[Document], filters: Iterable[Filter], tally: Tally
) -> Iterator[Document]:
    """Yield the documents that no filter gives a reason to drop; count all in `tally`.

    A document meets the filters in their order and is dropped at the first reason.

    >>> documents = [Document("a", "x", "Page not found.")]
    >>> tally = Tally()
    >>> list(keep(documents, [too_short, not_english], tally)), tally.rows()
    ([], [('kept', 0), ('too short', 1)])
    """
    filters = list(filters)
    for document in documents:
        reasons = (reason_against(document) for reason_against in filters)
        if tally.count(next(filter(None, reasons), None)):
            yield document


def karma(corpus: Corpus) -> dict[str, int]:
    """Return for every document's name how many other documents link to it.

    For text without readers' votes, such as Python's documentation: a link is a vote.

    >>> corpus = Corpus([Document("a", "x", "X.", ("y",)), Document("a", "y", "Y.")])
    >>> karma(corpus)
    {'x': 0, 'y': 1}
    """
    votes = {document.name: 0 for document in corpus.documents}
    for document in corpus.documents:
        for name in set(document.links) - {document.name}:
            if name in votes:
                votes[name] += 1
    return votes


def well_liked(votes: Mapping[str, int], min_karma: int = MIN_KARMA) -> Filter:
    """Return a filter for documents with fewer than `min_karma` votes.

    Source: GPT-2 §2.1, at least 3 karma.

    >>> well_liked({"x": 2})(Document("a", "x", "Text."))
    'under 3 karma'
    """

    def is_disliked(document: Document) -> str | None:
        few = votes.get(document.name, 0) < min_karma
        return f"under {min_karma} karma" if few else None

    return is_disliked
