"""Contamination: the filter's answers against exact sets, the cuts against a mask."""

import warnings
from itertools import count, islice
from statistics import quantiles

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gptcourse.corpora.bloom import BloomFilter, normalise
from gptcourse.tasks.contamination import (
    dirty,
    gram_hashes,
    gram_length,
    grams,
    rare_grams,
    relative_change,
    remove_overlaps,
)

FEW = settings(max_examples=100, deadline=None)
LEAK = "of the people by the people for the people shall not perish from"

# Grams


def plain_words(text):
    """What stands between white space, by letters and digits alone."""
    kept = ["".join(filter(str.isalnum, token.lower())) for token in text.split()]
    return [word for word in kept if word]


@FEW
@given(st.text())
@example("It's  S_Y.M\tB!O/L – 1,000 İ\x1cΑΣ. \ud800")
def test_words_are_letters_and_digits_between_white_space(text):
    assert grams(text, 1) == plain_words(text)


def test_signs_inside_of_a_word_are_ignored_not_split_at():
    text = "s.u!c/c_e's s"
    assert grams(text, 1) == ["succes", "s"]
    assert normalise(text).split() == ["s", "u", "c", "c", "e", "s", "s"]


@FEW
@given(st.text(alphabet="aB .'", max_size=60), st.integers(1, 4))
def test_a_gram_is_n_words_in_a_row(text, n):
    words = plain_words(text)
    tuples = list(zip(*(words[i:] for i in range(n)), strict=False))
    assert [tuple(gram.split(" ")) for gram in grams(text, n)] == tuples


@FEW
@given(st.text(alphabet="aBé .'_", max_size=60), st.integers(1, 4))
def test_hashes_are_equal_where_the_grams_are(text, n):
    hashes, found = gram_hashes(text, n).tolist(), grams(text, n)
    assert len(hashes) == len(found)
    assert len(set(zip(hashes, found, strict=True))) == len(set(found))
    assert len(set(hashes)) == len(set(found))


@pytest.mark.parametrize("of", [grams, gram_hashes])
def test_a_gram_of_no_words_is_refused(of):
    with pytest.raises(ValueError, match="^n=0: a (gram|run) has at least one word$"):
        of("a b", 0)


def of_lengths(lengths):
    return [" - ".join(["it's"] * length) for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([1], 8),
        ([8], 8),
        ([9], 9),
        ([13], 13),
        ([99], 13),
        ([9] * 5 + [12] * 95, 9),  # at place 4.95 of 0 to 99
        ([9] * 5 + [12] * 96, 12),  # at place 5 of 0 to 100
        ([12, 9], 9),
    ],
)
def test_the_length_of_a_gram_by_hand(lengths, expected):
    assert gram_length(of_lengths(lengths)) == expected


@FEW
@given(st.lists(st.integers(5, 16), min_size=2, max_size=50))
def test_the_length_of_a_gram_is_the_5th_percentile_within_bounds(lengths):
    exact = quantiles(lengths, n=20, method="inclusive")[0]
    at_most = max(length for length in lengths if length <= exact + 1e-9)
    found = gram_length(of_lengths(lengths))
    assert found == min(13, max(8, at_most))
    if found > 8:
        assert sum(length < found for length in lengths) <= 0.05 * len(lengths)


def test_no_examples_have_no_length():
    with pytest.raises(ValueError, match="^no examples; the length of a gram"):
        gram_length([])


# Dirty and clean


def filled(texts, n, rate=1e-8):
    hashes = np.concatenate([gram_hashes(text, n) for text in texts])
    seen = BloomFilter(max(1, len(hashes)), rate)
    seen.add(hashes)
    return seen


def exact(examples, texts, n):
    held = {gram for text in texts for gram in grams(text, n)}
    return [not held.isdisjoint(grams(example, n)) for example in examples]


TEXTS = st.lists(st.text(alphabet="abC .", max_size=30), min_size=1, max_size=8)


@FEW
@given(TEXTS, TEXTS, st.integers(1, 3))
def test_dirty_examples_are_those_of_exact_sets(examples, texts, n):
    examples = [*examples, "d e f"]  # one at least is long enough
    expected = exact(examples, texts, n)
    assert dirty(examples, filled(texts, n), n).tolist() == expected


@FEW
@given(TEXTS, TEXTS, st.integers(1, 3))
def test_a_coarse_filter_finds_too_many_but_misses_none(examples, texts, n):
    examples = [*examples, "d e f"]
    found = dirty(examples, filled(texts, n, rate=0.5), n)
    assert (found >= exact(examples, texts, n)).all()


@pytest.mark.parametrize("rate", [0.1, 0.01])
def test_clean_examples_of_m_grams_are_called_dirty_about_m_times_the_rate(rate):
    train = [" ".join(f"w{i}" for i in range(2000))]
    asked = [f"a{i} b{i} c{i} d{i} e{i}" for i in range(2000)]  # 4 grams of 2 words
    found = dirty(asked, filled(train, 2, rate), n=2).mean()
    assert found == pytest.approx(1 - (1 - rate) ** 4, rel=0.2)
    assert not dirty(asked, filled(train, 2), n=2).any()


def test_an_example_of_fewer_words_counts_as_clean():
    found = dirty(["to be", "To be, or", "and so on"], filled(["to be or not"], 3), 3)
    assert found.dtype == bool
    assert found.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("examples", "start"),
    [([], "of 0 examples none"), (["a b", "c d."], "of 2 examples none")],
)
def test_examples_of_which_none_could_be_found_are_refused(examples, start):
    with pytest.raises(ValueError, match=f"^{start} has a gram of 3 words, .* n$"):
        dirty(examples, filled(["a b c"], 3), n=3)


# The change of a score


def test_the_change_by_hand():
    found = relative_change([1, 0, 1, 1, 1], [False, False, True, True, False])
    assert found[:2] == (5, 3)
    assert found[2:] == pytest.approx((4 / 5, 2 / 3, -1 / 6))


def test_scores_and_answers_may_be_tensors_and_arrays():
    found = relative_change(torch.tensor([0.5, 1.0]), np.array([True, False]))
    assert found == pytest.approx((2, 1, 0.75, 1.0, 1 / 3))


def test_nothing_changes_where_all_is_clean():
    assert relative_change([0.2, 0.4], [False] * 2).relative == 0


@pytest.mark.parametrize(
    ("scores", "is_dirty", "expected"),
    [
        ([1, 0], [True, True], (2, 0, 0.5, np.nan, np.nan)),
        ([0, 0], [True, False], (2, 1, 0.0, 0.0, np.nan)),
    ],
)
def test_a_change_that_does_not_exist_is_nan(scores, is_dirty, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = relative_change(scores, is_dirty)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("scores", "is_dirty"),
    [([], []), ([1], [True, False]), ([[1], [0]], [True, False])],
)
def test_scores_that_are_not_one_an_example_are_refused(scores, is_dirty):
    with pytest.raises(ValueError, match=r"^scores of shape .* one score for each ex"):
        relative_change(scores, is_dirty)


# The filter of the training text


def test_a_gram_of_over_10_documents_is_ignored():
    common, rare = f"{LEAK[3:]} us", f"{LEAK[3:]} here"
    often, seldom = f"And {LEAK[3:]}, us!", f"{rare} {rare}."  # twice in one is once
    documents = iter([often] * 11 + [seldom] * 10)
    assert rare_grams(documents, {LEAK, common, rare}) == {LEAK, rare}


def letters(n):
    """A text of n characters that is one word."""
    return "x" * n


def cut(*documents, test_grams=(LEAK,)):
    return list(remove_overlaps(documents, set(test_grams)))


def test_a_match_and_200_characters_on_both_sides_are_cut_out():
    before, after = "a" * 450, "b" * 399
    assert cut(f"{before} {LEAK} {after}") == [["a" * 251, "b" * 200]]
    shouted = LEAK.upper().replace(" ", " - ") + "!"  # the sign belongs to the word
    assert cut(f"{before}\n{shouted} {after}") == [["a" * 251, "b" * 200]]


@pytest.mark.parametrize("n", [199, 200])
def test_pieces_under_200_characters_are_dropped(n):
    text = f"{letters(n + 199)} {LEAK} {letters(500)}"
    assert cut(text) == [[letters(n), letters(301)][n < 200 :]]


def test_a_document_without_a_match_is_left_whole_however_short():
    documents = ["Short.", "", LEAK[:-1], LEAK[3:], f"of {LEAK[3:]}"]
    assert cut(*documents) == [["Short."], [""], [LEAK[:-1]], [LEAK[3:]], []]


def pieces_of(n, length):
    """A document that the cuts split into n pieces of a length."""
    return f" {LEAK} ".join([letters(length + 398)] * n)[199:-199]


@pytest.mark.parametrize("length", [1, 300])
def test_a_document_of_over_10_pieces_is_dropped_also_if_they_are_short(length):
    ten, eleven = (pieces_of(n, length) for n in (10, 11))
    assert cut(eleven) == [[]]
    assert cut(ten) == [[letters(300)] * 10 if length == 300 else []]


def masked(text, leaks):
    """What no cut reaches, one character at a time."""
    free = [True] * len(text)
    for leak in leaks:
        start = text.find(leak)
        while start >= 0:
            for i in range(start - 200, start + len(leak) + 200):
                if 0 <= i < len(text):
                    free[i] = False
            start = text.find(leak, start + 1)
    marked = "".join(c if keep else "\0" for c, keep in zip(text, free, strict=True))
    return [piece for piece in marked.split("\0") if piece]


LONG = f"{LEAK} the earth"  # three matches that overlap
PART = st.sampled_from([LEAK, LONG]) | st.integers(0, 900).map(letters)


@FEW
@given(st.lists(PART, max_size=30))
def test_what_is_left_is_what_a_mask_leaves(parts):
    text, leaks = " ".join(parts), grams(LONG, 13)
    pieces = masked(text, leaks)
    expected = [piece for piece in pieces if len(piece) >= 200]
    if pieces == [text] or not any(leak in text for leak in leaks):
        expected = [text]
    elif len(pieces) > 10:
        expected = []
    assert cut(text, test_grams=leaks) == [expected]


def test_documents_are_read_one_by_one():
    endless = (f"{letters(i)} {LEAK}" for i in count(398))
    found = list(islice(remove_overlaps(endless, {LEAK}), 3))
    assert found == [[], [letters(200)], [letters(201)]]


def test_without_grams_nothing_is_cut():
    assert cut(LEAK, test_grams=()) == [[LEAK]]
    assert rare_grams([LEAK], set()) == set()


@pytest.mark.parametrize("of", [rare_grams, remove_overlaps])
@pytest.mark.parametrize("gram", [LEAK[3:], f"so {LEAK}", ""])
def test_a_gram_of_another_length_is_refused_at_once(of, gram):
    with pytest.raises(ValueError, match=f"^'{gram}' is no gram of 13 words, .* 13"):
        of([], {gram})
