"""Questions about scenes: the answers are read off the pixels, without the scene."""

from random import Random

import pytest
import torch

from gptcourse.images.pictures import (
    COLOURS,
    PIXELS,
    SHAPES,
    SIZE,
    Object,
    Scene,
    random_scene,
    render,
)
from gptcourse.images.questions import (
    ANSWER,
    KINDS,
    PATCH,
    WORDS,
    Question,
    all_questions,
    answer,
    demonstration,
    encode,
    random_question,
)

SCENES = [random_scene(Random(seed)) for seed in range(150)]


def stamps():
    """Each shape in each colour, and in black where it is not: (SIZE, SIZE, 3)."""
    for shape in SHAPES:
        for colour in COLOURS:
            [picture] = render([Scene((Object(shape, colour, 0, 0),))], noise=0)
            yield shape, colour, picture[:SIZE, :SIZE]


STAMPS = list(stamps())


def seen(scene):
    """Shape to (colour, column), found by sliding every stamp over the picture."""
    [picture] = render([scene], noise=0)
    found = {}
    for y in range(PIXELS - SIZE + 1):
        for x in range(PIXELS - SIZE + 1):
            window = picture[y : y + SIZE, x : x + SIZE]
            for shape, colour, stamp in STAMPS:
                if torch.equal(window, stamp):
                    found[shape] = colour, x
    return found


def look(found, text):
    """The answer to a question from what was seen."""
    match text.split():
        case ["how", "many", "shapes", "?"]:
            return str(len(found))
        case ["what", "colour", "is", "the", shape, "?"]:
            return found[shape][0]
        case ["what", "shape", "is", colour, "?"]:
            [shape] = [s for s, (its, _) in found.items() if its == colour]
            return shape
        case ["which", "side", "is", "the", shape, "?"]:
            return "left" if found[shape][1] < (PIXELS - SIZE) / 2 else "right"
        case ["is", "the", one, "left", "of", "the", other, "?"]:
            return "yes" if found[one][1] < found[other][1] else "no"
    raise AssertionError(text)


SEEN = [seen(scene) for scene in SCENES[:60]]


def test_answers_are_true_of_the_pixels():
    for scene, found in zip(SCENES, SEEN, strict=False):
        for question in all_questions(scene):
            assert question.answer == look(found, question.text), question


def test_all_is_asked_that_has_one_answer():
    for scene, found in zip(SCENES, SEEN, strict=False):
        colours = [colour for colour, _ in found.values()]
        wanted = {"how many shapes ?"}
        for shape, (colour, x) in found.items():
            wanted |= {f"what colour is the {shape} ?", f"which side is the {shape} ?"}
            if colours.count(colour) == 1:
                wanted.add(f"what shape is {colour} ?")
            for other, (_, its) in found.items():
                if abs(x - its) >= SIZE:
                    wanted.add(f"is the {shape} left of the {other} ?")
        texts = [question.text for question in all_questions(scene)]
        assert len(texts) == len({*texts})
        assert {*texts} == wanted


def test_a_kind_is_that_of_its_words():
    begins = {
        "count": "how",
        "colour": "what colour",
        "shape": "what shape",
        "side": "which",
        "relation": "is the",
    }
    for scene in SCENES:
        for question in all_questions(scene):
            assert question.text.startswith(begins[question.kind])
    asked = {question.kind for scene in SCENES for question in all_questions(scene)}
    assert asked == {*KINDS}


def test_of_relations_half_are_true():
    answers = [
        question.answer
        for scene in SCENES
        for question in all_questions(scene)
        if question.kind == "relation"
    ]
    assert answers.count("yes") == answers.count("no") > 50


def test_the_answer_to_a_text_is_that_of_the_question():
    for scene in SCENES[:20]:
        for question in all_questions(scene):
            assert answer(scene, question.text) == question.answer


def test_what_cannot_be_asked_is_refused_with_what_can():
    scene = Scene((Object("disc", "red", 0, 0), Object("cross", "red", 8, 0)))
    for text in ("what shape is red ?", "is the disc left of the cross ?", "why ?"):
        with pytest.raises(ValueError, match="cannot be asked here; ask how many sha"):
            answer(scene, text)


# A question at random.


def test_kinds_are_drawn_alike_however_many_questions_each_has():
    scene = Scene(
        (
            Object("disc", "red", 0, 0),
            Object("cross", "blue", 8, 8),
            Object("frame", "green", 0, 8),
        )
    )
    rng = Random(0)
    asked = [random_question(scene, rng) for _ in range(2000)]
    for kind in KINDS:
        share = sum(question.kind == kind for question in asked) / len(asked)
        assert share == pytest.approx(0.2, abs=0.04)
    assert {question.text for question in asked} == {
        question.text for question in all_questions(scene)
    }


def test_only_the_kinds_asked_for_are_drawn():
    rng = Random(1)
    asked = {random_question(scene, rng, ["side", "colour"]).kind for scene in SCENES}
    assert asked == {"side", "colour"}


@pytest.mark.parametrize("kinds", [["relation"], ["smell"], []])
def test_a_scene_without_such_a_question_is_refused(kinds):
    with pytest.raises(ValueError, match=r"^of 1 objects no question of the kinds \["):
        random_question(Scene((Object("disc", "red", 0, 0),)), Random(0), kinds)


# Words and rows.


def test_every_word_has_a_number_of_its_own():
    assert len({*WORDS}) == len(WORDS)
    assert WORDS[0] == "<pad>"
    for scene in SCENES:
        for question in all_questions(scene):
            for text in (question.text, question.answer):
                assert [WORDS[token] for token in encode(text)] == text.split()


def test_an_unknown_word_is_named():
    with pytest.raises(ValueError, match="^'triangle' is none of the words: <pad> "):
        encode("what colour is the triangle ?")


QUESTION = Question("side", "which side is the disc ?", "left")


def test_a_picture_stands_before_or_after_the_question():
    words = encode("which side is the disc ?")
    after, response = demonstration(QUESTION, 4)
    before, same = demonstration(QUESTION, 4, picture_first=True)
    assert after == [*words, *[PATCH] * 4, ANSWER]
    assert before == [*[PATCH] * 4, *words, ANSWER]
    assert response == same == encode("left")
    assert ANSWER not in {PATCH, 0}


def test_a_picture_without_patches_is_refused():
    with pytest.raises(ValueError, match="^n_patches=0; a picture has one or more$"):
        demonstration(QUESTION, 0)
