"""Bias probes: what a model writes about groups, as log-ratios with an interval.

Built by hand in notebook 07.

The caller gives the words, groups and templates; none is kept here. Intervals are at
95 %. Axis letters: n prompt, w word.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from gptcourse.corpora.bloom import normalise
from gptcourse.models import LanguageModel
from gptcourse.tasks.zero_shot import mean_log_probability
from gptcourse.tokenizers.base import Encoder

#: standard deviations to each side that hold 95 % of a normal distribution
SPREAD = 1.96
N_DRAWS = 2000


class Estimate(NamedTuple):
    """A value and the bounds of its interval."""

    value: float
    low: float
    high: float


def fill(template: str, terms: Sequence[str]) -> list[str]:
    """Return the template once for each term, with the term in its slot.

    Raises: ValueError for a template without a slot or with different ones, and for no
    terms or an empty one.
    Source: GPT-3, §6.2.

    >>> fill("The {occupation} was a", ["baker", "pilot"])
    ['The baker was a', 'The pilot was a']
    """
    slots = set(re.findall(r"\{\w*\}", template))
    if len(slots) != 1 or not terms or not all(terms):
        raise ValueError(
            f"template {template!r} for terms {list(terms)}; need one slot, such as "
            "{term}, and one term or more, none of them empty"
        )
    return [template.replace(*slots, term) for term in terms]


def log_ratios(
    model: LanguageModel,
    tokenizer: Encoder,
    prompts: Sequence[str],
    words_a: Sequence[str],
    words_b: Sequence[str],
) -> Tensor:
    """Return log P(words of A) / P(words of B) after each prompt (n,), in nats.

    A list's probability is the sum of its words'. A word is read as it is given: write
    the space before it and, where tokens are smaller than words, what ends it. A model
    without preference gives 0 if A's words have as many tokens as B's.

    Raises: ValueError for lists of different lengths, a word without tokens, words of
    which one begins the other, no prompts, an empty one, and what is longer than n_ctx.
    Source: GPT-3, §6.2.

    >>> from gptcourse.models.gpt import GPT, GPTConfig
    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> model = GPT(GPTConfig(n_vocab=256, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> log_ratios(model, ByteTokenizer(), ["Pat is", "Kim is"], [" A"], [" B"]).shape
    torch.Size([2])
    """
    sizes = torch.tensor(_sizes(tokenizer, words_a, words_b))
    longest = max((len(tokenizer.encode(prompt)) for prompt in prompts), default=0)
    if longest + sizes.max() > model.config.n_ctx:
        raise ValueError(
            f"a prompt and a word have {longest + int(sizes.max())} tokens, but the "
            f"context is n_ctx={model.config.n_ctx}; shorten the template"
        )
    words = [*words_a, *words_b]
    contexts = [prompt for prompt in prompts for _ in words]
    means = mean_log_probability(model, tokenizer, words * len(prompts), contexts)
    logs = rearrange(means, "(n w) -> n w", w=len(words)) * sizes
    return logs[:, : len(words_a)].logsumexp(1) - logs[:, len(words_a) :].logsumexp(1)


def _sizes(
    tokenizer: Encoder, words_a: Sequence[str], words_b: Sequence[str]
) -> list[int]:
    """Return the number of each word's tokens; refuse words that do not compare."""
    if not words_a or len(words_a) != len(words_b):
        raise ValueError(
            f"{len(words_a)} words of A, {len(words_b)} of B; give as many of each, or "
            "a model without preference leans to the longer list"
        )
    found = [(tokenizer.encode(word), word) for word in (*words_a, *words_b)]
    for (tokens, word), (others, other) in pairwise(sorted(found)):
        if not tokens:
            raise ValueError(f"word {word!r} has no tokens; write it out")
        if others[: len(tokens)] == tokens:
            raise ValueError(
                f"{other!r} begins with {word!r}, and would count for both; write what "
                "ends a word, or leave one out"
            )
    return [len(tokens) for tokens, _ in found]


def with_interval(
    values: Sequence[float] | Tensor, generator: torch.Generator | None = None
) -> Estimate:
    """Return the mean of the values and its interval, by a bootstrap over the values.

    `N_DRAWS` times as many values are drawn anew, with replacement; 95 % of their means
    lie within the bounds. For few values the interval is too narrow: it holds the true
    mean about 90 times in 100 for ten values, 94 for fifty. For one it is infinite.

    Raises: ValueError for no values, more than one axis, and for nan or infinity.
    Source: Efron 1979.

    >>> with_interval([1.0, 1.0, 1.0])
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    values = torch.as_tensor(values, dtype=torch.float64)
    if values.ndim != 1 or not len(values) or not values.isfinite().all():
        raise ValueError(
            f"values of shape {tuple(values.shape)}; need (n,) with n >= 1, all finite"
        )
    n, mean = len(values), values.mean().item()
    if n == 1:
        return Estimate(mean, -math.inf, math.inf)
    means = values[torch.randint(n, (N_DRAWS, n), generator=generator)].mean(dim=1)
    return Estimate(mean, means.quantile(0.025).item(), means.quantile(0.975).item())


def word_log_ratios(
    texts_by_group: Mapping[str, Sequence[str]], words: Iterable[str]
) -> dict[str, dict[str, Estimate]]:
    """Return how much more often each group's texts hold each word than the others'.

    The value is a log-ratio of two rates, in nats: the share of the group's texts that
    hold the word, over that of all other texts. A word counts once in a text, since its
    repeats there are not independent. Two more texts, one of which holds the word, are
    shared out by the groups' sizes, so that a word that never occurs has the value 0.
    Give the texts without their prompts.

    Raises: ValueError for fewer than two groups, a group without texts, no words, and a
    word that is not one lower-case word of letters and digits.
    Source: GPT-3, §6.2, which gives plain counts; Katz et al. 1978 (the interval).

    >>> texts = {"cats": ["so shy", "shy"], "dogs": ["loud", "so loud"]}
    >>> round(word_log_ratios(texts, ["shy"])["cats"]["shy"].value, 3)  # log 5
    1.609
    """
    words = sorted(set(words))
    wrong = [word for word in words if normalise(word).split() != [word]]
    if wrong or not words:
        raise ValueError(f"words {wrong}; need lower-case letters and digits alone")
    sizes = {group: len(texts) for group, texts in texts_by_group.items()}
    if len(sizes) < 2 or not all(sizes.values()):
        raise ValueError(f"texts by group: {sizes}; need two groups, each with a text")
    held = {group: _held(texts) for group, texts in texts_by_group.items()}
    total, n_total = sum(held.values(), Counter()), sum(sizes.values())
    return {
        group: {w: _log_ratio(k[w], sizes[group], total[w], n_total) for w in words}
        for group, k in held.items()
    }


def _held(texts: Iterable[str]) -> Counter[str]:
    """Return how many of the texts hold each word."""
    return Counter(word for text in texts for word in {*normalise(text).split()})


def _log_ratio(k: int, n: int, k_all: int, n_all: int) -> Estimate:
    """Return the log-ratio of a group's rate, k of n, to that of the rest, smoothed."""
    share = n / n_all
    rest, n_rest = k_all - k + 1 - share, n_all - n + 2 * (1 - share)
    k, n = k + share, n + 2 * share
    value = math.log(k / n) - math.log(rest / n_rest)
    spread = SPREAD * math.sqrt(1 / k - 1 / n + 1 / rest - 1 / n_rest)
    return Estimate(value, value - spread, value + spread)


def mean_sentiment(
    ratios: Mapping[str, Mapping[str, Estimate]],
    scores: Mapping[str, float],
    generator: torch.Generator | None = None,
) -> dict[str, Estimate]:
    """Return for each group the mean score of its over-represented words.

    `ratios` come from `word_log_ratios`; a word is over-represented if its interval
    lies above 0, as that of one word in forty does by chance. The unit is that of the
    scores; the bootstrap of `with_interval` is over the words. Where none is
    over-represented the mean is nan.

    Raises: ValueError for a word without a score.
    Source: GPT-3, §6.2 (scores of SentiWordNet, -100 to 100).

    >>> ratios = {"cats": {"shy": Estimate(2, 1, 3), "loud": Estimate(0, -1, 1)}}
    >>> mean_sentiment(ratios, {"shy": -20.0, "loud": -50.0})["cats"].value
    -20.0
    """
    missing = sorted({word for found in ratios.values() for word in found} - {*scores})
    if missing:
        raise ValueError(f"no score for {missing[0]!r}; give one, 0 if it is neutral")
    over = {
        group: [scores[word] for word, ratio in found.items() if ratio.low > 0]
        for group, found in ratios.items()
    }
    nothing = Estimate(math.nan, -math.inf, math.inf)
    return {
        group: with_interval(found, generator) if found else nothing
        for group, found in over.items()
    }
