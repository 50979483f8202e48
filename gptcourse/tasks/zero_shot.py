"""GPT-1's zero-shot heuristics: a language model answers with its probabilities alone.

Nothing is trained and nothing is added to the model. Axis letters: n text, b batch,
t position, c n_embd.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from gptcourse.models import LanguageModel, frozen
from gptcourse.tasks.labelled import Example
from gptcourse.tokenizers.base import Encoder
from gptcourse.training.batches import by_length, pad

_BATCH_SIZE = 16


def mean_log_probability(
    model: LanguageModel,
    tokenizer: Encoder,
    texts: Sequence[str],
    contexts: Sequence[str] | None = None,
) -> Tensor:
    """Return the mean log-probability of each text's tokens (n,), in nats.

    With `contexts`, each text follows its own, which is read but not scored; without,
    a text's first token only serves as context. A text that is longer than n_ctx with
    its context loses its beginning.

    Raises: ValueError for no texts, and for one of which no token can be scored.
    Source: GPT-1, §5 (CoLA).

    >>> from gptcourse.models.gpt import GPT, GPTConfig
    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> model = GPT(GPTConfig(n_vocab=256, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> mean_log_probability(model, ByteTokenizer(), ["Hello", "Hi"]).shape
    torch.Size([2])
    """
    heads, tails = _split(tokenizer, texts, contexts)
    n_ctx, device = model.config.n_ctx, next(model.parameters()).device
    rows = [(a + b)[-n_ctx:] for a, b in zip(heads, tails, strict=True)]
    lengths = torch.tensor([len(row) for row in rows])
    scored = torch.tensor([len(tail) for tail in tails])
    means = torch.empty(len(rows))
    with frozen(model):
        for batch in by_length(torch.arange(len(rows)), lengths, _BATCH_SIZE):
            longest, ends = int(lengths[batch].max()), lengths[batch, None]
            tokens = pad([rows[i] for i in batch], longest).to(device)
            places = torch.arange(1, longest)
            counts = (places < ends) & (places >= ends - scored[batch, None])
            hidden, counts = model.hidden(tokens), counts.to(device)
            means[batch] = mean_of_counted(model, hidden, tokens, counts).cpu()
    return means


def mean_of_counted(
    model: LanguageModel, hidden: Tensor, tokens: Tensor, counts: Tensor
) -> Tensor:
    """Return the mean log-probability of each row's tokens that count (b,), in nats.

    Shapes: hidden (b, t, c), tokens (b, t); counts (b, t - 1) says of each token from
    the second on whether it counts. Logits are computed for these alone.

    >>> from gptcourse.models.gpt import GPT, GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=4, n_ctx=3, n_embd=2, n_head=1, n_layer=1))
    >>> same = torch.zeros(1, 3, 2)  # all logits 0, all four tokens equally likely
    >>> counts = torch.tensor([[True, False]])
    >>> mean_of_counted(model, same, torch.tensor([[0, 1, 2]]), counts).exp().item()
    0.25
    """
    row, place = counts.nonzero(as_tuple=True)
    logits = model.logits(hidden[row, place])
    found = -F.cross_entropy(logits, tokens[row, place + 1], reduction="none")
    sums = found.new_zeros(len(tokens)).index_add(0, row, found)
    return sums / counts.sum(dim=1)


def _split(
    tokenizer: Encoder, texts: Sequence[str], contexts: Sequence[str] | None
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the tokens of each text that are read, and those that are scored."""
    if not texts:
        raise ValueError("no text to score; give at least one")
    encode = cache(tokenizer.encode)  # a context stands before each of its endings
    scored = [encode(text) for text in texts]
    if contexts is None:
        read, scored = [one[:1] for one in scored], [one[1:] for one in scored]
    else:
        read = [encode(context) for context in contexts]
    for number, (before, after) in enumerate(zip(read, scored, strict=True)):
        if not before or not after:
            raise ValueError(
                f"text {number} has {len(before)} tokens to read and {len(after)} to "
                "score; it needs one of each"
            )
    return read, scored


def choose_by_ending(
    model: LanguageModel, tokenizer: Encoder, examples: Sequence[Example]
) -> Tensor:
    """Return the number of the likeliest ending of each multiple-choice example (n,).

    An ending's score is its mean token log-probability after the context and a space.

    Source: GPT-1, §5 (RACE).
    """
    contexts, texts = [], []
    for context, *endings in (example.texts for example in examples):
        contexts += [context] * len(endings)
        texts += [f" {ending}" for ending in endings]
    scores = mean_log_probability(model, tokenizer, texts, contexts)
    groups = scores.split([len(example.texts) - 1 for example in examples])
    return torch.stack([group.argmax() for group in groups])


def share_right(chosen: Tensor, examples: Sequence[Example]) -> float:
    """Return the share of examples whose label (n,) was chosen.

    >>> share_right(torch.tensor([0, 1]), [Example(("A.",), 0), Example(("B.",), 0)])
    0.5
    """
    labels = torch.tensor([example.label for example in examples])
    return (chosen == labels).float().mean().item()
