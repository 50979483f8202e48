"""Supervised fine-tuning on demonstrations, and responses: scored, and sampled.

Built by hand in notebook 09.

Axis letters: b batch, t position, v vocabulary. What belongs to a token stands at the
token's own place t, though it was computed from those before it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.models import GPT, LanguageModel, frozen, stream
from gptcourse.training.batches import pad

Tokens = list[int]


class Responses(NamedTuple):
    """Prompts, each with a response: tokens (..., t) and a mask (..., t).

    The mask is True where a token is the response's. Before it stands the prompt; after
    it, to the right, is padding with 0.

    >>> Responses(torch.tensor([[5, 6, 0]]), torch.tensor([[False, True, False]])).pairs
    [([5], [6])]
    """

    tokens: Tensor
    mask: Tensor

    @property
    def pairs(self) -> list[tuple[Tokens, Tokens]]:
        """Return each row's prompt and response, without padding."""
        found = []
        for row, chosen in zip(self.tokens.tolist(), self.mask.tolist(), strict=True):
            start = chosen.index(True)
            found.append((row[:start], row[start : start + sum(chosen)]))
        return found


def pack(pairs: Iterable[tuple[Tokens, Tokens]]) -> Responses:
    """Return prompts and responses as padded rows (b, t).

    Raises: ValueError for no pair, and one whose prompt or response has no token.

    >>> pack([([5], [6]), ([5, 7], [8])]).mask.int().tolist()
    [[0, 1, 0], [0, 0, 1]]
    """
    pairs = list(pairs)
    if not pairs:
        raise ValueError("no prompt with a response; give at least one")
    for number, (prompt, response) in enumerate(pairs):
        if not prompt or not response:
            raise ValueError(
                f"pair {number} has {len(prompt)} tokens of prompt and {len(response)} "
                "of response; each needs one, and be it a start or an end token"
            )
    starts = torch.tensor([len(prompt) for prompt, _ in pairs])[:, None]
    rows = [[*prompt, *response] for prompt, response in pairs]
    ends = torch.tensor([len(row) for row in rows])[:, None]
    tokens = pad(rows, int(ends.max()))
    places = torch.arange(tokens.shape[1])
    return Responses(tokens, (places >= starts) & (places < ends))


def shuffled(
    parts: Sequence[Tensor], batch_size: int, generator: torch.Generator | None = None
) -> Iterator[tuple[Tensor, ...]]:
    """Yield batches of the same rows of all parts, without end, each once an epoch.

    Raises: ValueError for a batch size below 1.

    >>> tokens, mask = next(shuffled(pack([([5], [6]), ([5], [8])]), batch_size=2))
    >>> tokens.shape
    torch.Size([2, 2])
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}; need >= 1")
    while True:
        order = torch.randperm(len(parts[0]), generator=generator)
        for rows in order.split(batch_size):
            yield tuple(part[rows] for part in parts)


def log_probabilities(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the log-probability of each response token (b, t), and 0 elsewhere.

    Shapes: tokens and mask (b, t), as of `Responses`. A row's sum is log P(response |
    prompt), in nats.

    >>> even = lambda tokens: torch.zeros(*tokens.shape, 4)  # of four tokens
    >>> log_probabilities(even, *pack([([1, 2], [3])])).exp().tolist()
    [[1.0, 1.0, 0.25]]
    """
    logits = rearrange(model(tokens[:, :-1]), "b t v -> b v t")
    found = -F.cross_entropy(logits, tokens[:, 1:], reduction="none")
    return F.pad(found, (1, 0)).masked_fill(~mask, 0.0)


def response_loss(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the mean negative log-probability of the response tokens (nats per token).

    The loss of supervised fine-tuning, for `training.train`: prompts are read, not
    learnt. Shapes: tokens and mask (b, t), as of `Responses`.

    >>> even = lambda tokens: torch.zeros(*tokens.shape, 4)
    >>> response_loss(even, *pack([([1, 2], [3])])).item()
    1.3862943649291992
    """
    return -log_probabilities(model, tokens, mask).sum() / mask.sum()


def sample(
    model: GPT,
    prompts: Sequence[Tokens],
    n_new: int,
    end: int,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Responses:
    """Return a response that the model writes to each prompt, with dropout off.

    A response goes up to and including the token `end`, or has n_new tokens. Prompts of
    one length are answered together. The generator is on the model's device.

    Raises: ValueError for no prompt, an empty one, one that leaves no room for n_new
    tokens, n_new below 1, an `end` outside the vocabulary, and as `models.stream`.

    >>> from gptcourse.models import GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=9, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> sample(model, [[1, 2], [3, 4, 5]], n_new=4, end=0).pairs[1][0]
    [3, 4, 5]
    """
    _check_room(model, prompts, n_new, end)
    device = next(model.parameters()).device
    responses: list[Tokens] = [[]] * len(prompts)
    for length in sorted(set(map(len, prompts))):
        alike = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
        tokens = torch.tensor([prompts[i] for i in alike], device=device)
        new, ended = [], torch.zeros(len(alike), dtype=torch.bool, device=device)
        with frozen(model):
            for token in stream(
                model, tokens, n_new, temperature=temperature, generator=generator
            ):
                new.append(token)
                ended = ended | (token == end)
                if ended.all():
                    break
        for i, row in zip(alike, torch.stack(new, dim=1).tolist(), strict=True):
            responses[i] = row[: row.index(end) + 1] if end in row else row
    packed = pack(zip(prompts, responses, strict=True))
    return Responses(*(part.to(device) for part in packed))


def _check_room(model: GPT, prompts: Sequence[Tokens], n_new: int, end: int) -> None:
    n_ctx, n_vocab = model.config.n_ctx, model.config.n_vocab
    if not prompts or not all(prompts) or n_new < 1 or not 0 <= end < n_vocab:
        raise ValueError(
            f"{len(prompts)} prompts, n_new={n_new}, end={end}; need a prompt or more, "
            f"a token in each, n_new >= 1, and an end from 0 to {n_vocab - 1}"
        )
    if max(map(len, prompts)) + n_new > n_ctx:
        raise ValueError(
            f"a prompt of {max(map(len, prompts))} tokens with a response of {n_new} "
            f"does not fit n_ctx={n_ctx}; shorten one of them"
        )


def last_places(mask: Tensor) -> Tensor:
    """Return the place of each row's last response token (b,).

    >>> last_places(torch.tensor([[False, True, True, False]])).tolist()
    [2]
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    return (places * mask).argmax(dim=1)


def check_vocabulary(policy: LanguageModel, other: LanguageModel, name: str) -> None:
    """Raise ValueError if a model does not have the policy's vocabulary.

    >>> from gptcourse.models import GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=9, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> check_vocabulary(model, model, "reference")
    """
    mine, theirs = policy.config.n_vocab, other.config.n_vocab
    if mine != theirs:
        raise ValueError(
            f"the policy has a vocabulary of {mine}, the {name} one of {theirs}; "
            "start both from one model"
        )
