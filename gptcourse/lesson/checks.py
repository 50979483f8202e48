"""Property checks: what must hold of a model, of a mask, of a distribution.

Notebooks, exercises and tests call the same ones. Each raises AssertionError with
one line that says what does not hold, and by how much; none gives an answer away.

Axis letters: b batch, t query position, s key position, v vocabulary.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def close(actual, expected, what: str = "result", tolerance: float = 1e-5) -> None:
    """Check that two tensors or numbers are equal within `tolerance`.

    >>> close(torch.tensor([1.0, 2.0]), [1.0, 2.0])
    """
    actual = torch.as_tensor(actual, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64)
    _hold(
        actual.shape == expected.shape,
        f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}",
    )
    gap = (actual - expected).abs().max().item() if actual.numel() else 0.0
    # `not <=`, so that a NaN fails too
    _hold(gap <= tolerance, f"{what}: off by up to {gap:.3g} (allowed {tolerance:.0e})")


def shape(tensor: Tensor, expected: tuple[int, ...], what: str = "result") -> None:
    """Check a tensor's shape.

    >>> shape(torch.zeros(2, 3), (2, 3))
    """
    _hold(
        tuple(tensor.shape) == tuple(expected),
        f"{what}: shape {tuple(tensor.shape)}, expected {tuple(expected)}",
    )


def is_distribution(p: Tensor, what: str = "probabilities") -> None:
    """Check that the last axis of p (..., v) holds probabilities that sum to 1.

    >>> is_distribution(torch.tensor([0.5, 0.5]))
    """
    _hold(bool(p.isfinite().all()), f"{what}: not all are finite numbers")
    _hold(
        bool((p >= 0).all()), f"{what}: the smallest is {p.min().item():.3g}, below 0"
    )
    close(
        p.sum(dim=-1), torch.ones(p.shape[:-1]), f"{what}: sums of the last axis", 1e-4
    )


def no_future_leak(model: Callable[[Tensor], Tensor], tokens: Tensor) -> None:
    """Check that a later token leaves all earlier logits as they were.

    `model` turns tokens (b, t) into logits (b, t, v). Each position from the second
    on is changed in turn, and the logits before it are compared.

    >>> no_future_leak(lambda tokens: tokens[..., None].float(), torch.tensor([[3, 5]]))
    """
    with torch.no_grad():
        before = model(tokens)
        for place in range(1, tokens.shape[1]):
            changed = tokens.clone()
            changed[:, place] = torch.where(tokens[:, place] == 0, 1, 0)
            gap = (model(changed)[:, :place] - before[:, :place]).abs().max().item()
            _hold(
                gap <= 1e-5,
                f"the token at position {place} changes earlier logits by {gap:.3g}",
            )


def sees_whole_past(model: Callable[[Tensor], Tensor], tokens: Tensor) -> None:
    """Check that the first token reaches the last logits: nothing is cut off.

    >>> model = lambda tokens: tokens.cumsum(1)[..., None]
    >>> sees_whole_past(model, torch.tensor([[3, 5]]))
    """
    with torch.no_grad():
        changed = tokens.clone()
        changed[:, 0] = torch.where(tokens[:, 0] == 0, 1, 0)
        gap = (model(changed)[:, -1] - model(tokens)[:, -1]).abs().max().item()
    _hold(gap > 0, "the first token does not reach the last logits")


def causal_weights(weights: Tensor) -> None:
    """Check attention weights (..., t, s): rows sum to 1, no weight on the future.

    >>> causal_weights(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    """
    is_distribution(weights, "attention weights")
    t, s = weights.shape[-2:]
    future = ~torch.ones(t, s, dtype=torch.bool).tril(s - t)
    leak = weights[..., future].max().item() if future.any() else 0.0
    _hold(leak == 0, f"attention weights: {leak:.3g} lies on a future position")


def initial_loss(loss: float, n_vocab: int, tolerance: float = 0.2) -> None:
    """Check that an untrained model's loss is near ln v, that of a fair guess.

    >>> initial_loss(4.2, n_vocab=65)
    """
    fair = math.log(n_vocab)
    _hold(
        abs(loss - fair) <= tolerance,
        f"first loss {loss:.3f} nats/token, but ln {n_vocab} = {fair:.3f}",
    )


def _hold(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
