"""Prompts: a task told by an instruction and a few examples to a frozen model.

Built by hand in notebook 06.

Axis letters: n prompt, b batch, t position, v vocabulary.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gptcourse.models import LanguageModel, frozen
from gptcourse.tasks.zero_shot import mean_log_probability
from gptcourse.tokenizers.base import Encoder
from gptcourse.training.batches import by_length, pad

_BATCH_SIZE = 64

#: A question and its answer; GPT-3 calls them context and completion.
Shot = tuple[str, str]


@dataclass(frozen=True)
class Layout:
    """How a prompt is written: what stands between question and answer, and after.

    `labels` maps an answer to the word that is written for it; without it, answers
    stand as they are.

    Raises: ValueError for an empty arrow or separator, for an arrow that holds the
    separator, and for label words that are none, empty, or the same for two answers.

    >>> Layout(" = ", labels={"0": "no", "1": "yes"}).line(("Is it late?", "1"))
    'Is it late? = yes\\n'
    """

    arrow: str = ":"
    separator: str = "\n"
    labels: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse a layout from which no one could read the answers."""
        if not self.arrow or self.separator in self.arrow:  # as an empty one always is
            raise ValueError(
                f"arrow {self.arrow!r}, separator {self.separator!r}; a prompt needs "
                "both, and no separator in the arrow, or question and answer run "
                "together"
            )
        words = ["-"] if self.labels is None else list(self.labels.values())
        if not words or not all(words) or len(set(words)) < len(words):
            raise ValueError(
                f"label words {words}; need one for each answer, and no two the same"
            )

    def word(self, answer: str) -> str:
        """Return what is written for an answer; ValueError if it has no label word."""
        if self.labels is None:
            return self.whole(answer)
        if answer not in self.labels:
            known = ", ".join(map(repr, self.labels))
            raise ValueError(f"no label word for {answer!r}; they are for {known}")
        return self.whole(self.labels[answer])

    def line(self, shot: Shot) -> str:
        """Return an example as it stands in a prompt."""
        question, answer = shot
        return self.closed(self.asked(question) + self.word(answer))

    def asked(self, question: str) -> str:
        """Return a question, up to where its answer begins."""
        return self.whole(question + self.arrow)

    def closed(self, text: str) -> str:
        """Return a text and the separator; ValueError if they hold one before it."""
        self.whole((text + self.separator)[:-1])
        return text + self.separator

    def whole(self, text: str) -> str:
        """Return a text; ValueError if a reader would take it for two examples."""
        if self.separator in text:
            raise ValueError(
                f"{text!r} holds the separator {self.separator!r}, which ends an "
                "example; choose another separator"
            )
        return text


PLAIN = Layout()


def write_prompt(
    question: str,
    shots: Sequence[Shot] = (),
    instruction: str = "",
    layout: Layout = PLAIN,
    order: Sequence[int] | None = None,
) -> str:
    """Return a prompt that ends where the answer begins.

    First the instruction, if any; then the examples, as they come or in the `order` of
    the numbers given; then the question. Without examples it is zero-shot, with one
    one-shot, with more few-shot.

    Raises: ValueError for a text that holds the separator, and for an answer without a
    label word.
    Source: GPT-3, §2 and F2.1.

    >>> write_prompt("cheese", [("sea otter", "loutre de mer")], "English to French")
    'English to French\\nsea otter:loutre de mer\\ncheese:'
    """
    head = layout.closed(instruction) if instruction else ""
    chosen = shots if order is None else [shots[i] for i in order]
    return head + "".join(map(layout.line, chosen)) + layout.asked(question)


def draw_shots(
    pool: Sequence[Shot], k: int, generator: torch.Generator | None = None
) -> list[Shot]:
    """Return k different examples of a task's training set, in random order.

    Raises: ValueError for k below 0, and for more than there are.
    Source: GPT-3, §2.4.

    >>> draw_shots([("2+2", "4")], k=1)
    [('2+2', '4')]
    """
    if not 0 <= k <= len(pool):
        raise ValueError(f"k={k} examples; need 0 to {len(pool)}, as many as there are")
    return [pool[i] for i in torch.randperm(len(pool), generator=generator)[:k]]


def fitting(
    shots: Sequence[Shot],
    question: str,
    tokenizer: Encoder,
    room: int,
    instruction: str = "",
    layout: Layout = PLAIN,
) -> list[Shot]:
    """Return the last examples with which a prompt has at most `room` tokens.

    The first ones are dropped, as they stand farthest from the question; a warning says
    which. `room` is the context less the longest answer.

    Raises: ValueError if the question does not fit even without examples.

    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> fitting([("2+2", "4")], "3+4", ByteTokenizer(), room=10)
    [('2+2', '4')]
    """
    for dropped in range(len(shots) + 1):
        kept = list(shots[dropped:])
        text = write_prompt(question, kept, instruction, layout)
        n_tokens = len(tokenizer.encode(text))
        if n_tokens <= room:
            if dropped:
                warnings.warn(
                    f"the prompt has room for {room} tokens: of {len(shots)} "
                    f"examples the first {dropped} are dropped",
                    stacklevel=2,
                )
            return kept
    raise ValueError(
        f"the question takes {n_tokens} tokens without any example, but there is room "
        f"for {room}; shorten it, or take a model of longer context"
    )


def exact_match(
    model: LanguageModel,
    tokenizer: Encoder,
    prompts: Sequence[str],
    endings: Sequence[str],
) -> Tensor:
    """Return whether a model's greedy output after each prompt is its ending (n,).

    An ending is the answer with the separator after it, so that an answer which goes on
    is wrong. Nothing is written: greedy output is the ending just if each of its tokens
    is the likeliest after those before it, and one reading of the whole tells.

    Raises: ValueError for no prompts, an empty one, and what is longer than n_ctx.
    Source: GPT-3, §2.4 (free-form completion, with beam search).

    >>> from gptcourse.models.gpt import GPT, GPTConfig
    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> model = GPT(GPTConfig(n_vocab=256, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> exact_match(model, ByteTokenizer(), ["2+2:"], ["4\\n"]).shape
    torch.Size([1])
    """
    heads = [tokenizer.encode(prompt) for prompt in prompts]
    tails = [tokenizer.encode(ending) for ending in endings]
    rows = [head + tail for head, tail in zip(heads, tails, strict=True)]
    n_ctx, device = model.config.n_ctx, next(model.parameters()).device
    if not rows or not all(heads) or not all(tails):
        raise ValueError("no prompts, or an empty one; give each a text and an ending")
    lengths = torch.tensor([len(row) for row in rows])
    if lengths.max() - 1 > n_ctx:
        raise ValueError(
            f"prompt {int(lengths.argmax())} and its ending have {int(lengths.max())} "
            f"tokens, but the context is n_ctx={n_ctx}; drop examples"
        )
    found = torch.empty(len(rows), dtype=torch.bool)
    with frozen(model):
        for batch in by_length(torch.arange(len(rows)), lengths, _BATCH_SIZE):
            tokens = pad([rows[i] for i in batch], int(lengths[batch].max()))
            hidden = model.hidden(tokens[:, :-1].to(device))
            for row, i in zip(hidden, batch.tolist(), strict=True):
                logits = model.logits(row[len(heads[i]) - 1 : len(rows[i]) - 1])
                found[i] = logits.argmax(dim=-1).tolist() == tails[i]
    return found


def choose_label(
    model: LanguageModel,
    tokenizer: Encoder,
    prompts: Sequence[str],
    labels: Sequence[str],
    answer_context: str | None = None,
) -> Tensor:
    """Return the number of the likeliest label word after each prompt (n,).

    A word's score is its mean token log-probability after the prompt. With an
    `answer_context`, such as "A:", it is log P(word | prompt) - log P(word | context):
    how much the prompt speaks for the word, however common the word is by itself.

    Raises: ValueError for fewer than two label words, for a prompt that is longer than
    n_ctx with its label, and as `mean_log_probability`.
    Source: GPT-3, §2.4.

    >>> from gptcourse.models.gpt import GPT, GPTConfig
    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> model = GPT(GPTConfig(n_vocab=256, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> choose_label(model, ByteTokenizer(), ["ab:", "cd:"], ["yes", "no"]).shape
    torch.Size([2])
    """
    if len(labels) < 2:
        raise ValueError(f"label words {list(labels)}; a choice needs at least two")
    sizes = torch.tensor([len(tokenizer.encode(label)) for label in labels])
    longest = max((len(tokenizer.encode(prompt)) for prompt in prompts), default=0)
    if longest + sizes.max() > model.config.n_ctx:
        raise ValueError(
            f"a prompt and its label have {longest + int(sizes.max())} tokens, but the "
            f"context is n_ctx={model.config.n_ctx}; drop examples"
        )
    contexts = [prompt for prompt in prompts for _ in labels]
    words = list(labels) * len(prompts)
    scores = mean_log_probability(model, tokenizer, words, contexts)
    scores = scores.view(len(prompts), len(labels))
    if answer_context is not None:
        alone = [answer_context] * len(labels)
        alike = mean_log_probability(model, tokenizer, labels, alone)
        scores = (scores - alike) * sizes
    return scores.argmax(dim=1)
