"""Training and writing, ours against transformers' GPT-2 of the same shape.

Same sizes, fp32, no dropout on either side, the same fused AdamW. The two take turns
and medians are compared, so that a machine that changes its pace misleads nobody.
"""

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import torch
import transformers
from torch import nn

from gptcourse.models.gpt import GPT, PRESETS, GPTConfig
from gptcourse.models.sampling import generate
from gptcourse.training.loop import next_token_loss


class Row(NamedTuple):
    """One comparison: seconds of ours and the peer's, and the ratio to reach."""

    name: str
    ours: float
    peer: float
    target: float


def in_turns(
    ours: Callable[[], object], peer: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Return the median seconds of each, after one run of each that is not counted."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for times, call in zip(seconds, (ours, peer), strict=True):
            start = perf_counter()
            call()
            if repeat:
                times.append(perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def transformers_gpt2(config: GPTConfig) -> nn.Module:
    """Return transformers' GPT-2 of our shape, without dropout."""
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.n_vocab,
            n_positions=config.n_ctx,
            n_embd=config.n_embd,
            n_layer=config.n_layer,
            n_head=config.n_head,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=None,
            pad_token_id=0,
        )
    )


def training(name, config, batch_size, target, steps=5, repeats=9) -> Row:
    """Compare training steps: forward, backward, update."""
    windows = torch.randint(config.n_vocab, (batch_size, config.n_ctx + 1))
    inputs, targets = windows[:, :-1], windows[:, 1:]

    def learner(model, logits):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

        def learn():
            for _ in range(steps):
                next_token_loss(logits(model), inputs, targets).backward()
                optimizer.step()
                optimizer.zero_grad()

        return learn

    ours = learner(GPT(config), lambda model: model)
    peer = learner(
        transformers_gpt2(config), lambda model: lambda tokens: model(tokens).logits
    )
    times = in_turns(ours, peer, repeats)
    return Row(name, times[0] / steps, times[1] / steps, target)


def writing(name, config, batch_size, n_new, target, repeats=5) -> Row:
    """Compare writing n_new tokens with a cache, drawn from the whole distribution."""
    ours, peer = GPT(config).eval(), transformers_gpt2(config).eval()
    prompt = torch.zeros(batch_size, 1, dtype=torch.long)
    settings = {"max_new_tokens": n_new, "min_new_tokens": n_new, "top_k": 0}
    times = in_turns(
        lambda: generate(ours, prompt, n_new),
        lambda: peer.generate(prompt, do_sample=True, use_cache=True, **settings),
        repeats,
    )
    return Row(name, *times, target)


def rows():
    """Yield every comparison, smallest first."""
    yield training(
        "training step, 4 × 128, context 64, batch 12",
        GPTConfig(n_vocab=65, n_ctx=64, n_embd=128, n_head=4, n_layer=4),
        batch_size=12,
        target=1.1,
    )
    yield training(
        "training step, 4 × 128, context 128, batch 16",
        GPTConfig(n_vocab=1024, n_ctx=128, n_embd=128, n_head=4, n_layer=4),
        batch_size=16,
        target=1.1,
    )
    yield writing(
        "writing 255 tokens, 4 × 128, batch 1",
        GPTConfig(n_vocab=65, n_ctx=256, n_embd=128, n_head=4, n_layer=4),
        batch_size=1,
        n_new=255,
        target=2.4,
    )
    yield writing(
        "writing 255 tokens, 6 × 384, batch 16",
        GPTConfig(n_vocab=65, n_ctx=256, n_embd=384, n_head=6, n_layer=6),
        batch_size=16,
        n_new=255,
        target=1.3,
    )
    yield writing(
        "writing 40 tokens, GPT-2 small, batch 1",
        PRESETS["gpt2"],
        batch_size=1,
        n_new=40,
        target=1.4,
    )
