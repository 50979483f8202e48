"""The checks pass what is right; each names what is wrong, in one line."""

import pytest
import torch

from gptcourse.lesson import checks

WRONG = {
    "a shape": lambda: checks.shape(torch.zeros(2), (3,)),
    "a value": lambda: checks.close([1.0, 2.0], [1.0, 2.1]),
    "another shape": lambda: checks.close([1.0], [[1.0]]),
    "a number that is none": lambda: checks.close([float("nan")], [0.0]),
    "a sum": lambda: checks.is_distribution(torch.tensor([0.5, 0.6])),
    "a negative": lambda: checks.is_distribution(torch.tensor([1.5, -0.5])),
    "nan": lambda: checks.is_distribution(torch.tensor([float("nan"), 1.0])),
    "a leak": lambda: checks.no_future_leak(
        lambda tokens: tokens.flip(1).cumsum(1).flip(1)[..., None].float(),
        torch.tensor([[3, 5, 7]]),
    ),
    "a cut": lambda: checks.sees_whole_past(
        lambda tokens: tokens[..., None].float(), torch.tensor([[3, 5, 7]])
    ),
    "a future weight": lambda: checks.causal_weights(torch.full((2, 2), 0.5)),
    "rows that do not sum to 1": lambda: checks.causal_weights(
        torch.tensor([[1.0, 0.0], [0.5, 0.4]])
    ),
    "a first loss": lambda: checks.initial_loss(9.0, 65),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_check_fails_on_what_is_wrong_in_one_line(wrong):
    with pytest.raises(AssertionError) as error:
        wrong()
    assert str(error.value) and "\n" not in str(error.value)


def test_close_says_by_how_much():
    with pytest.raises(AssertionError, match=r"result: off by up to 0\.5"):
        checks.close([1.0, 2.5], [1.0, 2.0])


def test_close_takes_integers_and_numbers():
    checks.close(torch.tensor([1, 2]), [1.0, 2.0])
    checks.close(3, 3.0)


def test_weights_of_a_cached_step_are_causal():
    checks.causal_weights(torch.tensor([[0.25, 0.25, 0.5]]))


HOLDS = {
    "✓ bytes: as expected": lambda: checks.close(True, 1 == 1, "bytes"),
    "✓ gap: as expected, within 0.001": lambda: checks.close(0.1, 0.1, "gap", 1e-3),
    "✓ one-hot: as expected": lambda: checks.close([0.0], [0.0], "one-hot", 0),
    "✓ x: shape (2, 3)": lambda: checks.shape(torch.zeros(2, 3), [2, 3], "x"),
    "✓ p: none below 0, the last axis sums to 1": lambda: checks.is_distribution(
        torch.tensor([0.5, 0.5]), "p"
    ),
    "✓ by hand: no token changes earlier logits": lambda: checks.no_future_leak(
        lambda tokens: tokens[..., None].float(), torch.tensor([[3, 5]]), "by hand"
    ),
    "✓ model: the first token reaches the last logits": lambda: checks.sees_whole_past(
        lambda tokens: tokens.cumsum(1)[..., None], torch.tensor([[3, 5]])
    ),
    "✓ attention weights: rows sum to 1, nothing on the future": (
        lambda: checks.causal_weights(torch.eye(2))
    ),
    "✓ first loss: within 0.2 nats of ln 65": lambda: checks.initial_loss(4.2, 65),
}


@pytest.mark.parametrize("statement", HOLDS)
def test_a_check_says_in_one_line_what_holds(capsys, statement):
    HOLDS[statement]()
    assert capsys.readouterr().out == f"{statement}\n"


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_check_that_fails_says_nothing_holds(capsys, wrong):
    with pytest.raises(AssertionError):
        wrong()
    assert capsys.readouterr().out == ""


def test_a_check_prints_the_same_for_measured_values_that_differ(capsys):
    for value in (0.3, 0.3000001):
        checks.close(value, 0.3, "loss")
    one, other = capsys.readouterr().out.splitlines()
    assert one == other


def test_close_compares_python_numbers_in_full_precision():
    with pytest.raises(AssertionError):
        checks.close(1 + 1e-10, 1.0, tolerance=1e-11)
