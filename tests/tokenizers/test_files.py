import json
from pydoc_data.topics import topics

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import END, train_tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from gptcourse.tokenizers.byte_pair import BytePairTokenizer
from gptcourse.tokenizers.files import load_huggingface, save_huggingface
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


def set_numbers(data):
    data["added_tokens"] = [5]


def add_run_of_spaces(data):
    token = {"id": 700, "content": " " * 8, "special": False}
    data["added_tokens"].append(data["added_tokens"][0] | token)


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
        (set_numbers, "added token 5 has no content or no id"),
        (add_run_of_spaces, "'        ' is cut out of every text, unknown here"),
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


# Folders


@pytest.fixture
def folder(tokenizer, tmp_path):
    """A folder as GPT-2 was released: `vocab.json` and `merges.txt`."""
    return write_folder(tokenizer, tmp_path)


def write_folder(tokenizer, folder, lines=None):
    names = {to_symbols(token): i for token, i in tokenizer.vocabulary.items()}
    write(folder, "vocab.json", names | tokenizer.special)
    if lines is None:
        lines = [" ".join(map(to_symbols, pair)) for pair in tokenizer.merges]
    text = "\n".join(["#version: 0.2", *lines, ""])
    (folder / "merges.txt").write_text(text, "utf-8")
    write(folder, "config.json", {"model_type": "gpt2"})
    return folder


def write(folder, name, value):
    (folder / name).write_text(json.dumps(value), "utf-8")


def check_ids_of_transformers(folder):
    """Text with special tokens has the ids that transformers gives it, and back."""
    ours = load_huggingface(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    text = f"{TEXT[:2000]}<pad>          naïve 中{END}<cls>  <pad>\n\n x"
    ids = theirs(text)["input_ids"]
    assert ours.encode(text, allowed_special="all") == ids
    assert ours.decode(ids) == text
    assert ours.n_vocab == len(theirs)
    return ours


def test_a_folder_of_gpt2s_two_files_is_read(folder, tokenizer):
    assert same(check_ids_of_transformers(folder), tokenizer)


def test_blank_last_lines_of_the_merges_are_passed_over(folder, tokenizer):
    path = folder / "merges.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\n")
    assert same(load_huggingface(folder), tokenizer)


PAD = {"content": "<pad>", "special": True, "lstrip": False, "rstrip": False}


@pytest.mark.parametrize("with_tokenizer_json", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {
            "added_tokens.json": {"<pad>": 700},
            "special_tokens_map.json": {"pad_token": "<pad>"},
        },
        {
            "added_tokens.json": {"<pad>": 700, "<cls>": 701},
            "tokenizer_config.json": {
                "pad_token": PAD | {"__type": "AddedToken"},
                "additional_special_tokens": ["<cls>"],
            },
        },
        {"tokenizer_config.json": {"added_tokens_decoder": {"700": PAD}}},
    ],
)
def test_tokens_that_other_files_add_are_special(
    folder, tokenizer, files, with_tokenizer_json
):
    if with_tokenizer_json:
        save_huggingface(tokenizer, folder / "tokenizer.json")
    for name, value in files.items():
        write(folder, name, value)
    ours = check_ids_of_transformers(folder)
    assert ours.special["<pad>"] == 700
    assert ours.encode("<pad>") == tokenizer.encode("<pad>")


def test_a_fuller_tokenizer_json_beside_the_two_files_is_the_one_that_is_read(folder):
    fuller = BytePairTokenizer.train([TEXT], 702, special=[END, "<pad>"])
    save_huggingface(fuller, folder / "tokenizer.json")
    assert same(check_ids_of_transformers(folder), fuller)


@pytest.mark.parametrize("with_tokenizer_json", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("added_tokens.json", {" " * 8: 700}, "'        ' is cut out of every text"),
        ("added_tokens.json", {"<pad>": "700"}, "has no content or no id"),
        ("added_tokens.json", {"<pad>": 700, 5: None}, "is cut out of every text"),
        ("special_tokens_map.json", {"pad_token": "<pad>"}, "'<pad>' has no id"),
        (
            "special_tokens_map.json",
            {"mask_token": {"content": "<m>", "lstrip": True}},
            "added token '<m>' has lstrip",
        ),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"700": PAD | {"special": False}}},
            "'<pad>' is cut out of every text",
        ),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"7": PAD}},
            "id 7 is for '<pad>' and for b'('",
        ),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"700": PAD | {"content": END}}},
            "'<|endoftext|>' has ids 699 and 700",
        ),
        ("tokenizer_config.json", {"added_tokens_decoder": 5}, "or no dict"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"7": 5}}, "no content"),
        ("tokenizer_config.json", {"add_prefix_space": True}, "adds a space before"),
    ],
)
def test_added_tokens_that_we_would_read_otherwise_are_refused(
    folder, tokenizer, name, value, message, with_tokenizer_json
):
    if with_tokenizer_json:
        save_huggingface(tokenizer, folder / "tokenizer.json")
    write(folder, name, value)
    with pytest.raises(ValueError) as error:
        load_huggingface(folder)
    assert str(error.value).startswith(str(folder))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a b", "a b"], "merge 2 repeats merge 1"),
        (["a b", "ab"], "merges.txt: line 3: 'ab' is no merge"),
        (["a b", "", "ab c"], "merges.txt: line 3: '' is no merge"),
        (["a b", "ab c", "x 中"], "merges.txt: line 4: '中' holds '中'"),
        (["a b"], "id 257 is for b'abc', which no merge makes"),
        (["a b", "ab c", "b c"], "token b'bc' has no id"),
    ],
)
def test_two_files_that_disagree_are_refused(tmp_path, lines, message):
    tokenizer = BytePairTokenizer([(b"a", b"b"), (b"ab", b"c")], [END])
    with pytest.raises(ValueError) as error:
        load_huggingface(write_folder(tokenizer, tmp_path, lines))
    assert str(error.value).startswith(str(tmp_path))
    assert message in str(error.value)


def test_two_files_without_the_special_token_are_refused(tmp_path):
    write_folder(BytePairTokenizer([]), tmp_path)
    with pytest.raises(ValueError, match="special token '<|endoftext|>' has no id"):
        load_huggingface(tmp_path)


def test_a_merges_file_that_is_no_utf8_is_refused(folder):
    (folder / "merges.txt").write_bytes(b"#version\n\xff")
    with pytest.raises(ValueError, match="merges.txt: byte 9 is no UTF-8"):
        load_huggingface(folder)


def test_json_that_is_nested_too_deeply_is_refused_in_one_line(folder):
    (folder / "vocab.json").write_text('{"a":' * 100_000, "utf-8")
    with pytest.raises(ValueError, match="vocab.json: its JSON is nested too deeply"):
        load_huggingface(folder)


def test_a_folder_without_a_tokenizer_is_no_tokenizer(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_huggingface(tmp_path)


def test_added_ids_with_a_gap_are_refused_as_tokenizers_numbers_them_otherwise(folder):
    write(folder, "added_tokens.json", {"<pad>": 750})
    write(folder, "special_tokens_map.json", {"pad_token": "<pad>"})
    with pytest.raises(ValueError, match=r"have the ids \[.*750\], with a gap after"):
        load_huggingface(folder)
