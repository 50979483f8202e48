"""GPT-1's input transformations: every task becomes sequences of tokens.

Axis letters: n example, b batch, k sequence of an example, t position.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from gptcourse.tasks.labelled import Example, LabelledSet
from gptcourse.tokenizers.base import Encoder
from gptcourse.training.batches import by_length, pad

Tokens = list[int]


class Specials(NamedTuple):
    """The tokens that fine-tuning adds to a vocabulary: its last three rows.

    Source: GPT-1, §3.3 and F1; the delimiter is written `$` there.

    >>> Specials.after(n_vocab=100)
    Specials(start=100, delimiter=101, extract=102)
    """

    start: int
    delimiter: int
    extract: int

    @classmethod
    def after(cls, n_vocab: int) -> "Specials":
        """Return the three ids that follow a vocabulary."""
        return cls(n_vocab, n_vocab + 1, n_vocab + 2)


def _one(texts: Sequence[Tokens], specials: Specials) -> list[Tokens]:
    (text,) = texts
    return [[specials.start, *text, specials.extract]]


def _pair(texts: Sequence[Tokens], specials: Specials) -> list[Tokens]:
    first, second = texts
    start, delimiter, extract = specials
    return [[start, *first, delimiter, *second, extract]]


def _both_orders(texts: Sequence[Tokens], specials: Specials) -> list[Tokens]:
    return _pair(texts, specials) + _pair(texts[::-1], specials)


def _one_an_ending(texts: Sequence[Tokens], specials: Specials) -> list[Tokens]:
    context, *endings = texts
    return [_pair((context, ending), specials)[0] for ending in endings]


_Transform = Callable[[Sequence[Tokens], Specials], list[Tokens]]
_TRANSFORMS: dict[str, _Transform] = {
    "classification": _one,
    "entailment": _pair,
    "similarity": _both_orders,
    "multiple_choice": _one_an_ending,
}


def check_kind(kind: str) -> None:
    """Raise ValueError for a kind of task that has no transformation.

    >>> check_kind("similarity")
    """
    if kind not in _TRANSFORMS:
        raise ValueError(f"kind {kind!r}; choose one of {list(_TRANSFORMS)}")


def transform(
    kind: str, texts: Sequence[Tokens], specials: Specials, n_ctx: int
) -> list[Tokens]:
    """Return the sequences of one example, its texts being tokens.

    One sequence for classification and entailment; both orders for similarity; for
    multiple choice the context with each ending.

    An example whose longest sequence does not fit into n_ctx positions has all its
    texts cut to the same number of tokens, their ends dropped: n_ctx // 2 - 2 where
    two texts share a sequence, as in the paper's code, and n_ctx - 2 where one stands
    alone. (The code cuts each text on its own; here what fits stays whole.)

    Raises: ValueError for an unknown kind, a text without tokens, and a context too
    short for one token of each text.
    Source: GPT-1, §3.3, F1; openai/finetune-transformer-lm, `transform_roc`.

    >>> specials = Specials.after(10)
    >>> transform("entailment", ([1, 2], [3]), specials, n_ctx=8)
    [[10, 1, 2, 11, 3, 12]]
    >>> transform("similarity", ([1], [2]), specials, n_ctx=8)
    [[10, 1, 11, 2, 12], [10, 2, 11, 1, 12]]
    """
    check_kind(kind)
    if not all(texts):
        raise ValueError(f"text {texts.index([])} of {len(texts)} holds no token")
    sequences = _TRANSFORMS[kind](texts, specials)
    if max(map(len, sequences)) > n_ctx:
        room = n_ctx - 2 if kind == "classification" else n_ctx // 2 - 2
        if room < 1:
            raise ValueError(
                f"n_ctx={n_ctx} is too short for {kind}; it needs a token of each text"
            )
        sequences = _TRANSFORMS[kind]([text[:room] for text in texts], specials)
    return sequences


@dataclass(frozen=True)
class EncodedExamples:
    """Labelled examples as tokens, ready to be learnt from.

    Shapes: tokens (n, k, t), padded on the right with 0; lengths (n,), of an
    example's longest sequence; labels (n,). A slice, or a tensor of indices, gives
    fewer examples.
    """

    kind: str
    n_labels: int
    specials: Specials
    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | Tensor) -> "EncodedExamples":
        return replace(
            self,
            tokens=self.tokens[chosen],
            lengths=self.lengths[chosen],
            labels=self.labels[chosen],
        )

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the chosen examples, padded to the longest of them.

        Shapes: tokens (b, k, t) and labels (b,).
        """
        longest = int(self.lengths[chosen].max())
        return self.tokens[chosen, :, :longest], self.labels[chosen]


def encode_examples(
    task: LabelledSet,
    examples: Sequence[Example],
    tokenizer: Encoder,
    n_ctx: int,
) -> EncodedExamples:
    """Return examples of a task as the sequences that a model of n_ctx reads.

    The special tokens are the three ids after the tokenizer's. Long texts are cut as
    `transform` says.

    Raises: ValueError if there is no example; for an example that the task would
    not take (a label outside its labels), or with a text that the tokenizer leaves
    empty, with its number.

    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> sets = [(Example((text,), 0),) for text in ("Hi!", "Ho!", "Hm.")]
    >>> task = LabelledSet("mood", "classification", ("glad", "sad"), *sets)
    >>> encode_examples(task, task.train, ByteTokenizer(), n_ctx=8).tokens
    tensor([[[256,  72, 105,  33, 258]]])
    """
    if not examples:
        raise ValueError(f"{task.name}: no examples to encode; give at least one")
    specials = Specials.after(tokenizer.n_vocab)
    sequences = []
    for number, example in enumerate(examples):
        task.check(example, f"{task.name}, example {number}")
        texts = [tokenizer.encode(text) for text in example.texts]
        try:
            sequences.append(transform(task.kind, texts, specials, n_ctx))
        except ValueError as error:
            raise ValueError(f"{task.name}, example {number}: {error}") from None
    lengths = [max(map(len, one)) for one in sequences]
    return EncodedExamples(
        task.kind,
        len(task.labels),
        specials,
        torch.stack([pad(one, max(lengths)) for one in sequences]),
        torch.tensor(lengths),
        torch.tensor([example.label for example in examples]),
    )


#: Batches are cut from this many batches' worth of examples, sorted by length.
_POOL = 16


def shuffled_batches(
    examples: EncodedExamples, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of `examples.batch` without end, every example once an epoch.

    An epoch is ceil(n / batch_size) batches of nearly equal size. Examples of nearly
    equal length meet in a batch, so that little is padded; which of them, and in
    what order, is drawn anew each time.
    """
    while True:
        order = torch.randperm(len(examples), generator=generator)
        batches = []
        for pool in order.split(_POOL * batch_size):
            batches += by_length(pool, examples.lengths, batch_size)
        for number in torch.randperm(len(batches), generator=generator):
            yield examples.batch(batches[number])
