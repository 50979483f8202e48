"""Proximal policy optimization: a policy learns from a reward, held near a reference.

Built by hand in notebook 09.

Axis letters: b batch, t position. All that belongs to a token stands at the token's own
place t, and is 0 outside the response.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.common import bar
from gptcourse.finetuning.reward import RewardModel, Scorer
from gptcourse.finetuning.sft import (
    Responses,
    Tokens,
    check_vocabulary,
    last_places,
    log_probabilities,
    sample,
)
from gptcourse.models import GPT, LanguageModel
from gptcourse.training.loop import ctrl_c, next_token_loss, update


@dataclass(frozen=True)
class PPO:
    """How a policy learns; clip, beta and epochs are InstructGPT's, lam is PPO's.

    `beta` is the price of a nat of log-ratio to the reference, `clip` PPO's ε, `lam`
    GAE's λ, and `ptx` InstructGPT's γ: the weight of the pre-training loss. The paper
    has 27.8; a small model needs about 1. Sizes and rates suit a model of 60,000
    parameters; the paper answers 512 prompts an iteration, in minibatches of 64.

    Raises: ValueError for a number out of range.
    Source: InstructGPT, E2, App. C.4; Schulman et al. 2017, App. A (lam).

    >>> PPO().clip
    0.2
    """

    iterations: int = 50
    batch_size: int = 128
    minibatch_size: int = 64
    epochs: int = 1
    beta: float = 0.02
    clip: float = 0.2
    lam: float = 0.95
    ptx: float = 0.0
    learning_rate: float = 7e-4
    value_learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        """Refuse numbers by which nothing would be learnt, or the wrong thing."""
        sizes = self.batch_size, self.minibatch_size, self.epochs
        weights = self.iterations, self.beta, self.ptx
        fits = min(sizes) >= 1 and all(weight >= 0 for weight in weights)
        if not (fits and self.clip > 0 and 0 <= self.lam <= 1):
            raise ValueError(
                f"{self}: need sizes and epochs >= 1, iterations, beta and ptx >= 0, "
                "clip > 0 and lam from 0 to 1"
            )


@dataclass
class PPOHistory:
    """What each iteration's responses were like, before the policy learnt from them.

    Means over the responses: `reward`, what the policy learns from, without the KL
    penalty; `kl`, the log-ratio to the reference in nats, an estimate of KL(policy ‖
    reference); `length` in tokens; `gold`, a score that is recorded only, if any.
    `interrupted` says that Ctrl-C ended the run early.
    """

    reward: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    length: list[float] = field(default_factory=list)
    gold: list[float] = field(default_factory=list)
    interrupted: bool = False

    def add(self, scores: Tensor, log_ratios: Tensor, mask: Tensor) -> None:
        """Add an iteration: scores (b,), log_ratios and mask (b, t)."""
        self.reward.append(scores.mean().item())
        self.kl.append(log_ratios.sum().item() / len(scores))
        self.length.append(mask.sum().item() / len(scores))


def token_rewards(
    scores: Tensor, log_ratios: Tensor, mask: Tensor, beta: float
) -> Tensor:
    """Return the reward of each response token (b, t): the penalty, and last the score.

    Each token pays β·log(π(token) / π_ref(token)); the response's score comes with its
    last token. Shapes: scores (b,), log_ratios and mask (b, t).

    Source: InstructGPT, §3.5 and E2 (KL penalty per token).
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    last = places == last_places(mask)[:, None]
    return last * scores[:, None] - beta * log_ratios.masked_fill(~mask, 0.0)


def token_values(value: RewardModel, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the value before each response token is written (b, t), and 0 elsewhere.

    It is read at the token before, so that it cannot know the token itself.
    """
    before = F.pad(value.outputs(tokens[:, :-1]), (1, 0))
    return before.masked_fill(~mask, 0.0)


def advantages(rewards: Tensor, values: Tensor, mask: Tensor, lam: float) -> Tensor:
    """Return generalized advantage estimates (b, t), without discount.

    A_t = Σ_l λ^l δ_{t+l} with δ_t = r_t + V_{t+1} - V_t, the value after the last token
    being 0. Shapes: all (b, t).

    Source: Schulman et al. 2017, E11 and E12 with γ = 1; InstructGPT, App. C.4.

    >>> mask = torch.tensor([[True, True]])
    >>> advantages(torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2), mask, 0.5).tolist()
    [[0.5, 1.0]]
    """
    values = values.masked_fill(~mask, 0.0)
    deltas = rewards + F.pad(values[:, 1:], (0, 1)) - values
    found, ahead = [], torch.zeros_like(deltas[:, 0])
    for delta, written in zip(deltas.T.flip(0), mask.T.flip(0), strict=True):
        ahead = (delta + lam * ahead).masked_fill(~written, 0.0)
        found.append(ahead)
    return torch.stack(found[::-1], dim=1)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the places where the mask is True.

    >>> masked_mean(torch.tensor([1.0, 9.0]), torch.tensor([True, False])).item()
    1.0
    """
    return x.masked_fill(~mask, 0.0).sum() / mask.sum()


def whitened(x: Tensor, mask: Tensor) -> Tensor:
    """Return x with mean 0 and variance 1 over the mask, and 0 elsewhere.

    Source: openai/lm-human-preferences, `whiten`; no paper has it.
    """
    centered = x - masked_mean(x, mask)
    variance = masked_mean(centered**2, mask)
    return (centered * torch.rsqrt(variance + 1e-8)).masked_fill(~mask, 0.0)


def policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, gains: Tensor, mask: Tensor, clip: float
) -> Tensor:
    """Return -min(r·A, clip(r, 1-ε, 1+ε)·A), the mean over the response tokens.

    r is the ratio of the token's probability to that with which it was drawn, A its
    advantage (`gains`), ε the `clip`: what would move r further out than that, and
    gain by it, has no gradient. Shapes: (b, t).

    Source: Schulman et al. 2017, E7.
    """
    ratios = (log_probs - old_log_probs).exp()
    clipped = ratios.clamp(1 - clip, 1 + clip)
    return -masked_mean(torch.minimum(ratios * gains, clipped * gains), mask)


def train_ppo(
    policy: GPT,
    reference: LanguageModel,
    value: RewardModel,
    reward: Scorer,
    prompts: Sequence[Tokens],
    n_new: int,
    end: int,
    settings: PPO = PPO(),
    *,
    gold: Scorer | None = None,
    pretraining: Iterator[tuple[Tensor, Tensor]] | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> PPOHistory:
    """Train a policy, and its value function, on the reward of its own responses.

    An iteration: the policy answers prompts drawn at random, as `sample` says; the
    answers are scored; policy and value learn from them in minibatches. The reference,
    a copy of the policy's start, stays as it is, and so does the reward model; `value`
    starts as a copy of it. Dropout is off throughout. Where `settings.ptx` is above 0,
    a batch of `pretraining` (inputs, targets) joins each minibatch. `gold` is recorded,
    never learnt from. Ctrl-C ends the run after an iteration.

    Raises: ValueError for models that share weights or have other vocabularies, scores
    that are no finite numbers, ptx without pretraining or the reverse, and as `sample`.
    Source: InstructGPT, §3.5, App. C.4.
    """
    _check_text(prompts, pretraining, settings)
    _check_models(policy, reference, value, reward)
    history, device = PPOHistory(), next(policy.parameters()).device
    draw = {"generator": generator, "device": device}
    rates = (policy, settings.learning_rate), (value, settings.value_learning_rate)
    adams = [torch.optim.Adam(m.parameters(), lr, betas=(0.9, 0.95)) for m, lr in rates]
    # From a tenth of the rate to all of it at the tenth iteration.
    warmups = [torch.optim.lr_scheduler.LinearLR(adam, 0.1, 1, 9) for adam in adams]
    with ctrl_c() as pressed:
        for _ in bar(range(settings.iterations), hidden=not progress):
            numbers = torch.randint(len(prompts), (settings.batch_size,), **draw)
            asked = [prompts[i] for i in numbers.tolist()]
            responses = sample(policy, asked, n_new, end, generator=generator)
            scores = _scores(reward, responses)
            experience, log_ratios = _experience(
                responses, scores, policy, reference, value, settings
            )
            history.add(scores, log_ratios, responses.mask)
            if gold is not None:
                history.gold.append(_scores(gold, responses).mean().item())
            for rows in _minibatches(settings, draw):
                tokens, mask, old, gains, returns = (part[rows] for part in experience)
                log_probs = log_probabilities(policy, tokens, mask)
                loss = policy_loss(log_probs, old, gains, mask, settings.clip)
                if pretraining is not None:
                    text = (part.to(device) for part in next(pretraining))
                    loss = loss + settings.ptx * next_token_loss(policy, *text)
                update(policy, loss, adams[0])
                errors = (token_values(value, tokens, mask) - returns) ** 2
                update(value, masked_mean(errors, mask), adams[1])
            for warmup in warmups:
                warmup.step()
            if pressed.is_set():
                history.interrupted = True
                break
    return history


def _check_text(prompts, pretraining, settings: PPO) -> None:
    if not prompts or (settings.ptx > 0) != (pretraining is not None):
        raise ValueError(
            f"{len(prompts)} prompts, ptx={settings.ptx}; need a prompt or more, and "
            "for a ptx above 0, and for no other, batches of pretraining"
        )


def _check_models(policy, reference, value, reward) -> None:
    """Refuse models that do not go together; switch dropout off in all."""
    models = {"policy": policy, "value": value, "reference": reference}
    if isinstance(reward, nn.Module):
        models["reward"] = reward
    for name in ("reference", "value"):
        check_vocabulary(policy, models[name], name)
    for one, other in combinations(models, 2):
        mine, theirs = ({*models[name].parameters()} for name in (one, other))
        if mine & theirs and (one, other) != ("reference", "reward"):
            raise ValueError(
                f"{one} and {other} share weights, so that one would learn into the "
                "other; make one of them from a copy.deepcopy"
            )
    for model in models.values():
        model.eval()


@torch.no_grad()
def _scores(scorer: Scorer, responses: Responses) -> Tensor:
    """Return the scores of responses (b,); ValueError if one is no finite number."""
    scores = scorer(*responses).to(responses.mask.device, torch.float)
    n_wrong = int((~scores.isfinite()).sum())
    if scores.shape != responses.mask.shape[:1] or n_wrong:
        raise ValueError(
            f"scores {tuple(scores.shape)} of {len(responses.mask)} answers, {n_wrong} "
            "of them not finite; need one finite number each (did the reward model's "
            "training diverge?)"
        )
    return scores


@torch.no_grad()
def _experience(responses, scores, policy, reference, value, settings):
    """Return what is to be learnt from responses, and the log-ratios (b, t).

    The former are tokens, mask, and for each response token the log-probability with
    which it was drawn, its advantage, and what its value should have been.
    """
    tokens, mask = responses
    log_probs = log_probabilities(policy, tokens, mask)
    log_ratios = log_probs - log_probabilities(reference, tokens, mask)
    rewards = token_rewards(scores, log_ratios, mask, settings.beta)
    values = token_values(value, tokens, mask)
    gains = advantages(rewards, values, mask, settings.lam)
    experience = (tokens, mask, log_probs, whitened(gains, mask), gains + values)
    return experience, log_ratios


def _minibatches(settings: PPO, draw: dict) -> Iterator[Tensor]:
    """Yield the rows of each minibatch, every response once an epoch."""
    for _ in range(settings.epochs):
        order = torch.randperm(settings.batch_size, **draw)
        yield from order.split(settings.minibatch_size)
