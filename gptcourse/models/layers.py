"""Small parts that the models share: the MLP, the positions, dropout switched off.

The MLP is built by hand in notebook 02.

Axis letters: b batch, t position, c n_embd.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from einops import rearrange
from torch import Tensor, nn


class MLP(nn.Module):
    """The position-wise network of a block: (b, t, c) to (b, t, 4c) to (b, t, c).

    GELU in its tanh form, as OpenAI's code has it; PyTorch's default is the exact
    one.

    Source: GPT-1, §4.1; openai/gpt-2, src/model.py, `mlp` and `gelu`.
    """

    def __init__(self, n_embd: int):
        """Make the two projections, four times wider inside."""
        super().__init__()
        self.c_fc = nn.Linear(n_embd, 4 * n_embd)
        self.gelu = nn.GELU(approximate="tanh")
        self.c_proj = nn.Linear(4 * n_embd, n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape (b, t, c), each position on its own."""
        return self.c_proj(self.gelu(self.c_fc(x)))


def sinusoidal_positions(n_ctx: int, n_embd: int) -> Tensor:
    """Return the fixed position table (n_ctx, c) of the first Transformer.

    Even columns hold sines, odd columns cosines, of wavelengths from 2π to 10,000·2π.

    Raises: ValueError if n_embd is odd.
    Source: Vaswani et al. 2017, §3.5.

    >>> sinusoidal_positions(1, 4).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """
    if n_embd % 2:
        raise ValueError(f"n_embd={n_embd} is odd; sines and cosines come in pairs")
    rate = 10_000.0 ** (-torch.arange(0, n_embd, 2) / n_embd)
    angle = torch.arange(n_ctx)[:, None] * rate
    return rearrange([angle.sin(), angle.cos()], "pair t c -> t (c pair)")


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Switch dropout and gradients off; the model's mode is restored afterwards.

    >>> layer = nn.Linear(2, 2)
    >>> with frozen(layer):
    ...     layer.training, layer(torch.ones(2)).requires_grad
    (False, False)
    >>> layer.training
    True
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
