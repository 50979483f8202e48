"""Bloom filters of n-grams, against sets, the ledger's sizes and their own promise."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcourse.corpora.bloom import BloomFilter, ngram_hashes, normalise, overlap
from gptcourse.corpora.python_docs import help_topics

FEW = settings(max_examples=50, deadline=None)


def random_hashes(n, seed):
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.integers(0, 1 << 64, size=n, dtype=np.uint64)


def filled(n, rate, seed=0):
    seen = BloomFilter(n, rate)
    seen.add(random_hashes(n, seed))
    return seen


@pytest.mark.parametrize(
    ("rate", "bits_per_item", "n_hashes"),
    [(1e-2, 9.59, 7), (1e-3, 14.4, 10), (1e-6, 28.8, 20), (1e-8, 38.34, 27)],
)
def test_sizes_are_those_of_the_formula(rate, bits_per_item, n_hashes):
    seen = BloomFilter(1_000_000, rate)
    assert seen.n_bits / 1e6 == pytest.approx(bits_per_item, abs=0.05)
    assert seen.n_hashes == n_hashes


def test_a_million_8_grams_take_under_5_megabytes():
    assert BloomFilter(1_000_000, 1e-8).n_bytes == pytest.approx(4.8e6, rel=0.01)


@FEW
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50),
    st.sampled_from([0.5, 1e-2, 1e-8]),
)
def test_what_was_added_is_always_found(numbers, rate):
    seen = BloomFilter(len(numbers), rate)
    hashes = np.array(numbers, dtype=np.uint64)
    seen.add(hashes)
    assert seen.contains(hashes).all()


def test_an_empty_filter_finds_nothing():
    assert not BloomFilter(10).contains(random_hashes(100, 0)).any()


@pytest.mark.parametrize(("n", "rate"), [(1_000, 0.1), (1_000, 1e-2), (50_000, 1e-2)])
def test_false_positives_are_as_rare_as_promised(n, rate):
    found = filled(n, rate).contains(random_hashes(200_000, 1)).mean()
    # The filter's own fill varies as well as the sample.
    assert rate * 0.8 < found < rate * 1.25


@pytest.mark.parametrize("n", [100, 20_000])
def test_a_rate_of_1e_8_gives_no_hit_in_300_000_also_in_a_small_filter(n):
    assert not filled(n, 1e-8).contains(random_hashes(300_000, 1)).any()


class TwoHashes(BloomFilter):
    """A mutant: the usual short cut of two hashes, g_i = h1 + i·h2 mod m."""

    def _places(self, hashes, factors):
        i = (self._factors == np.atleast_2d(factors)).argmax(-1).astype(np.uint64)
        i = i.reshape(np.shape(factors))
        bits = np.uint64(self.n_bits)
        first, second = hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32)
        place = (first % bits + i * (second % bits)) % bits
        bit = np.left_shift(np.uint8(1), (place & np.uint64(7)).astype(np.uint8))
        return place >> np.uint64(3), bit


def test_two_hashes_miss_the_rate_of_1e_8_in_a_small_filter():
    seen = TwoHashes(100, 1e-8)
    seen.add(random_hashes(100, 0))
    assert seen.contains(random_hashes(300_000, 1)).any()


def test_adding_in_parts_or_twice_changes_nothing():
    hashes = random_hashes(1_000, 0)
    seen, whole = BloomFilter(1_000, 1e-3), filled(1_000, 1e-3)
    for part in (hashes[:10], hashes[:10], hashes[10:]):
        seen.add(part)
    asked = random_hashes(50_000, 1)
    assert np.array_equal(seen.contains(asked), whole.contains(asked))


@pytest.mark.parametrize(
    ("n_items", "rate", "message"),
    [
        (0, 0.1, r"BloomFilter\(0, 0.1\): give at least one item"),
        (10, 0.0, "a rate between 0 and 1"),
        (10, 1.0, "a rate between 0 and 1"),
        (10**9, 1e-8, r"need 3.83e\+10 bits, over 2\^32"),
    ],
)
def test_an_impossible_filter_is_refused(n_items, rate, message):
    with pytest.raises(ValueError, match=message):
        BloomFilter(n_items, rate)


# The n-grams.


def grams(text, n):
    """The runs as tuples of words: what the hashes stand for."""
    words = normalise(text).split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def test_normalising_leaves_lower_case_words_of_letters_and_digits():
    assert normalise("  Déjà-vu,\n_GPT-2_ (2019)! ") == "déjà vu gpt 2 2019"


@FEW
@given(st.text(), st.text())
def test_normalising_is_blind_to_case_signs_and_space(text, other):
    once = normalise(text)
    assert normalise(once) == once
    assert normalise(f"{text}\n, {other}") == f"{once} {normalise(other)}".strip()


@FEW
@given(st.text(alphabet="ab .", max_size=60), st.integers(1, 4))
def test_hashes_are_equal_where_the_runs_are(text, n):
    hashes, runs = ngram_hashes(text, n).tolist(), grams(text, n)
    assert len(hashes) == len(runs)
    assert len(set(hashes)) == len(set(runs))
    assert len(set(zip(hashes, runs, strict=True))) == len(set(runs))


def test_hashes_depend_on_the_order_of_words():
    first, second = ngram_hashes("a b a", n=2)
    assert first != second


def test_a_text_of_fewer_words_has_no_run():
    assert ngram_hashes("only seven words are in this text").shape == (0,)
    assert overlap("too short", BloomFilter(1)) == 0


def test_hashes_are_the_same_in_another_process():
    code = (
        "from gptcourse.corpora.bloom import ngram_hashes;"
        "print(ngram_hashes('a b c', 2))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(ngram_hashes("a b c", 2))


def test_a_lone_surrogate_does_no_harm():
    assert len(ngram_hashes("a \ud800 b\udfffc", n=1)) >= 2


def test_a_run_of_no_words_is_refused():
    with pytest.raises(ValueError, match="n=0: a run has at least one word"):
        ngram_hashes("a b", n=0)


# Overlap.


def test_overlap_by_hand():
    seen = BloomFilter(100)
    seen.add(ngram_hashes("One two three four. Five six seven eight nine!"))
    # Nine words: two runs of eight. Of the three runs asked for, the last is new.
    assert overlap("one two three four five six seven eight nine ten", seen) == 2 / 3


def test_overlap_of_real_text_equals_that_of_an_exact_set():
    topics = sorted(help_topics().values())
    train, test = topics[::2], topics[1::2]
    exact = {gram for text in train for gram in grams(text, 8)}
    seen = BloomFilter(len(exact), 1e-8)
    for text in train:
        seen.add(ngram_hashes(text))
    asked = [grams(text, 8) for text in test]
    shares = [sum(g in exact for g in runs) / max(1, len(runs)) for runs in asked]
    assert [overlap(text, seen) for text in test] == shares
    assert any(0 < share < 1 for share in shares)


@FEW
@given(st.integers(0, 50))
def test_a_planted_leak_is_found_wherever_it_stands(place):
    leak = "the quick brown fox jumps over the lazy dog"
    seen = BloomFilter(100)
    seen.add(ngram_hashes(leak))
    words = [f"word{i}" for i in range(50)]
    text = " ".join([*words[:place], leak, *words[place:]])
    assert overlap(text, seen) == 2 / (59 - 8 + 1)


def test_a_hundred_thousand_runs_are_added_and_asked_for_within_a_second():
    generator = np.random.Generator(np.random.PCG64(0))
    text = " ".join(map(str, generator.integers(0, 10_000, 100_007).tolist()))
    start = time.process_time()
    hashes = ngram_hashes(text)
    seen = BloomFilter(len(hashes))
    seen.add(hashes)
    assert seen.contains(hashes).all()
    assert time.process_time() - start < 1
