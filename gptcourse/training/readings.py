"""One run read at several lengths: warm up, stay, decay.

Built by hand in notebook 08.

A run whose learning rate falls to 0 is fully trained only at its end. Here a trunk
keeps its rate, and for each length a branch, a copy, leaves it and falls.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import nn

from gptcourse.training.batches import RandomBatches
from gptcourse.training.loop import train
from gptcourse.training.optimizers import Optimizer, Schedule


def warmup_stay_decay(warmup: int, stay: float = 0.8) -> Schedule:
    """Return the schedule that rises linearly, stays, then falls along a line.

    The factor is (step + 1) / warmup for the first `warmup` steps, then 1 for the
    share `stay` of all steps, and from there falls; one step after the last it would
    be 0.

    Raises: ValueError for a negative warmup, or a stay outside 0 to 1.

    >>> schedule = warmup_stay_decay(warmup=2)
    >>> [schedule(step, 10) for step in (0, 1, 7, 8, 9)]
    [0.5, 1.0, 1.0, 1.0, 0.5]
    """
    if warmup < 0 or not 0 <= stay <= 1:
        raise ValueError(
            f"warmup={warmup}, stay={stay}; need warmup >= 0 and 0 <= stay <= 1"
        )

    def factor(step: int, steps: int) -> float:
        kept = round(stay * steps)
        if step >= kept:
            return 1 - (step - kept) / (steps - kept)
        return min(1.0, (step + 1) / max(1, warmup))

    return factor


def read_run(
    model: nn.Module,
    batches: RandomBatches,
    optimizer: Optimizer,
    readings: Sequence[int],
    *,
    warmup: int,
    stay: float = 0.8,
) -> Iterator[tuple[int, nn.Module]]:
    """Train one model, and yield (steps, branch) for each number of steps asked for.

    The branch is a copy that has been trained for so many steps under
    `warmup_stay_decay(warmup, stay)`, weight for weight the run planned for that
    length alone. Between two readings `model` itself is the trunk, at the rate that
    stays.

    Raises: ValueError unless the readings rise, from 1 on.

    >>> import torch
    >>> from gptcourse.training.optimizers import adamw
    >>> model, batches = nn.Embedding(9, 9), RandomBatches(torch.arange(9), 2, 4)
    >>> [steps for steps, _ in read_run(model, batches, adamw(model), (5, 10),
    ...                                 warmup=2)]
    [5, 10]
    """
    if any(after <= before for before, after in pairwise((0, *readings))):
        raise ValueError(f"readings {tuple(readings)}; need steps that rise, from 1 on")
    planned, done = warmup_stay_decay(warmup, stay), 0
    for steps in readings:
        kept = round(stay * steps)
        rising = _part_of(planned, done, steps)
        train(model, batches, kept - done, optimizer, schedule=rising, progress=False)
        branch, falling = copy.deepcopy((model, optimizer))
        ahead = RandomBatches(
            batches.tokens,
            batches.batch_size,
            batches.n_ctx,
            batches.generator.clone_state(),
        )
        fall = _part_of(planned, kept, steps)
        train(branch, ahead, steps - kept, falling, schedule=fall, progress=False)
        yield steps, branch.eval()
        done = kept


def _part_of(schedule: Schedule, done: int, all_steps: int) -> Schedule:
    """Return the schedule of a longer run, `done` steps into it."""
    return lambda step, _: schedule(done + step, all_steps)
