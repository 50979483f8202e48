"""Parameters and FLOPs: equal to PyTorch's own counts, and to the papers'."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gptcourse.models.gpt import GPT, PRESETS, GPTConfig, count_parameters
from gptcourse.models.sparse import SparseConfig
from gptcourse.training.flops import (
    count_flops,
    error_of_6nd,
    flops_per_token,
    parameters_by_part,
)

CONFIGS = [
    GPTConfig(65, 16, 32, 4, 2),
    GPTConfig(65, 16, 32, 4, 2, block="post_norm", dropout=0.1),
    GPTConfig(11, 7, 6, 1, 1),
    GPTConfig(300, 24, 40, 5, 3),
]
GPT2 = PRESETS["gpt2"]


def counted(config, b, t, backward=False, device="cpu", **options):
    """What PyTorch's counter says of a pass over b sequences of t tokens."""
    with torch.device(device):
        model, tokens = GPT(config).eval(), torch.zeros(b, t, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        out = model(tokens, **options)
        if backward:
            (out[0] if options else out).sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("config", [*CONFIGS, *PRESETS.values()])
def test_the_parameters_are_those_of_the_model(config):
    with torch.device("meta"):
        model = GPT(config)
    parts = parameters_by_part(config)
    of_blocks = [p for p in model.h.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    assert parts.total == count_parameters(model)
    assert parts.tokens == model.wte.weight.numel()
    assert parts.positions == model.wpe.weight.numel()
    assert parts.matrices == sum(p.numel() for p in of_blocks)
    assert parts.vectors == sum(p.numel() for p in vectors)
    tables = model.wte.weight.numel() + model.wpe.weight.numel()
    assert parts.non_embedding == count_parameters(model) - tables


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("b", "t"), [(1, 7), (3, 5), (4, 2)])
def test_the_flops_are_those_of_pytorch_s_counter(config, b, t):
    ours = count_flops(config, b * t, t)
    weights = {"return_weights": True}
    assert counted(config, b, t, **weights) == ours.forward
    assert counted(config, b, t, backward=True, **weights) == ours.training
    assert counted(config, b, t, backward=True, device="meta") == ours.training
    with sdpa_kernel(SDPBackend.MATH):
        assert counted(config, b, t) == ours.forward
        assert counted(config, b, t, backward=True) == ours.training


def test_the_full_context_is_the_default():
    config = CONFIGS[0]
    assert count_flops(config, 48) == count_flops(config, 48, 16)
    assert count_flops(config, 48).forward == counted(config, 3, 16, device="meta")


def test_a_single_token_costs_as_much_as_the_counter_says_where_it_multiplies():
    # `return_weights` then multiplies values by their one weight without a matrix.
    for config in CONFIGS:
        ours = count_flops(config, 2, t=1)
        assert counted(config, 2, 1, device="meta") == ours.forward
        assert counted(config, 2, 1, backward=True, device="meta") == ours.training


def test_on_a_cpu_the_counter_does_not_see_the_fused_kernel():
    ours = count_flops(CONFIGS[0], 48)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert counted(CONFIGS[0], 3, 16) == ours.forward - ours.attention


def test_each_part_is_that_of_its_operation():
    with torch.device("meta"):
        model, tokens = GPT(GPT2), torch.zeros(1, 1_024, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(tokens)
    found = {
        str(op): count for op, count in counter.get_flop_counts()["Global"].items()
    }
    ours = count_flops(GPT2, 1_024)
    assert found["aten.bmm"] == ours.attention
    assert sum(found.values()) == ours.forward == 291_648_307_200  # nanoGPT's
    assert ours.softmax == 2 * 1_024 * model.wte.weight.numel()


def test_gpt_3_s_training_is_the_printed_one():
    config = PRESETS["gpt3-175b"]
    tokens = 2_048 * round(300e9 / 2_048)
    by_rule = 6 * parameters_by_part(config).total * tokens
    assert by_rule == pytest.approx(3.14e23, rel=2e-3)  # GPT-3, T D.1
    share = error_of_6nd(config, parameters_by_part(config).total)
    assert by_rule / count_flops(config, tokens).training - 1 == pytest.approx(share)
    assert -0.03 < share < 0  # attention's own products are little beside the rest


def test_the_error_of_6nd_by_hand():
    # c 6, v 11, 1 layer: matrices 432, table 66; attention 2·7·6 = 84 a token
    exact = 3 * 2 * (432 + 66 + 84)
    assert error_of_6nd(CONFIGS[2], 1_000) == pytest.approx(6_000 / exact - 1)
    exact = 3 * 2 * (432 + 66 + 2 * 3 * 6)
    assert error_of_6nd(CONFIGS[2], 1_000, t=3) == pytest.approx(6_000 / exact - 1)


def test_a_long_context_makes_6nd_too_low_and_a_wide_model_right():
    small, wide = GPTConfig(65, 512, 32, 4, 2), GPTConfig(65, 16, 1_024, 4, 2)
    assert error_of_6nd(small, parameters_by_part(small).total) < -0.4
    assert abs(error_of_6nd(wide, parameters_by_part(wide).total)) < 0.01


@pytest.mark.parametrize("config", CONFIGS)
def test_palm_s_rule_errs_by_biases_and_gains_alone(config):
    model = GPT(config)
    vectors = parameters_by_part(config).vectors
    exact = count_flops(config, config.n_ctx).training / config.n_ctx
    assert flops_per_token(model, config.n_ctx) == exact + 6 * vectors


@pytest.mark.parametrize(("tokens", "t"), [(0, None), (17, None), (9, 4), (34, 17),
                                           (4, 0), (-16, 16)])  # fmt: skip
def test_tokens_that_do_not_fill_their_sequences_are_refused(tokens, t):
    with pytest.raises(ValueError, match=r"^-?\d+ tokens in sequences of t=\d+; need"):
        count_flops(CONFIGS[0], tokens, t)


def test_another_model_is_refused():
    banded = SparseConfig(9, 8, 4, 2, n_layer=3, width=2)
    with pytest.raises(
        ValueError, match="^SparseConfig: counted are models of a plain"
    ):
        count_flops(banded, 8)
    with pytest.raises(
        ValueError, match="^SparseConfig: counted are models of a plain"
    ):
        parameters_by_part(banded)
