"""The readable text of a web page, by trafilatura (extra `web`)."""

from collections.abc import Iterable, Iterator

from gptcourse.corpus import Document
from gptcourse.extras import missing_extra
from gptcourse.tally import Tally
from gptcourse.web_domains import domain_of

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
