import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import split

from gptcourse.tokenizers import byte_pair as pieces
from gptcourse.tokenizers.byte_pair import GPT2_PATTERN, PieceSplitter

# Characters at which the quick pattern could go wrong, beside arbitrary ones.
SPACES = " \n\t\r\x0b\x1c\x1f\x7f\x85\xa0\u3000\u2028"
TRICKY = st.text(alphabet=SPACES + "aZ09'’sdmtlrvée²½中文😀\u0301._=-")


@settings(deadline=None, max_examples=500)
@given(st.one_of(TRICKY, st.text()))
def test_pieces_are_those_of_the_pattern_alone(text):
    assert PieceSplitter(GPT2_PATTERN)(text) == split(GPT2_PATTERN, text)


def test_every_code_point_is_cut_as_by_the_pattern_alone():
    splitter = PieceSplitter(GPT2_PATTERN)
    plane = range(0x3400)
    text = "".join(f"a{chr(c)}b 1{chr(c)}2 {chr(c)}.\n" for c in plane)
    assert splitter(text) == split(GPT2_PATTERN, text)


def test_a_quick_pattern_without_its_guard_would_be_noticed():
    unguarded = pieces._GPT2_ASCII.pattern.replace(r"(?![\x80-\U0010ffff])", "")
    splitter = PieceSplitter(GPT2_PATTERN)
    splitter._quick = pieces.re.compile(unguarded)
    assert splitter("naïve") != split(GPT2_PATTERN, "naïve") == ["naïve"]


def test_letters_numbers_signs_and_spaces_never_share_a_piece():
    cut = PieceSplitter(GPT2_PATTERN)
    assert cut("dog. dog! dog?2") == ["dog", ".", " dog", "!", " dog", "?", "2"]


def test_a_long_text_is_cut_piece_by_piece(monkeypatch):
    monkeypatch.setattr(pieces, "_LIST_LIMIT", 10)
    text = "It's a naïve  long text.\n\n"
    assert PieceSplitter(GPT2_PATTERN)(text) == split(GPT2_PATTERN, text)


def test_counting_adds_up_all_texts():
    assert PieceSplitter(GPT2_PATTERN).count(["a é", "a"]) == {"a": 2, " é": 1}


def test_another_pattern_cuts_otherwise():
    assert PieceSplitter(r"\d|\D+")("ab 12") == ["ab ", "1", "2"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "cannot be read"),
        (r"(\s)|\S", "has a group"),
    ],
)
def test_a_bad_pattern_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        PieceSplitter(pattern)


def test_a_pattern_that_leaves_characters_out_is_refused():
    with pytest.raises(ValueError, match="leaves out ' ' at position 3"):
        PieceSplitter(r"\w+")("one two")
