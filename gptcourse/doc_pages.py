"""The prose of documentation pages, sentence by sentence, without names that tell."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gptcourse.corpus import Document

#: What stands where a name stood.
MASK = "X"
_CODE = re.compile(
    r":[\w:.-]+:`[^`]*`|`+[^`]*`+|\*+\w[^*\n]*\*+"  # marked as code
    r"|\b\w+(?:\.\w+)+(?:\([^)]*\))?|\b\w+\([^)]*\)|\w*_\w*"  # a.b, f(x), snake_case
    r"|\b[A-Z]*[a-z]+[A-Z]\w*"  # CamelCase
)
_LIBRARIES = re.compile(
    r"\b(?:\w*(?:numpy|torch|matplotlib|pyplot|python|scipy)\w*|np|plt|mpl)\b",
    re.IGNORECASE,
)
_NO_PROSE = re.compile(r"^(?:\s|>>>|\.\.|[-*+=~#:@|\d])", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_SENTENCE = re.compile(r"[A-Z][A-Za-z]*[ ,'-][A-Za-z ,;:'\"()/-]*[.!?]")
_WORDS = range(6, 41)


@dataclass(frozen=True, slots=True)
class Page:
    """The sentences of one document."""

    source: str
    sentences: tuple[str, ...]


def without_names(text: str, name: str) -> str:
    """Return a text in which every name of code is masked, and that of its own page.

    What is masked: text marked as code, dotted names, calls, snake_case, CamelCase,
    the names of the libraries, and the last part of the page's `name`.

    >>> without_names("Sort with np.sort, as NumPy's `argsort` does.", "numpy.argsort")
    "Sort with X, as X's X does."
    >>> without_names("Fill the tensor with ones.", "torch.fill")
    'X the tensor with ones.'
    """
    own = re.escape(name.rpartition(".")[2])
    text = _LIBRARIES.sub(MASK, _CODE.sub(MASK, text))
    return re.sub(rf"\b{own}\b", MASK, text, flags=re.IGNORECASE)


def sentences(text: str, name: str) -> tuple[str, ...]:
    """Return the prose sentences of a page of that name, names masked.

    Lists, tables, code and headings are no prose, nor are sentences with digits or
    signs, or with fewer than 6 or more than 40 words.

    >>> sentences("Close the file.\\n\\nNothing can be read from it then.", "io.close")
    ('Nothing can be read from it then.',)
    """
    found = []
    for paragraph in text.split("\n\n"):
        if not _NO_PROSE.search(paragraph):
            plain = without_names(" ".join(paragraph.split()), name)
            found += _SENTENCE_END.split(plain)
    return tuple(
        sentence
        for sentence in found
        if _SENTENCE.fullmatch(sentence) and len(sentence.split()) in _WORDS
    )


def pages(documents: Iterable[Document]) -> list[tuple[Document, Page]]:
    """Return the documents that hold prose with it, each sentence where it is first.

    A sentence that stands on several pages (and boilerplate does) would tell nothing,
    or link pages that have nothing to do with one another.

    >>> text = "Nothing can be read from a closed file."
    >>> len(pages([Document("a", "x", text), Document("b", "y", text)]))
    1
    """
    seen: set[str] = set()
    found = []
    for document in documents:
        new = tuple(
            sentence
            for sentence in sentences(document.text, document.name)
            if sentence not in seen
        )
        seen.update(new)
        if new:
            found.append((document, Page(document.source, new)))
    return found


def passage(sentences: Iterable[str], characters: int) -> str:
    """Return the first sentence, and the next as long as `characters` hold them.

    >>> passage(["A first one.", "A second.", "A third one."], 25)
    'A first one. A second.'
    """
    first, *rest = sentences
    text = first
    for sentence in rest:
        if len(text) + 1 + len(sentence) > characters:
            break
        text = f"{text} {sentence}"
    return text
