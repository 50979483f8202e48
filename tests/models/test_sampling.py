"""Sampling: the distribution drawn from, the cache, the limits."""

import pytest
import torch
import transformers
from torch.nn import functional as F

from gptcourse.lesson import checks
from gptcourse.models import sampling
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.sampling import generate, next_token_probabilities, stream


def small(n_ctx=16, dropout=0.0):
    """A tiny model, its embedding enlarged so that its choices are not ties."""
    config = GPTConfig(31, n_ctx, 16, 4, 2, dropout=dropout)
    model = GPT(config, torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        model.wte.weight.mul_(20)
        for block in model.h:
            block.mlp.c_proj.weight.mul_(20)
    return model


def prompt(b=2, t=4):
    return torch.randint(31, (b, t), generator=torch.Generator().manual_seed(1))


def greedy_without_a_cache(model, tokens, n_new):
    """The slow way: read everything again for each new token."""
    for _ in range(n_new):
        with torch.no_grad():
            new = model(tokens)[:, -1].argmax(-1, keepdim=True)
        tokens = torch.cat([tokens, new], dim=1)
    return tokens


def test_greedy_with_a_cache_equals_the_slow_way():
    model = small()
    expected = greedy_without_a_cache(model, prompt(), 12)
    assert torch.equal(generate(model, prompt(), 12, temperature=0), expected)


def test_writing_goes_on_past_the_context():
    model = small(n_ctx=8)
    written = generate(model, prompt(t=3), 30, temperature=0)
    assert written.shape == (2, 33)
    # After 8 positions the last 4 are read again; each token follows from what is
    # in the window: 3..8, then 4 + up to 4 more, and so on.
    window = prompt(t=3)
    for place in range(3, 33):
        if window.shape[1] > 8:
            window = written[:, place - 4 : place]
        new = model(window)[:, -1].argmax(-1)
        assert torch.equal(new, written[:, place])
        window = torch.cat([window, new[:, None]], dim=1)


def test_a_prompt_over_the_context_counts_by_its_last_tokens():
    model = small(n_ctx=8)
    written = generate(model, prompt(t=20), 1, temperature=0)
    assert torch.equal(written[:, :20], prompt(t=20))
    assert torch.equal(written[:, 20], model(prompt(t=20)[:, -8:])[:, -1].argmax(-1))


@pytest.mark.parametrize(
    ("settings", "warper"),
    [
        ({"temperature": 0.7}, transformers.TemperatureLogitsWarper(0.7)),
        ({"top_k": 5}, transformers.TopKLogitsWarper(5)),
        ({"top_p": 0.6}, transformers.TopPLogitsWarper(0.6)),
        ({"top_p": 1.0}, transformers.TopPLogitsWarper(1.0)),
    ],
)
def test_distribution_equals_transformers(settings, warper):
    logits = 3 * torch.randn(40, 31, generator=torch.Generator().manual_seed(3))
    expected = warper(None, logits.clone()).softmax(dim=-1)
    torch.testing.assert_close(next_token_probabilities(logits, **settings), expected)


def test_settings_together_equal_transformers_in_its_order():
    logits = 3 * torch.randn(40, 31, generator=torch.Generator().manual_seed(3))
    expected = logits.clone()
    for warper in (
        transformers.TemperatureLogitsWarper(0.7),
        transformers.TopKLogitsWarper(9),
        transformers.TopPLogitsWarper(0.8),
    ):
        expected = warper(None, expected)
    ours = next_token_probabilities(logits, temperature=0.7, top_k=9, top_p=0.8)
    torch.testing.assert_close(ours, expected.softmax(dim=-1))
    checks.is_distribution(ours)


def test_of_equal_logits_exactly_k_stay():
    p = next_token_probabilities(torch.zeros(1, 9), top_k=4)
    assert (p > 0).sum().item() == 4


def test_temperature_zero_takes_the_likeliest():
    p = next_token_probabilities(torch.tensor([[1.0, 3.0, 2.0]]), temperature=0)
    assert p.tolist() == [[0.0, 1.0, 0.0]]


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("temperature", [1e-6, 1e-40, 1e-45, 1e-300, 5e-324])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_towards_temperature_zero_the_likeliest_takes_all(temperature, dtype):
    logits = torch.tensor([[1.0, 3.0, 2.0, -INF]], dtype=dtype)
    for settings in ({}, {"top_k": 2}, {"top_p": 0.9}):
        p = next_token_probabilities(logits, temperature, **settings)
        assert p.tolist() == [[0.0, 1.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.25, 0.25, 0.25, 0.25, 0.0]),
        ({"top_k": 2}, [0.5, 0.0, 0.5, 0.0, 0.0]),
        ({"top_k": 2, "top_p": 1.0}, [0.5, 0.0, 0.5, 0.0, 0.0]),
    ],
)
def test_an_infinite_temperature_is_even_over_what_is_kept(settings, expected):
    logits = torch.tensor([3.0, 1.0, 2.0, -40.0, -INF])
    p = next_token_probabilities(logits, temperature=INF, **settings)
    torch.testing.assert_close(p, torch.tensor(expected))


@pytest.mark.parametrize("top_p", [1e-30, 1e-46, 5e-324])
def test_a_tiny_top_p_keeps_the_likeliest(top_p):
    p = next_token_probabilities(torch.tensor([1.0, 3.0, 2.0]), top_p=top_p)
    assert p.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, INF])
def test_infinite_logits_share_everything(temperature):
    p = next_token_probabilities(torch.tensor([INF, 9.0, INF, -INF]), temperature)
    assert p.tolist() == [0.5, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("logits", [[1.0, NAN], [NAN, INF], [-INF, -INF]])
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_logits_without_a_distribution_are_refused(logits, temperature):
    rows = torch.tensor([[0.0, 1.0], logits])
    with pytest.raises(ValueError, match="logits hold nan, or -inf for every token"):
        next_token_probabilities(rows, temperature)


def test_a_diverged_model_is_refused_when_it_writes():
    model = small()
    with torch.no_grad():
        model.wte.weight[3] = NAN
    for temperature in (0, 1.0):
        with pytest.raises(ValueError, match="did the training diverge"):
            generate(model, prompt(), 2, temperature=temperature)


def test_draws_follow_the_distribution():
    model, start = small(), prompt(b=1).expand(20_000, -1)
    new = generate(model, start, 1, generator=torch.Generator().manual_seed(7))[:, -1]
    counted = new.bincount(minlength=31) / len(new)
    expected = model(prompt(b=1))[0, -1].softmax(-1)
    # five standard errors of a frequency
    assert ((counted - expected).abs() < 5 * (0.25 / len(new)) ** 0.5).all()


def test_the_same_generator_writes_the_same_text():
    model = small()
    once, again = (
        generate(model, prompt(), 20, generator=torch.Generator().manual_seed(7))
        for _ in range(2)
    )
    assert torch.equal(once, again)


def test_stream_gives_what_generate_gives_one_at_a_time():
    model = small()
    tokens = list(stream(model, prompt(), 5, temperature=0))
    assert [token.shape for token in tokens] == [(2,)] * 5
    expected = generate(model, prompt(), 5, temperature=0)[:, 4:]
    assert torch.equal(torch.stack(tokens, dim=1), expected)


def test_dropout_is_off_while_writing_and_the_mode_is_put_back():
    model = small(dropout=0.5).train()
    once, again = (generate(model, prompt(), 8, temperature=0) for _ in range(2))
    assert torch.equal(once, again)
    assert model.training


def test_greedy_writing_asks_no_generator():
    generator = torch.Generator().manual_seed(7)
    before = generator.get_state(), torch.get_rng_state()
    generate(small(), prompt(), 3, temperature=0, generator=generator)
    generate(small(), prompt(), 3, temperature=0)
    assert torch.equal(generator.get_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("b", [1, 3])
def test_the_fast_products_give_the_logits_of_pytorchs(b):
    config = GPTConfig(300, 8, 512, 4, 2)
    model = GPT(config, torch.Generator().manual_seed(0)).eval()
    x = torch.randint(300, (b, 5), generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), sampling._products(model) as fast:
        assert isinstance(fast, sampling._OneDNN)
        ours = model(x)
    torch.testing.assert_close(ours, model(x))


def test_the_fast_products_are_really_used(monkeypatch):
    monkeypatch.setattr(sampling, "LARGE", 1)
    used = []

    class Counted(sampling._OneDNN):
        def __torch_function__(self, function, *rest, **more):
            used.append(function is F.linear)
            return super().__torch_function__(function, *rest, **more)

    monkeypatch.setattr(sampling, "_OneDNN", Counted)
    expected = greedy_without_a_cache(small(), prompt(), 3)
    assert torch.equal(generate(small(), prompt(), 3, temperature=0), expected)
    assert sum(used) == 3 * (4 * 2 + 1)  # four matrices a block, and the tied softmax


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_than_float32_write_with_pytorchs_products(dtype, monkeypatch):
    monkeypatch.setattr(sampling, "LARGE", 1)
    assert generate(small().to(dtype), prompt(), 2, temperature=0).shape == (2, 6)


def test_no_new_tokens_is_the_prompt():
    assert torch.equal(generate(small(), prompt(), 0), prompt())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature=-0.1; need >= 0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_k": 0}, "top_k=0; need a whole number >= 1"),
        ({"top_k": 2.5}, "top_k=2.5; need a whole number >= 1"),
        ({"top_p": float("nan")}, "top_p=nan; need 0 < p <= 1"),
        ({"top_p": 0.0}, "top_p=0.0; need 0 < p <= 1"),
        ({"top_p": 1.5}, "top_p=1.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        generate(small(), prompt(), 1, **settings)


@pytest.mark.parametrize("bad", [31, -1])
def test_a_prompt_outside_the_vocabulary_is_refused(bad):
    tokens = prompt()
    tokens[1, 2] = bad
    with pytest.raises(
        ValueError, match=f"tokens from .*{bad}.* the vocabulary holds 0 to 30"
    ):
        generate(small(), tokens, 1)


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 0\)"):
        generate(small(), torch.zeros(1, 0, dtype=torch.long), 1)


def test_a_model_in_training_does_not_write_with_dropout():
    model = GPT(GPTConfig(9, 4, 8, 2, 1, dropout=0.5)).train()
    with pytest.raises(ValueError, match=r"with dropout; call model.eval\(\) first"):
        next(stream(model, torch.tensor([[1]]), 1))
    once, again = (generate(model, torch.tensor([[1]]), 9, temperature=0) for _ in "ab")
    assert torch.equal(once, again)
