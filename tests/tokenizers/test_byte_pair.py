import json
import os
import random
import time
from pydoc_data.topics import topics

import numpy as np
import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracles import END, as_tiktoken, merges_of, train_tokenizers

from gptcourse.tokenizers import byte_pair as module
from gptcourse.tokenizers.base import StreamDecoder
from gptcourse.tokenizers.byte_pair import GPT2_PATTERN, BytePairTokenizer
from gptcourse.tokenizers.characters import ByteTokenizer, CharacterTokenizer

FUZZ = settings(deadline=None, max_examples=150)
TEXT = "\n\n\n".join(topics.values())
SPECIAL = (END, "<|end|>", "<|end|>s")
DIGITS_APART = r" ?\p{L}+|\d|[^\p{L}\d]+?"
STRINGS = st.one_of(
    st.text(),
    st.text(alphabet="ab -=\n'stré中"),
    st.lists(st.sampled_from(["the", " ", "\n", "é", *SPECIAL])).map("".join),
)


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer.train([TEXT], 1024, special=SPECIAL)


@pytest.fixture(scope="module")
def peer(tokenizer):
    return as_tiktoken(tokenizer)


def fresh(tokenizer):
    return BytePairTokenizer(tokenizer.merges, tokenizer.special, tokenizer.pattern)


# Training


@pytest.mark.parametrize("n_vocab", [512, 1024, 4096, 8192])
def test_merges_equal_those_of_tokenizers(n_vocab):
    ours = BytePairTokenizer.train([TEXT], n_vocab)
    assert list(ours.merges) == merges_of(train_tokenizers(TEXT, n_vocab))
    assert ours.n_vocab == n_vocab


@settings(deadline=None, max_examples=80)
@given(st.text(alphabet="ab -=", max_size=200), st.integers(257, 300))
@example("aaaaa aaaa aaa " * 9, 280)
def test_merges_of_runs_and_ties_equal_those_of_tokenizers(text, n_vocab):
    ours = BytePairTokenizer.train([text], n_vocab)
    assert list(ours.merges) == merges_of(train_tokenizers(text, n_vocab))


def test_ids_are_bytes_in_gpt2s_order_then_merges_then_special_tokens(tokenizer):
    # GPT-2's encoder.json begins with ! " # and numbers the byte 0 as 188.
    assert [tokenizer.decode([i]) for i in (0, 1, 2, 93)] == ["!", '"', "#", "~"]
    assert tokenizer.decode_bytes([188]) == b"\0"
    left, right = tokenizer.merges[0]
    assert tokenizer.decode_bytes([256]) == left + right
    assert tokenizer.special == dict(zip(SPECIAL, (1021, 1022, 1023), strict=True))


def test_one_string_is_one_text():
    assert BytePairTokenizer.train("ab ab", 258).merges == ((b"a", b"b"),)


def test_no_merge_joins_two_texts():
    assert BytePairTokenizer.train(["a", "b"], 300).merges == ()


def test_training_stops_early_when_the_text_gives_no_more_merges():
    assert BytePairTokenizer.train(["ab"], 5000).n_vocab == 258


@pytest.mark.parametrize("texts", [[], [""], ""])
def test_no_text_gives_the_bytes_and_the_special_tokens(texts):
    tokenizer = BytePairTokenizer.train(texts, 1000)
    assert tokenizer.n_vocab == 257
    assert tokenizer.decode(tokenizer.encode("é")) == "é"


def test_a_vocabulary_too_small_for_the_bytes_is_refused():
    with pytest.raises(ValueError, match="n_vocab is 256: .* need at least 257"):
        BytePairTokenizer.train(["text"], 256)
    assert BytePairTokenizer.train(["text"], 256, special=()).n_vocab == 256


def test_special_tokens_in_the_training_text_are_plain_text():
    tokenizer = BytePairTokenizer.train([END * 50], 300)
    assert b"endoftext" in tokenizer.vocabulary


def test_bytes_instead_of_text_are_refused():
    with pytest.raises(TypeError, match="text is a bytes, not a string"):
        BytePairTokenizer.train([b"text"], 300)


# Encoding


@FUZZ
@given(text=STRINGS)
def test_encoding_equals_tiktoken(tokenizer, peer, text):
    assert fresh(tokenizer).encode(text) == peer.encode_ordinary(text)


@FUZZ
@given(text=STRINGS, allowed=st.sets(st.sampled_from(["<|end|>s", END])))
def test_encoding_with_special_tokens_equals_tiktoken(tokenizer, peer, text, allowed):
    expected = peer.encode(text, allowed_special=allowed, disallowed_special=())
    assert tokenizer.encode(text, allowed_special=allowed) == expected


def test_encoding_a_large_text_equals_tiktoken_and_the_plain_algorithm(tokenizer, peer):
    text = TEXT[:200_000] + " naïve 中文\u3000 x" * 3 + END
    assert len(text) > module._LARGE
    expected = peer.encode_ordinary(text)
    assert tokenizer.encode(text) == expected
    assert fresh(tokenizer)._encode_pieces(text) == expected


def test_special_tokens_in_a_large_text_equal_tiktokens(tokenizer, peer):
    text = f"{END}<|end|>s".join([TEXT[:100_000]] * 3)
    for allowed in (set(), {END}, set(SPECIAL)):
        expected = peer.encode(text, allowed_special=allowed, disallowed_special=())
        assert tokenizer.encode(text, allowed_special=allowed) == expected


def test_halves_of_characters_in_a_large_text_equal_tiktokens(tokenizer, peer):
    text = TEXT[:100_000] + " a\ud800b \ud83d\ude00 \udc80"
    assert tokenizer.encode(text) == peer.encode_ordinary(text)


def test_large_bytes_that_are_no_text_come_back(tokenizer):
    data = TEXT[:100_000].encode() + b" \xff \xc3 " + TEXT[:100_000].encode()
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


@pytest.mark.parametrize("ids_first", [0, 5])
def test_a_large_text_by_ids_in_another_order_equals_the_small_parts(
    tokenizer, ids_first
):
    # Backwards, a later merge has the smaller id, which tiktoken would join first.
    tokens = list(tokenizer.vocabulary)
    ids = {token: ids_first + i for i, token in enumerate(reversed(tokens))}
    other = BytePairTokenizer(tokenizer.merges, (), GPT2_PATTERN, ids)
    text = TEXT[:100_000]
    expected = [len(tokens) - 1 + ids_first - i for i in tokenizer.encode(text)]
    assert other.encode(text) == expected


@pytest.mark.parametrize("run", ["a", " ", "\n", "-=", "1", "中", "acgt"])
def test_a_million_characters_without_a_cut_are_encoded(tokenizer, run):
    text = "x " + run * (1_000_000 // len(run)) + " y"
    start = time.process_time()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    # 1 to 3 s; in steps that grow with the square it would be hours.
    assert time.process_time() - start < 30


def test_training_on_one_line_of_letters_without_a_space_is_quick():
    text = "".join(random.Random(0).choices("ACGT", k=300_000))
    start = time.process_time()
    tokenizer = BytePairTokenizer.train([text], 1000)
    assert tokenizer.n_vocab == 1000
    # Half a second; when each occurrence read the whole line it took a minute.
    assert time.process_time() - start < 10


def test_merges_of_one_line_without_a_space_equal_those_of_tokenizers():
    text = "".join(random.Random(1).choices("ACGT", k=10_000))
    ours = BytePairTokenizer.train([text], 500)
    assert list(ours.merges) == merges_of(train_tokenizers(text, 500))


def test_merges_of_many_small_texts_equal_those_of_tokenizers():
    texts = TEXT[:200_000].splitlines(keepends=True)
    ours = BytePairTokenizer.train(texts, 1024)
    assert list(ours.merges) == merges_of(train_tokenizers(texts, 1024))
    assert BytePairTokenizer.train(iter(texts), 1024).merges == ours.merges


def test_encoding_equals_tokenizers():
    theirs = train_tokenizers(TEXT[:100_000], 700)
    ours = BytePairTokenizer(merges_of(theirs))
    text = TEXT[:20_000] + "-----=-=-=" * 9 + "\n   \n naïve 中文😀"
    # Theirs numbers its special token first.
    assert ours.encode(text) == [i - 1 for i in theirs.encode(text).ids]


def test_lone_surrogates_are_read_as_by_tiktoken(tokenizer, peer):
    for text in ("a\ud800b", "\ud83d\ude00", "\udc80"):
        assert tokenizer.encode(text) == peer.encode_ordinary(text)


@FUZZ
@given(text=STRINGS)
def test_any_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode(text, allowed_special="all")) == text


@FUZZ
@given(data=st.one_of(st.binary(), st.text().map(str.encode)))
def test_any_bytes_come_back(tokenizer, data):
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


@FUZZ
@given(text=STRINGS)
def test_the_utf8_of_a_text_is_encoded_like_the_text(tokenizer, text):
    assert tokenizer.encode_bytes(text.encode()) == tokenizer.encode(text)


def test_bytes_met_before_do_not_change_text_met_later(tokenizer, peer):
    one = fresh(tokenizer)
    one.encode_bytes(b"\x80")
    assert one.encode("\udc80") == peer.encode_ordinary("\udc80")


def test_special_tokens_in_text_are_plain_unless_allowed(tokenizer):
    end = tokenizer.special[END]
    assert end not in tokenizer.encode(f"a{END}b")
    assert tokenizer.encode(f"{END}a{END}", allowed_special=[END])[0] == end
    assert tokenizer.encode(END, allowed_special=END) == [end]
    assert tokenizer.encode(END, allowed_special="all") == [end]


def test_the_longer_of_two_special_tokens_is_taken(tokenizer):
    ids = tokenizer.encode("<|end|>s<|end|>", allowed_special="all")
    assert ids == [tokenizer.special["<|end|>s"], tokenizer.special["<|end|>"]]


def test_documents_stand_in_a_row_each_closed_by_the_end_of_text(tokenizer, peer):
    texts = ["one two", "", "three " * 3000]
    joined = "".join(text + END for text in texts)
    expected = peer.encode(joined, allowed_special={END})
    assert tokenizer.encode_documents(texts) == expected


def test_an_end_of_text_written_inside_a_document_closes_nothing(tokenizer):
    ids = tokenizer.encode_documents([f"a{END}b"])
    assert ids.count(tokenizer.special[END]) == 1
    assert tokenizer.decode(ids) == f"a{END}b{END}"


def test_documents_without_an_end_of_text_token_are_refused():
    with pytest.raises(ValueError, match=r"^no <\|endoftext\|> among the special"):
        BytePairTokenizer.train([TEXT], 300, special=()).encode_documents(["a"])


def test_an_unknown_special_token_is_refused(tokenizer):
    with pytest.raises(ValueError, match="allowed_special names '<pad>', but the"):
        tokenizer.encode("a", allowed_special=["<pad>"])


def test_empty_text_gives_no_ids(tokenizer):
    assert tokenizer.encode("") == tokenizer.encode("", "all") == []
    assert tokenizer.encode_bytes(b"") == []
    assert tokenizer.decode([]) == ""


def test_the_cache_stays_small_and_changes_no_ids(tokenizer, peer, monkeypatch):
    monkeypatch.setattr(module, "_CACHED_PIECES", 50)
    one = fresh(tokenizer)
    text = TEXT[:50_000] + "x" * 5000
    assert one.encode(text) == peer.encode_ordinary(text)
    assert 0 < len(one._cache) <= 50
    assert max(map(len, one._cache)) <= module._CACHED_LENGTH


# Decoding


def test_torn_characters_are_decoded_to_the_replacement_character(tokenizer):
    ids = tokenizer.encode_bytes("é".encode()[:1])
    assert tokenizer.decode(ids) == "\ufffd"


@pytest.mark.parametrize("bad", [-1, 1024, 10**20])
def test_an_id_outside_the_vocabulary_is_named_with_its_place(tokenizer, bad):
    message = f"id {bad} at position 1 is outside the vocabulary of 1024"
    with pytest.raises(ValueError, match=message):
        tokenizer.decode([5, bad])


def test_arrays_and_tensors_are_decoded(tokenizer):
    torch = pytest.importorskip("torch")
    ids = tokenizer.encode("of one axis")
    for form in (np.array(ids), torch.tensor(ids), list(torch.tensor(ids)), iter(ids)):
        assert tokenizer.decode(form) == "of one axis"


@pytest.mark.parametrize("ids", [np.zeros((2, 2), int), ["a"], [1.0], [None]])
def test_ids_that_are_no_whole_numbers_are_refused(tokenizer, ids):
    with pytest.raises(TypeError, match="give whole numbers in one axis"):
        tokenizer.decode(ids)


@FUZZ
@given(text=st.text(), cut=st.integers(0, 9))
def test_a_stream_gives_the_same_text_without_half_characters(tokenizer, text, cut):
    for one in (tokenizer, ByteTokenizer(), CharacterTokenizer.train([text])):
        ids = one.encode(text)
        stream = StreamDecoder(one)
        parts = [stream.feed(i) for i in ids]
        assert "".join(parts) == text
        assert stream.finish() == ""
        torn = ids[: len(ids) - cut]
        parts = [stream.feed(i) for i in torn]
        assert "".join(parts) + stream.finish() == one.decode(torn)


# What a tokenizer is made of


@pytest.mark.parametrize(
    ("special", "message"),
    [
        (["<|a|>", "<|a|>"], "name one twice"),
        ([""], "special token with id 257 is empty"),
        (["ab"], "special token 'ab' collides with token 256"),
        (["!"], "special token '!' collides with token 0"),
        ({"<|a|>": 5}, "id 5 is for '<|a|>' and for b'&'"),
        ({"<|a|>": -1}, "has id -1"),
        ({"<|a|>": "7"}, "has id '7'"),
    ],
)
def test_a_special_token_that_collides_is_refused(special, message):
    with pytest.raises(ValueError) as error:
        BytePairTokenizer([(b"a", b"b")], special)
    assert message in str(error.value)


def test_a_string_for_the_special_tokens_is_refused():
    with pytest.raises(TypeError, match="give a list of names"):
        BytePairTokenizer([], special="<|a|>")


def test_merges_that_no_training_makes_are_refused():
    # b c, a b, ab c: "abc" is a bc by pairs, and abc by the ranks of tokens.
    merges = [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c")]
    with pytest.raises(ValueError, match="b'abc' otherwise than"):
        BytePairTokenizer(merges)


# Files


def check_same_after_loading(tokenizer, path):
    """All that a tokenizer derives from its data must be there again."""
    tokenizer.save(path)
    again = BytePairTokenizer.load(path)
    text = f"In 2024, {END}it's 1234 naïve\n\n  dogs{SPECIAL[2]}"
    assert again.encode(text) == tokenizer.encode(text)
    assert again.encode(text, "all") == tokenizer.encode(text, "all")
    for name in ("merges", "vocabulary", "special", "pattern", "n_vocab"):
        assert getattr(again, name) == getattr(tokenizer, name), name


def test_a_loaded_tokenizer_is_the_saved_one(tokenizer, tmp_path):
    check_same_after_loading(tokenizer, tmp_path / "t.json")


def test_a_loaded_tokenizer_keeps_another_pattern(tmp_path):
    tokenizer = BytePairTokenizer.train([TEXT], 600, pattern=DIGITS_APART)
    check_same_after_loading(tokenizer, tmp_path / "t.json")
    assert tokenizer.decode(tokenizer.encode("1 22\n")) == "1 22\n"


def test_a_loaded_tokenizer_keeps_other_ids(tokenizer, tmp_path):
    ids = {token: i + 3 for token, i in tokenizer.vocabulary.items()}
    special = {name: i for i, name in enumerate(SPECIAL)}
    other = BytePairTokenizer(tokenizer.merges, special, GPT2_PATTERN, ids)
    check_same_after_loading(other, tmp_path / "t.json")
    text = TEXT[:100_000]
    assert other.encode(text) == [i + 3 for i in tokenizer.encode(text)]


def test_a_pattern_forgotten_on_loading_would_be_noticed(tmp_path, monkeypatch):
    load = module.load_fields

    def forget(*args, **types):
        return [GPT2_PATTERN, *load(*args, **types)[1:]]

    monkeypatch.setattr(module, "load_fields", forget)
    tokenizer = BytePairTokenizer.train([TEXT], 600, pattern=DIGITS_APART)
    with pytest.raises(AssertionError):
        check_same_after_loading(tokenizer, tmp_path / "t.json")


def test_an_interrupted_save_leaves_the_old_file(tokenizer, tmp_path, monkeypatch):
    path = tmp_path / "t.json"
    tokenizer.save(path)
    before = path.read_bytes()

    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        ByteTokenizer().save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t.json"]


def saved(tmp_path, **changes):
    path = tmp_path / "t.json"
    BytePairTokenizer.train(["ab ab"], 300).save(path)
    data = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps(data), "utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "tiktoken"}, "format is 'tiktoken', not 'gptcourse byte-pair"),
        ({"version": 99}, "version 99, but this package reads 1"),
        ({"merges": None}, "'merges' is missing or no list"),
        ({"merges": ["a b", "a b"]}, "merge 2 repeats merge 1"),
        ({"merges": ["a bc"]}, "merge 1 joins b'bc'"),
        ({"merges": ["a  b"]}, "'a  b' is no merge"),
        ({"merges": [7]}, "7 is no merge"),
        ({"merges": [["a", 7]]}, "['a', 7] is no merge"),
        ({"merges": ["a 中"]}, "holds '中', which stands for no byte"),
        ({"pattern": "("}, "pattern '(' cannot be read"),
        ({"special": {"ab": 999}}, "special token 'ab' collides"),
        ({"special": {"<|a|>": None}}, "has id None"),
        ({"ids": {"!": 0}}, "has no id"),
        ({"ids": {"é": "x"}}, "has no id"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_place(
    tmp_path, changes, message
):
    path = saved(tmp_path, **changes)
    with pytest.raises(ValueError) as error:
        BytePairTokenizer.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff{}", "byte 0 is no UTF-8"),
        (b'{"a": 1', "no JSON at line 1, column 8"),
        (b"[]", "holds a list, not a JSON object"),
        (b"", "no JSON at line 1, column 1"),
        (b'{"a":' + b"[" * 100_000, "its JSON is nested too deeply to read"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, content, message):
    path = tmp_path / "t.json"
    path.write_bytes(content)
    for kind in (BytePairTokenizer, ByteTokenizer, CharacterTokenizer):
        with pytest.raises(ValueError) as error:
            kind.load(path)
        assert message in str(error.value)


def test_ids_in_another_order_are_those_of_tiktoken(tokenizer):
    # Bytes by value, as some vocabularies have them, and a special token between.
    tokens = [bytes([i]) for i in range(256)] + list(tokenizer.vocabulary)[256:]
    ids = {token: i if i < 300 else i + 1 for i, token in enumerate(tokens)}
    peer = tiktoken.Encoding(
        "test",
        pat_str=GPT2_PATTERN,
        mergeable_ranks=dict(reversed(ids.items())),
        special_tokens={END: 300},
    )
    ours = BytePairTokenizer(tokenizer.merges, {END: 300}, ids=ids)
    text = TEXT[:30_000] + f"{END} naïve"
    assert ours.encode(text) == peer.encode_ordinary(text)
    assert ours.encode(text, "all") == peer.encode(text, allowed_special="all")
