import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import naive_encoding, naive_merges

from gptcourse.tokenizers.merges import (
    apply_merges,
    check_merges,
    find_merges,
    learn_merges,
    merges_of,
    spell,
)

FEW = settings(deadline=None, max_examples=60)
# Few letters and long runs: pairs that overlap themselves, and many ties.
SYMBOLS = st.integers(0, 2)
WORDS = st.dictionaries(
    st.lists(SYMBOLS, min_size=1, max_size=12).map(tuple), st.integers(1, 4), max_size=8
)


def learnt_ranks(words):
    learnt = learn_merges(words, n_symbols=3, n_merges=40)
    return {pair: 3 + i for i, pair in enumerate(learnt)}


@FEW
@given(WORDS)
def test_learning_equals_counting_all_pairs_anew_for_each_merge(words):
    assert learn_merges(words, 3, 40) == naive_merges(words, 3, 40)


def test_ties_broken_the_other_way_would_be_noticed():
    words = {(0, 1): 1, (1, 2): 1}
    assert learn_merges(words, 3, 1) == naive_merges(words, 3, 1) == [(0, 1)]
    assert naive_merges(words, 3, 1, tie=max) == [(1, 2)]


def test_learning_follows_sennrichs_example():
    # Sennrich et al. 2016, §3.2, with a point for the end of a word. By hand: e s is in
    # 9 words; then t . and es t tie with 9, and t . has the smaller symbols; l o has 7.
    words = {"low.": 5, "lower.": 2, "newest.": 6, "widest.": 3}
    letters = sorted(set("".join(words)))
    spelled = {tuple(map(letters.index, word)): n for word, n in words.items()}
    tokens = letters.copy()
    for left, right in learn_merges(spelled, len(letters), 4):
        tokens.append(tokens[left] + tokens[right])
    assert tokens[len(letters) :] == ["es", "t.", "est.", "lo"]


def test_learning_stops_when_no_pair_is_left():
    assert learn_merges({(0, 1): 1}, 2, 99) == [(0, 1)]
    assert learn_merges({}, 2, 99) == []


@FEW
@given(WORDS, st.lists(SYMBOLS, min_size=1, max_size=20))
def test_applying_equals_each_merge_in_turn(words, symbols):
    ranks = learnt_ranks(words)
    assert apply_merges(symbols, ranks) == naive_encoding(symbols, ranks)


@FEW
@given(WORDS, st.lists(SYMBOLS, min_size=101, max_size=150))
def test_long_words_are_joined_like_short_ones(words, symbols):
    ranks = learnt_ranks(words)
    assert apply_merges(symbols, ranks) == naive_encoding(symbols, ranks)


def seconds(function, *arguments):
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def growth(work):
    """How many times longer the work takes on four times as many symbols."""
    draw = random.Random(0)
    text = draw.choices(range(4), k=80_000)
    work(text[:1000])
    ratios = [seconds(work, text) / seconds(work, text[:20_000]) for _ in range(3)]
    return min(ratios)


def test_learning_from_one_long_word_takes_time_in_proportion_to_its_length():
    # 4 in theory; the square would be 16.
    assert growth(lambda text: learn_merges({tuple(text): 1}, 4, 500)) < 8
    assert growth(lambda text: learn_merges({(0,) * len(text): 1}, 4, 500)) < 8


def test_applying_to_one_long_word_takes_time_in_proportion_to_its_length():
    draw = random.Random(1)
    learnt = learn_merges({tuple(draw.choices(range(4), k=5000)): 1}, 4, 500)
    ranks = {pair: 4 + i for i, pair in enumerate(learnt)}
    assert growth(lambda text: apply_merges(text, ranks)) < 8


def test_learning_from_long_words_equals_counting_all_pairs_anew():
    draw = random.Random(2)
    words = {tuple(draw.choices(range(4), k=3000)): 2, (0,) * 999: 1}
    assert learn_merges(words, 4, 60) == naive_merges(words, 4, 60)


def test_a_word_of_a_hundred_thousand_symbols_takes_no_square_of_time():
    assert apply_merges([0] * 100_000, {(0, 0): 1, (1, 1): 2}) == [2] * 25_000


def test_applying_leaves_its_argument_alone():
    symbols = [0, 0]
    apply_merges(symbols, {(0, 0): 1})
    assert symbols == [0, 0]


BYTE_WORDS = st.dictionaries(
    st.text(alphabet='!"#', min_size=1, max_size=12), st.integers(1, 4), max_size=8
)


@FEW
@given(BYTE_WORDS)
def test_merges_are_found_again_from_their_tokens(words):
    # The signs ! " # are symbols 0, 1 and 2 in GPT-2's order of bytes.
    spelled = {tuple(spell(word.encode())): n for word, n in words.items()}
    learnt = learn_merges(spelled, 256, 40)
    tokens = [b"!", b'"', b"#", *[b""] * 253]
    pairs = []
    for left, right in learnt:
        pairs.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    ranks = {pair: 256 + i for i, pair in enumerate(learnt)}
    assert find_merges(tokens[256:]) == check_merges(pairs) == ranks
    assert merges_of(ranks) == pairs


def test_one_of_many_spellings_of_a_token_is_kept():
    pairs = [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c"), (b"a", b"bc")]
    kept = merges_of(check_merges(pairs))
    assert kept == [(b"b", b"c"), (b"a", b"b"), (b"a", b"bc")]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(b"a", b"b"), (b"a", b"b")], "merge 2 repeats merge 1, "),
        ([(b"a", b"b"), (b"xy", b"b")], "merge 2 joins b'xy', which is no byte"),
        ([(b"b", b"c"), (b"a", b"b"), (b"ab", b"c")], "b'abc' otherwise than"),
        ([(b"a", b"b"), (b"ab", b""), (b"c", b"ab")], "merge 2 joins b''"),
    ],
)
def test_impossible_merges_are_refused_with_their_number(pairs, message):
    with pytest.raises(ValueError, match="merge") as error:
        check_merges(pairs)
    assert message in str(error.value)


def test_a_token_that_earlier_ones_do_not_reach_is_refused():
    with pytest.raises(ValueError, match="merge 1 makes b'abc', but .* leave"):
        find_merges([b"abc"])
