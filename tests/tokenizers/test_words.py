import json
from collections import Counter
from pydoc_data.topics import topics

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import naive_merges
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from gptcourse.tokenizers.words import WordPairTokenizer

FUZZ = settings(deadline=None, max_examples=60)
TEXT = topics["assert"] + topics["strings"] + topics["lambda"]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPairTokenizer.train([TEXT], 400)


@pytest.fixture(scope="module")
def peer(tokenizer):
    vocabulary = {token: i for i, token in enumerate(tokenizer.tokens)}
    peer = Tokenizer(
        models.BPE(
            vocabulary,
            list(tokenizer.merges),
            unk_token="<unk>",
            end_of_word_suffix="</w>",
        )
    )
    peer.normalizer = normalizers.Lowercase()
    peer.pre_tokenizer = pre_tokenizers.Whitespace()
    return peer


def slow_merges(text, n_vocab):
    words = Counter(regex.findall(r"\w+|[^\w\s]+", text.lower()))
    spelled = {w: (*w[:-1], w[-1] + "</w>") for w in words}
    symbols = sorted({symbol for word in spelled.values() for symbol in word})
    number = {symbol: i + 1 for i, symbol in enumerate(symbols)}
    words = {tuple(number[s] for s in spelled[w]): n for w, n in words.items()}
    tokens, merges = ["<unk>", *symbols], []
    for a, b in naive_merges(words, len(tokens), n_vocab - len(tokens)):
        merges.append((tokens[a], tokens[b]))
        tokens.append(tokens[a] + tokens[b])
    return merges


def test_merges_equal_counting_all_pairs_anew():
    assert list(WordPairTokenizer.train([TEXT], 250).merges) == slow_merges(TEXT, 250)


def test_encoding_equals_tokenizers(tokenizer, peer):
    assert tokenizer.encode(TEXT) == peer.encode(TEXT).ids


@FUZZ
@given(text=st.text(alphabet="abdeTHinrst .(\n中é"))
def test_encoding_of_any_letters_equals_tokenizers(tokenizer, peer, text):
    assert tokenizer.encode(text) == peer.encode(text).ids


def test_what_is_lost_does_not_come_back(tokenizer):
    ids = tokenizer.encode("The  STRING\nof 中 words.")
    assert tokenizer.decode(ids) == "the string of <unk>words ."


def test_lower_case_words_with_one_space_come_back(tokenizer):
    words = "the string is a string"
    assert tokenizer.decode(tokenizer.encode(words)) == words
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""


def test_training_stops_early_when_the_text_gives_no_more_merges():
    assert WordPairTokenizer.train(["ab"], 99).tokens == [
        "<unk>",
        "a",
        "b</w>",
        "ab</w>",
    ]
    assert WordPairTokenizer.train([], 99).n_vocab == 1


def test_a_vocabulary_too_small_for_the_symbols_is_refused():
    with pytest.raises(ValueError, match="n_vocab is 2: 2 symbols .* at least 3"):
        WordPairTokenizer.train(["ab"], 2)


@pytest.mark.parametrize("bad", [-1, 400])
def test_an_id_outside_the_vocabulary_is_named_with_its_place(tokenizer, bad):
    with pytest.raises(ValueError, match=f"id {bad} at position 1 is outside"):
        tokenizer.decode([1, bad])


def test_a_loaded_tokenizer_is_the_saved_one(tokenizer, tmp_path):
    path = tmp_path / "t.json"
    tokenizer.save(path)
    again = WordPairTokenizer.load(path)
    assert again.tokens == tokenizer.tokens
    assert again.merges == tokenizer.merges
    assert again.encode(TEXT) == tokenizer.encode(TEXT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ["a", "a"]}, "token 'a' is made twice"),
        ({"symbols": [1]}, "token 1 is no string"),
        ({"symbols": [""]}, "token '' is no string of characters"),
        ({"merges": [["a", "b</w>"], ["a", "b</w>"]]}, "'ab</w>' is made twice"),
        ({"merges": [["a", "z"]]}, "merge 1 is ['a', 'z'], not two tokens known"),
        ({"merges": [["<unk>", "a"]]}, "merge 1 is ['<unk>', 'a'], not two"),
        ({"merges": [["a"]]}, "merge 1 is ['a'], not two tokens known"),
        ({"merges": [5]}, "merge 1 is 5, not two tokens known before it"),
        ({"merges": {}}, "'merges' is missing or no list"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(tmp_path, changes, message):
    path = tmp_path / "t.json"
    WordPairTokenizer.train(["ab"], 4).save(path)
    data = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(ValueError) as error:
        WordPairTokenizer.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
