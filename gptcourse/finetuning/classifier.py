"""A language model with a task head: what GPT-1 fine-tunes.

Axis letters: b batch, k sequence of an example, t position, c n_embd, v vocabulary,
o outputs of the head.
"""

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from gptcourse.finetuning.transformations import EncodedExamples, Specials
from gptcourse.models import LanguageModel
from gptcourse.tasks.labelled import Kind
from gptcourse.tasks.zero_shot import mean_of_counted

#: The paper's dropout before the head (GPT-1, §4.1).
CLASSIFIER_DROPOUT = 0.1


class Classifier(nn.Module):
    """A language model and a linear head on the vector of the extract token.

    `language_model` has the special tokens already (`with_special_tokens`): they are
    the last three of its vocabulary. The head has an output a label; in multiple
    choice it has a single one, the score of an ending. For similarity the vectors of
    both orders are added before it, so that their order cannot matter.

    Raises: ValueError for an unknown kind, and fewer than two labels.
    Source: GPT-1, §3.2, §3.3, E5, F1; openai/finetune-transformer-lm, `clf` (N(0,
    0.02), and one dropout mask for all endings of an example) and `model`.

    >>> from gptcourse.models.gpt import GPT, GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=13, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> classifier = Classifier(model, "classification", n_labels=2)
    >>> classifier(torch.tensor([[[10, 4, 12]], [[10, 5, 12]]])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        language_model: LanguageModel,
        kind: Kind | str,
        n_labels: int,
        generator: torch.Generator | None = None,
    ):
        """Put a head, drawn from `generator`, on a language model."""
        super().__init__()
        if n_labels < 2:
            raise ValueError(f"n_labels={n_labels}; a task needs at least 2")
        self.language_model, self.config = language_model, language_model.config
        self.kind, self.n_labels = Kind(kind), n_labels
        self.specials = Specials.after(self.config.n_vocab - len(Specials._fields))
        self.drop = nn.Dropout1d(CLASSIFIER_DROPOUT)
        outputs = 1 if self.kind is Kind.MULTIPLE_CHOICE else n_labels
        # Not drawn twice: PyTorch's own draw would move the global generator.
        self.head = nn.utils.skip_init(nn.Linear, self.config.n_embd, outputs)
        nn.init.normal_(self.head.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.head.bias)
        self.head.to(language_model.wte.weight.device)

    def forward(
        self, tokens: Tensor, with_language_loss: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return label logits (b, n_labels) of tokens (b, k, t).

        With `with_language_loss`, also the language model's loss on these tokens, by
        the same pass: the mean over the sequences of their next-token loss, special
        tokens included (nats per token).
        """
        rows = rearrange(tokens, "b k t -> (b k) t")
        ends = (rows == self.specials.extract).int().argmax(dim=1)
        hidden = self.language_model.hidden(rows)
        extracted = hidden[torch.arange(len(rows), device=rows.device), ends]
        extracted = rearrange(extracted, "(b k) c -> b k c", b=len(tokens))
        logits = self.label_logits(extracted)
        if not with_language_loss:
            return logits
        places = torch.arange(1, rows.shape[1], device=rows.device)
        counts = places <= ends[:, None]  # what stands after the extract is padding
        found = mean_of_counted(self.language_model, hidden, rows, counts)
        return logits, -found.mean()

    def label_logits(self, extracted: Tensor) -> Tensor:
        """Return label logits (b, n_labels) of the extracted vectors (b, k, c)."""
        if self.kind is Kind.SIMILARITY:
            extracted = reduce(extracted, "b k c -> b 1 c", "sum")
        # Dropout1d drops a channel for all k at once.
        dropped = self.drop(rearrange(extracted, "b k c -> b c k"))
        scores = self.head(rearrange(dropped, "b c k -> b k c"))
        return rearrange(scores, "b k o -> b (k o)")

    def check(self, examples: EncodedExamples) -> None:
        """Raise ValueError for examples of another task, head size or vocabulary."""
        for name in ("kind", "n_labels", "specials"):
            mine, theirs = getattr(self, name), getattr(examples, name)
            if mine != theirs:
                raise ValueError(
                    f"{name}: the classifier has {mine}, the examples {theirs}; make a "
                    "Classifier for their task, on a model to whose vocabulary the "
                    "special tokens were added once"
                )
