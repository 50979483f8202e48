"""Pictures: scenes to ask about, and what a language model needs in order to see."""

from gptcourse.images.patches import VisionGPT, cut_patches
from gptcourse.images.pictures import Object, Scene, random_scene, render
from gptcourse.images.questions import (
    Question,
    all_questions,
    answer,
    demonstration,
    random_question,
)
