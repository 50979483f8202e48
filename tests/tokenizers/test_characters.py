import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcourse.tokenizers.characters import ByteTokenizer, CharacterTokenizer

FUZZ = settings(deadline=None, max_examples=50)


@FUZZ
@given(st.text())
def test_bytes_are_their_own_ids(text):
    tokenizer = ByteTokenizer.train(["anything"])
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_torn_bytes_are_decoded_to_the_replacement_character():
    assert ByteTokenizer().decode([0xC3]) == "\ufffd"


@FUZZ
@given(st.text())
def test_characters_of_the_training_text_come_back(text):
    tokenizer = CharacterTokenizer.train([text[:5], text[5:]])
    assert tokenizer.n_vocab == len(set(text) - {"\ufffd"}) + 1
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_unseen_characters_are_lost():
    tokenizer = CharacterTokenizer.train(["abc"])
    assert tokenizer.encode("abz") == [1, 2, 0]
    assert tokenizer.decode([1, 2, 0]) == "ab\ufffd"


def test_the_unknown_symbol_in_a_text_is_unknown():
    tokenizer = CharacterTokenizer.train(["a\ufffdb"])
    assert tokenizer.encode("a\ufffdb") == [1, 0, 2]


def test_no_text_gives_the_unknown_symbol_alone():
    assert CharacterTokenizer.train([]).n_vocab == 1
    assert CharacterTokenizer.train([]).encode("a") == [0]


@pytest.mark.parametrize("one", [ByteTokenizer(), CharacterTokenizer.train(["b'é\n"])])
def test_a_loaded_tokenizer_is_the_saved_one(one, tmp_path):
    path = tmp_path / "t.json"
    one.save(path)
    again = type(one).load(path)
    assert again.n_vocab == one.n_vocab
    assert again.encode("b'é\n?") == one.encode("b'é\n?")


@pytest.mark.parametrize("one", [ByteTokenizer(), CharacterTokenizer.train(["ab"])])
@pytest.mark.parametrize("bad", [-1, 256])
def test_an_id_outside_the_vocabulary_is_named_with_its_place(one, bad):
    with pytest.raises(ValueError, match=f"id {bad} at position 1 is outside"):
        one.decode([0, bad])


@pytest.mark.parametrize("characters", ["aa", "a\ufffd"])
def test_a_character_listed_twice_is_refused(characters, tmp_path):
    with pytest.raises(ValueError, match=r"characters\[1\] is .* has an id already"):
        CharacterTokenizer(characters)
    path = tmp_path / "t.json"
    CharacterTokenizer("a").save(path)
    data = json.loads(path.read_text("utf-8")) | {"characters": characters}
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(ValueError, match="has an id already") as error:
        CharacterTokenizer.load(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_file_of_another_tokenizer_is_refused(tmp_path):
    path = tmp_path / "t.json"
    ByteTokenizer().save(path)
    with pytest.raises(ValueError, match="not 'gptcourse character tokenizer'"):
        CharacterTokenizer.load(path)
