"""A reward model: a number for a response, learnt from what people prefer.

Built by hand in notebook 09.

Axis letters: n prompt, b batch, k answer to one prompt, j another one, t position,
c n_embd.
"""

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.finetuning.sft import (
    Responses,
    Tokens,
    last_places,
    pack,
    sample,
    shuffled,
)
from gptcourse.models import GPT, LanguageModel, frozen
from gptcourse.training.loop import train
from gptcourse.training.optimizers import adamw, warmup_cosine

#: Takes tokens (b, t) and mask (b, t), as of `Responses`, and returns scores (b,).
Scorer = Callable[[Tensor, Tensor], Tensor]


class RewardModel(nn.Module):
    """A language model whose softmax has given way to a head of one number.

    It takes the model as it is, so give it a copy. The head starts at 0 (Stiennon et
    al. 2020 draw it): at first all responses have reward 0.

    Source: InstructGPT, §3.5.

    >>> from gptcourse.models import GPT, GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=9, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> RewardModel(model)(*pack([([1, 2], [3]), ([4], [5])])).tolist()
    [0.0, 0.0]
    """

    def __init__(self, language_model: LanguageModel):
        """Put the head on a language model."""
        super().__init__()
        self.language_model, self.config = language_model, language_model.config
        self.head = nn.utils.skip_init(nn.Linear, self.config.n_embd, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(language_model.wte.weight.device)

    def outputs(self, tokens: Tensor) -> Tensor:
        """Return the head's number at every position (b, t)."""
        return rearrange(self.head(self.language_model.hidden(tokens)), "b t 1 -> b t")

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return rewards (b,), read at the last token of the response."""
        last = rearrange(last_places(mask), "b -> b 1")
        return rearrange(self.outputs(tokens).gather(1, last), "b 1 -> b")


class Comparisons(NamedTuple):
    """k answers to each prompt, and how good somebody found them.

    Shapes: tokens and mask (n, k, t), as of `Responses`; scores (n, k), of which only
    the order in a row counts, higher being better.
    """

    tokens: Tensor
    mask: Tensor
    scores: Tensor


def comparisons(
    prompts: Sequence[Tokens],
    answers: Sequence[Sequence[Tokens]],
    scores: Sequence[Sequence[float]],
) -> Comparisons:
    """Return what somebody preferred, as a reward model learns from it.

    Raises: ValueError for numbers of answers that differ or are below 2, for a prompt
    whose answers are all tied or hold no token, and where the lists do not fit.

    >>> comparisons([[5]], [[[6], [7, 8]]], [[1.0, 0.0]]).tokens.tolist()
    [[[5, 6, 0], [5, 7, 8]]]
    """
    counts = {len(row) for row in [*answers, *scores]}
    if not len(prompts) == len(answers) == len(scores) or len(counts) > 1:
        raise ValueError(
            f"{len(prompts)} prompts, {len(answers)} with answers, {len(scores)} with "
            f"scores, {sorted(counts)} to a prompt; give each prompt as many answers "
            "as the others, and each answer a score"
        )
    ranked = torch.as_tensor(scores, dtype=torch.float)
    check_scores(ranked)
    rows = [
        (prompt, answer)
        for prompt, its in zip(prompts, answers, strict=True)
        for answer in its
    ]
    packed = (rearrange(x, "(n k) t -> n k t", n=len(prompts)) for x in pack(rows))
    return Comparisons(*packed, ranked)


def ask(
    policy: GPT,
    prompts: Sequence[Tokens],
    k: int,
    score: Scorer,
    n_new: int,
    end: int,
    *,
    generator: torch.Generator | None = None,
) -> Comparisons:
    """Let a policy answer each prompt k times, and return what somebody makes of it.

    `score` takes the answers as `Responses` holds them. Prompts whose answers are all
    tied are left out.

    Raises: ValueError as `sample` and `comparisons`.
    Source: InstructGPT, §3.5 (k from 4 to 9).
    """
    asked = [prompt for prompt in prompts for _ in range(k)]
    responses = sample(policy, asked, n_new, end, generator=generator)
    scores = rearrange(score(*responses), "(n k) -> n k", k=k)
    answers = [answer for _, answer in responses.pairs]
    kept = (scores != scores[:, :1]).any(dim=1).nonzero()[:, 0].tolist()
    if not kept:
        raise ValueError(
            f"the {k} answers to each of {len(prompts)} prompts are all tied; ask for "
            "more answers, or score them more finely"
        )
    return comparisons(
        [prompts[n] for n in kept],
        [answers[n * k : (n + 1) * k] for n in kept],
        scores[kept].tolist(),
    )


def check_scores(scores: Tensor) -> None:
    """Raise ValueError for scores (n, k) that prefer no answer to another.

    >>> check_scores(torch.tensor([[1.0, 2.0, 2.0]]))
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(
            f"scores of shape {tuple(scores.shape)}; need (n, k) with k >= 2, for "
            "there is nothing to compare with fewer than two answers to a prompt"
        )
    tied = (scores == scores[:, :1]).all(dim=1) | scores.isnan().any(dim=1)
    if tied.any():
        raise ValueError(
            f"row {int(tied.int().argmax())} of the scores prefers no answer (all are "
            "tied, or one is nan); leave that prompt out"
        )


def ranking_loss(rewards: Tensor, scores: Tensor) -> Tensor:
    """Return -log σ(reward of the better - reward of the worse), a mean over pairs.

    All pairs of a prompt's k answers are one element of the batch: the mean is first
    over a row's pairs, ties dropped, then over rows. Shapes: rewards and scores (b, k).

    Raises: ValueError as `comparisons` for fewer than 2 answers, and ties only.
    Source: InstructGPT, E1; App. C.2 (ties).

    >>> ranking_loss(torch.zeros(1, 3), torch.tensor([[3.0, 1.0, 1.0]])).item()
    0.6931471824645996
    """
    check_scores(scores)
    counts = better(scores)
    losses = -F.logsigmoid(_margins(rewards)) * counts
    return (losses.sum((1, 2)) / counts.sum((1, 2))).mean()


def better(scores: Tensor) -> Tensor:
    """Return whether each answer has a higher score than each other one (b, k, j).

    >>> better(torch.tensor([[2.0, 1.0]])).int().tolist()
    [[[0, 1], [0, 0]]]
    """
    return rearrange(scores, "b k -> b k 1") > rearrange(scores, "b j -> b 1 j")


def _margins(rewards: Tensor) -> Tensor:
    """Return by how much each answer's reward is higher than each other's (b, k, j)."""
    return rearrange(rewards, "b k -> b k 1") - rearrange(rewards, "b j -> b 1 j")


def _rewards(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the rewards (b, k) of answers (b, k, t)."""
    rows = (rearrange(part, "b k t -> (b k) t") for part in (tokens, mask))
    return rearrange(model(*rows), "(b k) -> b k", b=len(tokens))


def reward_loss(
    model: nn.Module, tokens: Tensor, mask: Tensor, scores: Tensor
) -> Tensor:
    """Return a reward model's `ranking_loss` on comparisons, for `training.train`."""
    return ranking_loss(_rewards(model, tokens, mask), scores)


def ranking_accuracy(model: RewardModel, compared: Comparisons) -> float:
    """Return the share of pairs, ties dropped, that a reward model ranks as people did.

    Two answers of the same reward count as half right: 0.5 is chance.
    """
    with frozen(model):
        rewards = _rewards(model, compared.tokens, compared.mask)
    right = (_margins(rewards).sign() + 1) / 2
    return right[better(compared.scores)].mean().item()


def center_rewards(model: RewardModel, demonstrations: Responses) -> None:
    """Move the head's bias so that demonstrations have reward 0 on average.

    The ranking loss sees differences only, so that until then the zero is arbitrary.

    Source: InstructGPT, §3.5.
    """
    with frozen(model):
        model.head.bias -= model(*demonstrations).mean()


def train_reward(
    language_model: GPT,
    compared: Comparisons,
    demonstrations: Responses,
    epochs: int,
    *,
    batch_size: int = 8,
    learning_rate: float = 2e-3,
    generator: torch.Generator | None = None,
) -> RewardModel:
    """Return a reward model that starts as a copy of a language model.

    Each of the `epochs` sees the prompts of `compared` once, in a new order, with all
    answers to a prompt together. At the end demonstrations have reward 0 on average.

    Raises: ValueError for fewer than one epoch.
    Source: InstructGPT, App. C.2.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}; a reward model needs one at least")
    model = RewardModel(copy.deepcopy(language_model))
    batches = shuffled(compared, batch_size, generator)
    steps = epochs * -(-len(compared.scores) // batch_size)
    train(
        model, batches, steps, adamw(model, learning_rate, weight_decay=0.01),
        schedule=warmup_cosine(5), loss=reward_loss, progress=False,
    )  # fmt: skip
    center_rewards(model, demonstrations)
    return model
