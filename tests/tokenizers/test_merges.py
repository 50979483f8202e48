import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import naive_encoding, naive_merges

from gptcourse.tokenizers.byte_pair import BatchedMerges
from gptcourse.tokenizers.merges import (
    apply_merges,
    check_merges,
    find_merges,
    learn_merges,
    spell,
)
from gptcourse.tokenizers.vocabulary import number_merges

FEW = settings(deadline=None, max_examples=60)
# Few letters and long runs: pairs that overlap themselves, and many ties.
WORDS = st.dictionaries(
    st.text(alphabet="\0\1\2", min_size=1, max_size=12), st.integers(1, 4), max_size=8
)


def learnt_ranks(words):
    learnt = learn_merges(words, n_symbols=3, n_merges=40)
    return {pair: 3 + i for i, pair in enumerate(learnt)}


@FEW
@given(WORDS)
def test_learning_equals_counting_all_pairs_anew_for_each_merge(words):
    slow = {tuple(map(ord, word)): count for word, count in words.items()}
    assert learn_merges(words, 3, 40) == naive_merges(slow, 3, 40)


def test_ties_broken_the_other_way_would_be_noticed():
    words = {"\0\1": 1, "\1\2": 1}
    slow = {tuple(map(ord, word)): count for word, count in words.items()}
    assert learn_merges(words, 3, 1) == naive_merges(slow, 3, 1) == [(0, 1)]
    assert naive_merges(slow, 3, 1, tie=max) == [(1, 2)]


def test_learning_follows_sennrichs_example():
    # Sennrich et al. 2016, §3.2, with a point for the end of a word. By hand: e s is in
    # 9 words; then t . and es t tie with 9, and t . has the smaller symbols; l o has 7.
    words = {"low.": 5, "lower.": 2, "newest.": 6, "widest.": 3}
    letters = sorted(set("".join(words)))
    spelled = {"".join(chr(letters.index(c)) for c in w): n for w, n in words.items()}
    tokens = letters.copy()
    for left, right in learn_merges(spelled, len(letters), 4):
        tokens.append(tokens[left] + tokens[right])
    assert tokens[len(letters) :] == ["es", "t.", "est.", "lo"]


def test_learning_stops_when_no_pair_is_left():
    assert learn_merges({"\0\1": 1}, 2, 99) == [(0, 1)]
    assert learn_merges({}, 2, 99) == []


@FEW
@given(WORDS, st.text(alphabet="\0\1\2", min_size=1, max_size=20))
def test_applying_equals_each_merge_in_turn(words, text):
    ranks = learnt_ranks(words)
    symbols = list(map(ord, text))
    assert apply_merges(symbols, ranks) == naive_encoding(symbols, ranks)


@FEW
@given(WORDS, st.text(alphabet="\0\1\2", min_size=101, max_size=150))
def test_long_words_are_joined_like_short_ones(words, text):
    ranks = learnt_ranks(words)
    symbols = list(map(ord, text))
    assert apply_merges(symbols, ranks) == naive_encoding(symbols, ranks)


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
@given(BYTE_WORDS, st.lists(st.text(alphabet='!"#$', min_size=1, max_size=20)))
def test_many_words_at_once_are_joined_like_one(words, texts):
    # The signs ! " # are symbols 0, 1 and 2 in GPT-2's order of bytes.
    spelled = {"".join(map(chr, spell(w.encode()))): n for w, n in words.items()}
    learnt = learn_merges(spelled, 256, 40)
    ranks = {pair: 256 + i for i, pair in enumerate(learnt)}
    texts.append("!")
    ids = range(1000, 1300)
    expected = [
        tuple(ids[symbol] for symbol in naive_encoding(spell(text.encode()), ranks))
        for text in texts
    ]
    assert BatchedMerges(ranks, ids)(texts) == expected


@FEW
@given(BYTE_WORDS)
def test_merges_are_found_again_from_their_tokens(words):
    spelled = {"".join(map(chr, spell(w.encode()))): n for w, n in words.items()}
    learnt = learn_merges(spelled, 256, 40)
    tokens = [bytes([33]), bytes([34]), bytes([35]), *[b""] * 253]
    pairs = []
    for left, right in learnt:
        pairs.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    assert find_merges(tokens[256:]) == pairs
    assert check_merges(pairs) == pairs


def test_one_of_many_spellings_of_a_token_is_kept():
    pairs = [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c"), (b"a", b"bc")]
    assert check_merges(pairs) == [(b"b", b"c"), (b"a", b"b"), (b"a", b"bc")]


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


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(b"a", b"b"), (b"a", b"b")], "merge 2 makes b'ab', which an earlier"),
        ([(b"ab", b"c")], "merge 1 joins b'ab', which is no byte"),
    ],
)
def test_numbering_refuses_a_token_made_twice_or_of_nothing(pairs, message):
    with pytest.raises(ValueError, match=message):
        number_merges(pairs)
