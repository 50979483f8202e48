"""Calibration: against scikit-learn, plain loops, and worlds whose truth is known."""

import math
from random import Random

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from gptcourse.tasks.calibration import (
    brier_score,
    every_option,
    expected_calibration_error,
    likeliest_option,
    reliability,
)


def world(n, seed=0, sharper=1.0, options=4):
    """Probabilities (n, o), and answers drawn from them before they were sharpened."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(n, options, generator=generator, dtype=torch.float64)
    answers = logits.softmax(1).multinomial(1, generator=generator)[:, 0]
    return (sharper * logits).softmax(dim=1), answers


def error_by_hand(probabilities, outcomes, bins):
    """Guo et al.'s E3, event by event."""
    rows = [[] for _ in range(bins)]
    for p, outcome in zip(
        probabilities.flatten().tolist(), outcomes.flatten().tolist(), strict=True
    ):
        rows[max(0, math.ceil(p * bins) - 1)].append((p, outcome))
    total, found = probabilities.numel(), 0.0
    for row in filter(None, rows):
        predicted = sum(p for p, _ in row) / len(row)
        observed = sum(outcome for _, outcome in row) / len(row)
        found += len(row) / total * abs(predicted - observed)
    return found


# Events.


def test_every_option_is_an_event_that_is_right_or_wrong():
    probabilities = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    events = every_option(probabilities, torch.tensor([2, 0]))
    assert torch.equal(events.probabilities, probabilities)
    assert events.outcomes.tolist() == [[False, False, True], [True, False, False]]


def test_the_likeliest_option_is_one_event_to_a_question():
    probabilities = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    events = likeliest_option(probabilities, torch.tensor([2, 0]))
    torch.testing.assert_close(events.probabilities, torch.tensor([[0.5], [0.6]]))
    assert events.outcomes.tolist() == [[False], [True]]


def test_the_share_of_likeliest_options_that_are_right_is_the_accuracy():
    probabilities, answers = world(500)
    accuracy = (probabilities.argmax(dim=1) == answers).double().mean()
    outcomes = likeliest_option(probabilities, answers).outcomes
    assert outcomes.double().mean() == accuracy


# Reliability.


@pytest.mark.parametrize("bins", [1, 2, 7, 10, 15])
@pytest.mark.parametrize("events", [every_option, likeliest_option])
def test_reliability_equals_that_of_scikit_learn(bins, events):
    probabilities, outcomes = events(*world(300, sharper=2.0))
    found = reliability(probabilities, outcomes, bins)
    observed, predicted = calibration_curve(
        outcomes.flatten().numpy(), probabilities.flatten().numpy(), n_bins=bins
    )
    np.testing.assert_allclose(found.observed.numpy(), observed)
    np.testing.assert_allclose(found.predicted.numpy(), predicted)
    assert found.count.sum() == probabilities.numel()


def test_a_probability_on_a_line_is_where_scikit_learn_puts_it():
    probabilities = torch.arange(11, dtype=torch.float64)[:, None] / 10
    draw = Random(0)
    outcomes = torch.tensor([[draw.random() < 0.5] for _ in range(11)])
    found = reliability(probabilities, outcomes, 5)
    observed, predicted = calibration_curve(
        outcomes.flatten().numpy(), probabilities.flatten().numpy(), n_bins=5
    )
    np.testing.assert_allclose(found.observed.numpy(), observed)
    np.testing.assert_allclose(found.predicted.numpy(), predicted)
    assert found.count.tolist() == [3, 2, 2, 2, 2]


def test_only_bins_that_hold_an_event_are_told():
    probabilities = torch.tensor([[0.05], [0.95], [0.97]])
    found = reliability(probabilities, torch.tensor([[0], [1], [0]]))
    assert found.count.tolist() == [1, 2]
    assert found.observed.tolist() == [0.0, 0.5]
    assert found.predicted.tolist() == pytest.approx([0.05, 0.96])


# The error.


@pytest.mark.parametrize("bins", [1, 3, 10])
@pytest.mark.parametrize("events", [every_option, likeliest_option])
def test_the_error_equals_that_of_a_plain_loop(bins, events):
    found = events(*world(200, seed=1, sharper=2.0))
    wanted = error_by_hand(*found, bins)
    assert expected_calibration_error(*found, bins).value == pytest.approx(wanted)


def test_the_error_by_hand():
    probabilities = torch.tensor([[0.9], [0.8], [0.2], [0.3]], dtype=torch.float64)
    outcomes = torch.tensor([[True], [False], [False], [False]])
    # above a half: 0.85 for 0.5; below: 0.25 for 0
    error = expected_calibration_error(probabilities, outcomes, bins=2)
    assert error.value == pytest.approx((2 * 0.35 + 2 * 0.25) / 4)


def test_the_error_of_a_sure_and_wrong_model_is_1():
    error = expected_calibration_error(torch.ones(50, 1), torch.zeros(50, 1))
    assert error == pytest.approx((1.0, 1.0, 1.0))


def bounds_by_hand(probabilities, outcomes, bins, draws=1500):
    """The error, and its distance to either bound, each draw's bins measured anew."""

    def gaps(rows):
        held = reliability(probabilities[rows], outcomes[rows], bins)
        share = held.count / probabilities[rows].numel()
        numbers = torch.bucketize(held.predicted, torch.arange(1, bins) / bins)
        return (
            torch.zeros(bins)
            .double()
            .index_add(0, numbers, share * (held.predicted - held.observed))
        )

    generator, n = np.random.default_rng(0), len(probabilities)
    mine = gaps(np.arange(n))
    moves = [
        float((gaps(generator.integers(n, size=n)) - mine).abs().sum())
        for _ in range(draws)
    ]
    return float(mine.abs().sum()), float(np.quantile(moves, 0.95))


@pytest.mark.parametrize("events", [every_option, likeliest_option])
def test_the_bounds_equal_those_of_a_plain_bootstrap_over_questions(events):
    found = events(*world(200, seed=2, sharper=2.5))
    error, moved = bounds_by_hand(*found, 10)
    estimate = expected_calibration_error(*found)
    assert estimate.value == pytest.approx(error)
    assert estimate.value - estimate.low == pytest.approx(moved, rel=0.08)
    assert estimate.high - estimate.value == pytest.approx(moved, rel=0.08)


def truth(sharper, n=200_000):
    """The error of a world, from its probabilities instead of outcomes."""
    probabilities, _ = world(n, seed=99, sharper=sharper)
    true, _ = world(n, seed=99)
    numbers = torch.bucketize(probabilities, torch.arange(1, 10) / 10)
    gaps = torch.zeros(10).double()
    gaps.index_add_(0, numbers.flatten(), (probabilities - true).flatten())
    return gaps.abs().sum().item() / probabilities.numel()


@pytest.mark.parametrize(("sharper", "least"), [(1.0, 34), (1.5, 37), (2.5, 37)])
def test_the_interval_holds_the_truth_of_worlds_that_are_known(sharper, least):
    """Of 40; it holds it 92 times in 100 where the truth is 0, and else more often."""
    true, generator = truth(sharper), torch.Generator().manual_seed(0)
    held = 0
    for seed in range(40):
        events = every_option(*world(250, seed, sharper))
        found = expected_calibration_error(*events, generator=generator)
        held += found.low <= true <= found.high
    assert held >= least


def test_the_middle_of_errors_drawn_anew_would_never_hold_a_truth_of_0():
    """Why the interval is none of the usual ones."""
    probabilities, outcomes = every_option(*world(250))
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(100):
        rows = generator.integers(250, size=250)
        drawn.append(error_by_hand(probabilities[rows], outcomes[rows], 10))
    assert np.quantile(drawn, 0.025) > 0.01 > 0
    assert expected_calibration_error(probabilities, outcomes).low == 0


def test_a_sharpened_model_has_the_larger_error_and_it_shows():
    calibrated = expected_calibration_error(*every_option(*world(2000)))
    sharpened = expected_calibration_error(*every_option(*world(2000, sharper=2.5)))
    assert calibrated.low == 0
    assert sharpened.low > calibrated.high


def test_one_question_tells_nothing():
    estimate = expected_calibration_error(*every_option(*world(1)))
    assert 0 < estimate.value < 1
    assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_the_generator_fixes_the_interval():
    def bounds(seed):
        generator = torch.Generator().manual_seed(seed)
        return expected_calibration_error(*events, generator=generator)

    events = every_option(*world(60, sharper=3.0))
    assert bounds(0) == bounds(0) != bounds(1)


# Brier's score.


def test_the_score_equals_that_of_scikit_learn():
    probabilities, answers = world(300, sharper=2.0)
    found = brier_score(*every_option(probabilities, answers))
    wanted = brier_score_loss(
        answers.numpy(), probabilities.numpy(), labels=range(4), scale_by_half=False
    )
    assert found.value == pytest.approx(wanted)
    one = likeliest_option(probabilities, answers)
    wanted = brier_score_loss(*(part[:, 0].numpy() for part in reversed(one)))
    assert brier_score(*one).value == pytest.approx(wanted)


def test_the_scores_interval_is_that_of_a_mean_over_questions():
    probabilities, outcomes = every_option(*world(400, sharper=2.0))
    scores = ((probabilities - outcomes.double()) ** 2).sum(dim=1)
    found = brier_score(probabilities, outcomes, torch.Generator().manual_seed(0))
    spread = 1.96 * scores.std().item() / 20
    assert found.high - found.value == pytest.approx(spread, rel=0.15)
    assert found.value - found.low == pytest.approx(spread, rel=0.15)


def test_the_best_score_is_that_of_the_true_probabilities():
    score = {s: brier_score(*every_option(*world(4000, 3, s))) for s in (0.6, 1, 1.6)}
    assert score[1].value < min(score[0.6].value, score[1.6].value) - 0.005


def test_single_precision_will_do():
    probabilities, answers = world(100)
    events = every_option(probabilities, answers)
    small = every_option(probabilities.float(), answers)
    assert brier_score(*small).value == pytest.approx(brier_score(*events).value)


# Bad input.


@pytest.mark.parametrize(
    ("probabilities", "answers", "message"),
    [
        (
            [[0.5, 0.5], [0.5, 0.6]],
            [0, 1],
            "^the probabilities of question 1 sum to 1.1",
        ),
        ([[math.nan, 1.0]], [0], "^the probabilities of question 0 sum to nan, not 1"),
        ([[0.5, 0.5]], [2], "^answers from 2 to 2; of 2 options .* from 0 to 1$"),
        ([[0.5, 0.5]], [-1], "^answers from -1 to -1"),
        ([[0.5, 0.5]], [0.0], r"^probabilities \(1, 2\), answers \(1,\); .* whole num"),
        ([[0.5, 0.5]], [0, 1], r"^probabilities \(1, 2\), answers \(2,\)"),
        ([0.5, 0.5], [0, 1], r"^probabilities \(2,\)"),
    ],
)
def test_forecasts_that_are_none_are_refused(probabilities, answers, message):
    for events in (every_option, likeliest_option):
        with pytest.raises(ValueError, match=message) as error:
            events(torch.tensor(probabilities), torch.tensor(answers))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("probabilities", "outcomes", "message"),
    [
        ([[1.2]], [[1]], "^probabilities from 1.2 to 1.2; they need be 0 to 1"),
        ([[-0.1]], [[1]], "^probabilities from -0.1 to -0.1"),
        ([[math.nan]], [[1]], "^probabilities from nan"),
        ([[0.5]], [[2]], "the outcomes 0 or 1$"),
        ([[0.5, 0.5]], [[1]], r"^probabilities \(1, 2\), outcomes \(1, 1\); need"),
        ([0.5], [1], r"^probabilities \(1,\), outcomes \(1,\); need \(n, e\)"),
        ([[]], [[]], "an event or more$"),
    ],
)
@pytest.mark.parametrize(
    "measure", [reliability, expected_calibration_error, brier_score]
)
def test_events_that_are_none_are_refused(measure, probabilities, outcomes, message):
    with pytest.raises(ValueError, match=message):
        measure(torch.tensor(probabilities), torch.tensor(outcomes))


@pytest.mark.parametrize("bins", [0, -1, 2.5])
@pytest.mark.parametrize("measure", [reliability, expected_calibration_error])
def test_no_bins_are_refused(measure, bins):
    with pytest.raises(ValueError, match=f"^bins={bins}; need a whole number >= 1$"):
        measure(torch.tensor([[0.5]]), torch.tensor([[1]]), bins)
