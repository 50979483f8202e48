"""Causal self-attention: who may look at whom, the weights, and the key-value cache.

Built by hand in notebook 02.

Axis letters: b batch, t query position, s key position, h head, d width of a head,
c n_embd.
"""

import math

import torch
from einops import einsum, rearrange
from torch import Tensor, nn
from torch.nn import functional as F


def causal_mask(t: int, s: int, device: torch.device | str | None = None) -> Tensor:
    """Return the mask (t, s) that is True where a query may look at a key.

    The mask is aligned at its lower right corner: the last query sees the last key.
    One rule then serves training (t = s) and decoding with a cache (t < s).

    Raises: ValueError if there are more queries than keys.
    Source: openai/gpt-2, src/model.py, `attention_mask`.

    >>> causal_mask(2, 4).int().tolist()
    [[1, 1, 1, 0], [1, 1, 1, 1]]
    """
    if t > s:
        raise ValueError(f"causal_mask: {t} queries but only {s} keys; t must be <= s")
    return torch.ones(t, s, dtype=torch.bool, device=device).tril(s - t)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the attention output (b, h, t, d) and its weights (b, h, t, s).

    Shapes: q (b, h, t, d); k and v (b, h, s, d); mask (t, s), True where visible.
    Source: Vaswani et al. 2017, E1. GPT-1's code masks with -1e9, ours with -inf, so
    that a hidden key's weight is exactly 0.

    >>> q = k = v = torch.zeros(1, 1, 2, 4)
    >>> attend(q, k, v, causal_mask(2, 2))[1].tolist()
    [[[[1.0, 0.0], [0.5, 0.5]]]]
    """
    logits = einsum(q, k, "b h t d, b h s d -> b h t s") / math.sqrt(q.shape[-1])
    weights = logits.masked_fill(~mask, -math.inf).softmax(dim=-1)
    return einsum(weights, v, "b h t s, b h s d -> b h t d"), weights


class KeyValueCache:
    """The keys and values of every attention layer, so that a token is computed once.

    Give the same cache to every call of a model; it fills itself. A layer's memory
    (kv, b, h, n_ctx, d) is allocated whole when it first writes, so that a step writes
    its own positions and copies nothing.

    >>> KeyValueCache().length
    0
    """

    def __init__(self) -> None:
        """Start empty."""
        self._stored: dict[nn.Module, tuple[Tensor, int]] = {}

    @property
    def length(self) -> int:
        """Return the number of positions whose keys and values are stored."""
        return min((length for _, length in self._stored.values()), default=0)

    def extend(self, layer: nn.Module, kv: Tensor, n_ctx: int) -> Tensor:
        """Append a layer's kv (kv, b, h, t, d); return all it has (kv, b, h, s, d)."""
        pair, b, h, t, d = kv.shape
        room, start = self._stored.get(layer, (None, 0))
        if room is None:
            room = kv.new_empty(pair, b, h, n_ctx, d)
        room[:, :, :, start : start + t] = kv
        self._stored[layer] = room, start + t
        return room[:, :, :, : start + t]

    def reorder(self, rows: Tensor) -> None:
        """Let row i go on from what row `rows[i]` holds: (rows,) numbers of rows.

        A row may be named often or never, so the batch may grow or shrink.
        """
        for layer, (room, length) in self._stored.items():
            self._stored[layer] = room[:, rows], length


class CausalAttention(nn.Module):
    """Multi-head causal self-attention: (b, t, c) to (b, t, c).

    Queries, keys and values come from one projection, as in OpenAI's code. Without a
    request for the weights the fused kernel of PyTorch does the work; with one, the
    same projections go through `attend`, so the weights are those of this very pass.

    Source: GPT-1, §4.1; openai/gpt-2, src/model.py, `attn`.
    """

    #: Who may look at whom. A subclass with another mask has its own `_attend_fused`.
    mask = staticmethod(causal_mask)

    def __init__(self, n_embd: int, n_head: int, n_ctx: int, dropout: float = 0.0):
        """Make the two projections; raise ValueError if heads do not divide n_embd."""
        super().__init__()
        if n_embd % n_head:
            raise ValueError(
                f"n_embd={n_embd} is not a multiple of n_head={n_head}; "
                "each head needs the same width"
            )
        self.n_head, self.n_ctx, self.dropout = n_head, n_ctx, dropout
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)

    def forward(self, x: Tensor, cache=None, return_weights=False):
        """Return the output (b, t, c), and the weights (b, h, t, s) if asked for."""
        qkv = rearrange(
            self.c_attn(x), "b t (qkv h d) -> qkv b h t d", qkv=3, h=self.n_head
        )
        if cache is None:
            q, k, v = qkv
        else:
            q, (k, v) = qkv[0], cache.extend(self, qkv[1:], self.n_ctx)
        if return_weights:
            out, weights = self._attend_with_weights(q, k, v)
        else:
            out, weights = self._attend_fused(q, k, v), None
        return self.c_proj(rearrange(out, "b h t d -> b t (h d)")), weights

    def _attend_with_weights(self, q, k, v) -> tuple[Tensor, Tensor]:
        if self.training and self.dropout:
            raise ValueError(
                "attention weights under dropout are not those of the model; "
                "call model.eval() first"
            )
        return attend(q, k, v, self.mask(q.shape[2], k.shape[2], q.device))

    def _attend_fused(self, q, k, v) -> Tensor:
        t, s = q.shape[2], k.shape[2]
        # is_causal aligns at the upper left corner: right only where t = s. A single
        # query sees every key and needs no mask at all.
        mask = causal_mask(t, s, q.device) if 1 < t < s else None
        p = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, mask, p, is_causal=1 < t == s)
