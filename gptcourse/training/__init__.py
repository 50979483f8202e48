"""Learning: batches, optimizers, the loop, checkpoints, readings, scaling laws."""

from gptcourse.training import optimizers
from gptcourse.training.batches import RandomBatches, windows_in_order
from gptcourse.training.checkpoints import load_checkpoint, load_gpt, save_checkpoint
from gptcourse.training.flops import (
    count_flops,
    error_of_6nd,
    flops_per_token,
    parameters_by_part,
)
from gptcourse.training.loop import next_token_loss, train, validation_loss
from gptcourse.training.optimizers import (
    adamw,
    constant,
    muon,
    short_warmup,
    warmup_cosine,
    warmup_linear,
)
from gptcourse.training.readings import read_run, warmup_stay_decay
from gptcourse.training.scaling import (
    ComputeLaw,
    IsoFlop,
    SizeLaw,
    bootstrap,
    fit_compute_law,
    fit_isoflop,
    fit_size_law,
    forecast,
    interval,
)
