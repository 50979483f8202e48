"""Learning: batches, optimizers, the loop, checkpoints, what it costs."""

from gptcourse.training import optimizers
from gptcourse.training.batches import RandomBatches, windows_in_order
from gptcourse.training.checkpoints import load_checkpoint, load_gpt, save_checkpoint
from gptcourse.training.loop import next_token_loss, train, validation_loss
from gptcourse.training.optimizers import (
    adamw,
    constant,
    muon,
    short_warmup,
    warmup_cosine,
    warmup_linear,
)
from gptcourse.training.scaling import flops_per_token
