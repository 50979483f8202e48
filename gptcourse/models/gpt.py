"""GPT: embeddings, blocks, tied softmax; and the sizes that the papers print.

Built by hand in notebooks 02 (GPT-2's block) and 03 (GPT-1's).

Axis letters: b batch, t query position, s key position, h head, c n_embd,
v vocabulary, l layer.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.models.attention import CausalAttention, KeyValueCache
from gptcourse.models.layers import MLP


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT, in OpenAI's names.

    `block` is the kind of block: "post_norm" (GPT-1) or "pre_norm" (GPT-2, GPT-3).
    `dropout` acts on embeddings, attention and residuals alike.

    Raises: ValueError for a size below 1, an unknown block, or a dropout outside
    [0, 1).

    >>> GPTConfig(n_vocab=65, n_ctx=64, n_embd=128, n_head=4, n_layer=4).block
    'pre_norm'
    """

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int
    n_layer: int
    block: str = "pre_norm"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a shape that no model can have."""
        smallest = min(self.n_vocab, self.n_ctx, self.n_embd, self.n_head, self.n_layer)
        if smallest < 1 or self.block not in BLOCKS or not 0 <= self.dropout < 1:
            raise ValueError(
                f"{self}: need sizes >= 1, 0 <= dropout < 1 and a block that is one of "
                f"{sorted(BLOCKS)}"
            )

    def make_block(self, layer: int) -> "Block":
        """Return a new block for a layer, from 0; here all layers are of one kind."""
        return BLOCKS[self.block](self)


class Block(nn.Module):
    """What every block has: attention and MLP, each with a norm and a residual.

    A generation of GPT is a subclass that says where the norms stand, and what
    follows from it where that differs from GPT-1.
    """

    position_std = 0.02  # of the position table, when it is drawn
    final_norm = False  # whether one more norm follows the last block
    scaled_residuals = False  # whether projections into the stream start scaled down

    def __init__(self, config: GPTConfig):
        """Make the parts; their order in a pass is the subclass's."""
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = CausalAttention(
            config.n_embd, config.n_head, config.n_ctx, config.dropout
        )
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config.n_embd)
        self.drop = nn.Dropout(config.dropout)


class PostNormBlock(Block):
    """GPT-1's block: the norm comes after the residual sum (GPT-1, F1).

    GPT-1's init is N(0, 0.02) everywhere, positions included (§4.1).
    """

    def forward(self, x: Tensor, cache=None, return_weights=False):
        """Return the stream (b, t, c), and the attention weights if asked for."""
        attended, weights = self.attn(x, cache, return_weights)
        x = self.ln_1(x + self.drop(attended))
        return self.ln_2(x + self.drop(self.mlp(x))), weights


class PreNormBlock(Block):
    """GPT-2's block: the norm stands at the input of each sub-block (GPT-2, §2.3).

    Positions start at std 0.01 (openai/gpt-2, src/model.py); residual projections
    are scaled by 1/√N with N = 2·n_layer residual sums, the common reading of §2.3.
    """

    position_std = 0.01
    final_norm = True
    scaled_residuals = True

    def forward(self, x: Tensor, cache=None, return_weights=False):
        """Return the stream (b, t, c), and the attention weights if asked for."""
        attended, weights = self.attn(self.ln_1(x), cache, return_weights)
        x = x + self.drop(attended)
        return x + self.drop(self.mlp(self.ln_2(x))), weights


BLOCKS = {"post_norm": PostNormBlock, "pre_norm": PreNormBlock}


class GPT(nn.Module):
    """A decoder-only Transformer: tokens (b, t) to logits (b, t, v).

    The softmax's matrix is the token embedding (GPT-1, E2). The loss, the optimizer
    and the schedule are not the model's business.

    >>> config = GPTConfig(n_vocab=65, n_ctx=8, n_embd=16, n_head=2, n_layer=2)
    >>> GPT(config)(torch.zeros(1, 8, dtype=torch.long)).shape
    torch.Size([1, 8, 65])
    """

    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None):
        """Make the model and draw its weights from `generator` (CPU).

        The weights are drawn on the CPU, so that they are the same on every device;
        on the `meta` device nothing is drawn and no memory is taken.
        """
        super().__init__()
        self.config = config
        kind = BLOCKS[config.block]
        # Building on `meta` keeps PyTorch's own initializers from drawing.
        with torch.device("meta"):
            self.wte = nn.Embedding(config.n_vocab, config.n_embd)
            self.wpe = nn.Embedding(config.n_ctx, config.n_embd)
            self.drop = nn.Dropout(config.dropout)
            self.h = nn.ModuleList(map(config.make_block, range(config.n_layer)))
            norm = nn.LayerNorm(config.n_embd) if kind.final_norm else nn.Identity()
            self.ln_f = norm
        if torch.get_default_device().type != "meta":
            self.to_empty(device="cpu")
            initialize(self, generator)

    def forward(
        self,
        tokens: Tensor,
        cache: KeyValueCache | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits (b, t, v); with `return_weights` also weights (l, b, h, t, s).

        With a cache, `tokens` are the new ones alone; the cache grows by them. Vectors
        (b, t, c) may take the place of tokens, as `embed` gives them.

        Raises: ValueError for a token outside the vocabulary (on the CPU), and for
        more positions than n_ctx.
        """
        x, weights = self._run(tokens, cache, return_weights)
        logits = self.logits(x)
        return (logits, torch.stack(weights)) if return_weights else logits

    def hidden(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Return the last block's stream, normed where the model does so (b, t, c)."""
        return self._run(tokens, cache, return_weights=False)[0]

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., v) of hidden states (..., c): the tied softmax."""
        return F.linear(hidden, self.wte.weight)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the vectors (b, t, c) of tokens (b, t), without their positions."""
        try:
            return self.wte(tokens)
        except IndexError:
            low, high = tokens.min().item(), tokens.max().item()
            raise ValueError(
                f"tokens from {low} to {high}, but the vocabulary holds 0 to "
                f"{self.config.n_vocab - 1}; encode with this model's tokenizer"
            ) from None

    def _run(self, tokens: Tensor, cache, return_weights):
        x = tokens if tokens.is_floating_point() else self.embed(tokens)
        x = self.drop(x + self._positions(x.shape[-2], cache))
        weights = []
        for block in self.h:
            x, of_block = block(x, cache, return_weights)
            weights.append(of_block)
        return self.ln_f(x), weights

    def _positions(self, t: int, cache: KeyValueCache | None) -> Tensor:
        start = cache.length if cache is not None else 0
        if start + t > self.config.n_ctx:
            raise ValueError(
                f"{start + t} positions, but the context is n_ctx={self.config.n_ctx}; "
                "shorten the text or crop it to its last tokens"
            )
        return self.wpe.weight[start : start + t]


def initialize(model: GPT, generator: torch.Generator | None = None) -> None:
    """Draw a model's weights as its paper does; biases 0, gains 1.

    Source: GPT-1, §4.1 (N(0, 0.02)); GPT-2, §2.3, and openai/gpt-2, src/model.py
    (positions 0.01). OpenAI's released code leaves out the residual scaling, as it
    only loads weights.
    """
    kind = BLOCKS[model.config.block]
    shrink = math.sqrt(2 * model.config.n_layer) if kind.scaled_residuals else 1.0
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif ".ln_" in f".{name}":
            nn.init.ones_(parameter)
        elif name == "wpe.weight":
            nn.init.normal_(parameter, 0.0, kind.position_std, generator=generator)
        else:
            std = 0.02 / shrink if name.endswith("c_proj.weight") else 0.02
            nn.init.normal_(parameter, 0.0, std, generator=generator)


def count_parameters(model: nn.Module | GPTConfig) -> int:
    """Return the number of parameters of a model, or of the model a config describes.

    A config is built on the `meta` device: exact, and free of memory.

    >>> count_parameters(PRESETS["gpt2"])
    124439808
    """
    if isinstance(model, GPTConfig):
        with torch.device("meta"):
            model = GPT(model)
    return sum(parameter.numel() for parameter in model.parameters())


def _gpt3(n_layer: int, n_embd: int, n_head: int) -> GPTConfig:
    return GPTConfig(50_257, 2_048, n_embd, n_head, n_layer)


#: The sizes of the papers: GPT-1 §4.1, GPT-2 T2, GPT-3 T2.1. Two rows of GPT-3's
#: table do not multiply out. XL prints 24 heads of 128 at width 2,048: we take 16.
#: 13B prints width 5,140, no multiple of its 40 heads: we take 40 × 128 = 5,120,
#: which gives the 12,850M of T D.1. GPT-3's sparse layers are notebook 07's.
PRESETS: dict[str, GPTConfig] = {
    "gpt1": GPTConfig(40_478, 512, 768, 12, 12, block="post_norm", dropout=0.1),
    "gpt2": GPTConfig(50_257, 1_024, 768, 12, 12),
    "gpt2-medium": GPTConfig(50_257, 1_024, 1_024, 16, 24),
    "gpt2-large": GPTConfig(50_257, 1_024, 1_280, 20, 36),
    "gpt2-xl": GPTConfig(50_257, 1_024, 1_600, 25, 48),
    "gpt3-small": _gpt3(12, 768, 12),
    "gpt3-medium": _gpt3(24, 1_024, 16),
    "gpt3-large": _gpt3(24, 1_536, 16),
    "gpt3-xl": _gpt3(24, 2_048, 16),
    "gpt3-2.7b": _gpt3(32, 2_560, 32),
    "gpt3-6.7b": _gpt3(32, 4_096, 32),
    "gpt3-13b": _gpt3(40, 5_120, 40),
    "gpt3-175b": _gpt3(96, 12_288, 96),
}
