"""The parts of a block besides attention: linear layers, the MLP, the positions.

Axis letters: b batch, t position, c n_embd, i and o what goes in and out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + bias as `F.linear` does, faster on a CPU without gradients.

    Shapes: x (..., i), weight (o, i), bias (o); the result (..., o).

    When a model writes, x has few rows and the time goes into reading the weights.
    PyTorch's default product (MKL's) then uses one core; oneDNN's, which PyTorch
    brings along but calls only from compiled graphs, uses all and is up to twice as
    fast on matrices that are not tiny (`make bench` measures it).

    >>> linear(torch.ones(1, 2), torch.tensor([[2.0, 3.0]]))
    tensor([[5.]])
    """
    if torch.is_grad_enabled() or weight.numel() < 2**17 or not _onednn_takes(x):
        return F.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _onednn_takes(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
    )


class Linear(nn.Linear):
    """A linear layer, (..., i) to (..., o), by `linear` above."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x W^T + bias."""
        return linear(x, self.weight, self.bias)


def dropout(p: float) -> nn.Module:
    """Return dropout with probability p, or nothing at all where p is 0.

    >>> dropout(0.0)
    Identity()
    """
    return nn.Dropout(p) if p else nn.Identity()


class MLP(nn.Module):
    """The position-wise network of a block: (b, t, c) to (b, t, 4c) to (b, t, c).

    GELU in its tanh form, as OpenAI's code has it; PyTorch's default is the exact
    one.

    Source: GPT-1, §4.1; openai/gpt-2, src/model.py, `mlp` and `gelu`.
    """

    def __init__(self, n_embd: int):
        """Make the two projections, four times wider inside."""
        super().__init__()
        self.c_fc = Linear(n_embd, 4 * n_embd)
        self.gelu = nn.GELU(approximate="tanh")
        self.c_proj = Linear(4 * n_embd, n_embd)

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
    """Switch dropout and gradients off; the model's mode is put back after.

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
