"""Contamination: test examples that stood in the training text, found by n-grams.

Built by hand in notebook 07.

A word here is what stands between white space, in lower case and without its signs:
"It's" is `its`, where the 8-grams of notebook 05 have two words, `it` and `s`. A gram
is n words, joined by spaces. Source: GPT-3, §4 and App. C.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from math import nan
from typing import NamedTuple

import numpy as np

from gptcourse.corpora.bloom import BloomFilter, ngram_hashes

LEAST_WORDS, MOST_WORDS = 8, 13
# The filter of the training text: words of a gram, characters, pieces, documents.
FILTER_WORDS = 13
MARGIN = 200
MIN_PIECE = 200
MAX_PIECES = 10
MAX_DOCUMENTS = 10
_SIGN = re.compile(r"[\W_]")


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each word, and the place in the text where it starts and ends."""
    for found in re.finditer(r"\S+", text):
        if word := _SIGN.sub("", found[0].lower()):
            yield word, *found.span()


def grams(text: str, n: int) -> list[str]:
    """Return the text's runs of n words, in order; none if it has fewer.

    Raises: ValueError for n below 1.

    >>> grams("It's s.u!c/c e - so!", n=2)
    ['its succ', 'succ e', 'e so']
    """
    if n < 1:
        raise ValueError(f"n={n}: a gram has at least one word")
    words = [word for word, _, _ in _words(text)]
    return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]


def gram_hashes(text: str, n: int) -> np.ndarray:
    """Return a hash for each of the text's grams, uint64, to put into a `BloomFilter`.

    Raises: ValueError for n below 1.

    >>> seen = BloomFilter(100)
    >>> seen.add(gram_hashes("It's so!", n=2))
    >>> seen.contains(gram_hashes("That is how its so.", n=2)).tolist()
    [False, False, False, True]
    """
    return ngram_hashes(" ".join(word for word, _, _ in _words(text)), n)


def gram_length(examples: Sequence[str]) -> int:
    """Return how many words a gram has for a task: 8 to 13.

    It is the 5th percentile of the examples' lengths in words: unless the lower bound
    applies, at most one example in twenty is too short to have a gram. GPT-3 takes 2
    for the word tasks and 7 for symbol insertion.

    Raises: ValueError for no examples.
    Source: GPT-3, App. C.

    >>> gram_length(["one two three four five six seven eight nine ten"])
    10
    """
    if not examples:
        raise ValueError("no examples; the length of a gram is taken from theirs")
    lengths = [len(grams(example, 1)) for example in examples]
    length = np.percentile(lengths, 5, method="lower")
    return int(length.clip(LEAST_WORDS, MOST_WORDS))


def dirty(examples: Sequence[str], seen: BloomFilter, n: int) -> np.ndarray:
    """Return of each example whether it shares a gram with the training text (n,).

    `seen` holds the training text's `gram_hashes` of the same n. An example of fewer
    than n words has no gram and counts as clean. One of m grams is called dirty by
    mistake with a probability of about m times the filter's false positive rate.

    Raises: ValueError for no examples, and for examples of which none has n words.
    Source: GPT-3, App. C, with exact sets instead of a filter.

    >>> seen = BloomFilter(100)
    >>> seen.add(gram_hashes("To be, or not to be: that is the question.", n=4))
    >>> dirty(["Not to be? That!", "Is that a question?", "To be!"], seen, n=4).tolist()
    [True, False, False]
    """
    hashes = [gram_hashes(example, n) for example in examples]
    if not any(map(len, hashes)):
        raise ValueError(
            f"of {len(hashes)} examples none has a gram of {n} words, so that nothing "
            "would be found; give longer ones, or take a smaller n"
        )
    return np.array([seen.contains(one).any() for one in hashes])


class Change(NamedTuple):
    """A task's mean score on all examples and on the clean ones, and their change."""

    n_all: int
    n_clean: int
    score_all: float
    score_clean: float
    relative: float


def relative_change(scores: Sequence[float], is_dirty: Sequence[bool]) -> Change:
    """Return the mean score of all examples, of the clean ones, and clean / all - 1.

    Below 0, the dirty examples have lifted the score. Without a clean example, or where
    all score 0, there is no change to speak of: nan.

    Raises: ValueError for no scores, and for more or fewer than there are examples.
    Source: GPT-3, T C.1.

    >>> relative_change([1, 0, 0, 1], [False, False, True, True])
    Change(n_all=4, n_clean=2, score_all=0.5, score_clean=0.5, relative=0.0)
    """
    scores, clean = np.asarray(scores, dtype=float), ~np.asarray(is_dirty, dtype=bool)
    if not len(scores) or scores.shape != clean.shape:
        raise ValueError(
            f"scores of shape {scores.shape} for examples of shape {clean.shape}; give "
            "one score for each example"
        )
    every = float(scores.mean())
    left = float(scores[clean].mean()) if clean.any() else nan
    relative = left / every - 1 if every else nan
    return Change(len(scores), int(clean.sum()), every, left, relative)


def rare_grams(documents: Iterable[str], test_grams: Set[str]) -> set[str]:
    """Return the test sets' 13-grams without those found in over 10 documents.

    What so many documents hold is a set phrase, and no leak.

    Raises: ValueError for a gram of another length.
    Source: GPT-3, App. C.

    >>> gram = "of the people by the people for the people shall not perish from"
    >>> rare_grams([gram] * 10, {gram}) == {gram}, rare_grams([gram] * 11, {gram})
    (True, set())
    """
    _check(test_grams)
    counts: Counter[str] = Counter()
    for text in documents:
        counts.update(test_grams & set(grams(text, FILTER_WORDS)))
    return {gram for gram in test_grams if counts[gram] <= MAX_DOCUMENTS}


def remove_overlaps(
    documents: Iterable[str], test_grams: Set[str]
) -> Iterator[list[str]]:
    """Yield what is left of each document: itself, its pieces, or an empty list.

    Each match with a test set's 13-gram is cut out, with 200 characters on both sides.
    Pieces of fewer than 200 characters are dropped; so is a document that the cuts
    split into more than 10 pieces, short ones counted. One without a match is left
    whole, however short.

    Raises: ValueError for a gram of another length.
    Source: GPT-3, App. C.

    >>> gram = "of the people by the people for the people shall not perish from"
    >>> cut = remove_overlaps(["Short.", "a" * 500 + f" {gram} the earth."], {gram})
    >>> [list(map(len, pieces)) for pieces in cut]
    [[6], [301]]
    """
    _check(test_grams)
    return (_cut(text, test_grams) for text in documents)


def _check(test_grams: Set[str]) -> None:
    for gram in test_grams:
        if gram.count(" ") != FILTER_WORDS - 1:
            raise ValueError(
                f"{gram!r} is no gram of {FILTER_WORDS} words, which the filter looks "
                f"for; take grams(text, {FILTER_WORDS})"
            )


def _cut(text: str, test_grams: Set[str]) -> list[str]:
    found = enumerate(grams(text, FILTER_WORDS))
    matches = [i for i, gram in found if gram in test_grams]
    if not matches:
        return [text]
    words, pieces, end = list(_words(text)), [], 0
    for i in matches:
        _, start, _ = words[i]
        pieces.append(text[end : max(end, start - MARGIN)])
        _, _, last = words[i + FILTER_WORDS - 1]
        end = last + MARGIN
    pieces = [piece for piece in (*pieces, text[end:]) if piece]
    if len(pieces) > MAX_PIECES:
        return []
    return [piece for piece in pieces if len(piece) >= MIN_PIECE]
