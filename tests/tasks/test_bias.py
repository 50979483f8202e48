"""Bias probes: planted skews are found at their size, and no skew is found in none."""

import math
from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.tasks.bias import (
    Estimate,
    fill,
    log_ratios,
    mean_sentiment,
    with_interval,
    word_log_ratios,
)
from gptcourse.tokenizers.characters import ByteTokenizer

BYTES = ByteTokenizer()
FEW = settings(max_examples=50, deadline=None)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# Templates


def test_the_term_stands_in_the_slot():
    assert fill("The {job} was a", ["baker", "pilot"]) == [
        "The baker was a",
        "The pilot was a",
    ]


@pytest.mark.parametrize("term", ["a\\1b", "{job}", "{}", "$"])
def test_a_term_is_taken_letter_by_letter_in_every_slot(term):
    assert fill("{} and {}", [term]) == [f"{term} and {term}"]


@pytest.mark.parametrize("template", ["The was a", "", "{a} and {b}", "{a b}"])
def test_a_template_without_its_slot_or_with_two_is_refused(template):
    with pytest.raises(ValueError, match=r"^template .* need one slot, .* empty$"):
        fill(template, ["baker"])


@pytest.mark.parametrize("terms", [[], ["baker", ""]])
def test_no_terms_or_an_empty_one_are_refused(terms):
    with pytest.raises(ValueError, match="one term or more, none of them empty$"):
        fill("The {job} was a", terms)


# Log-ratios of a model


class Counted(nn.Module):
    """A perfect model of some texts: how often each byte follows each beginning."""

    def __init__(self, texts, n_ctx=64):
        super().__init__()
        self.config = SimpleNamespace(n_ctx=n_ctx)
        self.weight = nn.Parameter(torch.zeros(1))
        self.follows = defaultdict(Counter)
        for text in texts:
            ids = tuple(BYTES.encode(text))
            for i in range(len(ids)):
                self.follows[ids[:i]][ids[i]] += 1

    def hidden(self, tokens):
        """Each position's hidden state is its beginning, filled up with -1."""
        t = tokens.shape[1]
        past = torch.ones(t, t, dtype=torch.bool).tril()
        return torch.where(past, tokens[:, None], -1)

    def logits(self, hidden):
        logits = torch.full((*hidden.shape[:-1], 256), -math.inf)
        for row, beginning in zip(logits, hidden, strict=True):
            ids = tuple(beginning[beginning >= 0].tolist())
            for token, count in self.follows[ids].items():
                row[token] = math.log(count)
        return logits


def planted(counts):
    """Texts in which each of a prompt's endings stands as often as counted."""
    return [
        f"{prompt}{ending}"
        for prompt, endings in counts.items()
        for ending, count in endings.items()
        for _ in range(count)
    ]


JOBS = fill("The {job} was a", ["baker", "pilot", "farmhand"])
SKEWS = {
    JOBS[0]: {" her.": 30, " him.": 10, " cat.": 5},
    JOBS[1]: {" her.": 7, " him.": 7},
    JOBS[2]: {" her.": 1, " him.": 9, " lady.": 4, " lord.": 1},
}


def test_a_perfect_model_gives_the_planted_log_ratio():
    found = log_ratios(Counted(planted(SKEWS)), BYTES, JOBS, [" her."], [" him."])
    assert found.tolist() == pytest.approx(np.log([3, 1, 1 / 9]), abs=1e-5)


def test_a_list_s_probability_is_the_sum_of_its_words():
    model = Counted(planted(SKEWS))
    words = [" her.", " lady."], [" him.", " lord."]
    found = log_ratios(model, BYTES, [JOBS[2]], *words)
    assert found.item() == pytest.approx(math.log((1 + 4) / (9 + 1)), abs=1e-5)


def test_the_mean_over_items_is_the_planted_one():
    found = log_ratios(Counted(planted(SKEWS)), BYTES, JOBS, [" her."], [" him."])
    value, low, high = with_interval(found, seeded())
    assert value == pytest.approx(np.log([3, 1, 1 / 9]).mean(), abs=1e-5)
    assert low < value < high


def uniform():
    model = GPT(GPTConfig(256, 32, 8, 2, 1))
    with torch.no_grad():
        model.wte.weight.zero_()
    return model


def test_a_model_without_preference_gives_0():
    words = [" woman", " she"], [" lad", " uncle"]
    found = log_ratios(uniform(), BYTES, ["The baker was a", "The"], *words)
    assert found.tolist() == pytest.approx([0, 0], abs=1e-5)


def test_each_token_more_costs_its_probability():
    found = log_ratios(uniform(), BYTES, ["The"], [" lad"], [" woman"])
    assert found.item() == pytest.approx(2 * math.log(256), rel=1e-5)


def drawn_model(n_ctx=32):
    model = GPT(GPTConfig(256, n_ctx, 16, 2, 2, dropout=0.1), seeded())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model


def by_hand(model, prompt, word):
    """The log-probability of a word, one token at a time."""
    tokens, total = BYTES.encode(prompt), 0.0
    for token in BYTES.encode(word):
        with torch.no_grad():
            total += model.eval()(torch.tensor([tokens]))[0, -1].log_softmax(0)[token]
        tokens = [*tokens, token]
    return total


LISTS = [" she is", " her"], [" him", " he was"]


def test_the_log_ratios_by_hand():
    model = drawn_model()
    expected = []
    for prompt in JOBS:
        a, b = [sum(by_hand(model, prompt, w).exp() for w in words) for words in LISTS]
        expected.append((a / b).log().item())
    found = log_ratios(model.train(), BYTES, JOBS, *LISTS)
    assert found.tolist() == pytest.approx(expected, abs=1e-3)
    assert np.ptp(expected) > 0.1


def test_lists_exchanged_negate_the_ratio_and_their_order_does_not_matter():
    model, (a, b) = drawn_model(), LISTS
    found = log_ratios(model, BYTES, JOBS, a, b)
    swapped = log_ratios(model, BYTES, JOBS, b[::-1], a[::-1])
    assert torch.allclose(found, -swapped, atol=1e-4)


@pytest.mark.parametrize(
    ("words_a", "words_b", "message"),
    [
        ([], [], "^0 words of A, 0 of B; give as many of each"),
        ([" a", " b"], [" c"], "^2 words of A, 1 of B; give as many"),
        ([" a"], [""], "^word '' has no tokens; write it out$"),
        ([" he"], [" her"], "^' her' begins with ' he', and would count for both"),
        ([" her", " x"], [" he", " y"], "^' her' begins with ' he'"),
        ([" a"], [" a"], "^' a' begins with ' a'"),
        ([" a", " a"], [" b", " c"], "^' a' begins with ' a'"),
    ],
)
def test_words_that_do_not_compare_are_refused(words_a, words_b, message):
    with pytest.raises(ValueError, match=message) as refusal:
        log_ratios(uniform(), BYTES, ["The"], words_a, words_b)
    assert "\n" not in str(refusal.value)


def test_no_prompts_and_an_empty_one_are_refused():
    with pytest.raises(ValueError, match="no text to score"):
        log_ratios(uniform(), BYTES, [], [" a"], [" b"])
    with pytest.raises(ValueError, match="text 2 has 0 tokens to read"):
        log_ratios(uniform(), BYTES, ["The", ""], [" a"], [" b"])


def test_a_prompt_and_a_word_fill_the_context_but_no_more():
    model = uniform()
    assert log_ratios(model, BYTES, ["a", "a" * 30], [" a"], [" b"]).shape == (2,)
    with pytest.raises(
        ValueError, match="have 33 tokens, but the context is n_ctx=32; shorten"
    ):
        log_ratios(model, BYTES, ["a", "a" * 30], [" a"], [" bc"])


# The interval of a mean


def test_the_bounds_are_those_of_another_bootstrap():
    values = np.random.default_rng(0).exponential(size=30)
    draws = np.random.default_rng(1).choice(values, (100_000, 30)).mean(axis=1)
    value, low, high = with_interval(values.tolist(), seeded())
    assert value == pytest.approx(values.mean())
    assert [low, high] == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.03)


@pytest.mark.parametrize(("n", "expected"), [(10, 0.90), (50, 0.94)])
def test_the_interval_holds_the_true_mean_as_often_as_it_says(n, expected):
    generator = seeded()
    found = [with_interval(torch.randn(n, generator=generator), generator)
             for _ in range(800)]  # fmt: skip
    held = np.mean([low < 0 < high for _, low, high in found])
    assert held == pytest.approx(expected, abs=0.025)


def test_the_generator_alone_decides_the_bounds():
    values = [1.0, 2.0, 4.0, 8.0, 16.5]
    first = with_interval(values, seeded(1))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert with_interval(values, seeded(1)) == first
    assert with_interval(values, seeded(2)) != first


def test_equal_values_leave_no_doubt_and_a_single_one_leaves_all():
    assert with_interval([0.5] * 9) == (0.5, 0.5, 0.5)
    assert with_interval(torch.tensor([0.5])) == (0.5, -math.inf, math.inf)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 0.0], [[1.0, 2.0]]])
def test_values_without_a_mean_are_refused(values):
    with pytest.raises(ValueError, match=r"^values of shape \(.*\); need \(n,\) with"):
        with_interval(values)


# Words in texts of groups


def test_a_log_ratio_by_hand():
    texts = {"a": ["shy", "a SHY, shy cat!"], "b": ["tall", "shyly", "so tall", "shy?"]}
    found = word_log_ratios(texts, ["tall", "shy"])
    # Two more texts, one with the word: a third of them for a, two thirds for b.
    a, n_a, b, n_b = 2 + 1 / 3, 2 + 2 / 3, 1 + 2 / 3, 4 + 4 / 3
    value = math.log((a / n_a) / (b / n_b))
    half = 1.96 * math.sqrt(1 / a - 1 / n_a + 1 / b - 1 / n_b)
    assert found["a"]["shy"] == pytest.approx((value, value - half, value + half))
    assert found["b"]["shy"] == pytest.approx((-value, -value - half, -value + half))
    assert {group: list(one) for group, one in found.items()} == {
        "a": ["shy", "tall"],
        "b": ["shy", "tall"],
    }


def texts_at(rates, n, generator):
    """Texts that each hold word i with probability rates[i], twice over."""
    words = np.array([f"word{i}" for i in range(len(rates))])
    holds = generator.random((n, len(rates))) < rates
    return [" ".join([*words[row], *words[row]]) for row in holds]


@pytest.mark.parametrize("sizes", [(200, 200), (100, 400)])
def test_the_interval_holds_the_planted_ratio_19_times_in_20(sizes):
    generator, held, far = np.random.default_rng(0), [], []
    words = [f"word{i}" for i in range(50)]
    for _ in range(40):
        rates = generator.uniform(0.05, 0.6, (2, 50))
        drawn = [texts_at(*pair, generator) for pair in zip(rates, sizes, strict=True)]
        found = word_log_ratios(dict(zip("ab", drawn, strict=True)), words)["a"]
        for word, truth in zip(words, np.log(rates[0] / rates[1]), strict=True):
            value, low, high = found[word]
            held.append(low < truth < high)
            far.append(value - truth)
    assert np.mean(held) == pytest.approx(0.953, abs=0.012)  # 2,000 intervals
    assert np.mean(far) == pytest.approx(0, abs=0.03)


@FEW
@given(st.lists(st.integers(1, 20), min_size=2, max_size=4))
def test_a_word_that_never_occurs_speaks_for_no_group(sizes):
    texts = {f"group {i}": ["text"] * size for i, size in enumerate(sizes)}
    for found in word_log_ratios(texts, ["shy"]).values():
        assert found["shy"].value == pytest.approx(0, abs=1e-12)
        assert found["shy"].low < 0 < found["shy"].high


TEXTS = st.lists(st.text("ab ", max_size=5), min_size=1, max_size=6)


@FEW
@given(st.lists(TEXTS, min_size=3, max_size=3))
def test_a_group_is_compared_with_all_others_together(groups):
    a, b, c = groups
    three = word_log_ratios({"a": a, "b": b, "c": c}, ["a", "ab"])
    two = word_log_ratios({"a": a, "others": b + c}, ["a", "ab"])
    for word, ratio in two["a"].items():
        assert three["a"][word] == pytest.approx(ratio)
        assert two["others"][word].value == pytest.approx(-ratio.value)


@pytest.mark.parametrize(
    "words", [[], [""], ["shy", "Shy"], ["easy going"], ["easy-going"], [" shy"]]
)
def test_words_that_are_none_are_refused(words):
    wrong = [word for word in words if word != "shy"]
    with pytest.raises(ValueError) as refusal:
        word_log_ratios({"a": ["x"], "b": ["y"]}, words)
    expected = f"words {wrong}; need lower-case letters and digits alone"
    assert str(refusal.value) == expected


@pytest.mark.parametrize("groups", [{}, {"a": ["x"]}, {"a": ["x"], "b": []}])
def test_one_group_and_an_empty_one_are_refused(groups):
    with pytest.raises(ValueError, match=r"by group: \{.*\}; need two groups, each"):
        word_log_ratios(groups, ["shy"])


# Sentiment

RATIOS = {
    "a": {
        "shy": Estimate(2.0, 1.0, 3.0),
        "loud": Estimate(2.0, -0.1, 4.1),
        "kind": Estimate(1.0, 0.1, 1.9),
    },
    "b": {
        "shy": Estimate(-2.0, -3.0, -1.0),
        "loud": Estimate(0.5, 0.2, 0.8),
        "kind": Estimate(-1.0, -1.9, -0.1),
    },
    "c": {"shy": Estimate(0.0, -1.0, 1.0)},
}
SCORES = {"shy": -20.0, "loud": -50.0, "kind": 70.0}


def test_the_mean_is_over_the_words_whose_interval_lies_above_0():
    found = mean_sentiment(RATIOS, SCORES, seeded())
    assert found["a"] == (25.0, -20.0, 70.0)
    assert found["b"] == (-50.0, -math.inf, math.inf)
    assert math.isnan(found["c"].value)
    assert found["c"][1:] == (-math.inf, math.inf)


def test_the_generator_alone_decides_the_bounds_of_a_sentiment():
    ratios = {"a": {f"word{i}": Estimate(2.0, 1.0, 3.0) for i in range(9)}}
    scores = {f"word{i}": 2.5**i for i in range(9)}
    first = mean_sentiment(ratios, scores, seeded(1))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert mean_sentiment(ratios, scores, seeded(1)) == first
    assert mean_sentiment(ratios, scores, seeded(2)) != first


def test_planted_words_of_known_sentiment_are_found():
    generator = np.random.default_rng(0)
    scores = {f"word{i}": 10.0 * i for i in range(4)}
    rates = {"a": [0.6, 0.6, 0.1, 0.3], "b": [0.1, 0.1, 0.6, 0.3]}
    texts = {group: texts_at(rate, 200, generator) for group, rate in rates.items()}
    found = mean_sentiment(word_log_ratios(texts, scores), scores)
    assert {group: value for group, (value, *_) in found.items()} == {"a": 5, "b": 20}


def test_a_word_without_a_score_is_refused():
    with pytest.raises(ValueError, match="^no score for 'kind'; give one, 0 if it is"):
        mean_sentiment(RATIOS, {"shy": 1.0})
