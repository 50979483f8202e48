"""What a training run leaves behind: losses, tokens, seconds, FLOPs.

Losses are in nats per token; FLOPs count training, forward and backward.
"""

from dataclasses import dataclass, field


@dataclass
class History:
    """The record of a run, one entry of each list a step.

    `step` counts from 1. `tokens`, `seconds` and `flops` are totals up to that step;
    `seconds` leaves validation out. `validation_step` and `validation_loss` have one
    entry a measurement. `interrupted` says that the run ended early:
    stopped by hand, or out of batches.

    >>> history = History()
    >>> history.add(loss=2.0, tokens=64, seconds=0.1, flops=1e6)
    >>> history.add(loss=1.5, tokens=64, seconds=0.1, flops=1e6)
    >>> history.step, history.tokens, history.seconds
    ([1, 2], [64, 128], [0.1, 0.2])
    """

    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    flops: list[float] = field(default_factory=list)
    validation_step: list[int] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    interrupted: bool = False

    def add(self, loss: float, tokens: int, seconds: float, flops: float) -> None:
        """Add a step; tokens, seconds and FLOPs are the step's own."""
        self.step.append(len(self.step) + 1)
        self.loss.append(loss)
        columns = (self.tokens, tokens), (self.seconds, seconds), (self.flops, flops)
        for totals, new in columns:
            totals.append((totals[-1] if totals else 0) + new)

    def add_validation(self, loss: float) -> None:
        """Add a validation loss, measured after the last step added."""
        self.validation_step.append(len(self.step))
        self.validation_loss.append(loss)

    def smoothed(self, window: int = 20) -> list[float]:
        """Return the mean loss over the last `window` steps, one entry a step.

        >>> History(loss=[3.0, 1.0, 2.0]).smoothed(window=2)
        [3.0, 2.0, 1.5]
        """
        ends = range(1, len(self.loss) + 1)
        recent = (self.loss[max(0, end - window) : end] for end in ends)
        return [sum(losses) / len(losses) for losses in recent]

    def is_whole(self) -> bool:
        """Tell whether each list has as many entries as it should, all of them numbers.

        >>> History(step=[1]).is_whole()
        False
        """
        measured = self.validation_step, self.validation_loss
        columns = self.loss, self.tokens, self.seconds, self.flops, *measured
        numbers = all(type(x) in (int, float) for column in columns for x in column)
        n, k = len(self.step), len(self.validation_step)
        fits = [len(column) for column in columns] == [n, n, n, n, k, k]
        return numbers and fits and self.step == list(range(1, n + 1))
