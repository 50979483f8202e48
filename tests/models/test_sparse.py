"""Sparse attention against its rule in words, PyTorch's kernel, and GPT-Neo."""

import re
from dataclasses import asdict

import pytest
import torch
import transformers
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gpt import drawn
from torch.nn import functional as F

from gptcourse.lesson import checks
from gptcourse.models import (
    GPT,
    GPTConfig,
    KeyValueCache,
    attend,
    causal_mask,
    count_parameters,
    generate,
    save_pretrained,
)
from gptcourse.models import sparse as module
from gptcourse.models.sparse import (
    MASKS,
    SparseConfig,
    banded_attend,
    banded_mask,
    strided_mask,
)
from gptcourse.training import (
    RandomBatches,
    adamw,
    load_checkpoint,
    load_gpt,
    save_checkpoint,
)
from gptcourse.training.history import History

FEW = settings(max_examples=200, deadline=None)
SIZES = {"n_vocab": 31, "n_ctx": 24, "n_embd": 16, "n_head": 4, "n_layer": 4}


def small(masks=None, width=3, **changes):
    """A sparse GPT with every tensor different; by default GPT-3's."""
    torch.manual_seed(0)
    chosen = {} if masks is None else {"masks": masks}
    config = SparseConfig(**(SIZES | chosen | {"width": width} | changes))
    return drawn(GPT(config)).eval()


def tokens(b=2, t=20):
    return torch.randint(31, (b, t), generator=torch.Generator().manual_seed(1))


def qkv(t, s, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, n, 4, generator=generator) for n in (t, s, s)]


def in_words(t, s, sees):
    """The mask from a rule on two positions, in plain Python."""
    rows = [[j <= i and sees(i, j) for j in range(s)] for i in range(s - t, s)]
    return torch.tensor(rows)


# The masks.


@st.composite
def lengths(draw):
    """Queries, keys, and a width that may be anything up to beyond the keys."""
    s = draw(st.integers(1, 40))
    return draw(st.integers(1, s)), s, draw(st.integers(1, s + 3))


@FEW
@given(lengths())
def test_masks_equal_their_rule_in_words(sizes):
    t, s, width = sizes
    band = in_words(t, s, lambda i, j: i - j < width)
    assert torch.equal(banded_mask(t, s, width), band)
    stride = in_words(t, s, lambda i, j: (i - j) % width == 0)
    assert torch.equal(strided_mask(t, s, width), stride)


def test_the_union_has_the_pairs_of_the_paper_for_sixteen_and_four():
    union = banded_mask(16, 16, 4) | strided_mask(16, 16, 4)
    assert union[15].nonzero().flatten().tolist() == [3, 7, 11, 12, 13, 14, 15]
    assert union.sum() == 82
    wider = banded_mask(16, 16, 4 + 1) | strided_mask(16, 16, 4)  # A1 as it is printed
    assert torch.equal(wider, union)


def test_a_band_and_then_a_stride_reach_every_earlier_token():
    hop, other = banded_mask(16, 16, 4).float(), strided_mask(16, 16, 4).float()
    assert torch.equal(other @ hop > 0, causal_mask(16, 16))


def test_masks_lie_on_the_device_that_is_asked_for():
    for mask in MASKS.values():
        assert mask(2, 3, 2, "meta").is_meta


# The band in blocks.


@FEW
@given(lengths())
def test_blocks_equal_the_masked_form(sizes):
    t, s, width = sizes
    q, k, v = qkv(t, s)
    masked = attend(q, k, v, in_words(t, s, lambda i, j: i - j < width))[0]
    assert (banded_attend(q, k, v, width) - masked).abs().max() <= 1e-5


@pytest.mark.parametrize("width", [1, 2, 3, 7, 10, 16, 49, 50])
@pytest.mark.parametrize("t", [50, 49, 48, 20, 2, 1])
def test_blocks_and_their_gradients_equal_pytorchs_kernel(t, width):
    inputs = [x.requires_grad_() for x in qkv(t, 50)]
    mask = in_words(t, 50, lambda i, j: i - j < width)
    expected = F.scaled_dot_product_attention(*inputs, attn_mask=mask)
    actual = banded_attend(*inputs, width)
    assert (actual - expected).abs().max() <= 1e-5
    direction = torch.randn(2, 3, t, 4, generator=torch.Generator().manual_seed(9))
    ours = torch.autograd.grad(actual, inputs, direction)
    for mine, theirs in zip(
        ours, torch.autograd.grad(expected, inputs, direction), strict=True
    ):
        assert (mine - theirs).abs().max() <= 1e-5


@pytest.fixture
def logits(monkeypatch):
    """The number of logits that the kernel computes, call by call."""
    kernel, counts = F.scaled_dot_product_attention, []

    def counting(q, k, *others):
        counts.append(q.shape[:3].numel() * k.shape[2])
        return kernel(q, k, *others)

    monkeypatch.setattr(module.F, "scaled_dot_product_attention", counting)
    return counts


@pytest.mark.parametrize(
    ("t", "s", "width", "of_a_head"),
    [
        (64, 64, 8, 64 * 16),  # two blocks of keys a query
        (61, 61, 8, 64 * 16),  # the last block is filled up
        (16, 16, 8, 16 * 16),  # two blocks: no more than the whole
        (15, 15, 8, 15 * 15),
        (1, 64, 8, 9),  # beside a cache: the last keys alone
        (3, 64, 8, 3 * 11),
    ],
)
def test_the_blocks_compute_the_band_alone(logits, t, s, width, of_a_head):
    banded_attend(*qkv(t, s), width)
    assert logits == [2 * 3 * of_a_head]


def test_a_layer_computes_its_band_in_blocks(logits):
    small("banded", n_layer=1)(tokens(1, 24))
    assert logits == [4 * 24 * 2 * 3]


def test_keys_outside_the_band_are_never_touched():
    q, k, v = qkv(3, 40)
    before = banded_attend(q, k, v, width=4)
    k[:, :, : 40 - 3 - 4], v[:, :, : 40 - 3 - 4] = torch.nan, torch.nan
    assert torch.equal(banded_attend(q, k, v, width=4), before)


@pytest.mark.parametrize("width", [4, 64])  # in blocks, and as a whole
def test_dropout_drops_weights_and_keeps_their_mean(width):
    torch.manual_seed(0)
    q = torch.zeros(1, 200, 64, 1)
    out = banded_attend(q, q, q + 1, width, dropout=0.5)
    assert out.std() > 0.05
    assert out.mean().item() == pytest.approx(1, abs=0.03)


# The model.

ALL = ["dense banded", "banded", "strided", "banded strided"]


def neo(width):
    """transformers' GPT-Neo: local attention on odd layers, its logits not scaled."""
    config = transformers.GPTNeoConfig(
        vocab_size=31,
        max_position_embeddings=24,
        hidden_size=16,
        num_heads=4,
        num_layers=4,
        attention_types=[[["global", "local"], 2]],
        window_size=width,
        resid_dropout=0.0,
        embed_dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(2)
    return drawn(transformers.GPTNeoForCausalLM(config).eval())


@torch.no_grad()
def copied(theirs, width):
    """Our model with the weights of a GPT-Neo, which has no biases on q, k and v."""
    weights = {}
    for name, value in theirs.transformer.state_dict().items():
        name = name.replace("attn.attention.", "attn.").replace("out_proj", "c_proj")
        weights[name] = value
    for layer in range(4):
        at = f"h.{layer}.attn."
        q, k, v = (weights.pop(f"{at}{one}_proj.weight") for one in "qkv")
        scaled = q * 4**0.5  # ours divides by the root of a head's width
        weights[at + "c_attn.weight"] = torch.cat([scaled, k, v])
        weights[at + "c_attn.bias"] = torch.zeros(48)
    ours = small(width=width)
    ours.load_state_dict(weights)
    return ours


@pytest.mark.parametrize("width", [1, 3, 5, 24])
def test_logits_equal_those_of_gpt_neo(width):
    theirs = neo(width)
    ours = copied(theirs, width)
    with torch.no_grad():
        checks.close(ours(tokens()), theirs(tokens()).logits, "logits", 1e-4)


@pytest.mark.parametrize(
    "changes", [{"width": 4}, {"masks": "banded dense"}, {"masks": "dense"}]
)
def test_gpt_neo_catches_another_width_order_or_mask(changes):
    theirs = neo(3)
    wrong = small(**{"width": 3} | changes)
    wrong.load_state_dict(copied(theirs, 3).state_dict())
    with torch.no_grad(), pytest.raises(AssertionError, match="logits"):
        checks.close(wrong(tokens()), theirs(tokens()).logits, "logits", 1e-4)


@pytest.mark.parametrize("masks", ALL)
def test_a_mask_that_hides_nothing_is_dense_attention(masks):
    width = {"strided": 1}.get(masks, 24)
    sparse = small(masks.replace("banded strided", "banded"), width)
    dense = GPT(GPTConfig(**SIZES)).eval()
    dense.load_state_dict(sparse.state_dict())
    with torch.no_grad():
        checks.close(sparse(tokens()), dense(tokens()), "logits", 1e-5)
    assert count_parameters(sparse.config) == count_parameters(dense)


@pytest.mark.parametrize("masks", ALL)
def test_no_token_changes_earlier_logits(masks):
    checks.no_future_leak(small(masks), tokens())


def test_only_the_band_reaches_through_layers_of_bands():
    model, text = small("banded", width=3, n_layer=2), tokens(1)
    other = text.clone()
    other[:, 5] = (text[:, 5] + 1) % 31
    with torch.no_grad():
        moved = (model(other) - model(text)).abs().amax(dim=(0, 2)) > 0
    assert moved.nonzero().flatten().tolist() == [5, 6, 7, 8, 9]  # 2 · (3 - 1) on


def test_alternating_layers_see_the_whole_past():
    checks.sees_whole_past(small(), tokens())


@pytest.mark.parametrize("masks", ALL)
@pytest.mark.parametrize("cuts", [[1] * 20, [9, 11], [2, 13, 5]])
def test_logits_with_a_cache_equal_those_without(masks, cuts):
    model, cache = small(masks), KeyValueCache()
    with torch.no_grad():
        pieces = [model(piece, cache) for piece in tokens().split(cuts, dim=1)]
        checks.close(torch.cat(pieces, dim=1), model(tokens()), "logits", 1e-4)


@pytest.mark.parametrize("masks", ALL)
def test_weights_are_distributions_inside_each_layers_mask(masks):
    model = small(masks)
    with torch.no_grad():
        logits, weights = model(tokens(), return_weights=True)
        checks.close(logits, model(tokens()), "logits", 1e-4)
    checks.causal_weights(weights)
    names = masks.split() * 4
    for layer, name in zip(weights, names[:4], strict=True):
        seen = causal_mask(20, 20) if name == "dense" else MASKS[name](20, 20, 3)
        assert torch.equal((layer > 0).all(dim=0).all(dim=0), seen)
        assert torch.equal((layer > 0).any(dim=0).any(dim=0), seen)


def test_cached_weights_equal_rows_of_the_whole():
    model, cache = small("banded strided"), KeyValueCache()
    with torch.no_grad():
        whole = model(tokens(), return_weights=True)[1]
        model(tokens()[:, :15], cache)
        last = model(tokens()[:, 15:], cache, True)[1]
    checks.close(last, whole[:, :, :, 15:], "weights", 1e-5)


@pytest.mark.parametrize("masks", ALL)
def test_gradients_equal_those_of_the_explicit_form(masks):
    """Without a request for weights the fused forms are used, with one `attend`."""
    model, grads = small(masks), []
    for explicit in (False, True):
        model.zero_grad()
        out = model(tokens(), return_weights=explicit)
        logits = out[0] if explicit else out
        F.cross_entropy(
            rearrange(logits, "b t v -> (b t) v"), tokens().flatten()
        ).backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    for fused, plain in zip(*grads, strict=True):
        torch.testing.assert_close(fused, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("masks", ALL)
def test_writing_goes_on_past_the_context_as_without_a_cache(masks):
    model, text = small(masks), tokens(2, 5)
    written = generate(model, text, 40, temperature=0)
    assert written.shape == (2, 45)
    slow = text
    with torch.no_grad():
        for _ in range(19):  # until the context is full
            slow = torch.cat([slow, model(slow)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(written[:, :24], slow)


def test_the_first_weights_are_those_of_the_dense_model():
    one = GPT(GPTConfig(**SIZES), torch.Generator().manual_seed(3))
    other = GPT(SparseConfig(**SIZES, width=3), torch.Generator().manual_seed(3))
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name])


def test_dropout_acts_in_training_and_on_sparse_weights_alone():
    for masks in ("banded", "strided"):
        attention = small(masks, dropout=0.5).h[0].attn
        x = torch.randn(1, 20, 16)
        assert torch.equal(attention(x)[0], attention(x)[0])
        attention.train()
        assert not torch.equal(attention(x)[0], attention(x)[0])
        with pytest.raises(ValueError, match="call model.eval"):
            attention(x, return_weights=True)


def test_settings_come_back_from_their_dictionary():
    config = small().config
    assert SparseConfig(**asdict(config)) == config


def test_a_checkpoint_goes_on_only_with_the_same_masks(tmp_path):
    path, model = tmp_path / "run.safetensors", small()
    batches = RandomBatches(tokens(1, 60)[0], 2, 24)
    save_checkpoint(path, model, adamw(model), batches, History())
    twin = small()
    drawn(twin)
    load_checkpoint(path, twin, adamw(twin), batches)
    assert torch.equal(twin(tokens()), model(tokens()))
    dense = GPT(GPTConfig(**SIZES))
    for other, what in (
        (small(width=4), "width is 3, in this run 4"),
        (small("banded dense"), "masks is dense banded, in this run banded dense"),
        (dense, "masks is dense banded, in this run missing"),
    ):
        with pytest.raises(ValueError, match=what):
            load_checkpoint(path, other, adamw(other), batches)
    again = load_gpt(path)
    assert again.config == model.config
    assert torch.equal(again(tokens()), model(tokens()))


def test_a_model_that_transformers_lacks_is_not_saved_as_another(tmp_path):
    with one_line("no GPT with 'dense banded' blocks"):
        save_pretrained(small(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


# Bad input.


def one_line(message):
    return pytest.raises(ValueError, match=re.compile(message + r"[^\n]*\Z"))


@pytest.mark.parametrize("width", [0, -2])
def test_a_width_or_stride_below_one_is_refused(width):
    with one_line(f"width={width}; a query sees at least itself"):
        banded_mask(4, 4, width)
    with one_line(f"stride={width}; it leads to an earlier key"):
        strided_mask(4, 4, width)
    with one_line(f"width={width}; a query sees at least itself"):
        banded_attend(*qkv(4, 4), width)


@pytest.mark.parametrize(
    "call", [banded_mask, strided_mask, lambda t, s, w: banded_attend(*qkv(t, s), w)]
)
@pytest.mark.parametrize(("t", "s"), [(3, 2), (40, 30)])
def test_more_queries_than_keys_are_refused(call, t, s):
    with one_line(f"{t} queries but only {s} keys"):
        call(t, s, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 25}, r"n_ctx=24.*width=25\): need 1 <= width <= n_ctx"),
        ({"width": 0}, r"width=0\): need 1 <= width <= n_ctx"),
        ({"masks": "dense round"}, r"'dense round'.*masks out of \['banded', 'dense'"),
        ({"masks": " "}, "masks=' '.*masks out of"),
        ({"block": "post_norm"}, "block='post_norm'.*need.*block 'pre_norm'"),
        ({"n_layer": 0}, "n_layer=0.*need sizes >= 1"),
        ({"n_head": 5}, "not a multiple of n_head=5"),
    ],
)
def test_an_impossible_shape_is_refused(changes, message):
    with one_line(message):
        small(**changes)
