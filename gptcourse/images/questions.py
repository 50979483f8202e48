"""Questions about a scene with their answers, in words, and as tokens beside patches.

A prompt holds the question and, where the picture stands, a token `<patch>` for each of
its patches; a vision model puts the patches there.
"""

import random
from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

from gptcourse.images.pictures import COLOURS, SHAPES, Scene

Tokens = list[int]

KINDS = ("count", "colour", "shape", "side", "relation")
NUMBERS = ("1", "2", "3")
OTHERS = "how many shapes what colour shape is the which side left right of yes no ?"
WORDS = ("<pad>", "<patch>", "answer", *OTHERS.split(), *NUMBERS, *SHAPES, *COLOURS)
NUMBER = {word: number for number, word in enumerate(WORDS)}
PATCH, ANSWER = NUMBER["<patch>"], NUMBER["answer"]


class Question(NamedTuple):
    """A question of a kind, and the word that answers it."""

    kind: str
    text: str
    answer: str


def all_questions(scene: Scene) -> list[Question]:
    """Return all that can be asked of a scene, with the true answers.

    A colour names an object only if no other has it; of two objects it is asked which
    is further left only where one of them is, as a whole.

    >>> from gptcourse.images.pictures import Object
    >>> for question in all_questions(Scene((Object("disc", "red", top=0, left=9),))):
    ...     print(*question, sep=" | ")
    count | how many shapes ? | 1
    colour | what colour is the disc ? | red
    side | which side is the disc ? | right
    shape | what shape is red ? | disc
    """
    found = [Question("count", "how many shapes ?", NUMBERS[len(scene.objects) - 1])]
    colours = [one.colour for one in scene.objects]
    for one in scene.objects:
        the = f"the {one.shape} ?"
        found.append(Question("colour", f"what colour is {the}", one.colour))
        found.append(Question("side", f"which side is {the}", one.side))
        if colours.count(one.colour) == 1:
            found.append(Question("shape", f"what shape is {one.colour} ?", one.shape))
    for one, other in permutations(scene.objects, 2):
        if one.is_left_of(other) or other.is_left_of(one):
            text = f"is the {one.shape} left of the {other.shape} ?"
            yes = "yes" if one.is_left_of(other) else "no"
            found.append(Question("relation", text, yes))
    return found


def random_question(
    scene: Scene, rng: random.Random, kinds: Sequence[str] = KINDS
) -> Question:
    """Return a question about a scene: first its kind is drawn, then which of that.

    Raises: ValueError where no question of these kinds can be asked.

    >>> from gptcourse.images.pictures import random_scene
    >>> rng = random.Random(0)
    >>> random_question(random_scene(rng), rng, kinds=["count"]).text
    'how many shapes ?'
    """
    askable = [question for question in all_questions(scene) if question.kind in kinds]
    if not askable:
        raise ValueError(
            f"of {len(scene.objects)} objects no question of the kinds {list(kinds)} "
            f"can be asked; kinds are {', '.join(KINDS)}"
        )
    kind = rng.choice(sorted({question.kind for question in askable}))
    return rng.choice([question for question in askable if question.kind == kind])


def answer(scene: Scene, text: str) -> str:
    """Return the true answer to a question about a scene.

    Raises: ValueError for a question that cannot be asked of it, with those that can.
    """
    answers = {question.text: question.answer for question in all_questions(scene)}
    if text not in answers:
        raise ValueError(f"{text!r} cannot be asked here; ask {' · '.join(answers)}")
    return answers[text]


def encode(text: str) -> Tokens:
    """Return the numbers of a text's words; ValueError for a word that has none.

    >>> [WORDS[token] for token in encode("is the disc red ?")]
    ['is', 'the', 'disc', 'red', '?']
    """
    unknown = [word for word in text.split() if word not in NUMBER]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of the words: {' '.join(WORDS)}")
    return [NUMBER[word] for word in text.split()]


def demonstration(
    question: Question, n_patches: int, picture_first: bool = False
) -> tuple[Tokens, Tokens]:
    """Return a question beside a picture, and its answer: a pair for `finetuning.pack`.

    The prompt is the question and `n_patches` tokens `<patch>`, or first the patches
    and then the question, and in both cases the word "answer" last.

    Raises: ValueError for fewer than one patch.

    >>> question = Question("count", "how many shapes ?", "3")
    >>> prompt, response = demonstration(question, n_patches=2)
    >>> " ".join(WORDS[token] for token in prompt + response)
    'how many shapes ? <patch> <patch> answer 3'
    """
    if n_patches < 1:
        raise ValueError(f"n_patches={n_patches}; a picture has one or more")
    words, picture = encode(question.text), [PATCH] * n_patches
    prompt = picture + words if picture_first else words + picture
    return [*prompt, ANSWER], encode(question.answer)
