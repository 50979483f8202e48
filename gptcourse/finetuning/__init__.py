"""From a language model to a task: heads, transformations, fine-tuning."""

from gptcourse.finetuning.classifier import Classifier
from gptcourse.finetuning.transfer import (
    FineTuning,
    accuracy,
    fine_tune,
    objective,
    transfer_layers,
    with_special_tokens,
)
from gptcourse.finetuning.transformations import Specials, encode_examples, transform
