"""Labelled tasks, and how a model answers them without training."""

from gptcourse.tasks.docs import doc_tasks
from gptcourse.tasks.labelled import Example, Kind, LabelledSet
from gptcourse.tasks.prompts import (
    Layout,
    choose_label,
    draw_shots,
    exact_match,
    fitting,
    write_prompt,
)
from gptcourse.tasks.stories import story_task, story_tasks
from gptcourse.tasks.zero_shot import (
    choose_by_ending,
    mean_log_probability,
    share_right,
)
