import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import as_tiktoken

from gptcourse.tokenizers import byte_pair as module
from gptcourse.tokenizers.byte_pair import GPT2_PATTERN, BytePairTokenizer

# Characters at which a part could end wrongly, beside arbitrary ones.
SPACES = " \n\t\r\x0b\x1c\x1f\x7f\x85\xa0\u3000\u2028"
TRICKY = st.text(alphabet=SPACES + "aZ09'’sdmtlrvée²½中文😀\u0301._=-\u0558")
# Merges of all that a piece may hold side by side, so that a wrong cut is seen.
SEEN = "a1 '.s\n\té中 =-\u0558"
EVERY_PAIR = [a + b for a in SEEN for b in SEEN]


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer.train(EVERY_PAIR * 2, 1000, pattern=GPT2_PATTERN)


@settings(deadline=None, max_examples=500)
@given(text=st.one_of(TRICKY, st.text()), size=st.integers(1, 9))
def test_a_large_text_is_encoded_as_a_small_one(tokenizer, text, size):
    expected = tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LARGE", 0)
        patch.setattr(module, "_PART", size)
        pattern = module._PARTS.pattern.replace("{0,4095}", f"{{0,{size - 1}}}")
        patch.setattr(module, "_PARTS", module.re.compile(pattern))
        parts = module._PARTS.findall(text)
        assert "".join(parts) == text
        assert tokenizer.encode(text) == expected


def test_a_part_that_ends_elsewhere_would_be_noticed(tokenizer, monkeypatch):
    text = "aa" * 40_000
    expected = tokenizer._encode_pieces(text)
    assert tokenizer.encode(text) == expected
    monkeypatch.setattr(module, "_PARTS", module.re.compile("(?s:.{1,4095})"))
    assert tokenizer.encode(text) != expected


def test_tiktoken_cuts_every_character_that_python_knows_as_regex_does():
    # Private and unassigned planes left out, and the middle of the longest blocks.
    known = [
        chr(c)
        for c in (*range(0x80, 0x3500), *range(0x9F00, 0xAD00), *range(0xD700, 0x1B300),
                  *range(0x1CC00, 0x20010), *range(0xE0000, 0xE0200))
        if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")
    ]  # fmt: skip
    by_kind = {
        kind: [c for c in known if len(regex.findall(GPT2_PATTERN, kind + c)) == 1]
        for kind in "a1."
    }
    assert min(map(len, by_kind.values())) > 1000
    # A piece that is a token is one id; the token of another kind never is a piece.
    tokens = [f" {kind}{c}".encode() for kind in "a1." for c in known]
    ranks = {bytes([i]): i for i in range(256)}
    ranks |= {token: 256 + i for i, token in enumerate(tokens)}
    peer = module.tiktoken.Encoding(
        "all", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )
    for kind, same in by_kind.items():
        ids = {ranks[f" {kind}{c}".encode()] for c in same}
        found = peer.encode_ordinary("".join(f" {kind}{c}" for c in known))
        assert ids == {i for i in found if i > 255}


def test_a_letter_that_tiktoken_may_not_know_is_cut_by_our_pattern(tokenizer):
    # Armenian U+0558 is new in Unicode 17: where tiktoken lacks it, it is a sign there.
    text = "a\u0558 " * 30_000
    assert tokenizer.encode(text) == tokenizer._encode_pieces(text)


def test_letters_numbers_signs_and_spaces_never_share_a_piece():
    pieces = module._pieces(regex.compile(GPT2_PATTERN), "dog. dog! dog?2")
    assert pieces == ["dog", ".", " dog", "!", " dog", "?", "2"]


def test_another_pattern_cuts_otherwise():
    tokenizer = BytePairTokenizer.train(["12 12 ab ab"], 300, pattern=r"\d|\D+")
    assert b"12" not in tokenizer.vocabulary
    assert b" ab ab" in tokenizer.vocabulary


@pytest.mark.parametrize(
    "pattern", [r"\d|\D+", r"(?i:[a-f]+|\p{L}+)|\s|\d+?|.", r"(?s:.+)"]
)
def test_a_large_text_is_encoded_by_another_pattern_as_by_tiktoken(pattern):
    text = "Feed 1234 bad cafés, again and AGAIN. " * 2000
    tokenizer = BytePairTokenizer.train([text[:2000]], 300, pattern=pattern)
    assert tokenizer.encode(text) == as_tiktoken(tokenizer).encode_ordinary(text)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "cannot be read"),
        (r"(\s)|\S", "has a group"),
    ],
)
def test_a_bad_pattern_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer([], pattern=pattern)


def test_a_pattern_that_leaves_characters_out_is_refused():
    message = "leaves out ' ' at position 3"
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer.train(["one two"], 300, pattern=r"\w+")
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer([], pattern=r"\w+").encode("one two")
