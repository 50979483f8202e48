"""Time to a loss: the course's recipe against AdamW as most tutorials set it.

Same model (4 × 128, context 64), same text (the documentation, by character), same
validation. The peer trains 2,000 steps with AdamW at 1e-3 and batch 12; the loss it
ends with is the goal. Ours trains once with Muon; only its steps are counted, and if it
misses the goal its time counts as endless.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.speed import Row
from gptcourse.corpora.python_docs import python_docs
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.tokenizers.characters import CharacterTokenizer
from gptcourse.training.batches import RandomBatches
from gptcourse.training.history import History
from gptcourse.training.loop import train, validation_loss
from gptcourse.training.optimizers import (
    Optimizer,
    adamw,
    constant,
    muon,
    warmup_linear,
)

N_CTX = 64


def tokens() -> tuple[Tensor, Tensor, int]:
    """Return the training and the validation tokens (n,), and the vocabulary's size."""
    texts = [part.text for part in python_docs().split()]
    tokenizer = CharacterTokenizer.train(texts[:1])
    learnt, held_out = (torch.tensor(tokenizer.encode(text)) for text in texts)
    return learnt, held_out, tokenizer.n_vocab


def run(learnt, held_out, n_vocab, batch_size, steps, optimizer, schedule) -> History:
    """Train from the same weights; measure once, at the end."""
    config = GPTConfig(n_vocab, N_CTX, n_embd=128, n_head=4, n_layer=4)
    model = GPT(config, torch.Generator().manual_seed(0))
    chosen: Optimizer = optimizer(model)
    return train(
        model,
        RandomBatches(learnt, batch_size, N_CTX, torch.Generator().manual_seed(1)),
        steps,
        chosen,
        schedule=schedule,
        validation=lambda: validation_loss(model, held_out, max_tokens=2**17),
        every=steps,
    )


def rows() -> Iterator[Row]:
    """Yield the one comparison, seconds of training to the same loss."""
    data = tokens()
    peer = run(*data, 12, 2_000, lambda model: adamw(model, lr=1e-3), constant)
    ours = run(*data, 16, 400, muon, warmup_linear(10))
    reached = ours.validation_loss[-1] <= peer.validation_loss[-1]
    print(
        f"validation loss: AdamW {peer.validation_loss[-1]:.3f}, "
        f"ours {ours.validation_loss[-1]:.3f} nats/character"
    )
    yield Row(
        "time to AdamW's loss after 2,000 steps",
        ours.seconds[-1] if reached else math.inf,
        peer.seconds[-1],
        target=4.0,
    )
