"""MinHash against exact Jaccard similarity."""

import random
import re

import numpy as np
import pytest

from gptcourse.corpora.near_copies import near_copy_groups, signatures


def _jaccard(one, other):
    """The exact similarity over runs of three words, from sets."""
    sets = []
    for text in (one, other):
        words = re.findall(r"\w+", text.lower())
        sets.append(set(zip(words, words[1:], words[2:], strict=False)))
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def _texts(n, words=60):
    choose = random.Random(0)
    return [
        " ".join(f"w{choose.randrange(5000)}" for _ in range(words)) for _ in range(n)
    ]


def _changed(text, n):
    words = text.split()
    for i in range(n):
        words[i * len(words) // max(n, 1)] = f"new{i}"
    return " ".join(words)


def test_equal_signature_values_estimate_the_jaccard_similarity():
    one = _texts(1, words=400)[0]
    for n in (0, 10, 30, 80):
        other = _changed(one, n)
        rows = signatures([one, other])
        estimate = float(np.mean(rows[0] == rows[1]))
        assert estimate == pytest.approx(_jaccard(one, other), abs=0.14)


def test_planted_near_copies_are_found_and_unrelated_texts_are_not():
    texts = _texts(100)
    copies = [_changed(text, 2) for text in texts]
    assert min(map(_jaccard, texts, copies)) > 0.75
    groups = near_copy_groups(texts + copies)
    assert len(set(groups[:100])) == 100
    assert np.mean(np.equal(groups[:100], groups[100:])) > 0.97


def test_a_copy_of_a_copy_belongs_to_the_group():
    first = _texts(1)[0]
    chain = [first]
    for i in range(6):
        words = chain[-1].split()
        words[i * 10] = f"new{i}"
        chain.append(" ".join(words))
    assert _jaccard(chain[0], chain[-1]) < 0.6
    assert set(near_copy_groups(chain)) == {0}


def test_texts_without_words_and_of_one_word_are_handled():
    assert near_copy_groups(["", "one", "...", "one!", "two"]) == [0, 1, 0, 1, 4]


def test_no_texts_give_no_groups():
    assert near_copy_groups([]) == []


def test_the_end_of_one_text_and_the_start_of_the_next_make_no_run():
    alone = signatures(["a b c", "d e f"])
    assert (signatures(["d e f"]) == alone[1]).all()
    assert (signatures(["x y z", "a b c"])[1] == alone[0]).all()
