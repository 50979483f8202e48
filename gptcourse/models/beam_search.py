"""Beam search: the likeliest continuation, sought along several at once.

Built by hand in notebook 07.

Axis letters: b batch, w beam, k candidate, t position, v vocabulary.
"""

import math

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from gptcourse.models.attention import KeyValueCache
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.layers import frozen

#: beyond it, a length to the power of the penalty may leave the range of float32
MAX_PENALTY = 10


def beam_search(
    model: GPT,
    tokens: Tensor,
    n_new: int,
    width: int = 4,
    *,
    length_penalty: float = 0.6,
    end: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return each prompt with the best continuation found (b, t + n_new), and scores.

    At each step the `width` likeliest unfinished texts, the beams, go on. A text is
    finished with the token `end`, or when it is full. Its score is its log-probability
    after the prompt, in nats, over n**length_penalty, n the number of its new tokens,
    the end token included: 0 ranks by the sum, 1 by the mean, more favours long texts.
    The scores (b,) are the best ones. `end` fills what follows an end token. Dropout
    is off.

    The search for a prompt is over when `width` texts are finished and the best beam,
    scored as if it ended here, does not beat the worst of them. With a penalty above 0
    this may miss a longer text of a better score. It is the rule that transformers
    calls `early_stopping=False`.

    Raises: ValueError for a width outside 1 to v, an empty prompt, no new token, more
    to read than n_ctx (the last new token is not read), a token or `end` outside the
    vocabulary, a penalty beyond ±10, and logits that hold nan.
    Source: GPT-3, §2.4 (width 4, penalty 0.6). The penalty has transformers' form; Wu
    et al. 2016 divide by ((5 + n) / 6)**length_penalty instead.

    >>> from gptcourse.models.gpt import GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=9, n_ctx=4, n_embd=8, n_head=2, n_layer=1))
    >>> texts, scores = beam_search(model, torch.tensor([[1, 2]]), 3)
    >>> texts.shape, scores.shape
    (torch.Size([1, 5]), torch.Size([1]))
    """
    _check(model.config, tokens, n_new, width, length_penalty, end)
    b, t = tokens.shape
    end = -1 if end is None else end  # no token is -1
    # One beam, the prompt: the first step makes `width` of it.
    texts, scores = tokens[:, None], torch.zeros(b, 1, device=tokens.device)
    done = tokens.new_full((b, width, t + n_new), end)
    done_scores = scores.new_full((b, width), -math.inf)
    searching = torch.ones_like(scores, dtype=torch.bool)
    cache, window = KeyValueCache(), tokens
    with frozen(model):
        for n in range(1, n_new + 1):
            logits = model.logits(model.hidden(window, cache)[:, -1])
            # At most one candidate of each beam ends, so `width` of them can go on.
            scores, texts, rows = _extend(scores, texts, logits, 2 * width)
            ends = (texts[:, :, -1] == end) | (n == n_new)
            # What ends counts if it is among the `width` best and the search is on.
            ended = (scores / n**length_penalty).where(ends & searching, -math.inf)
            full = F.pad(texts, (0, n_new - n), value=end)
            done_scores, done = _best(
                width,
                torch.cat([done_scores, ended[:, :width]], dim=1),
                torch.cat([done, full[:, :width]], dim=1),
            )
            unfinished = scores.masked_fill(ends, -math.inf)
            scores, texts, rows = _best(width, unfinished, texts, rows)
            searching &= scores[:, :1] / n**length_penalty > done_scores[:, -1:]
            if not searching.any():
                break
            cache.reorder(rows.flatten())
            window = rearrange(texts[:, :, -1:], "b w 1 -> (b w) 1")
    return done[:, 0], done_scores[:, 0]


def _extend(scores: Tensor, texts: Tensor, logits: Tensor, k: int):
    """Return the k likeliest texts with one token more, best first.

    From log-probabilities (b, w), texts (b, w, t) and logits (b·w, v): the new ones
    (b, k) and (b, k, t + 1), and the row of the batch that each goes on from (b, k).
    """
    more = logits.float().log_softmax(dim=-1)
    if more.isnan().any():
        raise ValueError("the logits hold nan (did the training diverge?)")
    (b, w), v = scores.shape, logits.shape[-1]
    every = rearrange(scores, "b w -> (b w) 1") + more
    scores, places = rearrange(every, "(b w) v -> b (w v)", b=b).topk(min(k, w * v))
    rows = torch.arange(0, b * w, w, device=places.device)[:, None] + places // v
    old, new = rearrange(texts, "b w t -> (b w) t")[rows], places % v
    return scores, torch.cat([old, new[:, :, None]], dim=-1), rows


def _best(k: int, scores: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Return the k highest scores (b, k), best first, and the others' entries there."""
    scores, places = scores.topk(k)
    prompt = torch.arange(len(scores), device=scores.device)[:, None]
    return scores, *(other[prompt, places] for other in others)


def _check(config: GPTConfig, tokens, n_new, width, length_penalty, end) -> None:
    if tokens.ndim != 2 or tokens.numel() == 0:
        raise ValueError(
            f"prompts of shape {tuple(tokens.shape)}; need (b, t) with b and t >= 1"
        )
    n_ctx, v, t = config.n_ctx, config.n_vocab, tokens.shape[1]
    if n_new < 1 or t + n_new - 1 > n_ctx:
        raise ValueError(
            f"{n_new} new tokens after {t}; need at least 1, and at most {n_ctx + 1} "
            f"with the prompt, as the context is n_ctx={n_ctx}"
        )
    if not 1 <= width <= v:
        raise ValueError(f"width={width}; need 1 to {v}, the size of the vocabulary")
    if end is not None and not 0 <= end < v:
        raise ValueError(f"end={end}, but the vocabulary holds 0 to {v - 1}")
    if not abs(length_penalty) <= MAX_PENALTY:  # as nan is not either
        raise ValueError(
            f"length_penalty={length_penalty}; need {-MAX_PENALTY} to {MAX_PENALTY}"
        )
