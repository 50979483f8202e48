"""Attention against PyTorch's own, and the properties that make it causal."""

import math

import pytest
import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from gptcourse.lesson import checks
from gptcourse.models.attention import (
    CausalAttention,
    KeyValueCache,
    attend,
    causal_mask,
)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return CausalAttention(n_embd=12, n_head=3, n_ctx=8).eval()


def test_mask_lets_each_query_see_itself_and_its_past():
    assert causal_mask(3, 3).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_mask_is_aligned_at_the_last_key():
    assert causal_mask(1, 5).all()
    assert causal_mask(2, 5).sum().item() == 9


def test_mask_refuses_more_queries_than_keys():
    with pytest.raises(ValueError, match="3 queries but only 2 keys"):
        causal_mask(3, 2)


@pytest.mark.parametrize(("t", "s"), [(6, 6), (2, 6), (1, 6)])
def test_attend_equals_pytorch_given_the_same_mask(t, s):
    q, k, v = random(2, 3, t, 4), random(2, 3, s, 4, seed=1), random(2, 3, s, 4, seed=2)
    mask = causal_mask(t, s)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(attend(q, k, v, mask)[0], expected)


def test_weights_by_hand():
    q = torch.tensor([[[[2.0]]]])
    k = torch.tensor([[[[0.0], [math.log(3) / 2]]]])
    weights = attend(q, k, k, torch.ones(1, 2, dtype=torch.bool))[1]
    checks.close(weights.flatten(), [0.25, 0.75])


def test_weights_are_causal_distributions(attention):
    _, weights = attention(random(2, 6, 12), return_weights=True)
    checks.shape(weights, (2, 3, 6, 6))
    checks.causal_weights(weights)


def test_asking_for_weights_does_not_change_the_output(attention):
    x = random(2, 6, 12)
    torch.testing.assert_close(attention(x)[0], attention(x, return_weights=True)[0])


def test_weights_under_dropout_are_refused():
    attention = CausalAttention(n_embd=4, n_head=1, n_ctx=4, dropout=0.5)
    with pytest.raises(ValueError, match="call model.eval"):
        attention(random(1, 2, 4), return_weights=True)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="not a multiple of n_head=5"):
        CausalAttention(n_embd=12, n_head=5, n_ctx=8)


def test_equals_multihead_attention_with_copied_weights(attention):
    oracle = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    with torch.no_grad():
        oracle.in_proj_weight.copy_(attention.c_attn.weight)
        oracle.in_proj_bias.copy_(attention.c_attn.bias)
        oracle.out_proj.weight.copy_(attention.c_proj.weight)
        oracle.out_proj.bias.copy_(attention.c_proj.bias)
    x = random(2, 6, 12)
    expected, weights = oracle(
        x, x, x, attn_mask=~causal_mask(6, 6), average_attn_weights=False
    )
    actual, ours = attention(x, return_weights=True)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(ours, weights)


@pytest.mark.parametrize("cuts", [[1] * 8, [5, 3], [3, 1, 4], [8]])
def test_cached_pieces_equal_the_whole(attention, cuts):
    x = random(2, 8, 12)
    cache = KeyValueCache()
    pieces = [attention(piece, cache)[0] for piece in x.split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), attention(x)[0])
    assert cache.length == 8


def test_cached_weights_equal_rows_of_the_whole(attention):
    x = random(1, 6, 12)
    cache = KeyValueCache()
    attention(x[:, :4], cache)
    _, last = attention(x[:, 4:], cache, True)
    _, whole = attention(x, return_weights=True)
    torch.testing.assert_close(last, whole[:, :, 4:])


def test_gradients_equal_those_of_the_explicit_form(attention):
    x = random(1, 6, 12).requires_grad_()
    fused = torch.autograd.grad(attention(x)[0].square().sum(), x)[0]
    explicit = torch.autograd.grad(
        attention(x, return_weights=True)[0].square().sum(), x
    )[0]
    torch.testing.assert_close(fused, explicit)


# Mutants: each wrong version must fail the check that guards the right one.


def softmax_over_queries(q, k, v, mask):
    logits = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask, -1e9)
    weights = logits.softmax(dim=-2)
    return weights @ v, weights


def mask_dropped(q, k, v, mask):
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return weights @ v, weights


def mask_aligned_top_left(q, k, v, mask):
    t, s = mask.shape
    return attend(q, k, v, torch.ones(t, s, dtype=torch.bool).tril())


def scale_forgotten(q, k, v, mask):
    weights = (q @ k.mT).masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return weights @ v, weights


@pytest.mark.parametrize("mutant", [softmax_over_queries, mask_dropped])
def test_causal_weights_catches(mutant):
    q = random(1, 2, 5, 4)
    with pytest.raises(AssertionError):
        checks.causal_weights(mutant(q, q, q, causal_mask(5, 5))[1])


@pytest.mark.parametrize(
    "mutant",
    [softmax_over_queries, mask_dropped, mask_aligned_top_left, scale_forgotten],
)
def test_the_oracle_catches(mutant):
    q, k, v = random(1, 2, 3, 4), random(1, 2, 5, 4, seed=1), random(1, 2, 5, 4, seed=2)
    mask = causal_mask(3, 5)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    with pytest.raises(AssertionError):
        checks.close(mutant(q, k, v, mask)[0], expected)


def heads_interleaved(x, n_head):
    return rearrange(x, "b t (d h) -> b h t d", h=n_head)


def test_the_oracle_catches_interleaved_heads(attention):
    x = random(1, 6, 12)
    q, k, v = (heads_interleaved(part, 3) for part in attention.c_attn(x).chunk(3, -1))
    out = rearrange(attend(q, k, v, causal_mask(6, 6))[0], "b h t d -> b t (d h)")
    with pytest.raises(AssertionError):
        checks.close(attention.c_proj(out), attention(x)[0])
