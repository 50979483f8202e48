"""WebText's recipe: links that people voted for, their text, filters, no copies.

Everything takes and gives plain iterators, so that a set larger than the memory flows
through. Nothing here fetches a page: bring pairs of link and HTML.
"""

import contextlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

from gptcourse.common import missing_extra
from gptcourse.corpora.corpus import Corpus, Document
from gptcourse.corpora.filters import ExactCopies, Filter, Tally, not_english, too_short

#: why a site is left out: test sets are made of Wikipedia; Reddit is where links come
#: from, and it has sites of its own for pictures and films
REFUSED = {"wikipedia.org": "Wikipedia"} | dict.fromkeys(
    "reddit.com redd.it redditmedia.com redditstatic.com reddituploads.com".split(),
    "no link out",
)


def domain_of(url: str) -> str:
    """Return the host that a link leads to, lower-case; "" for what is no web link.

    >>> domain_of("https://EN.wikipedia.org:443/wiki/Cat"), domain_of("mailto:a@b.org")
    ('en.wikipedia.org', '')
    """
    try:
        parts = urlsplit(url)
        web = parts.hostname if parts.scheme in ("http", "https") else None
        return (web or "").rstrip(".")
    except ValueError:  # for example a bracket that is never closed
        return ""


def refused_site(url: str) -> str | None:
    """Return the reason why a page's site is left out, or None.

    Source: GPT-2 §2.1 (Wikipedia).

    >>> refused_site("https://fr.wikipedia.org/wiki/Chat")
    'Wikipedia'
    >>> refused_site("https://notwikipedia.org/")
    """
    domain = domain_of(url)
    reason = None if domain else "no web link"
    while domain and reason is None:
        reason = REFUSED.get(domain)
        domain = domain.partition(".")[2]
    return reason


#: no page that people read is larger, or has more tags: what is would only hold the
#: pipeline up (at the limits the extraction takes up to three seconds)
MAX_CHARACTERS, MAX_TAGS, MAX_ATTRIBUTES = 2_000_000, 50_000, 5_000
_QUOTED, _BREAK = re.compile(r"\"[^\"]*\"|'[^']*'"), re.compile(r"[\s/]+")
_LOOKED_AT = 4096
_UTF16 = b"\xff\xfe", b"\xfe\xff"
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f]")
_REFERENCE = re.compile(r"&#(?:[xX][0-9a-fA-F]{1,30}|[0-9]{1,30});?")
# The start of a tag and a thousand attributes or more, cut as HTML cuts them. What
# looks so in a script or a comment ("a <b") must not take its end, "</" or "-->".
_NAME = r"=?(?:[^\s/>=<-]|<(?!/)|-(?!->))++"
_VALUE = r"""(?:"[^"]*+"|'[^']*+'|(?!["'])(?:[^\s><-]|<(?!/)|-(?!->))++)"""
_CROWDED_TAG = re.compile(
    rf"(<[a-zA-Z][^\s/>]*+)(?:[\s/]*+{_NAME}(?:\s*+=\s*+{_VALUE}?+)?+){{1000,}}+"
)
# Elements that can lie in one another, and say little of what they hold.
_NESTING_TAG = re.compile(
    r"</?(?:a|article|b|big|blockquote|center|code|div|dl|em|fieldset|font|form|i|ins"
    r"|label|ol|s|section|small|span|strike|strong|sub|sup|table|tt|u|ul)\b[^<>]*>",
    re.IGNORECASE,
)


def extract_text(html: str | bytes) -> str | None:
    """Return a page's text without menus, margins and markup; None if there is none.

    None for a page that is empty, binary, over `MAX_CHARACTERS` or `MAX_TAGS`, with a
    tag of over `MAX_ATTRIBUTES` that cannot be cut for certain, or without a passage
    that reads like text. Never an exception for what the page holds. The half of a
    surrogate pair becomes U+FFFD, and control characters are left out.

    Raises: ImportError in one line without the extra `online`.
    Source: GPT-2 §2.1, which used Dragnet and Newspaper; trafilatura came later.

    >>> story = "The cat sat on the mat, and nobody knew what it was waiting for. " * 5
    >>> extract_text(f"<body><nav>Home</nav><p>{story}</p></body>") == story.strip()
    True
    >>> extract_text(b"\\x89PNG\\r\\n\\x00") is None
    True
    """
    try:
        from trafilatura import extract
        from trafilatura.utils import decode_file
    except ImportError:
        raise missing_extra("reading web pages needs", "online") from None
    if not 0 < len(html) <= MAX_CHARACTERS or _is_binary(html[:_LOOKED_AT]):
        return None
    marked = isinstance(html, bytes) and html.startswith(_UTF16)
    page = html.decode("utf-16", "surrogatepass") if marked else decode_file(html)
    if len(page) > MAX_CHARACTERS or page.count("<") > MAX_TAGS:
        return None
    return extract(_parsable(page), include_comments=False) or None


def _has_endless_tag(page: str) -> bool:
    """Tell whether more attributes than a tag may have stand before some `>`."""
    tags = (part.partition("<")[2] for part in page.split(">"))
    long = (_QUOTED.sub("", tag) for tag in tags if len(tag) > MAX_ATTRIBUTES)
    return any(len(_BREAK.findall(tag)) > MAX_ATTRIBUTES for tag in long)


def _is_binary(start: str | bytes) -> bool:
    """Tell whether a page starts like no text: full of control signs, or no tag."""
    if isinstance(start, bytes):
        # In UTF-16 every other byte of English is a NUL; a byte-order mark tells.
        if start.startswith(_UTF16):
            return False
        start = start.decode("latin-1")
    return "<" not in start or len(_CONTROL.findall(start)) > len(start) / 100


def _parsable(page: str) -> str:
    """Take out what makes the parser lose the text, or take the square of the time."""
    page = page.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # References to what the parser, whose form is XML, cannot hold: `unescape` gives ""
    # for all of them but the form feed.
    page = _REFERENCE.sub(lambda r: r[0] if unescape(r[0]).strip("\f") else "", page)
    page = _CROWDED_TAG.sub(r"\1", page)
    if _has_endless_tag(page):
        return ""  # nothing of it is read
    return _NESTING_TAG.sub(" ", page) if _is_deep(page) else page


def _is_deep(page: str) -> bool:
    """Tell whether the parser gives up for the depth of the elements."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8")
    with contextlib.suppress(etree.ParseError):
        etree.fromstring(page.encode(), parser)
    return any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log)


MIN_KARMA = 3
_UNPOPULAR = f"under {MIN_KARMA} karma"
# Pushshift packs with a window of 2 GB; zstd refuses over 128 MB unless told.
_WINDOW = 1 << 31


def read_lines(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the lines of a file, plain or packed (`.zst`, needs the extra `online`).

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
        raise missing_extra("packed files need", "online") from None
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    lines = io.BufferedReader(unpacker.stream_reader(file, read_across_frames=True))
    try:
        yield from lines
    except zstandard.ZstdError as error:
        raise ValueError(f"{path} is damaged or no zstd file ({error})") from None


def outbound_links(lines: Iterable[bytes | str], tally: Tally) -> Iterator[str]:
    """Yield, once each, the links out of Reddit in submissions of enough karma.

    `tally` counts what is kept and what not: a line that is no submission as JSON is a
    "broken row", and the rest goes on. Links to Wikipedia are left out here, before
    anybody fetches them.

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
        url, reason = _submission(line)
        if reason is None and url in seen:
            reason = "link seen before"
        if tally.count(reason):
            seen.add(url)
            yield url


def _submission(line: bytes | str) -> tuple[str, str | None]:
    """Return a submission's link, and the reason to leave it out, or None."""
    with contextlib.suppress(ValueError, RecursionError):
        match json.loads(line):
            case {"url": str(url), "score": int(score)} if score < MIN_KARMA:
                return url, _UNPOPULAR
            case {"url": str(url), "score": int(), "is_self": is_self} if is_self:
                return url, "no link out"
            case {"url": str(url), "score": int()}:
                return url, refused_site(url)
    return "", "broken row"


def read_pages(
    pages: Iterable[tuple[str, str | bytes]], tally: Tally
) -> Iterator[Document]:
    """Turn fetched pages, pairs of link and HTML, into documents as WebText's.

    A document's source is its site and its name the link. Pages of Wikipedia and of
    Reddit, pages without text, short ones, ones in other languages and exact copies are
    dropped and counted in `tally`, each for the first of these reasons.

    Source: GPT-2 §2.1; the limits are ours.

    >>> page = f"<html><body><p>{'It is the cat that sat. ' * 20}</p></body></html>"
    >>> pages = [("https://a.org/cat", page), ("https://b.org/cat", page)]
    >>> tally = Tally()
    >>> [document.name for document in read_pages(pages, tally)]
    ['https://a.org/cat']
    >>> tally.rows()
    [('kept', 1), ('exact copy', 1)]
    """
    documents = _pages_with_text(pages, tally)
    return keep(documents, [too_short, not_english, ExactCopies()], tally)


def _pages_with_text(
    pages: Iterable[tuple[str, str | bytes]], tally: Tally
) -> Iterator[Document]:
    for url, html in pages:
        reason = refused_site(url)
        text = None if reason else extract_text(html)
        if text is None:
            tally.count(reason or "no text in the page")
        else:
            yield Document(domain_of(url), url, text)


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


def well_liked(votes: Mapping[str, int]) -> Filter:
    """Return a filter for documents with fewer than `MIN_KARMA` votes.

    Source: GPT-2 §2.1, at least 3 karma.

    >>> well_liked({"x": 2})(Document("a", "x", "Text."))
    'under 3 karma'
    """
    return lambda document: (
        None if votes.get(document.name, 0) >= MIN_KARMA else _UNPOPULAR
    )
