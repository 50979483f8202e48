"""Four tasks on real text: the documentation, in the four kinds of GPT-1's figure 1.

Their texts are the prose of documentation pages, sentence by sentence, without the
names that would tell.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

from gptcourse.corpora.corpus import Corpus
from gptcourse.tasks.labelled import Example, Kind, LabelledSet

LIBRARIES = ("matplotlib", "numpy", "stdlib", "torch")
ENDINGS = ("first", "second", "third", "fourth")
#: The largest numbers of training, validation and test examples.
SIZES = (1024, 256, 512)
#: The share of the text that validation and test get together.
HELD_OUT = 0.4
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


def doc_tasks(
    corpus: Corpus, characters: int = 240, seed: int = 0
) -> dict[str, LabelledSet]:
    """Return four tasks on a corpus of documentation, by name.

    "library": which of four libraries a passage documents (classification).
    "summary": whether a page's first sentence belongs to a description (entailment).
    "page": whether two passages come from one page (similarity).
    "next": which of four sentences comes next (multiple choice).

    The wrong answers come from other pages of the same library, drawn in the same
    way as the right ones. Names of code and of libraries are masked, as `sentences`
    says. No page, and no near copy of one, stands in two of the sets. All labels are
    equally frequent; `SIZES` bounds the sets. A passage has at most `characters`
    characters, or one sentence.

    A model that is to be tested here may be pre-trained on the first part of
    `corpus.split(HELD_OUT, seed)`: no validation or test page stands in it.

    Raises: ValueError for a corpus with too few pages for one example a label.

    >>> from gptcourse.corpora.python_docs import python_docs
    >>> tasks = doc_tasks(python_docs())  # doctest: +SKIP
    >>> [task.kind for task in tasks.values()]  # doctest: +SKIP
    ['classification', 'entailment', 'similarity', 'multiple_choice']
    """
    if not any(d.source in LIBRARIES for d in corpus.documents):
        raise ValueError(f"the corpus has none of the sources {', '.join(LIBRARIES)}")
    train, held_out = corpus.split(HELD_OUT, seed)
    parts = pages([train, *held_out.split(2 / 3, seed)], seed)
    makers = {
        "library": (Kind.CLASSIFICATION, LIBRARIES, _libraries),
        "summary": (Kind.ENTAILMENT, ("does not belong", "belongs"), _summaries),
        "page": (Kind.SIMILARITY, ("two pages", "one page"), _same_page),
        "next": (Kind.MULTIPLE_CHOICE, ENDINGS, _next_sentence),
    }
    tasks = {}
    for name, (kind, labels, examples) in makers.items():
        sets = [
            _balanced(list(examples(part, characters)), len(labels), size)
            for part, size in zip(parts, SIZES, strict=True)
        ]
        if not all(sets):
            raise ValueError(f"too few pages for the task {name!r}: give more text")
        tasks[name] = LabelledSet(name, kind, labels, *sets)
    return tasks


class Page(NamedTuple):
    """The sentences of one document."""

    source: str
    sentences: tuple[str, ...]


def pages(parts: Sequence[Corpus], seed: int = 0) -> list[list[Page]]:
    """Return the pages of each part, in random order, each sentence where it is first.

    A sentence that stands on several pages (and boilerplate does) would tell nothing,
    or link pages that have nothing to do with one another.

    >>> from gptcourse.corpora.corpus import Document
    >>> text = "Nothing can be read from a closed file."
    >>> one, other = (Corpus([Document("numpy", name, text)]) for name in "xy")
    >>> list(map(len, pages([one, other])))
    [1, 0]
    """
    seen: set[str] = set()
    draw = random.Random(seed).random
    found = []
    for part in parts:
        some = []
        for document in part.documents:
            if document.source in LIBRARIES:
                prose = sentences(document.text, document.name)
                new = tuple(sentence for sentence in prose if sentence not in seen)
                seen.update(new)
                some += [Page(document.source, new)] if new else []
        some.sort(key=lambda _: draw())  # unlike shuffle, promised to stay the same
        found.append(some)
    return found


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
    prose = filter(_SENTENCE.fullmatch, found)
    return tuple(sentence for sentence in prose if len(sentence.split()) in _WORDS)


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


def _balanced(examples: list[Example], n_labels: int, size: int) -> tuple[Example, ...]:
    """Return at most `size` examples, all labels equally often, labels taking turns."""
    by_label = [[e for e in examples if e.label == n] for n in range(n_labels)]
    each = min(size // n_labels, *map(len, by_label))
    turns = zip(*(some[:each] for some in by_label), strict=True)
    return tuple(chain.from_iterable(turns))


def _libraries(part: list[Page], characters: int) -> Iterator[Example]:
    for page in part:
        text = passage(page.sentences, characters)
        yield Example((text,), LIBRARIES.index(page.source))


def _summaries(part: list[Page], characters: int) -> Iterator[Example]:
    """Pair what follows a page's first sentence with a first sentence."""
    for number, (page, other) in _with_others(part, 2, 1):
        belongs = number % 2
        first = (page if belongs else other).sentences[0]
        yield Example((passage(page.sentences[1:], characters), first), belongs)


def _same_page(part: list[Page], characters: int) -> Iterator[Example]:
    """Pair the first two sentences of a page with the two after them.

    Two each, and not half a page each: halves would tell by their lengths.
    """
    for number, (page, other) in _with_others(part, 4, 1):
        same = number % 2
        halves = page.sentences[:2], (page if same else other).sentences[2:4]
        yield Example(tuple(passage(half, characters) for half in halves), same)


def _next_sentence(part: list[Page], characters: int) -> Iterator[Example]:
    """Ask which sentence stands third; the wrong ones stand third elsewhere."""
    for number, (page, *others) in _with_others(part, 3, 3):
        label = number % len(ENDINGS)
        endings = [other.sentences[2] for other in others]
        endings.insert(label, page.sentences[2])
        yield Example((passage(page.sentences[:2], characters), *endings), label)


def _with_others(
    part: list[Page], n_sentences: int, n_others: int
) -> Iterator[tuple[int, tuple[Page, ...]]]:
    """Yield each page of enough sentences, then the next ones of the same library.

    With them comes the page's number in its library: labels that follow from it are
    equally frequent in each library. Libraries take turns.
    """
    long = [page for page in part if len(page.sentences) >= n_sentences]
    turns = []
    for library in LIBRARIES:
        same = [page for page in long if page.source == library]
        if len(same) > n_others:
            shifted = [same[n:] + same[:n] for n in range(n_others + 1)]
            turns.append(enumerate(zip(*shifted, strict=True)))
    yield from filter(None, chain.from_iterable(zip_longest(*turns)))
