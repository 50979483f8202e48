"""Sparse attention: bands and strides, and a band that costs only what it shows.

Built by hand in notebook 07.

Axis letters: b batch, t query position, s key position, h head, d width of a head,
n block of the sequence, w query in a block, c n_embd.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from gptcourse.models.attention import CausalAttention, causal_mask
from gptcourse.models.gpt import Block, GPTConfig, PreNormBlock

Device = torch.device | str | None


def banded_mask(t: int, s: int, width: int, device: Device = None) -> Tensor:
    """Return the mask (t, s) of queries that see themselves and width - 1 keys before.

    Aligned at its lower right corner, as `causal_mask`. With stride l, the A1 of Child
    et al. holds l + 1 positions: width l + 1. In a union with A2, width l is the same.

    Raises: ValueError for a width below 1, and for more queries than keys.
    Source: Child et al. 2019, §4.3, A1.

    >>> banded_mask(2, 4, width=2).int().tolist()
    [[0, 1, 1, 0], [0, 0, 1, 1]]
    """
    if width < 1:
        raise ValueError(f"width={width}; a query sees at least itself: need >= 1")
    return causal_mask(t, s, device).triu(s - t - width + 1)


def strided_mask(t: int, s: int, stride: int, device: Device = None) -> Tensor:
    """Return the mask (t, s) of queries that see each stride-th key, themselves last.

    Aligned at its lower right corner, as `causal_mask`.

    Raises: ValueError for a stride below 1, and for more queries than keys.
    Source: Child et al. 2019, §4.3, A2.

    >>> strided_mask(2, 5, stride=2).int().tolist()
    [[0, 1, 0, 1, 0], [1, 0, 1, 0, 1]]
    """
    if stride < 1:
        raise ValueError(f"stride={stride}; it leads to an earlier key: need >= 1")
    visible = causal_mask(t, s, device)
    key = torch.arange(s, device=device)
    return visible & ((key[s - t :, None] - key) % stride == 0)


#: The masks by name; each is called with (t, s, width, device).
MASKS = {"banded": banded_mask, "strided": strided_mask}


def banded_attend(
    q: Tensor, k: Tensor, v: Tensor, width: int, dropout: float = 0.0
) -> Tensor:
    """Return the attention output (b, h, t, d) under `banded_mask`, in blocks.

    Shapes: q (b, h, t, d); k and v (b, h, s, d). Each block of `width` queries sees its
    own keys and the `width` keys before them, under one small mask: 2·t·width logits
    in all, not t·s. Beside a cache, only the last keys are read. A sequence of at most
    two blocks has nothing to leave out and is masked as a whole.

    Raises: ValueError for a width below 1, and for more queries than keys.
    Source: Child et al. 2019, §4.3, A1; the cut into blocks is ours.

    >>> q = torch.randn(1, 1, 50, 4)
    >>> banded_attend(q, q, q, width=8).shape
    torch.Size([1, 1, 50, 4])
    """
    b, _, t, _ = q.shape
    s, size = k.shape[2], min(width, t)
    if t > s or s <= width + size:
        mask = banded_mask(t, s, width, q.device)
        return F.scaled_dot_product_attention(q, k, v, mask, dropout)
    mask = banded_mask(size, width + size, width, q.device)
    n, past = math.ceil(t / size), min(width, s - t)  # blocks, keys before the first
    absent, after = width - past, n * size - t  # padding on either side
    q = rearrange(F.pad(q, (0, 0, 0, after)), "b h (n w) d -> n (b h) w d", n=n)
    kv = torch.stack([x[:, :, s - t - past :] for x in (k, v)])
    windows = F.pad(kv, (0, 0, absent, after)).unfold(3, width + size, size)
    k, v = rearrange(windows, "kv b h n d s -> kv n (b h) s d")
    masks = mask.repeat(n, 1, 1, 1)
    masks[0, ..., :absent] = False
    out = F.scaled_dot_product_attention(q, k, v, masks, dropout)
    return rearrange(out, "n (b h) w d -> b h (n w) d", b=b)[:, :, :t]


class SparseAttention(CausalAttention):
    """Multi-head self-attention under a mask given as data: (b, t, c) to (b, t, c).

    Weights and cache are those of dense attention. A band computes only what it shows;
    under another mask all logits are computed, and most of them hidden.
    """

    def __init__(self, config: GPTConfig, pattern: Callable[..., Tensor], width: int):
        """Make the projections; `pattern` is one of the masks above."""
        super().__init__(config.n_embd, config.n_head, config.n_ctx, config.dropout)
        self.pattern, self.width = pattern, width

    def mask(self, t: int, s: int, device: Device = None) -> Tensor:
        """Return who may look at whom (t, s)."""
        return self.pattern(t, s, self.width, device)

    def _attend_fused(self, q, k, v) -> Tensor:
        p = self.dropout if self.training else 0.0
        if self.pattern is banded_mask:
            return banded_attend(q, k, v, self.width, p)
        mask = self.mask(q.shape[2], k.shape[2], q.device)
        return F.scaled_dot_product_attention(q, k, v, mask, p)


class SparseBlock(PreNormBlock):
    """GPT-2's block with sparse attention: GPT-3's in every other layer.

    >>> block = SparseBlock(GPTConfig(9, 8, 4, 2, 1), banded_mask, width=2)
    >>> block(torch.zeros(1, 3, 4), return_weights=True)[1][0, 0].tolist()
    [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    """

    def __init__(self, config: GPTConfig, pattern: Callable[..., Tensor], width: int):
        """Make the parts; `pattern` is one of the masks above."""
        super().__init__(config)
        self.attn = SparseAttention(config, pattern, width)


@dataclass(frozen=True, kw_only=True)
class SparseConfig(GPTConfig):
    """The shape of a GPT whose layers differ in who may look at whom.

    `masks` names the layers' masks in turn, over and over: "dense" or a name in
    `MASKS`; `width` is the band's, or the stride, in positions. GPT-3 alternates dense
    and banded layers, but says neither which come first nor how wide the band is: dense
    on even layers, counted from 0, is our choice. "banded strided" interleaves as Child
    et al. do. No mask adds a weight: dense and sparse models load each other's.

    Raises: ValueError as `GPTConfig`, for an unknown mask or none, a width below 1 or
    over n_ctx, and a block other than "pre_norm".
    Source: GPT-3, §2.1; Child et al. 2019, §5.1, E6.

    >>> from gptcourse.models.gpt import GPT
    >>> model = GPT(SparseConfig(9, 8, 4, 2, n_layer=3, width=2))
    >>> [type(block).__name__ for block in model.h]
    ['PreNormBlock', 'SparseBlock', 'PreNormBlock']
    """

    masks: str = "dense banded"
    width: int

    def __post_init__(self) -> None:
        """Refuse a shape that no model can have."""
        super().__post_init__()
        names, known = set(self.masks.split()), {"dense", *MASKS}
        fits = self.block == "pre_norm" and 1 <= self.width <= self.n_ctx
        if not fits or not names or names - known:
            raise ValueError(
                f"{self}: need 1 <= width <= n_ctx, block 'pre_norm', and masks out of "
                f"{sorted(known)}"
            )

    def make_block(self, layer: int) -> Block:
        """Return a new block for a layer, counted from 0."""
        names = self.masks.split()
        name = names[layer % len(names)]
        if name == "dense":
            return super().make_block(layer)
        return SparseBlock(self, MASKS[name], self.width)
