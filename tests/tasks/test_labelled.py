"""Labelled sets: what is refused, and where the message says it is."""

import pytest

from gptcourse.tasks.labelled import Example, Kind, LabelledSet


def made(kind="classification", labels=("glad", "sad"), **parts):
    sets = {
        name: (Example((f"{name}.",) * {"entailment": 2}.get(kind, 1), 0),)
        for name in ("train", "validation", "test")
    }
    return LabelledSet("feelings", kind, labels, **(sets | parts))


def test_a_blind_guess_is_right_once_in_as_many_as_there_are_labels():
    assert made().chance == 0.5
    assert made(labels=("a", "b", "c")).chance == pytest.approx(1 / 3)


def test_the_kinds_are_those_of_figure_1_and_equal_their_names():
    assert list(Kind) == [
        "classification",
        "entailment",
        "similarity",
        "multiple_choice",
    ]
    assert made("entailment") == made(Kind.ENTAILMENT)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind 'regression'; choose one of"):
        made("regression")


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_outside_the_labels_is_refused_with_its_place(label):
    with pytest.raises(
        ValueError, match=f"validation example 0: label {label}; .*0 to 1"
    ):
        made(validation=(Example(("A.",), label),))


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="test example 1: an empty text"):
        made(test=(Example(("A.",), 0), Example((" \n",), 0)))


def test_the_number_of_texts_follows_from_the_kind():
    with pytest.raises(ValueError, match="1 texts; entailment needs 2"):
        made("entailment", train=(Example(("A.",), 0),))
    endings = [(Example((c, "Yes.", "No."), 1),) for c in "abc"]
    named = dict(zip(("train", "validation", "test"), endings, strict=True))
    assert made("multiple_choice", ("first", "second"), **named).train == endings[0]
    with pytest.raises(ValueError, match="3 texts; multiple_choice needs 4"):
        made("multiple_choice", ("first", "second", "third"), **named)


def test_an_example_in_two_sets_is_refused_whatever_its_label():
    with pytest.raises(ValueError, match="test example 0: also stands in train"):
        made(train=(Example(("A.",), 0),), test=(Example(("A.",), 1),))
