"""The optimisers of the course, and how the learning rate moves.

Axis letters: c n_embd, v vocabulary.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

#: A schedule takes (step, steps) and returns the factor on the learning rate.
Schedule = Callable[[int, int], float]


def warmup_cosine(warmup: int, final: float = 0.0) -> Schedule:
    """Return the schedule that rises linearly, then falls along a half cosine.

    The factor is (step + 1) / warmup for the first `warmup` steps; from there it
    falls from 1 to `final` at the last step.

    Raises: ValueError for a negative warmup or a final factor outside [0, 1].
    Source: GPT-1, §4.1 (2,000 updates, to 0); GPT-3, App. B (to 10%).

    >>> schedule = warmup_cosine(warmup=10)
    >>> schedule(4, 100), schedule(10, 101), schedule(100, 101)
    (0.5, 1.0, 0.0)
    """
    _check_schedule(warmup, final)

    def factor(step: int, steps: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, steps - 1 - warmup)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return factor


def warmup_linear(warmup: int, final: float = 0.0) -> Schedule:
    """Return the schedule that rises linearly, then falls along a straight line.

    Raises: ValueError for a negative warmup or a final factor outside [0, 1].

    >>> warmup_linear(warmup=0)(50, 101)
    0.5
    """
    _check_schedule(warmup, final)

    def factor(step: int, steps: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, steps - 1 - warmup)
        return final + (1 - final) * (1 - min(done, 1.0))

    return factor


def constant(step: int, steps: int) -> float:
    """Return 1: the schedule that leaves the learning rate as it is.

    >>> constant(3, 10)
    1.0
    """
    return 1.0


def _check_schedule(warmup: int, final: float) -> None:
    if warmup < 0 or not 0 <= final <= 1:
        raise ValueError(
            f"warmup={warmup}, final={final}; need warmup >= 0 and 0 <= final <= 1"
        )


def decayed(model: nn.Module) -> list[Tensor]:
    """Return the matrices that weight decay acts on.

    Gains, biases and embeddings are left alone: shrinking a rare token's row only
    because it is rare helps nobody. GPT-1's paper spares biases and gains; its code
    decays embeddings too (every tensor of more than one dimension).

    >>> len(decayed(nn.Sequential(nn.Embedding(4, 2), nn.Linear(2, 2))))
    1
    """
    tables = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
    }
    return [p for p in model.parameters() if p.ndim >= 2 and id(p) not in tables]


def _spared(model: nn.Module) -> list[Tensor]:
    chosen = {id(p) for p in decayed(model)}
    return [p for p in model.parameters() if id(p) not in chosen]


def adamw(
    model: nn.Module,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.95),
    weight_decay: float = 0.1,
) -> torch.optim.Optimizer:
    """Return AdamW with decay on matrices alone.

    The defaults for betas and decay are GPT-3's (App. B); GPT-1 has 0.9, 0.999 and
    0.01.

    >>> [group["weight_decay"] for group in adamw(nn.Linear(2, 2)).param_groups]
    [0.1, 0.0]
    """
    groups = [
        {"params": decayed(model), "weight_decay": weight_decay},
        {"params": _spared(model), "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=1e-8, fused=True)


class Together:
    """Several optimisers that step as one, each on parameters of its own.

    >>> layer = nn.Linear(2, 2)
    >>> both = Together(torch.optim.SGD([layer.weight], lr=1.0),
    ...                 torch.optim.SGD([layer.bias], lr=0.5))
    >>> [group["lr"] for group in both.param_groups]
    [1.0, 0.5]
    """

    def __init__(self, *optimizers: torch.optim.Optimizer):
        """Take the optimisers in the order in which they step."""
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict]:
        """Return the groups of all, in order."""
        return [group for one in self.optimizers for group in one.param_groups]

    def step(self) -> None:
        """Let each optimiser step."""
        for one in self.optimizers:
            one.step()

    def zero_grad(self) -> None:
        """Forget the gradients of all."""
        for one in self.optimizers:
            one.zero_grad()


Optimizer = torch.optim.Optimizer | Together


def parts(optimizer: Optimizer) -> Iterable[torch.optim.Optimizer]:
    """Return the optimisers that one is made of: itself, or those that go together.

    >>> len(list(parts(adamw(nn.Linear(2, 2)))))
    1
    """
    return optimizer.optimizers if isinstance(optimizer, Together) else (optimizer,)


def muon(
    model: nn.Module,
    lr: float = 0.02,
    weight_decay: float = 0.01,
    adamw_lr: float = 3e-3,
) -> Together:
    """Return Muon on the matrices inside the model, AdamW on all the rest.

    Muon makes each update of a matrix nearly orthogonal, so that all its directions
    learn at one speed. Embeddings, gains and biases keep AdamW.

    Source: Keller Jordan, 2024, "Muon: an optimizer for hidden layers"; the
    implementation is `torch.optim.Muon`.

    >>> len(muon(nn.Linear(2, 2)).optimizers)
    2
    """
    return Together(
        torch.optim.Muon(decayed(model), lr=lr, weight_decay=weight_decay),
        torch.optim.AdamW(
            _spared(model), lr=adamw_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        ),
    )
