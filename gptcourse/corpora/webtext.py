"""Which site a link leads to, and sites to leave out.

The readable text of a web page, by trafilatura (extra `web`).

Reddit's submissions, as Pushshift dumps them, and the links people voted for.

WebText's recipe: links that people voted for, their text, filters, copies, overlap.

Everything takes and gives plain iterators, so that a set larger than the memory flows
through. Nothing here fetches a page: bring pairs of link and HTML.
"""

import io
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gptcourse.common import missing_extra
from gptcourse.corpora.corpus import Corpus, Document
from gptcourse.corpora.filters import ExactCopies, Filter, Tally, not_english, too_short

#: left out because test sets are made of it (GPT-2 §2.1)
WIKIPEDIA = frozenset({"wikipedia.org"})


def domain_of(url: str) -> str:
    """Return the host that a link leads to, lower-case; "" for what is no web link.

    >>> domain_of("https://EN.wikipedia.org:443/wiki/Cat"), domain_of("mailto:a@b.org")
    ('en.wikipedia.org', '')
    """
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:  # for example a bracket that is never closed
        return ""


def in_domains(domain: str, listed: Collection[str]) -> bool:
    """Tell whether a host is one of the domains listed, or inside one.

    >>> in_domains("en.wikipedia.org", {"wikipedia.org"})
    True
    >>> in_domains("notwikipedia.org", {"wikipedia.org"})
    False
    """
    parts = domain.split(".")
    return any(".".join(parts[i:]) in listed for i in range(len(parts)))


def refused_site(url: str, blocked: Collection[str] = ()) -> str | None:
    """Return the reason why a page's site is left out, or None.

    `blocked` lists domains in lower case; sites inside them are left out too.

    Source: GPT-2 §2.1 (Wikipedia).

    >>> refused_site("https://fr.wikipedia.org/wiki/Chat")
    'Wikipedia'
    >>> refused_site("https://ads.a.org/x", blocked={"a.org"})
    'blocked domain'
    """
    domain = domain_of(url)
    if not domain:
        return "no web link"
    if in_domains(domain, WIKIPEDIA):
        return "Wikipedia"
    return "blocked domain" if in_domains(domain, blocked) else None


#: no page that people read is larger, or has more tags: what is would only hold the
#: pipeline up (at the limits the extraction takes up to three seconds)
MAX_CHARACTERS, MAX_TAGS = 2_000_000, 50_000
_LOOKED_AT = 4096


def extract_text(html: str | bytes) -> str | None:
    """Return a page's text without menus, margins and markup; None if there is none.

    None for a page that is empty, binary, over `MAX_CHARACTERS` or `MAX_TAGS`, or
    without a passage that reads like text. Never an exception for what the page holds.

    Raises: ImportError in one line without the extra `web`.
    Source: GPT-2 §2.1, which used Dragnet and Newspaper; trafilatura came later.

    >>> story = "The cat sat on the mat, and nobody knew what it was waiting for. " * 5
    >>> extract_text(f"<body><nav>Home</nav><p>{story}</p></body>") == story.strip()
    True
    >>> extract_text(b"\\x89PNG\\r\\n\\x00") is None
    True
    """
    extract = _trafilatura_extract()
    if not 0 < len(html) <= MAX_CHARACTERS or _is_binary(html[:_LOOKED_AT]):
        return None
    if html.count("<" if isinstance(html, str) else b"<") > MAX_TAGS:
        return None
    return extract(html, include_comments=False) or None


def extract_documents(
    pages: Iterable[tuple[str, str | bytes]], tally: Tally
) -> Iterator[Document]:
    """Turn fetched pages, pairs of link and HTML, into documents.

    A document's source is its site and its name the link. `tally` counts the pages
    without text; what is kept counts the step that comes last.

    >>> page = f"<html><body><p>{'It is a cat and not a dog. ' * 20}</p></body></html>"
    >>> next(extract_documents([("https://a.org/cat", page)], Tally())).source
    'a.org'
    """
    for url, html in pages:
        text = extract_text(html)
        if text is None:
            tally.drop("no text in the page")
        else:
            yield Document(domain_of(url), url, text)


def _trafilatura_extract():
    try:
        from trafilatura import extract
    except ImportError:
        raise missing_extra("reading web pages needs", "web") from None
    return extract


def _is_binary(start: str | bytes) -> bool:
    """Tell whether a page starts like no text: a NUL, or no tag at all."""
    if isinstance(start, str):
        return "\0" in start or "<" not in start
    # In UTF-16 every other byte of English is a NUL; a byte-order mark announces it.
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return b"\0" in start or b"<" not in start


MIN_KARMA = 3
#: Reddit itself, and where it keeps pictures and films
REDDIT = frozenset(
    {
        "reddit.com",
        "redd.it",
        "redditmedia.com",
        "redditstatic.com",
        "reddituploads.com",
    }
)
# Pushshift packs with a window of 2 GB; zstd refuses over 128 MB unless told.
_WINDOW = 1 << 31


def read_lines(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the lines of a file, plain or packed (`.zst`, needs the extra `web`).

    A packed file that is cut off gives the lines before the cut.

    Raises: FileNotFoundError; ImportError without the extra; ValueError in one line
    for a packed file that is damaged, after the lines before the damage.

    >>> next(read_lines("RS_2017-11.zst"))  # doctest: +SKIP
    b'{"score": 5, "url": "https://example.org/", ...}\\n'
    """
    with open(path, "rb") as file:
        if Path(path).suffix == ".zst":
            yield from _unpack(file, path)
        else:
            yield from file


def _unpack(file, path: str | os.PathLike) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise missing_extra("packed files need", "web") from None
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    lines = io.BufferedReader(unpacker.stream_reader(file, read_across_frames=True))
    try:
        yield from lines
    except zstandard.ZstdError as error:
        raise ValueError(f"{path} is damaged or no zstd file ({error})") from None


def outbound_links(
    lines: Iterable[bytes | str],
    tally: Tally,
    blocked_domains: Collection[str] = (),
    min_karma: int = MIN_KARMA,
) -> Iterator[str]:
    """Yield, once each, the links out of Reddit in submissions of enough karma.

    `tally` counts what is kept and what not: a line that is no submission as JSON is a
    "broken row", and the rest goes on. Links to Wikipedia and to blocked domains are
    left out here, before anybody fetches them.

    Source: GPT-2 §2.1.

    >>> tally = Tally()
    >>> rows = ['{"url": "https://a.org/x", "score": 3}', '{"url": "https://b.org"']
    >>> list(outbound_links(rows, tally)), tally.rows()
    (['https://a.org/x'], [('kept', 1), ('broken row', 1)])
    """
    seen = set()
    for line in lines:
        if not line.strip():
            continue
        submission = _read(line)
        reason = _reason_against(submission, min_karma, blocked_domains)
        if reason is None and submission["url"] in seen:
            reason = "link seen before"
        if tally.count(reason):
            seen.add(submission["url"])
            yield submission["url"]


def _read(line: bytes | str) -> dict | None:
    """Return a submission with the fields that count; None for a broken row."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match row:
        case {"url": str(), "score": int()}:
            return row
    return None


def _reason_against(
    submission: dict | None, min_karma: int, blocked_domains: Collection[str]
) -> str | None:
    if submission is None:
        return "broken row"
    if submission["score"] < min_karma:
        return f"under {min_karma} karma"
    url = submission["url"]
    if submission.get("is_self") or in_domains(domain_of(url), REDDIT):
        return "no link out"
    return refused_site(url, blocked_domains)


def read_pages(
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
    >>> [document.name for document in read_pages(pages, tally)]
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
