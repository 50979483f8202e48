"""Calibration: does what a model gives 70 % come true in 70 cases of 100?

Axis letters: n question, o option, e event of a question. Probabilities lie between 0
and 1. The outcome of an event is True where it came true.
"""

from typing import NamedTuple

import torch
from einops import einsum, reduce
from torch import Tensor
from torch.nn import functional as F

from gptcourse.tasks.bias import N_DRAWS, Estimate, with_interval

N_BINS = 10


class Events(NamedTuple):
    """Events of questions: their probabilities (n, e) and their outcomes (n, e)."""

    probabilities: Tensor
    outcomes: Tensor


def every_option(probabilities: Tensor, answers: Tensor) -> Events:
    """Return that an option is right, for every option, as events (n, o).

    Shapes: probabilities of the options (n, o); answers (n,), the right one's number.

    Raises: ValueError for shapes that do not fit, rows that do not sum to 1, and an
    answer that is no option.
    Source: GPT-4 report, F8.

    >>> every_option(torch.tensor([[0.7, 0.3]]), torch.tensor([1])).outcomes.tolist()
    [[False, True]]
    """
    fits = probabilities.ndim == 2 and answers.shape == probabilities.shape[:1]
    if not fits or not len(answers) or answers.is_floating_point():
        raise ValueError(
            f"probabilities {tuple(probabilities.shape)}, answers "
            f"{tuple(answers.shape)}; need (n, o) and whole numbers (n,), n >= 1"
        )
    sums, n_options = probabilities.double().sum(dim=1), probabilities.shape[1]
    wrong = ~((sums - 1).abs() < 1e-3)  # nan is wrong too
    if wrong.any():
        number = int(wrong.int().argmax())
        raise ValueError(
            f"the probabilities of question {number} sum to {sums[number]:.4g}, not 1; "
            "divide them by their sum"
        )
    if not 0 <= answers.min() <= answers.max() < n_options:
        raise ValueError(
            f"answers from {answers.min()} to {answers.max()}; of {n_options} options "
            f"they are numbers from 0 to {n_options - 1}"
        )
    return Events(probabilities, F.one_hot(answers, n_options).bool())


def likeliest_option(probabilities: Tensor, answers: Tensor) -> Events:
    """Return that the likeliest option is right, for each question, as events (n, 1).

    Shapes and errors as of `every_option`. Source: Guo et al. 2017, §2.

    >>> likeliest_option(torch.tensor([[0.75, 0.25]]), torch.tensor([1]))
    Events(probabilities=tensor([[0.7500]]), outcomes=tensor([[False]]))
    """
    events = every_option(probabilities, answers)
    chosen = probabilities.argmax(dim=1, keepdim=True)
    return Events(*(part.gather(1, chosen) for part in events))


class Reliability(NamedTuple):
    """What a reliability diagram shows of each bin that holds an event, all (bin,).

    The mean probability of its events, the share that came true, and their number.
    """

    predicted: Tensor
    observed: Tensor
    count: Tensor


def reliability(
    probabilities: Tensor, outcomes: Tensor, bins: int = N_BINS
) -> Reliability:
    """Return which share was predicted and which observed, of events by probability.

    Shapes: both (n, e), as of `Events`. The bins have equal width; a probability on the
    line between two belongs to the lower one.

    Raises: ValueError for no bins, no events, shapes that do not fit, and probabilities
    outside 0 to 1.
    Source: Guo et al. 2017, §2; scikit-learn's `calibration_curve` gives the same.

    >>> events = torch.tensor([[0.1], [0.3], [0.9]]), torch.tensor([[0], [1], [1]])
    >>> reliability(*events, bins=2).observed.tolist()
    [0.5, 1.0]
    """
    inside = _inside(probabilities, outcomes, bins)
    count = reduce(inside, "n e bin -> bin", "sum")
    held = count > 0
    predicted, observed = (
        einsum(part.double(), inside, "n e, n e bin -> bin")[held] / count[held]
        for part in (probabilities, outcomes)
    )
    return Reliability(predicted, observed, count[held].long())


def _inside(probabilities: Tensor, outcomes: Tensor, bins: int) -> Tensor:
    """Return 1 where an event is in a bin and 0 elsewhere (n, e, bin)."""
    if not isinstance(bins, int) or bins < 1:
        raise ValueError(f"bins={bins}; need a whole number >= 1")
    shapes = tuple(probabilities.shape), tuple(outcomes.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or not probabilities.numel():
        raise ValueError(
            f"probabilities {shapes[0]}, outcomes {shapes[1]}; need (n, e) of both, "
            "and an event or more"
        )
    fits = (probabilities >= 0) & (probabilities <= 1)
    if not (fits & ((outcomes == 0) | (outcomes == 1))).all():
        raise ValueError(
            f"probabilities from {probabilities.min():.4g} to "
            f"{probabilities.max():.4g}; they need be 0 to 1, the outcomes 0 or 1"
        )
    lines = torch.arange(1, bins, device=probabilities.device).double() / bins
    numbers = torch.bucketize(probabilities.double(), lines)
    return F.one_hot(numbers, bins).double()


def expected_calibration_error(
    probabilities: Tensor,
    outcomes: Tensor,
    bins: int = N_BINS,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Return the mean distance of predicted from observed, and its interval (95 %).

    The distance is that of an event's bin, the mean is over the events. Shapes and
    errors as of `reliability`.

    Chance alone puts the error of a calibrated model above 0, and a bootstrap adds to
    that: the middle 95 % of errors drawn anew would not hold the truth. So questions
    are drawn with replacement to see how far the bins move; 95 % of `N_DRAWS` draws
    move them no further, all bins together, than the bounds lie from the error. The
    truth lay within them in 92 to 100 of 100 trials, of calibrated and of overconfident
    models. A single question tells nothing: 0 to 1.

    Source: Guo et al. 2017, E3; the interval is ours.

    >>> probabilities = torch.tensor([0.8, 0.2]).repeat(200, 1)
    >>> answers = torch.tensor([0, 0, 0, 1]).repeat(50)
    >>> error = expected_calibration_error(*every_option(probabilities, answers))
    >>> round(error.value, 3), error.low
    (0.05, 0.0)
    """
    inside = _inside(probabilities, outcomes, bins)
    surplus = (probabilities.double() - outcomes.double()) / probabilities.numel()
    gaps = einsum(surplus, inside, "n e, n e bin -> n bin")
    n, total = len(gaps), gaps.sum(dim=0)
    error = total.abs().sum().item()
    if n == 1:
        return Estimate(error, 0.0, 1.0)
    draws = (torch.randint(n, (n,), generator=generator) for _ in range(N_DRAWS))
    totals = torch.stack([gaps[rows].sum(dim=0) for rows in draws])
    moved = (totals - total).abs().sum(dim=1).quantile(0.95).item()
    return Estimate(error, max(0.0, error - moved), min(1.0, error + moved))


def brier_score(
    probabilities: Tensor, outcomes: Tensor, generator: torch.Generator | None = None
) -> Estimate:
    """Return the mean squared distance of probabilities from outcomes.

    A question's squares are summed over its events, as Brier does: of two options the
    score is twice that of the first alone. The interval is that of `with_interval`,
    over the questions. Shapes and errors as of `reliability`.

    Source: Brier 1950.

    >>> brier_score(torch.tensor([[0.5], [1.0]]), torch.tensor([[1], [1]])).value
    0.125
    """
    _inside(probabilities, outcomes, N_BINS)  # refuses what is none
    squares = (probabilities.double() - outcomes.double()) ** 2
    return with_interval(reduce(squares, "n e -> n", "sum"), generator)
