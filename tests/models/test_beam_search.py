"""Beam search against transformers' and all texts there are, and its properties."""

import math
from functools import cache

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcourse.models import huggingface
from gptcourse.models.attention import KeyValueCache
from gptcourse.models.beam_search import beam_search
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.sampling import generate

T, N = 5, 12  # tokens of a prompt, and new ones
END = 21  # a token that this model writes early, late, or never
INF, NAN = float("inf"), float("nan")


@cache
def small(n_vocab=31):
    """A model of varied choices; in float64, so that ours and theirs round alike."""
    generator = torch.Generator().manual_seed(0)
    model = GPT(GPTConfig(n_vocab, 32, 16, 4, 2)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            std = 0.5 if name.startswith("w") else 0.1 if name.endswith("bias") else 0.4
            parameter.normal_(std=std, generator=generator)
            if ".ln_" in f".{name}" and name.endswith("weight"):
                parameter.add_(1)
    return model.double()


@cache
def oracle(n_vocab=31):
    """transformers' GPT-2 with the same weights."""
    ours = small(n_vocab)
    config = huggingface.write_settings(ours.config, end_of_text=None)
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**config)).double()
    weights = {
        name: parameter.T if huggingface.is_transposed(name) else parameter
        for name, parameter in huggingface.named_parameters(ours).items()
    }
    assert theirs.load_state_dict(weights, strict=False).missing_keys == [
        huggingface.HEAD  # tied
    ]
    return theirs.eval()


def prompts(b=50, t=T, n_vocab=31):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(n_vocab, (b, t), generator=generator)


def theirs(tokens, n_new, width, penalty=0.6, end=None, n_vocab=31, **more):
    found = oracle(n_vocab).generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=n_new,
        num_beams=width,
        do_sample=False,
        length_penalty=float(penalty),
        eos_token_id=end,
        pad_token_id=end,
        return_dict_in_generate=True,
        output_scores=True,
        **more,
    )
    # It crops to the longest continuation.
    texts = tokens.new_full(
        (len(tokens), tokens.shape[1] + n_new), 0 if end is None else end
    )
    texts[:, : found.sequences.shape[1]] = found.sequences
    return texts, found.sequences_scores


def lengths(texts, end=END):
    """The number of new tokens of each text, its end token included."""
    new = texts[:, T:] == end
    return torch.where(new.any(1), new.int().argmax(1) + 1, new.shape[1])


def log_probabilities(model, texts, t=T):
    """Of each new token (b, n), by reading the whole without a cache."""
    with torch.no_grad():
        predicted = model(texts[:, :-1]).log_softmax(-1)[:, t - 1 :]
    return predicted.gather(-1, texts[:, t:, None])[:, :, 0]


# Against transformers.


@pytest.mark.parametrize("end", [None, END])
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("penalty", [-1, 0, 0.6, 3])
def test_fifty_prompts_give_the_texts_and_scores_of_transformers(width, penalty, end):
    texts, scores = beam_search(
        small(), prompts(), N, width, length_penalty=penalty, end=end
    )
    expected, their_scores = theirs(prompts(), N, width, penalty, end)
    assert torch.equal(texts, expected)
    torch.testing.assert_close(scores, their_scores)


def test_the_comparison_sees_short_long_and_unended_texts_that_are_not_greedy():
    texts, _ = beam_search(small(), prompts(), N, 2, length_penalty=3, end=END)
    ended = (texts[:, T:] == END).any(1)
    assert 5 < ended.sum() < 45
    assert len(lengths(texts)[ended].unique()) >= 5
    greedy = generate(small(), prompts(), N, temperature=0)
    assert (beam_search(small(), prompts(), N)[0] != greedy).any(1).sum() > 25


@pytest.mark.parametrize("rule", [True, "never"])
def test_another_stopping_rule_finds_other_texts(rule):
    ours, scores = beam_search(small(), prompts(), N, 2, length_penalty=3, end=END)
    others, their_scores = theirs(prompts(), N, 2, 3, END, early_stopping=rule)
    assert (ours != others).any(1).sum() > 10
    if rule == "never":  # it searches longer: what ours misses is longer and better
        assert (their_scores >= scores).all()
        assert (lengths(others) >= lengths(ours)).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 8),
    st.integers(2, 7),
    st.floats(-2, 4),
    st.none() | st.integers(0, 6),
)
def test_any_settings_give_the_texts_of_transformers(b, n_new, width, penalty, end):
    tokens = prompts(b, n_vocab=7)
    ours = beam_search(small(7), tokens, n_new, width, length_penalty=penalty, end=end)
    expected, scores = theirs(tokens, n_new, width, penalty, end, n_vocab=7)
    assert torch.equal(ours[0], expected)
    torch.testing.assert_close(ours[1], scores)


# Against all texts there are.


@pytest.mark.parametrize("end", [None, 0, 3])
@pytest.mark.parametrize("penalty", [-1, 0.6, 2])
def test_two_tokens_with_every_first_one_kept_are_the_best_of_all(penalty, end):
    v, tokens = 7, prompts(20, n_vocab=7)
    texts, scores = beam_search(
        small(v), tokens, 2, width=v, length_penalty=penalty, end=end
    )
    every = torch.cartesian_prod(torch.arange(v), torch.arange(v))
    ends = every[:, 0] == (-1 if end is None else end)
    every[ends, 1] = every[ends, 0]
    for prompt, text, score in zip(tokens, texts, scores, strict=True):
        whole = torch.cat([prompt.expand(v * v, -1), every], dim=1)
        first, second = log_probabilities(small(v), whole).T
        values = torch.where(ends, first, (first + second) / 2**penalty)
        assert torch.equal(text, whole[values.argmax()])
        assert score.item() == pytest.approx(values.max().item(), abs=1e-5)


# Properties.


@pytest.mark.parametrize("end", [None, END])
@pytest.mark.parametrize("penalty", [0, 0.6, 2])
def test_the_score_is_the_log_probability_over_the_length_to_the_penalty(penalty, end):
    texts, scores = beam_search(small(), prompts(), N, length_penalty=penalty, end=end)
    n = torch.full((50,), N) if end is None else lengths(texts)
    written = torch.arange(N) < n[:, None]
    expected = (log_probabilities(small(), texts) * written).sum(1) / n**penalty
    torch.testing.assert_close(scores.double(), expected, atol=1e-5, rtol=1e-5)


def test_width_one_is_greedy():
    greedy = generate(small(), prompts(), N, temperature=0)
    assert torch.equal(beam_search(small(), prompts(), N, width=1)[0], greedy)
    ended = greedy.clone()
    for text, n in zip(ended, lengths(greedy), strict=True):
        text[T + n :] = END
    ours, _ = beam_search(small(), prompts(), N, width=1, end=END)
    assert torch.equal(ours, ended)


def test_the_prompt_stands_before_and_the_end_token_fills_what_follows_it():
    texts, _ = beam_search(small(), prompts(), N, end=END)
    assert torch.equal(texts[:, :T], prompts())
    for text, n in zip(texts.tolist(), lengths(texts).tolist(), strict=True):
        assert END not in text[T : T + n - 1]
        assert set(text[T + n :]) <= {END}


def test_a_batch_gives_what_each_prompt_gives_alone():
    texts, scores = beam_search(small(), prompts(), N, 2, length_penalty=3, end=END)
    for i, prompt in enumerate(prompts()):
        text, score = beam_search(
            small(), prompt[None], N, 2, length_penalty=3, end=END
        )
        assert torch.equal(text[0], texts[i])
        torch.testing.assert_close(score[0], scores[i])


def test_a_higher_penalty_gives_longer_texts():
    means = [
        lengths(beam_search(small(), prompts(), N, length_penalty=a, end=END)[0])
        .double()
        .mean()
        for a in (-2, 0, 0.6, 1, 3)
    ]
    assert means == sorted(set(means))


def test_a_wider_beam_finds_likelier_texts_on_average():
    scores = [beam_search(small(), prompts(), N, w)[1].mean() for w in (1, 2, 4, 16)]
    assert scores == sorted(scores)


def test_the_prompt_is_read_once_and_then_one_token_of_each_beam(monkeypatch):
    read, hidden = [], GPT.hidden

    def counted(model, tokens, cache):
        read.append(tuple(tokens.shape))
        return hidden(model, tokens, cache)

    monkeypatch.setattr(GPT, "hidden", counted)
    beam_search(small(), prompts(3), N)  # of width 4
    assert read == [(3, T)] + [(12, 1)] * (N - 1)
    read.clear()
    texts, _ = beam_search(small(), prompts(3), N, width=4, length_penalty=0, end=END)
    assert lengths(texts).max() <= len(read) < N  # it stops when all are done


def test_dropout_is_off_and_the_mode_is_put_back():
    model = GPT(GPTConfig(31, 32, 16, 4, 2, dropout=0.5)).double().train()
    model.load_state_dict(small().state_dict())
    texts, _ = beam_search(model, prompts(), N)
    assert torch.equal(texts, beam_search(small(), prompts(), N)[0])
    assert model.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_scores_are_float32_whatever_the_weights_are(dtype):
    model = GPT(GPTConfig(9, 8, 8, 2, 1)).to(dtype)
    texts, scores = beam_search(model, torch.tensor([[1, 2]]), 3)
    assert scores.dtype == torch.float32 and not scores.requires_grad
    torch.testing.assert_close(
        scores[0].item(), -3 * math.log(9) / 3**0.6, rtol=0.1, atol=0
    )


def test_a_vocabulary_of_one_token_ends_at_once():
    model = GPT(GPTConfig(1, 4, 8, 2, 1))
    texts, scores = beam_search(model, torch.tensor([[0]]), 3, width=1, end=0)
    assert texts.tolist() == [[0, 0, 0, 0]] and scores.tolist() == [0.0]


# The cache.


@pytest.mark.parametrize("rows", [[1, 0], [0, 0, 1, 1, 0], [1]])
def test_a_reordered_cache_goes_on_from_the_rows_named(rows):
    first, rows = prompts(2), torch.tensor(rows)
    second = prompts(len(rows), t=3)
    store = KeyValueCache()
    with torch.no_grad():
        small()(first, store)
        store.reorder(rows)
        assert store.length == T
        expected = small()(torch.cat([first[rows], second], dim=1))[:, T:]
        torch.testing.assert_close(small()(second, store), expected)


# Bad input.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width=0; need 1 to 31, the size of the vocabulary"),
        ({"width": 32}, "width=32; need 1 to 31"),
        ({"end": 31}, "end=31, but the vocabulary holds 0 to 30"),
        ({"end": -1}, "end=-1, but the vocabulary holds 0 to 30"),
        ({"length_penalty": NAN}, "length_penalty=nan; need -10 to 10"),
        ({"length_penalty": INF}, "length_penalty=inf; need -10 to 10"),
        ({"length_penalty": -10.5}, "length_penalty=-10.5; need -10 to 10"),
        ({"n_new": 0}, "0 new tokens after 5; need at least 1"),
        (
            {"n_new": 29},
            "29 new tokens after 5; need at least 1, and at most 33 with the prompt, "
            "as the context is n_ctx=32",
        ),
        ({"tokens": torch.zeros(1, 0).long()}, r"shape \(1, 0\); need \(b, t\)"),
        ({"tokens": torch.zeros(0, 3).long()}, r"shape \(0, 3\); need \(b, t\)"),
        ({"tokens": torch.zeros(3).long()}, r"shape \(3,\); need \(b, t\)"),
        ({"tokens": torch.tensor([[3, 31]])}, "tokens from 3 to 31, but the vocab"),
    ],
)
def test_bad_input_is_refused(settings, message):
    with pytest.raises(ValueError, match=f"^[^\n]*{message}[^\n]*$"):
        beam_search(small(), **{"tokens": prompts(2), "n_new": N} | settings)


@pytest.mark.parametrize(
    "settings", [{"end": 30}, {"width": 31}, {"length_penalty": -10}, {"n_new": 28}]
)
def test_the_last_that_is_allowed_is_taken(settings):
    settings = {"n_new": N} | settings
    texts, scores = beam_search(small(), prompts(2), **settings)
    assert texts.shape == (2, T + settings["n_new"]) and scores.isfinite().all()


def test_a_diverged_model_is_refused():
    model = GPT(GPTConfig(9, 8, 8, 2, 1))
    with torch.no_grad():
        model.wte.weight[3] = NAN
    with pytest.raises(ValueError, match="the logits hold nan"):
        beam_search(model, torch.tensor([[1, 2]]), 3)
