"""The optimizers of the course, and how the learning rate moves.

Axis letters: c n_embd, v vocabulary.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

#: A schedule takes (step, steps) and returns the factor on the learning rate.
Schedule = Callable[[int, int], float]


def warmup_cosine(warmup: int) -> Schedule:
    """Return the schedule that rises linearly, then falls along a half cosine.

    The factor is (step + 1) / warmup for the first `warmup` steps; from there it
    falls from 1 to 0 at the last step.

    Raises: ValueError for a negative warmup.
    Source: GPT-1, §4.1 (2,000 updates).

    >>> schedule = warmup_cosine(warmup=10)
    >>> schedule(4, 100), schedule(10, 101), schedule(100, 101)
    (0.5, 1.0, 0.0)
    """
    return _warmup(warmup, lambda x: 0.5 * (1 + math.cos(math.pi * x)))


def warmup_linear(warmup: int) -> Schedule:
    """Return the schedule that rises linearly, then falls along a straight line.

    Raises: ValueError for a negative warmup.

    >>> warmup_linear(warmup=0)(50, 101)
    0.5
    """
    return _warmup(warmup, lambda x: 1 - x)


def _warmup(warmup: int, fall: Callable[[float], float]) -> Schedule:
    """Return a schedule that rises, then follows `fall` from 1 at x = 0 to 0 at 1."""
    if warmup < 0:
        raise ValueError(f"warmup={warmup}; need >= 0")

    def factor(step: int, steps: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        x = (step - warmup) / max(1, steps - 1 - warmup)
        return fall(min(x, 1.0))

    return factor


def short_warmup(step: int, steps: int) -> float:
    """Return the factor on the learning rate when fine-tuning: min(x/0.002, 1)·(1-x).

    x is the share of updates already made: the very first one has factor 0, and the
    line falls towards 0 during the warm-up too.

    Source: GPT-1, §4.1 (0.2% of training); openai/finetune-transformer-lm, opt.py.

    >>> short_warmup(0, 1000), short_warmup(1, 1000), short_warmup(500, 1000)
    (0.0, 0.4995, 0.5)
    """
    x = step / steps
    return min(x / 0.002, 1.0) * (1 - x)


def constant(step: int, steps: int) -> float:
    """Return 1: the schedule that leaves the learning rate as it is.

    >>> constant(3, 10)
    1.0
    """
    return 1.0


def matrices(model: nn.Module) -> list[Tensor]:
    """Return the matrices inside a model: what weight decay and Muon act on.

    Embeddings are none: shrinking a rare token's row only because it is rare helps
    nobody. GPT-1's paper spares biases and gains; its code decays embeddings too
    (every tensor of more than one dimension).

    >>> len(matrices(nn.Sequential(nn.Embedding(4, 2), nn.Linear(2, 2))))
    1
    """
    return _without(embeddings(model), [p for p in model.parameters() if p.ndim >= 2])


def embeddings(model: nn.Module) -> list[Tensor]:
    """Return the tables of a model, tokens' and positions'.

    >>> len(embeddings(nn.Sequential(nn.Embedding(4, 2), nn.Linear(2, 2))))
    1
    """
    return [m.weight for m in model.modules() if isinstance(m, nn.Embedding)]


def _without(left_out: list[Tensor], tensors: Iterable[Tensor]) -> list[Tensor]:
    found = set(left_out)
    return [tensor for tensor in tensors if tensor not in found]


def adamw(
    model: nn.Module,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.95),
    weight_decay: float = 0.1,
    decayed: list[Tensor] | None = None,
) -> torch.optim.AdamW:
    """Return AdamW with decay on matrices alone, or on the tensors `decayed`.

    The defaults for betas and decay are GPT-3's (App. B); GPT-1 has 0.9, 0.999 and
    0.01.

    >>> [group["weight_decay"] for group in adamw(nn.Linear(2, 2)).param_groups]
    [0.1, 0.0]
    """
    decayed = matrices(model) if decayed is None else decayed
    rest = _without(decayed, model.parameters())
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)


def decayed_adam(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Return GPT-1's AdamW for fine-tuning, with decay on embeddings too.

    It decays every tensor of more than one axis.

    Source: openai/finetune-transformer-lm, opt.py (betas 0.9 and 0.999, eps 1e-8).

    >>> optimizer = decayed_adam(nn.Linear(2, 2), lr=1e-3, weight_decay=0.01)
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.01, 0.0]
    """
    decayed = [p for p in model.parameters() if p.ndim > 1]
    return adamw(model, lr, (0.9, 0.999), weight_decay, decayed)


class Together:
    """Several optimizers that step as one, each on parameters of its own.

    >>> layer = nn.Linear(2, 2)
    >>> both = Together(torch.optim.SGD([layer.weight], lr=1.0),
    ...                 torch.optim.SGD([layer.bias], lr=0.5))
    >>> [group["lr"] for group in both.param_groups]
    [1.0, 0.5]
    """

    def __init__(self, *optimizers: torch.optim.Optimizer):
        """Take the optimizers in the order in which they step."""
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict]:
        """Return the groups of all, in order."""
        return [group for one in self.optimizers for group in one.param_groups]

    def step(self) -> None:
        """Let each optimizer step."""
        for one in self.optimizers:
            one.step()

    def zero_grad(self) -> None:
        """Forget the gradients of all."""
        for one in self.optimizers:
            one.zero_grad()


Optimizer = torch.optim.Optimizer | Together


def parts(optimizer: Optimizer) -> Iterable[torch.optim.Optimizer]:
    """Return the optimizers that one is made of: itself, or those that go together.

    >>> len(list(parts(adamw(nn.Linear(2, 2)))))
    1
    """
    return optimizer.optimizers if isinstance(optimizer, Together) else (optimizer,)


def muon(
    model: nn.Module,
    lr: float = 0.03,
    embedding_lr: float = 0.03,
    adamw_lr: float = 3e-3,
) -> Together:
    """Return the course's own recipe: Muon on the matrices, AdamW on all the rest.

    Muon makes each update of a matrix nearly orthogonal, so that all its directions
    learn at one speed. The embeddings learn at `embedding_lr`, gains and biases at
    `adamw_lr`. The defaults are for models of about a million parameters that train
    for some hundred steps, with a schedule that falls to 0.

    Source: Keller Jordan, 2024, "Muon: an optimizer for hidden layers in neural
    networks"; the implementation is `torch.optim.Muon`.

    >>> len(muon(nn.Linear(2, 2)).optimizers)
    2
    """
    inside, tables = matrices(model), embeddings(model)
    vectors = _without(inside + tables, model.parameters())
    groups = [{"params": tables, "lr": embedding_lr}, {"params": vectors}]
    return Together(
        torch.optim.Muon(inside, lr=lr, momentum=0.9, weight_decay=0.0),
        torch.optim.AdamW(
            groups, lr=adamw_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        ),
    )
