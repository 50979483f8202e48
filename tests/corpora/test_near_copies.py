"""MinHash against exact Jaccard similarity."""

import random
import re
import time

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from scipy.sparse.csgraph import connected_components

from gptcourse.corpora.near_copies import (
    near_copy_groups,
    signature_groups,
    signatures,
)


def _runs(text):
    words = re.findall(r"\w+", text.lower())
    return set(zip(words, words[1:], words[2:], strict=False))


def _jaccard(one, other):
    """The exact similarity over runs of three words, from sets."""
    one, other = _runs(one), _runs(other)
    return len(one & other) / len(one | other)


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


def test_case_and_signs_do_not_count_but_the_order_of_words_does():
    rows = signatures(["The Cat, sat!", "the cat sat", "sat the cat", "cat the sat"])
    assert (rows[0] == rows[1]).all()
    assert not ((rows[1] == rows[2]) | (rows[1] == rows[3])).any()


def test_neither_many_words_nor_long_texts_agree_by_chance():
    words = [f"word{i}" for i in range(5000)]
    assert near_copy_groups(words) == list(range(5000))
    one, other = signatures(_texts(2, words=20_000))
    assert not (one == other).any()


# Bands, rows and the check.


def _found(signature, **options):
    return signature_groups(np.array(signature), **options)


@pytest.mark.parametrize(
    ("bands", "rows", "found"),
    [(1, 1, 0), (2, 1, 1), (1, 2, 0), (2, 2, 1), (4, 1, 1), (1, 4, 0)],
)
def test_candidates_agree_in_all_rows_of_a_band(bands, rows, found):
    groups = _found([[1, 2, 3, 4], [9, 2, 3, 4]], bands=bands, rows=rows)
    assert groups == [0, 1 - found]


def test_by_default_there_are_20_bands_of_6_rows():
    rows = np.ones((3, 120))
    rows[1, :114] = 2  # agrees with the first in the last band alone
    rows[2, :115] = 3
    assert _found(rows) == [0, 0, 2]


def test_a_text_between_two_alike_does_not_hide_them():
    # All three share the first value, and only the outer ones nine of ten.
    outer, inner = [0, *range(1, 10)], [0, *range(11, 20)]
    rows = [outer, inner, [*outer[:9], 99]]
    assert _found(rows, bands=1, rows=1, threshold=0.9) == [0, 1, 0]
    assert _found(rows, bands=1, rows=1, threshold=0.91) == [0, 1, 2]
    assert _found(rows, bands=1, rows=1) == [0, 0, 0]


def test_a_group_is_found_through_several_bands():
    rows = [[1, 2, 3], [9, 9, 4], [9, 2, 5], [8, 7, 3], [6, 6, 6]]
    assert _found(rows, bands=3, rows=1, threshold=0.3) == [0, 0, 0, 0, 4]


@pytest.mark.parametrize(("changes", "seed"), [(15, 0), (30, 1), (48, 2)])
def test_bands_find_as_many_pairs_as_the_formula_says_and_datasketch(changes, seed):
    # Ten hash tables: 1 - (1 - j)^10.
    texts = _texts(200, words=100)
    found, found_by_datasketch, expected = 0, 0, 0
    for i, text in enumerate(texts):
        other = _changed(text, changes)
        found += near_copy_groups([text, other], bands=10, rows=1) == [0, 0]
        lsh = MinHashLSH(num_perm=10, params=(10, 1))
        one, two = (MinHash(num_perm=10, seed=1000 * seed + i) for _ in range(2))
        for minhash, runs in ((one, _runs(text)), (two, _runs(other))):
            minhash.update_batch([" ".join(run).encode() for run in runs])
        lsh.insert("one", one)
        found_by_datasketch += lsh.query(two) == ["one"]
        expected += 1 - (1 - _jaccard(text, other)) ** 10
    spread = 4 * max(1, expected * (1 - expected / len(texts))) ** 0.5
    assert found == pytest.approx(expected, abs=spread)
    assert found_by_datasketch == pytest.approx(expected, abs=spread)


@pytest.mark.parametrize("changes", [5, 20, 60])
def test_the_estimate_is_as_good_as_datasketchs(changes):
    one = _texts(1, words=400)[0]
    other = _changed(one, changes)
    minhashes = [MinHash(num_perm=120), MinHash(num_perm=120)]
    for minhash, text in zip(minhashes, (one, other), strict=True):
        minhash.update_batch([" ".join(run).encode() for run in _runs(text)])
    exact, (a, b) = _jaccard(one, other), signatures([one, other])
    # Four standard errors for each.
    error = 4 * (exact * (1 - exact) / 120) ** 0.5
    assert np.mean(a == b) == pytest.approx(exact, abs=error)
    assert minhashes[0].jaccard(minhashes[1]) == pytest.approx(exact, abs=error)


@pytest.mark.parametrize(("bands", "rows"), [(10, 1), (40, 3)])
def test_checked_groups_are_those_of_the_exact_similarity(bands, rows):
    texts = _texts(60, words=80)
    texts += [_changed(text, 3) for text in texts[:30]]  # 0.8
    texts += [_changed(text, 15) for text in texts[30:60]]  # 0.3
    random.Random(1).shuffle(texts)
    exact = np.array([[_jaccard(a, b) for b in texts] for a in texts])
    assert not ((exact > 0.35) & (exact < 0.75)).any()
    number, labels = connected_components(exact >= 0.55)
    first = [list(labels).index(label) for label in labels]
    assert number == 90
    assert near_copy_groups(texts, bands, rows, threshold=0.55) == first


def test_thousands_of_equal_texts_take_no_time():
    rows = np.zeros((1500, 120), dtype=np.uint32)
    start = time.process_time()
    assert set(signature_groups(rows, 10, 1, threshold=0.5)) == {0}
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": 0}, "0 bands of 6 rows: give at least one of each"),
        ({"rows": 0}, "20 bands of 0 rows: give at least one of each"),
        ({"bands": 121, "rows": 1}, "121 bands .* no more than the 120 values"),
        ({"threshold": 50}, "threshold=50 is no share: give one from 0 to 1"),
        ({"threshold": -0.1}, "threshold=-0.1 is no share"),
        ({"threshold": float("nan")}, "threshold=nan is no share"),
    ],
)
def test_bands_that_do_not_fit_and_no_shares_are_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        near_copy_groups(["a", "b"], **options)
    assert "\n" not in str(error.value)


def test_all_the_values_can_be_bands():
    assert near_copy_groups(["a", "a"], bands=120, rows=1, threshold=1) == [0, 0]
