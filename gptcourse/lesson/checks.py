"""Property checks: what must hold of a model, of a mask, of a distribution.

Notebooks, exercises and tests call the same ones. Each prints one line with what
holds, which is the same on every machine, or raises AssertionError with one line that
says what does not hold, and by how much; none gives an answer away.

Axis letters: b batch, t query position, s key position, v vocabulary.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def close(actual, expected, what: str = "result", tolerance: float = 1e-5) -> None:
    """Check that two tensors or numbers are equal within `tolerance`.

    >>> close(torch.tensor([1.0, 2.0]), [1.0, 2.0])
    ✓ result: as expected, within 1e-05
    >>> close(len("token"), 5, "letters")
    ✓ letters: as expected
    """
    whole = not any(torch.as_tensor(x).is_floating_point() for x in (actual, expected))
    _equal(actual, expected, what, tolerance)
    within = "" if whole or not tolerance else f", within {tolerance:g}"
    print(f"✓ {what}: as expected{within}")


def shape(tensor: Tensor, expected: tuple[int, ...], what: str = "result") -> None:
    """Check a tensor's shape.

    >>> shape(torch.zeros(2, 3), (2, 3))
    ✓ result: shape (2, 3)
    """
    _same_shape(tensor, tuple(expected), what)
    print(f"✓ {what}: shape {tuple(expected)}")


def is_distribution(p: Tensor, what: str = "probabilities") -> None:
    """Check that the last axis of p (..., v) holds probabilities that sum to 1.

    >>> is_distribution(torch.tensor([0.5, 0.5]))
    ✓ probabilities: none below 0, the last axis sums to 1
    """
    _distribution(p, what)
    print(f"✓ {what}: none below 0, the last axis sums to 1")


def no_future_leak(
    model: Callable[[Tensor], Tensor], tokens: Tensor, what: str = "model"
) -> None:
    """Check that a later token leaves all earlier logits as they were.

    `model` turns tokens (b, t) into logits (b, t, v). Each position from the second
    on is changed in turn, and the logits before it are compared.

    >>> no_future_leak(lambda tokens: tokens[..., None].float(), torch.tensor([[3, 5]]))
    ✓ model: no token changes earlier logits
    """
    with torch.no_grad():
        before = model(tokens)
        for place in range(1, tokens.shape[1]):
            after = model(_changed(tokens, place))
            gap = (after[:, :place] - before[:, :place]).abs().max().item()
            token = f"the token at position {place}"
            _demand(gap <= 1e-5, f"{what}: {token} changes earlier logits by {gap:.3g}")
    print(f"✓ {what}: no token changes earlier logits")


def sees_whole_past(model: Callable[[Tensor], Tensor], tokens: Tensor) -> None:
    """Check that the first token reaches the last logits: nothing is cut off.

    >>> model = lambda tokens: tokens.cumsum(1)[..., None]
    >>> sees_whole_past(model, torch.tensor([[3, 5]]))
    ✓ model: the first token reaches the last logits
    """
    with torch.no_grad():
        gap = (model(_changed(tokens, 0)) - model(tokens))[:, -1].abs().max().item()
    _demand(gap > 0, "model: the first token does not reach the last logits")
    print("✓ model: the first token reaches the last logits")


def causal_weights(weights: Tensor) -> None:
    """Check attention weights (..., t, s): rows sum to 1, no weight on the future.

    >>> causal_weights(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    ✓ attention weights: rows sum to 1, nothing on the future
    """
    _distribution(weights, "attention weights")
    t, s = weights.shape[-2:]
    future = ~torch.ones(t, s, dtype=torch.bool).tril(s - t)
    leak = weights[..., future].max().item() if future.any() else 0.0
    _demand(leak == 0, f"attention weights: {leak:.3g} lies on a future position")
    print("✓ attention weights: rows sum to 1, nothing on the future")


def initial_loss(loss: float, n_vocab: int) -> None:
    """Check that an untrained model's loss is within 0.2 nats of a fair guess's, ln v.

    >>> initial_loss(4.2, n_vocab=65)
    ✓ first loss: within 0.2 nats of ln 65
    """
    fair = math.log(n_vocab)
    both = f"{loss:.3f} nats/token, but ln {n_vocab} = {fair:.3f}"
    _demand(abs(loss - fair) <= 0.2, f"first loss {both}")
    print(f"✓ first loss: within 0.2 nats of ln {n_vocab}")


def _equal(actual, expected, what: str, tolerance: float) -> None:
    actual = torch.as_tensor(actual, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64)
    _same_shape(actual, tuple(expected.shape), what)
    gap = (actual - expected).abs().max().item() if actual.numel() else 0.0
    # `gap <= tolerance`, not its contrary, so that a NaN fails too
    allowed = f"(allowed {tolerance:.0e})"
    _demand(gap <= tolerance, f"{what}: off by up to {gap:.3g} {allowed}")


def _same_shape(tensor: Tensor, expected: tuple[int, ...], what: str) -> None:
    found = tuple(tensor.shape)
    _demand(found == expected, f"{what}: shape {found}, expected {expected}")


def _distribution(p: Tensor, what: str) -> None:
    _demand(bool(p.isfinite().all()), f"{what}: not all are finite numbers")
    low = p.min().item()
    _demand(low >= 0, f"{what}: the smallest is {low:.3g}, below 0")
    sums = p.sum(dim=-1)
    _equal(sums, torch.ones_like(sums), f"{what}: sums of the last axis", 1e-4)


def _changed(tokens: Tensor, place: int) -> Tensor:
    """The tokens (b, t) with another one at a position."""
    other = tokens.clone()
    other[:, place] = torch.where(tokens[:, place] == 0, 1, 0)
    return other


def _demand(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
