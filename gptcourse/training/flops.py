"""What a GPT holds and costs: parameters, and floating-point operations of training.

Built by hand in notebook 08.

A multiplication with its addition counts 2. Counted are the matrix products, as PyTorch
and the papers do: no norm, softmax, GELU, bias, loss or optimizer.

Axis letters: b batch, t position, c n_embd, v vocabulary, l layer.
"""

from dataclasses import dataclass

from torch import nn

from gptcourse.models.gpt import BLOCKS, GPTConfig


@dataclass(frozen=True)
class Parameters:
    """The parameters of a GPT by part; the tied softmax has none of its own.

    `tokens` and `positions` are the tables, `matrices` the blocks' weights, 12·l·c²,
    and `vectors` all biases and gains.
    """

    tokens: int
    positions: int
    matrices: int
    vectors: int

    @property
    def total(self) -> int:
        """Return all parameters: the N of Hoffmann et al. 2022."""
        return self.tokens + self.positions + self.matrices + self.vectors

    @property
    def non_embedding(self) -> int:
        """Return those of the blocks and norms: the N of Kaplan et al. 2020."""
        return self.matrices + self.vectors


def parameters_by_part(config: GPTConfig) -> Parameters:
    """Return how many parameters the GPT of a config has, exactly.

    Raises: ValueError for a config of another model than a dense GPT.
    Source: Kaplan et al. 2020, T1.

    >>> count = parameters_by_part(GPTConfig(50_257, 1_024, 768, 12, 12))
    >>> count.total, count.non_embedding
    (124439808, 85056000)
    """
    _check(config)
    c = config.n_embd
    final_norm = 2 * c if BLOCKS[config.block].final_norm else 0
    return Parameters(
        tokens=config.n_vocab * c,
        positions=config.n_ctx * c,
        matrices=config.n_layer * 12 * c**2,
        # biases of 3c, c, 4c and c; gains and biases of two norms
        vectors=config.n_layer * 13 * c + final_norm,
    )


@dataclass(frozen=True)
class Flops:
    """The FLOPs of one pass forward by part: the blocks' matrices, attention, softmax.

    `attention` is what no parameter does: queries with keys, weights with values.
    `softmax` is the product with the token table.
    """

    matrices: int
    attention: int
    softmax: int

    @property
    def forward(self) -> int:
        """Return the FLOPs of a pass forward."""
        return self.matrices + self.attention + self.softmax

    @property
    def training(self) -> int:
        """Return the FLOPs of a pass forward and backward, which costs twice as much.

        Backward, each product has two: for the gradients of both its factors.
        """
        return 3 * self.forward


def count_flops(config: GPTConfig, tokens: int, t: int | None = None) -> Flops:
    """Return the FLOPs of a pass over `tokens` tokens in sequences of t, or of n_ctx.

    They equal those of `torch.utils.flop_counter.FlopCounterMode` where it sees the two
    products of attention: on the `meta` device, or under the math backend of
    `torch.nn.attention.sdpa_kernel`. The fused kernel of a CPU it counts as 0; for that
    of a GPU, which computes the logits again backward, it counts 7 products for our 6.
    All t·t logits count, the masked ones too: twice Kaplan's 2·l·t·c a token.

    Raises: ValueError for a config of another model than a dense GPT, t outside 1 to
    n_ctx, and tokens that do not fill the sequences, one or more.
    Source: Kaplan et al. 2020, T1.

    >>> gpt2 = GPTConfig(50_257, 1_024, 768, 12, 12)
    >>> count_flops(gpt2, tokens=1_024)
    Flops(matrices=173946175488, attention=38654705664, softmax=79047426048)
    >>> count_flops(gpt2, tokens=1_024).forward  # the count of karpathy/nanoGPT
    291648307200
    """
    _check(config)
    t = config.n_ctx if t is None else t
    if not 1 <= t <= config.n_ctx or tokens < 1 or tokens % t:
        raise ValueError(
            f"{tokens} tokens in sequences of t={t}; need t from 1 to "
            f"n_ctx={config.n_ctx}, and one sequence or more, all of them full"
        )
    c = config.n_embd
    return Flops(
        matrices=2 * tokens * config.n_layer * 12 * c**2,
        attention=2 * tokens * config.n_layer * 2 * t * c,
        softmax=2 * tokens * config.n_vocab * c,
    )


def error_of_6nd(config: GPTConfig, n_parameters: int, t: int | None = None) -> float:
    """Return by what share 6·N·D misses the FLOPs of training: above 0, it is too high.

    `n_parameters` is the caller's N. With Kaplan's, the softmax and attention are left
    out; with Hoffmann's, the positions, biases and gains are counted as if they were
    multiplied, and attention's own products are left out. D has no influence.

    Raises: ValueError as `count_flops`.
    Source: Kaplan et al. 2020, E2.1 and E2.2.

    >>> gpt2 = GPTConfig(50_257, 1_024, 768, 12, 12)
    >>> count = parameters_by_part(gpt2)
    >>> round(error_of_6nd(gpt2, count.non_embedding), 3)
    -0.403
    >>> round(error_of_6nd(gpt2, count.total), 3)
    -0.126
    """
    t = config.n_ctx if t is None else t
    return 6 * n_parameters * t / count_flops(config, t, t).training - 1


def flops_per_token(model: nn.Module, n_ctx: int) -> float:
    """Return the FLOPs of training on one token: 6 a weight, and attention's own.

    For a GPT, 6N + 12·l·c·n_ctx, N without the position table, whose rows are looked
    up and never multiplied; the token table counts as the softmax's matrix. Biases
    and gains are counted, as `count_flops` does not. For a model without a GPT's
    config, 6N.

    Source: Kaplan et al. 2020, E2.1 and E2.2 (6N); Chowdhery et al. 2022 (PaLM).

    >>> flops_per_token(nn.Linear(10, 10, bias=False), n_ctx=8)
    600.0
    """
    weights = sum(p.numel() for p in model.parameters())
    config = getattr(model, "config", None)
    if not isinstance(config, GPTConfig):
        return 6.0 * weights
    weights -= config.n_ctx * config.n_embd
    return 6.0 * weights + 12.0 * config.n_layer * config.n_embd * n_ctx


def _check(config: GPTConfig) -> None:
    """Refuse what these formulas do not describe, such as a band's fewer logits."""
    if type(config) is not GPTConfig:
        raise ValueError(
            f"{type(config).__name__}: counted are models of a plain GPTConfig, whose "
            "layers are all dense"
        )
