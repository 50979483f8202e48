"""Batches of tokens to learn from.

Axis letters: b batch, t position.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class RandomBatches:
    """An endless iterator of random windows of a text and what follows each token.

    A batch is (inputs, targets), both (b, t) with t = n_ctx; the targets are the
    inputs moved by one. The iterator's state is its generator's, so that a resumed
    run draws the very batches that the first would have drawn.

    Raises: ValueError if the text is shorter than one window, or a size below 1.

    >>> batches = RandomBatches(torch.arange(10), batch_size=2, n_ctx=4)
    >>> inputs, targets = next(batches)
    >>> inputs.shape, bool((targets == inputs + 1).all())
    (torch.Size([2, 4]), True)
    """

    def __init__(
        self,
        tokens: Tensor,
        batch_size: int,
        n_ctx: int,
        generator: torch.Generator | None = None,
    ):
        """Take a text's tokens (n,) and the generator that draws the windows."""
        if batch_size < 1 or n_ctx < 1:
            raise ValueError(f"batch_size={batch_size}, n_ctx={n_ctx}; need >= 1")
        _check_window(tokens, n_ctx)
        self.tokens, self.batch_size, self.n_ctx = tokens, batch_size, n_ctx
        self.generator = generator or torch.Generator()

    def __iter__(self) -> "RandomBatches":
        """Return itself."""
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, both (b, t)."""
        n, b = len(self.tokens) - self.n_ctx, self.batch_size
        starts = torch.randint(n, (b,), generator=self.generator)
        windows = self.tokens[starts[:, None] + torch.arange(self.n_ctx + 1)].long()
        return windows[:, :-1], windows[:, 1:]


def windows_in_order(
    tokens: Tensor, n_ctx: int, max_tokens: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return a text cut into windows: inputs and targets, both (b, t), t = n_ctx.

    Each token is a target once; the end that fills no window is left out, as is all
    that comes after `max_tokens`.

    Raises: ValueError if the text is shorter than one window.

    >>> windows_in_order(torch.arange(8), n_ctx=3)[1].tolist()
    [[1, 2, 3], [4, 5, 6]]
    """
    if max_tokens is not None:
        tokens = tokens[: max_tokens + 1]
    _check_window(tokens, n_ctx)
    n = (len(tokens) - 1) // n_ctx
    cut = tokens[: n * n_ctx + 1].long()
    inputs, targets = cut[:-1], cut[1:]
    return inputs.view(n, n_ctx), targets.view(n, n_ctx)


def _check_window(tokens: Tensor, n_ctx: int) -> None:
    if n_ctx < 1 or tokens.ndim != 1 or len(tokens) <= n_ctx:
        raise ValueError(
            f"a text of shape {tuple(tokens.shape)} holds no window of n_ctx + 1 = "
            f"{n_ctx + 1} tokens; need one axis, n_ctx >= 1 and a longer text"
        )


def pad(sequences: Sequence[list[int]], length: int) -> Tensor:
    """Return sequences as one tensor (k, t), t = length, with 0 on the right.

    >>> pad([[5], [6, 7]], 2).tolist()
    [[5, 0], [6, 7]]
    """
    return torch.tensor([one + [0] * (length - len(one)) for one in sequences])


def by_length(order: Tensor, lengths: Tensor, batch_size: int) -> Sequence[Tensor]:
    """Cut indices into batches of nearly equal size, the shortest examples first.

    >>> by_length(torch.arange(4), torch.tensor([7, 2, 8, 1]), batch_size=3)
    (tensor([3, 1]), tensor([0, 2]))
    """
    order = order[lengths[order].argsort(stable=True)]
    return order.tensor_split(-(-len(order) // batch_size))
