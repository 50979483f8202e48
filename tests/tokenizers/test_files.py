import json
from base64 import b64encode
from pydoc_data.topics import topics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import END, as_tiktoken, train_tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from gptcourse.tokenizers.byte_pair import GPT2_PATTERN, BytePairTokenizer
from gptcourse.tokenizers.files import (
    load_huggingface,
    load_openai,
    load_tiktoken,
    save_huggingface,
)
from gptcourse.tokenizers.vocabulary import from_symbols, to_symbols

FUZZ = settings(deadline=None, max_examples=100)
TEXT = "\n\n\n".join(topics.values())[:150_000]
DIGITS_APART = r" ?\p{L}+|\d|[^\p{L}\d]+?"
STRINGS = st.one_of(st.text(), st.text(alphabet="ab -=\n'stré中019"))


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer.train([TEXT], 700)


@pytest.fixture(scope="module")
def other_pattern():
    return BytePairTokenizer.train([TEXT], 700, pattern=DIGITS_APART)


def same(one, other):
    names = ("merges", "vocabulary", "special", "pattern", "n_vocab")
    return all(getattr(one, name) == getattr(other, name) for name in names)


# The 256 printable bytes


@given(st.binary())
def test_printable_symbols_name_any_bytes(data):
    symbols = to_symbols(data)
    assert from_symbols(symbols) == data
    assert symbols.isprintable()


def test_printable_symbols_are_those_of_tokenizers():
    assert set(to_symbols(bytes(range(256)))) == set(
        pre_tokenizers.ByteLevel.alphabet()
    )


# Hugging Face


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tokenizer, other_pattern):
    pairs = []
    for ours in (tokenizer, other_pattern):
        path = tmp_path_factory.mktemp("export") / "tokenizer.json"
        save_huggingface(ours, path)
        pairs.append((ours, Tokenizer.from_file(str(path)), path))
    return pairs


@FUZZ
@given(text=STRINGS)
def test_tokenizers_encodes_an_exported_file_as_we_do(exported, text):
    for ours, theirs, _ in exported:
        ids = ours.encode(text)
        assert theirs.encode(text).ids == ids
        assert theirs.decode(ids) == text


def test_an_exported_file_has_the_special_tokens(exported):
    for ours, theirs, _ in exported:
        text = f"a{END}b"
        assert theirs.encode(text).ids == ours.encode(text, "all")
        assert theirs.get_vocab_size() == ours.n_vocab


def test_an_exported_file_comes_back(exported):
    for ours, _, path in exported:
        assert same(load_huggingface(path), ours)


def test_a_file_trained_by_tokenizers_is_read_with_its_ids(tmp_path):
    theirs = train_tokenizers(TEXT, 700)
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    ours = load_huggingface(path)
    assert ours.special == {END: 0}
    text = TEXT[:20_000] + f"-=-=---- naïve{END}中"
    assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids
    assert ours.n_vocab == theirs.get_vocab_size()


def test_a_file_with_merges_as_strings_is_read(tmp_path, exported):
    ours, _, path = exported[0]
    data = json.loads(path.read_text("utf-8"))
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(data), "utf-8")
    assert same(load_huggingface(path), ours)


def test_a_special_token_spelled_like_a_byte_is_not_exported(tmp_path):
    tokenizer = BytePairTokenizer([], special=["é"])
    with pytest.raises(ValueError, match="special token 'é' is how tokenizer.json"):
        save_huggingface(tokenizer, tmp_path / "tokenizer.json")


def changed(tokenizer, tmp_path, change):
    path = tmp_path / "tokenizer.json"
    save_huggingface(tokenizer, path)
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    return path


def set_normalizer(data):
    data["normalizer"] = {"type": normalizers.NFC.__name__}


def set_prefix_space(data):
    data["pre_tokenizer"]["add_prefix_space"] = True


def set_other_cut(data):
    data["pre_tokenizer"] = {"type": "Whitespace"}


def drop_cut(data):
    data["pre_tokenizer"] = None


def set_strip(data):
    data["added_tokens"][0]["lstrip"] = True


def set_nameless(data):
    del data["added_tokens"][0]["content"]


def set_words(data):
    data["model"]["type"] = "WordLevel"


def set_suffix(data):
    data["model"]["end_of_word_suffix"] = "</w>"


def drop_merge(data):
    del data["model"]["merges"][-1]


def drop_id(data):
    del data["model"]["vocab"]["!"]


def set_same_id(data):
    data["model"]["vocab"]["!"] = 1


def drop_vocabulary(data):
    del data["model"]["vocab"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_normalizer, "the normalizer changes text"),
        (set_prefix_space, "the pre-tokenizer is no byte-level cut by a pattern"),
        (set_other_cut, "the pre-tokenizer is no byte-level cut by a pattern"),
        (drop_cut, "the pre-tokenizer is no byte-level cut by a pattern"),
        (set_strip, "added token '<|endoftext|>' has lstrip"),
        (set_nameless, "has no content or no id"),
        (set_words, "model is 'WordLevel', not a BPE"),
        (set_suffix, "model has end_of_word_suffix '</w>'"),
        (drop_merge, "which no merge makes"),
        (drop_id, "token b'!' has no id"),
        (set_same_id, "id 1 is for b'\"' and for b'!'"),
        (drop_vocabulary, "'vocab' is missing or no dict"),
    ],
)
def test_a_file_that_we_would_encode_otherwise_is_refused(
    tokenizer, tmp_path, change, message
):
    path = changed(tokenizer, tmp_path, change)
    with pytest.raises(ValueError) as error:
        load_huggingface(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_merges_of_no_training_would_be_encoded_otherwise_by_others(tmp_path):
    # b c, a b, ab c: by pairs "abc" stays a bc; by ranks it becomes abc.
    pairs = [("b", "c"), ("a", "b"), ("ab", "c")]
    names = ["".join(pair) for pair in pairs]
    vocabulary = {to_symbols(bytes([i])): i for i in range(256)}
    vocabulary |= {name: 256 + i for i, name in enumerate(names)}
    theirs = Tokenizer(models.BPE(vocabulary, pairs))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert len(theirs.encode("abc").ids) == 2
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    with pytest.raises(ValueError, match="b'abc' otherwise than"):
        load_huggingface(path)


def test_a_pattern_cut_of_tokenizers_is_read(tmp_path):
    theirs = train_tokenizers(TEXT[:20_000], 400)
    split = pre_tokenizers.Split(Regex(DIGITS_APART), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    theirs.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    ours = load_huggingface(path)
    assert ours.pattern == DIGITS_APART
    assert ours.encode("abc 1234") == theirs.encode("abc 1234").ids


# OpenAI's encoder.json and vocab.bpe


def write_openai(tokenizer, folder, lines=None):
    vocabulary = {to_symbols(token): i for token, i in tokenizer.vocabulary.items()}
    encoder, merges = folder / "encoder.json", folder / "vocab.bpe"
    encoder.write_text(json.dumps(vocabulary | tokenizer.special), "utf-8")
    if lines is None:
        lines = [" ".join(map(to_symbols, pair)) for pair in tokenizer.merges]
    merges.write_text("\n".join(["#version: 0.2", *lines, ""]), "utf-8")
    return encoder, merges


def test_openais_files_are_read(tokenizer, tmp_path):
    assert same(load_openai(*write_openai(tokenizer, tmp_path)), tokenizer)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a b", "a b"], "vocab.bpe: merge 2 repeats merge 1"),
        (["a b", "ab"], "vocab.bpe: line 3: 'ab' is no merge"),
        (["a b", "ab c", "x 中"], "vocab.bpe: line 4: '中' holds '中'"),
        (["a b"], "encoder.json: id 257 is for b'abc', which no merge makes"),
        (["a b", "ab c", "b c"], "encoder.json: token b'bc' has no id"),
    ],
)
def test_openais_files_that_disagree_are_refused(tmp_path, lines, message):
    tokenizer = BytePairTokenizer([(b"a", b"b"), (b"ab", b"c")], [END])
    with pytest.raises(ValueError) as error:
        load_openai(*write_openai(tokenizer, tmp_path, lines))
    assert message in str(error.value)


def test_openais_files_without_the_special_token_are_refused(tmp_path):
    paths = write_openai(BytePairTokenizer([]), tmp_path)
    with pytest.raises(ValueError, match="special token '<|endoftext|>' has no id"):
        load_openai(*paths)
    assert load_openai(*paths, special=()).n_vocab == 256


def test_a_merges_file_that_is_no_utf8_is_refused(tmp_path):
    encoder, merges = write_openai(BytePairTokenizer([], [END]), tmp_path)
    merges.write_bytes(b"#version\n\xff")
    with pytest.raises(ValueError, match="vocab.bpe: byte 9 is no UTF-8"):
        load_openai(encoder, merges)


# tiktoken's rank files


def write_ranks(path, ranks):
    lines = [b64encode(token) + b" %d" % rank for token, rank in ranks]
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.mark.parametrize("pattern", [GPT2_PATTERN, DIGITS_APART])
def test_a_rank_file_gives_the_merges_back(tmp_path, pattern):
    ours = BytePairTokenizer.train([TEXT], 700, pattern=pattern)
    path = write_ranks(tmp_path / "ranks", ours.vocabulary.items())
    assert same(load_tiktoken(path, ours.special, pattern), ours)


def test_a_rank_file_in_another_order_is_encoded_as_by_tiktoken(tmp_path, tokenizer):
    # Bytes by value, as some vocabularies have them, and a special token between.
    tokens = [bytes([i]) for i in range(256)] + list(tokenizer.vocabulary)[256:]
    ranks = [(token, i if i < 300 else i + 1) for i, token in enumerate(tokens)]
    path = write_ranks(tmp_path / "ranks", reversed(ranks))
    ours = load_tiktoken(path, {END: 300})
    peer = as_tiktoken(ours)
    text = TEXT[:30_000] + f"{END} naïve"
    assert ours.encode(text) == peer.encode_ordinary(text)
    assert ours.encode(text, "all") == peer.encode(text, allowed_special="all")


BYTES = [(bytes([i]), i) for i in range(256)]


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ([*BYTES, (b"ab", 255)], "line 257 repeats rank 255"),
        ([*BYTES, (b"ab", 257)], "rank 256 is missing"),
        ([*BYTES, (b"a", 256)], "ranks 97 and 256 are both b'a'"),
        (BYTES[1:], "rank 0 is missing"),
        (BYTES[:-1], "token b'\\xff' has no id"),
        ([*BYTES, (b"abc", 256)], "merge 1 makes b'abc', but the merges before"),
        ([(b"", 0)], "line 1 is no token in base64, a space and a rank"),
        ([(b"a", -1)], "line 1 is no token in base64, a space and a rank"),
        ([], "token b'!' has no id"),
    ],
)
def test_a_wrong_rank_file_is_refused(tmp_path, ranks, message):
    path = write_ranks(tmp_path / "ranks", ranks)
    with pytest.raises(ValueError) as error:
        load_tiktoken(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("line", ["IQ==", "IQ== x", "?? 0", "IQ== 0 1"])
def test_a_line_that_is_no_rank_is_refused(tmp_path, line):
    path = tmp_path / "ranks"
    path.write_text(f"IQ== 0\n{line}", "utf-8")
    with pytest.raises(ValueError, match="line 2 is no token in base64, a space"):
        load_tiktoken(path)


def test_a_rank_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "ranks"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="byte 0 is no UTF-8"):
        load_tiktoken(path)
