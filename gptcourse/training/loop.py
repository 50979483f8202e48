"""Training: one plain loop for a notebook, a GPU, and many under `torchrun`.

Axis letters: b batch, t position, v vocabulary. Losses are in nats per token.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

import torch
from einops import rearrange
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from gptcourse.common import bar
from gptcourse.training.batches import RandomBatches, windows_in_order
from gptcourse.training.checkpoints import load_checkpoint, save_checkpoint
from gptcourse.training.history import History
from gptcourse.training.optimizers import Optimizer, Schedule, constant
from gptcourse.training.scaling import flops_per_token

#: A loss takes (model, inputs (b, t), targets (b, t)) and returns a scalar.
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


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


@torch.no_grad()
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
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    total = 0.0
    for x, y in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
        total += loss(model, x.to(device), y.to(device)).item() * len(x)
    model.train(was_training)
    return total / len(inputs)


def train(
    model: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
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
    is measured and the checkpoint written. Ctrl-C ends the run early: the model
    keeps what it learnt, the history says so, the checkpoint is written.

    Under `torchrun` every process draws the same batch and learns from its share of
    the rows; gradients are averaged, so the losses are those of one process. Every
    tenth step they ask each other for a Ctrl-C, and stop at the same step.

    With `resume`, a checkpoint that exists is read first and the run goes on from
    it, bit for bit; `steps` is then the number of updates in all. Where checkpoints
    are written, the batches must be `RandomBatches`, whose state they keep. Without
    `progress` no bar is shown.

    Raises: ValueError if the loss stops being a number, a batch has fewer rows than
    there are processes, or the checkpoint does not fit; OSError if it cannot be
    written.
    """
    run = _Run(model, batches, optimizer, schedule, loss, clip, bf16)
    if resume and checkpoint is not None and Path(checkpoint).exists():
        run.history = load_checkpoint(checkpoint, model, optimizer, batches)
        run.history.interrupted = False
    model.train()
    hidden = not (progress and _is_first())
    ahead = bar(range(len(run.history.step), steps), hidden=hidden)
    with CtrlC() as ctrl_c:
        for step in ahead:
            run.step(step, steps)
            stop = run.agreed((step + 1) % 10 == 0, ctrl_c.pressed)
            last = step + 1 == steps or stop
            if last or (step + 1) % every == 0 or (step + 1) % 10 == 0:
                ahead.set_postfix(loss=f"{run.look_up():.3f}")
            if last or (step + 1) % every == 0:
                if validation is not None:
                    run.history.add_validation(validation())
                run.history.interrupted = stop
                if checkpoint is not None:
                    save_checkpoint(checkpoint, model, optimizer, batches, run.history)
            if stop:
                break
    return run.history


class CtrlC:
    """A context in which the first Ctrl-C sets `pressed` and stops nothing.

    So that a step is never cut in half; the second Ctrl-C raises KeyboardInterrupt.
    Outside the main thread, where Python takes no signals, it does nothing.

    >>> with CtrlC() as ctrl_c:
    ...     signal.raise_signal(signal.SIGINT)
    >>> ctrl_c.pressed
    True
    """

    def __enter__(self) -> "CtrlC":
        """Take over the signal."""
        self.pressed = False
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._press)
        return self

    def _press(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.pressed = True

    def __exit__(self, *error: object) -> None:
        """Put the signal's handler back."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self.before)


class _Run:
    """What one call of `train` keeps between steps."""

    def __init__(self, model, batches, optimizer, schedule, loss, clip, bf16):
        self.model, self.batches, self.optimizer = model, batches, optimizer
        self.schedule, self.loss, self.clip, self.bf16 = schedule, loss, clip, bf16
        self.device = next(model.parameters()).device
        for group in optimizer.param_groups:
            # Not lr itself: an earlier call may have left it where its schedule ended.
            group.setdefault("initial_lr", group["lr"])
        self.history = History()
        self.waiting: list[tuple[Tensor, int, int]] = []
        self.since = 0.0
        self.wrapped = _spread_over_processes(model)

    def step(self, step: int, steps: int) -> None:
        """Make one update; its loss waits on the device until `look_up`."""
        if not self.waiting:
            self.since = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.schedule(step, steps)
        inputs, targets = (self._share(part) for part in next(self.batches))
        with autocast(self.device, self.bf16):
            loss = self.loss(self.wrapped, inputs, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.waiting.append((loss.detach(), inputs.numel(), inputs.shape[-1]))

    def agreed(self, ask: bool, stop: bool) -> bool:
        """Return whether to stop; several processes `ask` each other and agree."""
        if not distributed.is_initialized():
            return stop
        if not ask:
            return False
        wanted = torch.tensor(float(stop), device=self.device)
        distributed.all_reduce(wanted, distributed.ReduceOp.MAX)
        return bool(wanted)

    def look_up(self) -> float:
        """Move the losses that wait into the history; return the last one."""
        losses, processes = torch.stack([loss for loss, *_ in self.waiting]), 1
        if distributed.is_initialized():
            processes = distributed.get_world_size()
            distributed.all_reduce(losses)
            losses /= processes
        losses = losses.tolist()
        seconds = (time.perf_counter() - self.since) / len(losses)
        for loss, (_, tokens, n_ctx) in zip(losses, self.waiting, strict=True):
            tokens *= processes
            flops = tokens * flops_per_token(self.model, n_ctx)
            self.history.add(loss, tokens, seconds, flops)
        self.waiting.clear()
        if not math.isfinite(sum(losses)):
            raise ValueError(
                f"the loss is {losses[-1]} at step {len(self.history.step)}; "
                "lower the learning rate or warm up longer"
            )
        return losses[-1]

    def _share(self, rows: Tensor) -> Tensor:
        if distributed.is_initialized():
            rank, processes = distributed.get_rank(), distributed.get_world_size()
            if len(rows) % processes:
                raise ValueError(
                    f"a batch of {len(rows)} rows cannot be shared evenly by "
                    f"{processes} processes; choose a multiple"
                )
            rows = rows[rank::processes]
        return rows.to(self.device, non_blocking=True)


def _spread_over_processes(model: nn.Module) -> nn.Module:
    """Return the model, averaging gradients over processes where there are several."""
    is_sharded = hasattr(model, "unshard")  # FSDP2 averages by itself
    if not distributed.is_initialized() or is_sharded:
        return model
    return DistributedDataParallel(model)


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager:
    """Return the context in which matrix products run in bfloat16, if asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)


def gains_by_bf16(
    model: nn.Module, batches: RandomBatches, loss: Loss = next_token_loss
) -> bool:
    """Return whether a step is at least a tenth faster in bfloat16 on this machine.

    Both ways take turns on one batch, forward and backward; the batches' state and the
    model are left as they were.
    """
    device, state = next(model.parameters()).device, batches.state()
    inputs, targets = (part.to(device) for part in next(batches))
    batches.set_state(state)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(4):
        for bf16, times in seconds.items():
            start = time.perf_counter()
            with autocast(device, bf16):
                value = loss(model, inputs, targets)
            value.backward()
            model.zero_grad()
            value.item()
            times.append(time.perf_counter() - start)
    return min(seconds[True]) < 0.9 * min(seconds[False])


def _is_first() -> bool:
    return not distributed.is_initialized() or distributed.get_rank() == 0
