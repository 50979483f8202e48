"""The model against transformers', against the papers' sizes, and its properties."""

import math

import pytest
import torch
import transformers
from einops import rearrange
from torch import nn

from gptcourse.lesson import checks
from gptcourse.models import layers
from gptcourse.models.attention import KeyValueCache
from gptcourse.models.gpt import (
    BLOCKS,
    GPT,
    PRESETS,
    GPTConfig,
    PostNormBlock,
    PreNormBlock,
    count_parameters,
)

SIZES = {"n_vocab": 31, "n_ctx": 12, "n_embd": 16, "n_head": 4, "n_layer": 3}


def small(block="pre_norm", **changes):
    generator = torch.Generator().manual_seed(0)
    return GPT(GPTConfig(**(SIZES | {"block": block} | changes)), generator).eval()


def tokens(b=2, t=10):
    return torch.randint(31, (b, t), generator=torch.Generator().manual_seed(1))


def oracle(block):
    """transformers' model of the same shape, gains and biases drawn like all else."""
    torch.manual_seed(2)
    kind = {
        "pre_norm": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
        "post_norm": (transformers.OpenAIGPTConfig, transformers.OpenAIGPTLMHeadModel),
    }[block]
    config = kind[0](
        vocab_size=31,
        n_positions=12,
        n_embd=16,
        n_head=4,
        n_layer=3,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    return drawn(kind[1](config).eval())


def drawn(model):
    """The model with every tensor different, so that none can stand for another."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


NAMES = {"tokens_embed": "wte", "positions_embed": "wpe"}


def copy_weights(theirs, ours):
    """Copy by name; their `Conv1D` stores matrices the other way round."""
    wanted = ours.state_dict()
    with torch.no_grad():
        for name, value in theirs.transformer.state_dict().items():
            head, _, rest = name.partition(".")
            target = wanted.pop(f"{NAMES.get(head, head)}.{rest}")
            is_conv1d = name.endswith("weight") and ".c_" in name
            target.copy_(rearrange(value, "i o -> o i") if is_conv1d else value)
    assert not wanted, f"not copied: {sorted(wanted)}"


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_logits_equal_those_of_transformers(block):
    theirs, ours = oracle(block), small(block)
    copy_weights(theirs, ours)
    with torch.no_grad():
        checks.close(ours(tokens()), theirs(tokens()).logits, "logits", 1e-5)


def swapped_norms(model):
    for block in model.h:
        block.ln_1, block.ln_2 = block.ln_2, block.ln_1


def one_layer_twice(model):
    model.h[1] = model.h[0]


def gains_for_biases(model):
    for block in model.h:
        norm = block.ln_1
        norm.weight, norm.bias = norm.bias, norm.weight


def a_blocks_norm_at_the_end(model):
    model.ln_f = model.h[-1].ln_2


@pytest.mark.parametrize("block", sorted(BLOCKS))
@pytest.mark.parametrize(
    "spoil",
    [swapped_norms, one_layer_twice, gains_for_biases, a_blocks_norm_at_the_end],
)
def test_the_comparison_with_transformers_catches_a_wrong_gpt(block, spoil):
    theirs, ours = oracle(block), small(block)
    copy_weights(theirs, ours)
    spoil(ours)
    with torch.no_grad(), pytest.raises(AssertionError, match="logits"):
        checks.close(ours(tokens()), theirs(tokens()).logits, "logits", 1e-5)


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_gradients_equal_those_of_transformers(block):
    theirs, ours = oracle(block), small(block)
    copy_weights(theirs, ours)
    theirs(tokens(), labels=tokens()).loss.backward()
    logits = rearrange(ours(tokens())[:, :-1], "b t v -> (b t) v")
    targets = rearrange(tokens()[:, 1:], "b t -> (b t)")
    nn.functional.cross_entropy(logits, targets).backward()
    embedding = theirs.transformer.get_input_embeddings()
    checks.close(ours.wte.weight.grad, embedding.weight.grad, "gradients", 1e-5)


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_future_tokens_leave_earlier_logits_unchanged(block):
    checks.no_future_leak(small(block), tokens())
    checks.sees_whole_past(small(block), tokens())


def attention_without_mask(module):
    """A mutant: every query sees every key."""

    def attend_all(q, k, v):
        return nn.functional.scaled_dot_product_attention(q, k, v)

    module._attend_fused = attend_all


def test_no_future_leak_catches_a_dropped_mask():
    model = small()
    for block in model.h:
        attention_without_mask(block.attn)
    with pytest.raises(AssertionError, match="changes earlier logits"):
        checks.no_future_leak(model, tokens())


def test_sees_whole_past_catches_a_model_without_attention():
    model = small()
    for block in model.h:
        nn.init.zeros_(block.attn.c_proj.weight)
    with pytest.raises(AssertionError, match="does not reach"):
        checks.sees_whole_past(model, tokens())


@pytest.mark.parametrize("cuts", [[1] * 10, [4, 6], [7, 1, 2]])
def test_logits_with_a_cache_equal_those_without(cuts):
    model, cache = small(), KeyValueCache()
    pieces = [model(piece, cache) for piece in tokens().split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens()))


def test_weights_come_from_the_pass_that_gives_the_logits():
    model = small()
    logits, weights = model(tokens(), return_weights=True)
    checks.shape(weights, (3, 2, 4, 10, 10))
    checks.causal_weights(weights)
    torch.testing.assert_close(logits, model(tokens()))


def test_a_batch_equals_its_rows():
    model = small()
    alone = torch.cat([model(row[None]) for row in tokens()])
    torch.testing.assert_close(model(tokens()), alone)


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_the_first_loss_is_that_of_a_fair_guess(block):
    model = small(block, n_embd=64)
    logits = rearrange(model(tokens(8, 12)), "b t v -> (b t) v")
    targets = torch.randint(31, (96,), generator=torch.Generator().manual_seed(5))
    checks.initial_loss(nn.functional.cross_entropy(logits, targets).item(), 31)


def test_initial_loss_catches_weights_that_start_too_large():
    model = small(n_embd=64)
    nn.init.normal_(model.wte.weight, std=1.0)
    logits = rearrange(model(tokens(8, 12)), "b t v -> (b t) v")
    targets = torch.randint(31, (96,), generator=torch.Generator().manual_seed(5))
    with pytest.raises(AssertionError, match="first loss"):
        checks.initial_loss(nn.functional.cross_entropy(logits, targets).item(), 31)


def test_the_softmax_matrix_is_the_token_embedding():
    model = small()
    before = model(tokens())
    with torch.no_grad():
        model.wte.weight[30] = 0
    assert (model(torch.zeros(1, 1, dtype=torch.long))[..., 30] == 0).all()
    assert not torch.equal(model(tokens()), before)


# The sizes: computed by hand from the shapes in the ledger of the papers.


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt1", 116_534_784),
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_released_sizes_to_the_digit(name, parameters):
    assert count_parameters(PRESETS[name]) == parameters


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("gpt3-small", 125.2),
        ("gpt3-medium", 355.9),
        ("gpt3-large", 760.3),
        ("gpt3-xl", 1_315.7),
        ("gpt3-2.7b", 2_651.6),
        ("gpt3-6.7b", 6_658.4),
        ("gpt3-13b", 12_853.4),
        ("gpt3-175b", 174_604.3),
    ],
)
def test_gpt3_sizes_as_its_table_d1_rounds_them(name, millions):
    assert round(count_parameters(PRESETS[name]) / 1e6, 1) == millions


def test_count_of_a_model_equals_the_count_of_its_config():
    assert count_parameters(small()) == count_parameters(small().config)


# The initialization, as the docstrings state it.


def test_initial_spread_is_as_documented():
    pre = GPT(GPTConfig(512, 256, 128, 4, 8), torch.Generator().manual_seed(0))
    post = GPT(
        GPTConfig(512, 256, 128, 4, 8, block="post_norm"),
        torch.Generator().manual_seed(0),
    )
    for model, position, residual in ((pre, 0.01, 0.02 / 4), (post, 0.02, 0.02)):
        assert model.wte.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert model.wpe.weight.std().item() == pytest.approx(position, rel=0.02)
        block = model.h[3]
        assert block.attn.c_attn.weight.std().item() == pytest.approx(0.02, rel=0.02)
        for projection in (block.attn.c_proj, block.mlp.c_proj):
            assert projection.weight.std().item() == pytest.approx(residual, rel=0.03)
        assert all((p == 0).all() for n, p in model.named_parameters() if "bias" in n)
    assert (pre.ln_f.weight == 1).all()


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    first, second = small(), small()
    assert torch.equal(before, torch.get_rng_state())
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_model_on_meta_takes_no_memory():
    with torch.device("meta"):
        model = GPT(PRESETS["gpt3-175b"])
    assert all(p.is_meta for p in model.parameters())


def test_only_gpt1_lacks_the_norm_after_the_last_block():
    assert isinstance(small("post_norm").ln_f, nn.Identity)
    assert isinstance(small("pre_norm").ln_f, nn.LayerNorm)
    assert not PostNormBlock.scaled_residuals and PreNormBlock.scaled_residuals


# Bad input.


def test_a_token_outside_the_vocabulary_is_named():
    with pytest.raises(ValueError, match="31, but the vocabulary holds 0 to 30"):
        small()(torch.tensor([[3, 31]]))
    with pytest.raises(ValueError, match="tokens from -1"):
        small()(torch.tensor([[-1, 3]]))


def test_a_sequence_over_the_context_is_refused():
    with pytest.raises(ValueError, match="13 positions, but the context is n_ctx=12"):
        small()(tokens(1, 13))


def test_a_full_cache_is_refused():
    model, cache = small(), KeyValueCache()
    model(tokens(1, 12), cache)
    with pytest.raises(ValueError, match="13 positions"):
        model(tokens(1, 1), cache)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_layer": 0}, "n_layer=0"),
        (
            {"block": "sideways"},
            r"block='sideways'.*one of \['post_norm', 'pre_norm'\]",
        ),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"n_head": 5}, "not a multiple of n_head=5"),
    ],
)
def test_an_impossible_shape_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


# The layers.


def test_mlp_equals_the_formula_of_openais_code():
    torch.manual_seed(0)
    mlp, x = layers.MLP(8), torch.randn(2, 3, 8)
    u = mlp.c_fc(x)
    gelu = 0.5 * u * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))
    torch.testing.assert_close(mlp(x), mlp.c_proj(gelu))


def test_the_formula_catches_the_exact_gelu():
    torch.manual_seed(0)
    mlp, x = layers.MLP(8), 3 * torch.randn(2, 3, 8)
    right = mlp(x)
    mlp.gelu = nn.GELU()
    with pytest.raises(AssertionError):
        checks.close(mlp(x), right)


def test_sinusoidal_positions_equal_the_formula():
    table = layers.sinusoidal_positions(20, 8)
    for t in (0, 7, 19):
        for i in range(4):
            angle = t / 10_000 ** (2 * i / 8)
            expected = [math.sin(angle), math.cos(angle)]
            checks.close(table[t, 2 * i : 2 * i + 2], expected)


def test_sinusoidal_positions_refuse_an_odd_width():
    with pytest.raises(ValueError, match="n_embd=7 is odd"):
        layers.sinusoidal_positions(4, 7)


# Vectors in place of tokens.


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_vectors_of_tokens_give_the_logits_of_the_tokens(block):
    model = small(block)
    vectors = model.embed(tokens())
    assert torch.equal(vectors, model.wte.weight[tokens()])
    assert torch.equal(model(vectors), model(tokens()))
    assert torch.equal(model.hidden(vectors), model.hidden(tokens()))


def test_vectors_equal_those_of_transformers_as_input():
    theirs, ours = oracle("pre_norm"), small()
    copy_weights(theirs, ours)
    vectors = torch.randn(2, 10, 16, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        wanted = theirs(inputs_embeds=vectors).logits
        checks.close(ours(vectors), wanted, "logits", 1e-5)


def test_vectors_and_tokens_share_a_cache():
    model, cache = small(), KeyValueCache()
    head = model(model.embed(tokens()[:, :6]), cache)
    tail = model(tokens()[:, 6:], cache)
    torch.testing.assert_close(torch.cat([head, tail], dim=1), model(tokens()))


def test_more_vectors_than_positions_are_refused():
    with pytest.raises(ValueError, match="^13 positions, but the context is n_ctx=12"):
        small()(torch.zeros(1, 13, 16))
