"""Labelled tasks, and how a model answers them without training."""

from gptcourse.tasks.bias import (
    Estimate,
    fill,
    log_ratios,
    mean_sentiment,
    with_interval,
    word_log_ratios,
)
from gptcourse.tasks.calibration import (
    brier_score,
    every_option,
    expected_calibration_error,
    likeliest_option,
    reliability,
)
from gptcourse.tasks.contamination import (
    dirty,
    gram_hashes,
    gram_length,
    grams,
    rare_grams,
    relative_change,
    remove_overlaps,
)
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
