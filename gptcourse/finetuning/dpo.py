"""Direct preference optimization: from comparisons to a policy, without a reward model.

Built by hand in notebook 09.

Axis letters: b batch, t position; pair 2, the chosen response and the rejected one.
"""

import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.finetuning.reward import Comparisons, better
from gptcourse.finetuning.sft import (
    Responses,
    check_vocabulary,
    log_probabilities,
    shuffled,
)
from gptcourse.models import LanguageModel, frozen
from gptcourse.training.history import History
from gptcourse.training.loop import train
from gptcourse.training.optimizers import Optimizer


def preferences(compared: Comparisons) -> Responses:
    """Return every pair of answers to one prompt, the better one first (b, pair, t).

    Ties are dropped.

    >>> from gptcourse.finetuning.reward import comparisons
    >>> preferences(comparisons([[5]], [[[6], [7]]], [[0.0, 1.0]])).tokens.tolist()
    [[[5, 7], [5, 6]]]
    """
    prompt, chosen, rejected = better(compared.scores).nonzero(as_tuple=True)
    both = rearrange([chosen, rejected], "pair b -> b pair")
    return Responses(*(part[prompt[:, None], both] for part in compared[:2]))


def implicit_reward(
    policy: nn.Module, reference: nn.Module, tokens: Tensor, mask: Tensor, beta: float
) -> Tensor:
    """Return β·log(π(response | prompt) / π_ref(response | prompt)) (b,).

    The reward by which the policy would be the best one at this β, up to a constant a
    prompt. Gradients go to the policy alone. Shapes: tokens and mask (b, t).

    Source: Rafailov et al. 2023, §4 and E7.
    """
    with frozen(reference):
        before = log_probabilities(reference, tokens, mask)
    log_ratios = log_probabilities(policy, tokens, mask) - before
    return beta * reduce(log_ratios, "b t -> b", "sum")


def dpo_loss(rewards: Tensor) -> Tensor:
    """Return -log σ(chosen - rejected) of implicit rewards (b, pair), the mean.

    Source: Rafailov et al. 2023, E7.

    >>> dpo_loss(torch.zeros(3, 2)).item()  # the policy is still the reference
    0.6931471824645996
    """
    return -F.logsigmoid(rewards[:, 0] - rewards[:, 1]).mean()


def train_dpo(
    policy: LanguageModel,
    reference: LanguageModel,
    pairs: Responses,
    steps: int,
    optimizer: Optimizer,
    *,
    beta: float = 0.1,
    batch_size: int = 64,
    generator: torch.Generator | None = None,
    **options,
) -> History:
    """Train a policy on pairs (b, pair, t) and return what happened.

    The reference, a copy of the policy's start, stays as it is. The other options are
    those of `training.train`. The defaults for β and the batch are the paper's; it
    takes RMSprop at 1e-6, which suits large models.

    Raises: ValueError for β not above 0, and a reference of another vocabulary or
    that is the policy itself.
    Source: Rafailov et al. 2023, App. B.
    """
    check_vocabulary(policy, reference, "reference")
    if policy is reference or not beta > 0:
        raise ValueError(
            f"beta={beta}; need beta > 0, and a reference that is a copy of the policy "
            "(copy.deepcopy), not the policy itself"
        )

    def loss(learner: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
        rows = (rearrange(part, "b pair t -> (b pair) t") for part in (tokens, mask))
        rewards = implicit_reward(learner, reference, *rows, beta)
        return dpo_loss(rearrange(rewards, "(b pair) -> b pair", pair=2))

    batches = shuffled(pairs, batch_size, generator)
    return train(policy, batches, steps, optimizer, loss=loss, **options)
