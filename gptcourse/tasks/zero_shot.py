"""GPT-1's zero-shot heuristics: a language model answers with its probabilities alone.

Nothing is trained and nothing is added to the model. Axis letters: n text or
sequence, b batch, t position, c n_embd, v vocabulary.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise

import torch
from torch import Tensor

from gptcourse.models.layers import frozen
from gptcourse.models.lstm import LanguageModel
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
    its context loses its beginning. How well a sentence reads is so measured (CoLA,
    with a threshold).

    Raises: ValueError for a text of which no token can be scored.
    Source: GPT-1, §5.

    >>> from gptcourse.models.gpt import GPT, GPTConfig
    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> model = GPT(GPTConfig(n_vocab=256, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> mean_log_probability(model, ByteTokenizer(), ["Hello", "Hi"]).shape
    torch.Size([2])
    """
    if contexts is None:
        parts = [_first_apart(tokenizer.encode(text)) for text in texts]
    else:
        parts = [
            (tokenizer.encode(context), tokenizer.encode(text))
            for context, text in zip(contexts, texts, strict=True)
        ]
    return _mean_log_probabilities(model, parts)


def choose_by_ending(
    model: LanguageModel, tokenizer: Encoder, examples: Sequence[Example]
) -> Tensor:
    """Return the number of the likeliest ending of each multiple-choice example (n,).

    An ending's score is its mean token log-probability after the context and a space.

    Source: GPT-1, §5 (RACE).
    """
    parts = []
    for context, *endings in (example.texts for example in examples):
        read = tokenizer.encode(context)
        parts.append([(read, tokenizer.encode(f" {ending}")) for ending in endings])
    return _best_of(model, parts)


def choose_by_substitution(
    model: LanguageModel,
    tokenizer: Encoder,
    blanks: Sequence[tuple[str, Sequence[str], str]],
) -> Tensor:
    """Return the number of the candidate that fits best into each blank (n,).

    A blank is (text before, candidates, text after). A candidate's score is the mean
    token log-probability of the text after it, the candidate standing in its place;
    its own probability does not count, so a rare name has no handicap.

    Source: GPT-1, §5 (Winograd schemas).
    """
    parts = []
    for before, candidates, after in blanks:
        rest = tokenizer.encode(after)
        parts.append(
            [(tokenizer.encode(before + candidate), rest) for candidate in candidates]
        )
    return _best_of(model, parts)


def choose_by_word(
    model: LanguageModel,
    tokenizer: Encoder,
    texts: Sequence[str],
    cue: str,
    words: Sequence[str],
) -> Tensor:
    """Return the number of the word that is likeliest after each text and the cue (n,).

    Only the words given are compared, by their first token: GPT-1 appends "very" to a
    review and compares "positive" with "negative". Give cue and words their spaces.

    Raises: ValueError for words that begin with the same token.
    Source: GPT-1, §5 (SST-2).
    """
    first = [tokenizer.encode(word)[0] for word in words]
    if len(set(first)) < len(first):
        raise ValueError(
            f"words {list(words)} begin with tokens {first}; compare words that differ "
            "from their first token on"
        )
    n_ctx = model.config.n_ctx
    prompts = [tokenizer.encode(text + cue)[-n_ctx:] for text in texts]
    chosen = torch.empty(len(prompts), dtype=torch.long)
    with frozen(model):
        for batch, rows, ends in _batches(model, prompts):
            numbers = torch.arange(len(rows), device=rows.device)
            last = model.hidden(rows)[numbers, ends]
            chosen[batch] = model.logits(last)[:, first].argmax(dim=1).cpu()
    return chosen


def best_threshold(scores: Tensor, labels: Tensor) -> float:
    """Return the threshold that splits scores (n,) into labels 0 and 1 (n,) best.

    A score above it stands for 1. Choose it on validation examples.

    >>> best_threshold(torch.tensor([-3.0, -2.0, -1.0]), torch.tensor([0, 1, 1]))
    -2.5
    """
    ordered, order = scores.double().sort()
    sign = 2 * labels[order] - 1
    # Right answers gained when the threshold moves up past each score.
    gained = torch.cat([sign.new_zeros(1), (-sign).cumsum(0)])
    gained[1:-1][ordered[1:] == ordered[:-1]] = -len(sign)  # nothing lies between
    place = int(gained.argmax())
    edges = [ordered[0] - 1, *ordered, ordered[-1] + 1]
    return float((edges[place] + edges[place + 1]) / 2)


def share_right(chosen: Tensor, examples: Sequence[Example]) -> float:
    """Return the share of examples whose label (n,) was chosen.

    >>> share_right(torch.tensor([0, 1]), [Example(("A.",), 0), Example(("B.",), 0)])
    0.5
    """
    labels = torch.tensor([example.label for example in examples])
    return (chosen == labels).float().mean().item()


Tokens = list[int]
_Parts = tuple[Tokens, Tokens]


def _first_apart(tokens: Tokens) -> _Parts:
    return tokens[:1], tokens[1:]


def _best_of(model: LanguageModel, parts: Sequence[Sequence[_Parts]]) -> Tensor:
    """Return the place of the highest score in each group (n,)."""
    scores = _mean_log_probabilities(model, list(chain.from_iterable(parts)))
    edges = accumulate(map(len, parts), initial=0)
    return torch.stack([scores[a:b].argmax() for a, b in pairwise(edges)])


def _mean_log_probabilities(model: LanguageModel, parts: Sequence[_Parts]) -> Tensor:
    """Return the mean log-probability of each second part after the first (n,)."""
    for number, (context, text) in enumerate(parts):
        if not context or not text:
            raise ValueError(
                f"text {number} has {len(context)} tokens to read and {len(text)} to "
                "score; it needs one of each"
            )
    n_ctx = model.config.n_ctx
    sequences = [(context + text)[-n_ctx:] for context, text in parts]
    scored = torch.tensor(
        [
            min(len(text), len(sequence) - 1)
            for (_, text), sequence in zip(parts, sequences, strict=True)
        ]
    )
    means = torch.empty(len(parts))
    with frozen(model):
        for batch, rows, ends in _batches(model, sequences):
            tails = scored[batch].to(rows.device)
            means[batch] = _tail_means(model, rows, ends, tails)
    return means


def _tail_means(
    model: LanguageModel, tokens: Tensor, ends: Tensor, scored: Tensor
) -> Tensor:
    """Return the mean log-probability of each row's last `scored` tokens (b,)."""
    places = torch.arange(1, tokens.shape[1], device=tokens.device)
    chosen = (places <= ends[:, None]) & (places > (ends - scored)[:, None])
    row, place = chosen.nonzero(as_tuple=True)
    logits = model.logits(model.hidden(tokens)[row, place])
    targets = tokens[row, place + 1, None]
    found = logits.log_softmax(dim=-1).gather(1, targets)[:, 0]
    return (found.new_zeros(len(tokens)).index_add(0, row, found) / scored).cpu()


def _batches(
    model: LanguageModel, sequences: Sequence[Tokens]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield (indices, tokens (b, t), last places (b,)), similar lengths together."""
    device = model.wte.weight.device
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    for batch in by_length(torch.arange(len(sequences)), lengths, _BATCH_SIZE):
        rows = pad([sequences[i] for i in batch], int(lengths[batch].max()))
        yield batch, rows.to(device), (lengths[batch] - 1).to(device)
