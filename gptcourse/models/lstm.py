"""An LSTM language model with a GPT's interface: the rival in GPT-1's table 5.

Axis letters: b batch, t position, c n_embd, v vocabulary.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.models.gpt import GPT, GPTConfig, count_parameters


@dataclass(frozen=True)
class LSTMConfig:
    """The shape of an LSTM language model; `width` is the number of its cells.

    An LSTM has no table of positions: `n_ctx` only says how long its texts are.

    >>> LSTMConfig(n_vocab=65, n_ctx=64, n_embd=32, width=64).dropout
    0.0
    """

    n_vocab: int
    n_ctx: int
    n_embd: int
    width: int
    dropout: float = 0.0


class LSTMLanguageModel(nn.Module):
    """One layer of LSTM between a token embedding and its tied softmax.

    The paper says "a single layer 2048 unit LSTM" and no more (GPT-1, §5); the
    projection from the cells back to n_embd, which tying needs, is our choice.

    >>> config = LSTMConfig(n_vocab=65, n_ctx=8, n_embd=16, width=24)
    >>> LSTMLanguageModel(config)(torch.zeros(1, 8, dtype=torch.long)).shape
    torch.Size([1, 8, 65])
    """

    def __init__(self, config: LSTMConfig, generator: torch.Generator | None = None):
        """Make the model and draw its weights from `generator` (CPU)."""
        super().__init__()
        self.config = config
        with torch.device("meta"):
            self.wte = nn.Embedding(config.n_vocab, config.n_embd)
            self.drop = nn.Dropout(config.dropout)
            self.lstm = nn.LSTM(config.n_embd, config.width, batch_first=True)
            self.c_proj = nn.Linear(config.width, config.n_embd)
        if torch.get_default_device().type != "meta":
            self.to_empty(device="cpu")
            # As PyTorch draws, but from the generator; the embedding as a GPT's.
            nn.init.normal_(self.wte.weight, 0.0, 0.02, generator=generator)
            bound = 1 / math.sqrt(config.width)
            for parameter in [*self.lstm.parameters(), *self.c_proj.parameters()]:
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (b, t, v) of tokens (b, t)."""
        return self.logits(self.hidden(tokens))

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the vectors (b, t, c) that the softmax reads."""
        cells, _ = self.lstm(self.drop(self.wte(tokens)))
        return self.c_proj(self.drop(cells))

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., v) of hidden states (..., c): the tied softmax."""
        return F.linear(hidden, self.wte.weight)


def lstm_like(config: GPTConfig) -> LSTMConfig:
    """Return the LSTM whose number of parameters is nearest to a GPT's.

    >>> config = GPTConfig(n_vocab=500, n_ctx=64, n_embd=96, n_head=4, n_layer=3)
    >>> lstm = LSTMLanguageModel(lstm_like(config))
    >>> count_parameters(config), count_parameters(lstm)
    (389856, 390816)
    """
    c = config.n_embd
    # 4 gates on (c + width) inputs with two biases, and the projection: a width adds
    # 4·width² + (5c + 8)·width to the embedding and the projection's bias.
    room = count_parameters(config) - c * config.n_vocab - c
    linear_term = 5 * c + 8
    width = (math.sqrt(linear_term**2 + 16 * room) - linear_term) / 8
    width = max(1, round(width))
    return LSTMConfig(config.n_vocab, config.n_ctx, c, width, config.dropout)


#: what can be pre-trained and fine-tuned
LanguageModel = GPT | LSTMLanguageModel
