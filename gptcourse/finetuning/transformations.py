"""GPT-1's input transformations: every task becomes sequences of tokens.

The case of two texts is built by hand in notebook 03.

Axis letters: n example, b batch, k sequence of an example, t position.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gptcourse.tasks.labelled import Example, Kind, LabelledSet
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


def transform(
    kind: Kind | str, texts: Sequence[Tokens], specials: Specials, n_ctx: int
) -> list[Tokens]:
    """Return the sequences of one example, its texts being tokens.

    One sequence for classification and entailment; both orders for similarity; for
    multiple choice the context with each ending.

    If the longest sequence of an example does not fit into n_ctx positions, all its
    texts are cut to the same number of tokens, their ends dropped: n_ctx // 2 - 2 where
    two texts share a sequence, as in the paper's code, and n_ctx - 2 where one stands
    alone. (The code cuts each text on its own; here what fits stays whole.)

    Raises: ValueError for an unknown kind, a wrong number of texts, one without tokens,
    and a context too short for one token of each.
    Source: GPT-1, §3.3, F1; openai/finetune-transformer-lm, `transform_roc`.

    >>> specials = Specials.after(10)
    >>> transform("entailment", ([1, 2], [3]), specials, n_ctx=8)
    [[10, 1, 2, 11, 3, 12]]
    >>> transform("similarity", ([1], [2]), specials, n_ctx=8)
    [[10, 1, 11, 2, 12], [10, 2, 11, 1, 12]]
    """
    kind = Kind(kind)
    if not all(texts):
        raise ValueError(f"text {texts.index([])} of {len(texts)} holds no token")
    sequences = _framed(kind, texts, specials)
    if max(map(len, sequences)) > n_ctx:
        room = n_ctx - 2 if kind is Kind.CLASSIFICATION else n_ctx // 2 - 2
        if room < 1:
            raise ValueError(
                f"n_ctx={n_ctx} is too short for {kind}; it needs a token of each text"
            )
        sequences = _framed(kind, [text[:room] for text in texts], specials)
    return sequences


def _framed(kind: Kind, texts: Sequence[Tokens], specials: Specials) -> list[Tokens]:
    """Return the texts of an example between special tokens, as in figure 1."""
    start, delimiter, extract = specials

    def pair(first: Tokens, second: Tokens) -> Tokens:
        return [start, *first, delimiter, *second, extract]

    match kind, texts:
        case Kind.CLASSIFICATION, [text]:
            return [[start, *text, extract]]
        case Kind.ENTAILMENT, [premise, hypothesis]:
            return [pair(premise, hypothesis)]
        case Kind.SIMILARITY, [one, other]:
            return [pair(one, other), pair(other, one)]
        case Kind.MULTIPLE_CHOICE, [context, *endings] if endings:
            return [pair(context, ending) for ending in endings]
    raise ValueError(f"{len(texts)} texts are too few or too many for {kind}")


@dataclass(frozen=True)
class EncodedExamples:
    """Labelled examples as tokens, ready to be learnt from.

    Shapes: tokens (n, k, t), padded on the right with 0; lengths (n,), of an
    example's longest sequence; labels (n,). A slice, or a tensor of indices, gives
    fewer examples.
    """

    kind: Kind
    n_labels: int
    specials: Specials
    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | Tensor) -> "EncodedExamples":
        parts = (part[chosen] for part in (self.tokens, self.lengths, self.labels))
        return EncodedExamples(self.kind, self.n_labels, self.specials, *parts)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the chosen examples, padded to the longest of them.

        Shapes: tokens (b, k, t) and labels (b,).
        """
        longest = int(self.lengths[chosen].max())
        return self.tokens[chosen, :, :longest], self.labels[chosen]

    def shuffled_batches(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches without end, every example once an epoch: (b, k, t) and (b,).

        An epoch is ceil(n / batch_size) batches of nearly equal size. Examples of
        nearly equal length meet in a batch, so that little is padded; which of them,
        and in what order, is drawn anew each time.
        """
        while True:
            order = torch.randperm(len(self), generator=generator)
            batches = []
            # Only within 16 batches' worth of examples does length decide.
            for pool in order.split(16 * batch_size):
                batches += by_length(pool, self.lengths, batch_size)
            for number in torch.randperm(len(batches), generator=generator):
                yield self.batch(batches[number])


def encode_examples(
    task: LabelledSet, examples: Sequence[Example], tokenizer: Encoder, n_ctx: int
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
