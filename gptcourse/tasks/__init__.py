"""Labelled tasks, and how a model answers them without training."""

from gptcourse.tasks.docs import doc_tasks
from gptcourse.tasks.labelled import Example, LabelledSet
from gptcourse.tasks.stories import TASKS, story_task, story_tasks
from gptcourse.tasks.zero_shot import (
    best_threshold,
    choose_by_ending,
    choose_by_substitution,
    choose_by_word,
    mean_log_probability,
    share_right,
)
