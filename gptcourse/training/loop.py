"""Training: one plain loop for a notebook, a GPU, and many under `torchrun`.

Axis letters: b batch, t position, v vocabulary. Losses are in nats per token.
"""

import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.common import bar
from gptcourse.models.layers import frozen
from gptcourse.training import processes
from gptcourse.training.batches import RandomBatches, windows_in_order
from gptcourse.training.checkpoints import load_checkpoint, save_checkpoint
from gptcourse.training.flops import flops_per_token
from gptcourse.training.history import History
from gptcourse.training.optimizers import Optimizer, Schedule, constant

#: A loss takes a model and all that a batch holds, and returns a scalar. For a language
#: model that is (model, inputs (b, t), targets (b, t)).
Loss = Callable[..., Tensor]


def next_token_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean negative log-probability of the targets, in nats per token.

    Shapes: inputs and targets (b, t); the model turns inputs into logits (b, t, v).
    Source: GPT-1, E1.

    >>> targets = torch.tensor([[1, 0]])
    >>> next_token_loss(lambda inputs: torch.zeros(1, 2, 4), targets, targets).item()
    1.3862943649291992
    """
    logits = rearrange(model(inputs), "b t v -> (b t) v")
    return F.cross_entropy(logits, rearrange(targets, "b t -> (b t)"))


def validation_loss(
    model: nn.Module,
    tokens: Tensor,
    n_ctx: int | None = None,
    *,
    batch_size: int = 64,
    max_tokens: int | None = None,
    loss: Loss = next_token_loss,
) -> float:
    """Return the mean loss over a text (n,), in nats per token, with dropout off.

    The text is cut into windows of n_ctx tokens (the model's own if not given), in
    order, up to `max_tokens`: the same every time.

    Raises: ValueError if the text holds no window.
    """
    inputs, targets = windows_in_order(tokens, n_ctx or model.config.n_ctx, max_tokens)
    device, total = next(model.parameters()).device, 0.0
    parts = zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
    with frozen(model):
        for x, y in parts:
            total += loss(model, x.to(device), y.to(device)).item() * len(x)
    return total / len(inputs)


def train(
    model: nn.Module,
    batches: Iterator[tuple[Tensor, ...]],
    steps: int,
    optimizer: Optimizer,
    *,
    schedule: Schedule = constant,
    loss: Loss = next_token_loss,
    clip: float = 1.0,
    validation: Callable[[], float] | None = None,
    every: int = 100,
    bf16: bool = False,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Train a model for `steps` updates and return what happened.

    Each step: a batch, the loss, its gradient clipped to norm `clip`, an update at
    the scheduled learning rate. Every `every` steps, and at the end, `validation()`
    is measured and the checkpoint written. Ctrl-C ends the run early, and so do
    batches that run out, with a warning: the model keeps what it learnt, the history
    says that it was interrupted, the checkpoint is written.

    Under `torchrun` every process draws the same batch and learns from its share of
    the rows; gradients are averaged, so the losses are those of one process. With
    the losses they tell one another whether any was interrupted, so that all stop at
    the same step.

    With `resume`, a checkpoint that exists is read first and the run goes on from
    it, bit for bit; `steps` is then the number of updates in all. Where checkpoints
    are written, the batches must be `RandomBatches`, whose state they keep. Without
    `progress` no bar is shown.

    Raises: ValueError for a number out of range, if the loss stops being a number, a
    batch has fewer rows than there are processes, or the checkpoint does not fit;
    OSError if it cannot be written.
    """
    _check(steps, every, clip, checkpoint, batches)
    device, learner = next(model.parameters()).device, processes.averaging(model)
    history = _begin(checkpoint if resume else None, model, optimizer, batches)
    kept = len(history.step)
    steps_ahead = bar(range(kept, steps), hidden=not progress or processes.rank() > 0)
    with ctrl_c() as pressed:
        for step in steps_ahead:
            began = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                what = f"the batches ended after {step} of {steps} steps"
                warnings.warn(f"{what}; give more, or ask for less", stacklevel=2)
                history.interrupted = True
                break
            inputs, *targets = (processes.share(rows).to(device) for rows in batch)
            _set_rates(optimizer, schedule(step, steps))
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                value = loss(learner, inputs, *targets)
            update(model, value, optimizer, clip)
            asked = value.new_tensor(float(pressed.is_set()))
            mean, stop = processes.mean(torch.stack([value.detach(), asked])).tolist()
            _record(history, mean, began, model, inputs)
            steps_ahead.set_postfix(loss=f"{mean:.3f}", refresh=False)
            if stop:
                history.interrupted = True
                break
            if (step + 1) % every == 0:
                kept = _keep(validation, checkpoint, model, optimizer, batches, history)
        if len(history.step) > kept:
            _keep(validation, checkpoint, model, optimizer, batches, history)
    return history


def _check(steps, every, clip, checkpoint, batches) -> None:
    if steps < 0 or every < 1 or not clip > 0:
        raise ValueError(
            f"steps={steps}, every={every}, clip={clip}; "
            "need steps >= 0, every >= 1 and clip > 0"
        )
    if checkpoint is not None and not isinstance(batches, RandomBatches):
        raise ValueError(
            "a checkpoint keeps the state of RandomBatches, which a "
            f"{type(batches).__name__} is not; train without a checkpoint"
        )


def _begin(path, model, optimizer, batches) -> History:
    """Return the history to go on from, that of the checkpoint where there is one."""
    history = History()
    if path is not None and Path(path).exists():
        history = load_checkpoint(path, model, optimizer, batches)
    history.interrupted = False
    model.train()
    return history


def _set_rates(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        # Not of lr itself: the step before has changed it, and so may an earlier call.
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def update(
    model: nn.Module, loss: Tensor, optimizer: Optimizer, clip: float = 1.0
) -> None:
    """Move the weights down the gradient of a loss, its norm at most `clip`."""
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad()


def _record(history, loss: float, began: float, model, inputs: Tensor) -> None:
    """Add a step; raise ValueError if its loss is no number."""
    tokens = inputs.numel() * processes.count()
    flops = tokens * flops_per_token(model, inputs.shape[-1])
    history.add(loss, tokens, time.perf_counter() - began, flops)
    if not math.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} at step {len(history.step)}; "
            "lower the learning rate or warm up longer"
        )


def _keep(validation, path, model, optimizer, batches, history) -> int:
    """Measure and write what is asked for; return how many steps lie behind."""
    if validation is not None:
        history.add_validation(validation())
    if path is not None:
        save_checkpoint(path, model, optimizer, batches, history)
    return len(history.step)


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set the event that is yielded, and stop nothing.

    So that a step is never cut in half; the second Ctrl-C raises KeyboardInterrupt.
    Outside the main thread, where Python takes no signals, it does nothing.

    >>> with ctrl_c() as pressed:
    ...     signal.raise_signal(signal.SIGINT)
    >>> pressed.is_set()
    True
    """
    pressed = threading.Event()

    def press(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pressed.set()

    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
