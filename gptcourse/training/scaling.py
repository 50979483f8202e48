"""Scaling laws: loss against compute, and against size and tokens; fits and forecasts.

Built by hand in notebook 08.

Letters are the papers': C compute in FLOPs, N parameters, D tokens, L loss in nats per
token. Axis letters: p point (a run), k power of the law.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import special
from scipy.optimize import minimize, nnls

#: where the Huber loss of a residual in log L turns from a square into a line
DELTA = 1e-3
#: exponents to start from; the best few starts are followed down
EXPONENTS = 0.1, 0.3, 0.6, 1.2
N_STARTS = 3
PRECISE = {"ftol": 1e-13, "gtol": 1e-9, "maxiter": 1_000}


@dataclass(frozen=True)
class ComputeLaw:
    """L(C) = a·C^-b + c, the loss of the best run at each compute.

    `noise` is the standard deviation of a run's log L around the law, nan if unknown.

    Source: GPT-4 report, §3.1 (with the sign in b); Kaplan et al. 2020, T5 (c = 0).

    >>> law = ComputeLaw(a=100.0, b=0.25, c=1.5)
    >>> law.loss([1e4, 1e8]).tolist(), law.compute(2.5)
    ([11.5, 2.5], 100000000.0)
    """

    a: float
    b: float
    c: float
    noise: float = math.nan

    def loss(self, compute: ArrayLike) -> np.ndarray:
        """Return L at each compute; raise ValueError for a compute of 0 or less."""
        return self.a * _positive("compute", compute) ** -self.b + self.c

    def compute(self, loss: float) -> float:
        """Return the C at which the law has this loss; raise ValueError from c down."""
        if not loss > self.c:
            raise ValueError(f"loss {loss} is not above the floor {self.c:.4g} of L(C)")
        return (self.a / (loss - self.c)) ** (1 / self.b)


class Optimum(NamedTuple):
    """The size N and the tokens D that a law advises for a compute, and the loss."""

    n: float
    d: float
    loss: float


@dataclass(frozen=True)
class SizeLaw:
    """L(N, D) = E + A/N^α + B/D^β; `noise` is that of `ComputeLaw`.

    Source: Hoffmann et al. 2022, E2 and E10 (the constants below).

    >>> law = SizeLaw(e=1.69, a=406.4, b=410.7, alpha=0.34, beta=0.28)
    >>> round(float(law.loss(70e9, 1.4e12)), 3)
    1.937
    >>> [f"{x:.3g}" for x in law.optimum(5.76e23)]
    ['3.22e+10', '2.98e+12', '1.93']
    """

    e: float
    a: float
    b: float
    alpha: float
    beta: float
    noise: float = math.nan

    def loss(self, n: ArrayLike, d: ArrayLike) -> np.ndarray:
        """Return L of each run; raise ValueError for a size or tokens of 0 or less."""
        n, d = _positive("N", n), _positive("D", d)
        return self.e + self.a * n**-self.alpha + self.b * d**-self.beta

    @property
    def exponents(self) -> tuple[float, float]:
        """Return a and b of N_opt ~ C^a and D_opt ~ C^b.

        Their sum is 1. Source: Hoffmann et al. 2022, E4; its T2 prints 0.46 and 0.54
        where its constants give 0.45 and 0.55.
        """
        both = self.alpha + self.beta
        return self.beta / both, self.alpha / both

    def optimum(self, compute: float) -> Optimum:
        """Return the N and D of least loss with C = 6·N·D.

        N_opt = G·(C/6)^a and D_opt = (C/6)^b / G, with G = (αA / βB)^(1/(α+β)).

        Raises: ValueError for a compute of 0 or less.
        Source: Hoffmann et al. 2022, E4.
        """
        nd = float(_positive("compute", compute)) / 6
        ratio = self.alpha * self.a / (self.beta * self.b)
        g = ratio ** (1 / (self.alpha + self.beta))
        for_n, for_d = self.exponents
        n, d = g * nd**for_n, nd**for_d / g
        return Optimum(n, d, float(self.loss(n, d)))


@dataclass(frozen=True)
class IsoFlop:
    """L = lowest + curvature·(log N - log n)², the runs of one compute.

    `n` is the size of least loss; one outside the sizes measured is extrapolated.

    Source: Hoffmann et al. 2022, Approach 2.
    """

    n: float
    lowest: float
    curvature: float

    def loss(self, n: ArrayLike) -> np.ndarray:
        """Return L of each size; raise ValueError for a size of 0 or less."""
        return self.lowest + self.curvature * np.log(_positive("N", n) / self.n) ** 2


Law = ComputeLaw | SizeLaw


def fit_compute_law(compute: ArrayLike, losses: ArrayLike) -> ComputeLaw:
    """Return the L(C) of runs (p,), their losses in nats, whatever the unit of C.

    It minimises the sum of Huber losses, δ = 1e-3, of log L, by L-BFGS from several
    starts. All constants are fitted as logarithms, and so stay above 0.

    Raises: ValueError for fewer than 3 runs, and for computes that do not rise from run
    to run, or are as little as 0.
    Source: the form, GPT-4 report, §3.1; the fit, Hoffmann et al. 2022, Approach 3.

    >>> compute = [1e12, 1e13, 1e14, 1e15]
    >>> law = fit_compute_law(compute, ComputeLaw(2000.0, 0.25, 1.5).loss(compute))
    >>> round(law.a), round(law.b, 4), round(law.c, 4)
    (2000, 0.25, 1.5)
    """
    compute, losses = _points(3, losses, C=compute)
    _check_rising("C", compute)
    (a,), (b,), c = _descend(np.log(compute)[:, None], losses)
    return _with_noise(ComputeLaw(a, b, c), losses, compute)


def fit_size_law(n: ArrayLike, d: ArrayLike, losses: ArrayLike) -> SizeLaw:
    """Return the L(N, D) of runs (p,) in any order, fitted as `fit_compute_law` does.

    Raises: ValueError for fewer than 5 runs, 3 sizes or 3 numbers of tokens, for a pair
    that comes twice, and for a number that is not above 0.
    Source: Hoffmann et al. 2022, Approach 3; Besiroglu et al. 2024, who fit its points
    again and find other constants.

    >>> n, d = np.meshgrid([1e6, 1e7, 1e8], [1e8, 1e9, 1e10])
    >>> runs = n.ravel(), d.ravel()
    >>> law = fit_size_law(*runs, SizeLaw(1.69, 406.4, 410.7, 0.34, 0.28).loss(*runs))
    >>> round(law.e, 3), round(law.alpha, 3), round(law.beta, 3)
    (1.69, 0.34, 0.28)
    """
    n, d, losses = _points(5, losses, N=n, D=d)
    runs = sorted(zip(n.tolist(), d.tolist(), strict=True))
    for one, other in zip(runs, runs[1:], strict=False):
        if one == other:
            raise ValueError(f"two runs of N={one[0]:g}, D={one[1]:g}; average them")
    for name, axis in (("N", n), ("D", d)):
        if len(set(axis.tolist())) < 3:
            raise ValueError(
                f"fewer than 3 different {name}; a power and a floor need 3 to differ"
            )
    (a, b), (alpha, beta), e = _descend(np.log([n, d]).T, losses)
    return _with_noise(SizeLaw(e, a, b, alpha, beta), losses, n, d)


def fit_isoflop(n: ArrayLike, losses: ArrayLike) -> IsoFlop:
    """Return the parabola in log N of runs (p,) of one compute, by least squares.

    Raises: ValueError for fewer than 3 runs, sizes that do not rise from run to run or
    are as little as 0, and losses that have no minimum.
    Source: Hoffmann et al. 2022, Approach 2.

    >>> iso = fit_isoflop([1e6, 2e6, 4e6], [3.1, 3.0, 3.1])
    >>> round(iso.n), round(iso.lowest, 6)
    (2000000, 3.0)
    """
    n, losses = _points(3, losses, N=n)
    _check_rising("N", n)
    middle = np.log(n).mean()
    curvature, slope, level = np.polyfit(np.log(n) - middle, losses, 2)
    if curvature <= 0:
        raise ValueError("the losses have no minimum in log N; add sizes farther apart")
    shift = -slope / (2 * curvature)
    lowest = level - curvature * shift**2
    return IsoFlop(math.exp(middle + shift), float(lowest), float(curvature))


def _descend(x: np.ndarray, losses: np.ndarray) -> tuple[list, list, float]:
    """Return the factors (k), exponents (k) and floor of a sum of powers, plus floor.

    `x` (p, k) holds logs: of C, or of N and D. It is centred first, so that the unit of
    C changes nothing and factors do not hang on exponents.
    """
    middle, logs, k = x.mean(axis=0), np.log(losses), x.shape[1]
    x = x - middle
    starts = sorted(_starts(x, losses), key=lambda start: _huber(start, x, logs)[0])
    # a part is nowhere in the middle above the highest loss; no step may overflow
    parts = [(logs.min() - 30, logs.max() + 1)]
    bounds = parts * k + [(math.log(1e-3), math.log(10))] * k + parts
    ends = [
        minimize(_huber, start, (x, logs), jac=True, bounds=bounds, options=PRECISE)
        for start in starts[:N_STARTS]
    ]
    best = min(ends, key=lambda end: end.fun).x
    exponents = np.exp(best[k : 2 * k])
    factors = np.exp(best[:k] + exponents * middle)
    return factors.tolist(), exponents.tolist(), math.exp(best[-1])


def _starts(x: np.ndarray, losses: np.ndarray) -> list[np.ndarray]:
    """Return for each choice of exponents the best factors and floor, all as logs."""
    starts, weights = [], 1 / losses
    for exponents in product(EXPONENTS, repeat=x.shape[1]):
        powers = np.column_stack([np.exp(-x * exponents), np.ones(len(x))])
        best, _ = nnls(powers * weights[:, None], np.ones(len(x)))
        *factors, floor = np.log(np.maximum(best, 1e-3 * losses.min()))
        starts.append(np.array([*factors, *np.log(exponents), floor]))
    return starts


def _huber(
    constants: np.ndarray, x: np.ndarray, logs: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the sum of Huber losses of log L, over δ, and its gradient."""
    k = x.shape[1]
    exponents = np.exp(constants[k : 2 * k])
    parts = np.exp(constants[:k] - exponents * x)  # (p, k)
    total = parts.sum(axis=1) + math.exp(constants[-1])
    far = np.log(total) - logs
    value = special.huber(DELTA, far).sum() / DELTA
    pull = np.clip(far / DELTA, -1, 1) / total  # by L
    of_parts = parts * pull[:, None]
    of_exponents = -(of_parts * x).sum(axis=0) * exponents
    of_floor = pull.sum() * math.exp(constants[-1])
    return value, np.array([*of_parts.sum(axis=0), *of_exponents, of_floor])


def _with_noise(law: Law, losses: np.ndarray, *points: np.ndarray) -> Law:
    """Return the law with the noise that its residuals show; with none left, nan."""
    far = np.log(losses / law.loss(*points))
    free = len(far) - _n_constants(law)
    return replace(law, noise=math.sqrt((far**2).sum() / free) if free else math.nan)


def _n_constants(law: Law) -> int:
    return len(fields(law)) - 1  # all but the noise


class Forecast(NamedTuple):
    """The loss that a law says, and the bounds that hold a run's at 95 %."""

    loss: float
    low: float
    high: float


def bootstrap(
    fit: Callable[..., Law],
    *points: ArrayLike,
    losses: ArrayLike,
    draws: int = 200,
    generator: torch.Generator | None = None,
) -> list[Law]:
    """Return `draws` laws, fitted to losses drawn anew around the law of the points.

    The points stay: of few, drawn with replacement, too few differ to fit three
    constants. Nor are residuals drawn: they are too small, as the law has bent towards
    the points. The noise of log L is drawn normal; and as few points do not tell how
    large it is, each draw takes the estimate times √(f/χ²), χ² with as many degrees of
    freedom f as there are points more than constants. That is the drawn law's `noise`.

    The intervals suppose that the law is true. On six points over a factor 1,000 of C,
    with a noise of 0.3 %, they held a run at 10 times the last C in 77 of 80 trials.

    Raises: ValueError as `fit`, and for no more points than constants.
    Source: Efron and Tibshirani 1993 (the parametric bootstrap).

    >>> compute, losses = [1e12, 1e13, 1e14, 1e15, 1e16], [5.0, 4.0, 3.4, 3.05, 2.84]
    >>> laws = bootstrap(fit_compute_law, compute, losses=losses, draws=40)
    >>> low, high = interval([law.b for law in laws])
    >>> low < fit_compute_law(compute, losses).b < high
    True
    """
    law = fit(*points, losses)
    middle = law.loss(*points)
    free = len(middle) - _n_constants(law)
    if free < 1:
        raise ValueError(
            f"{len(middle)} points for as many constants leave no residual to tell the "
            "noise by; add a point"
        )
    laws = []
    for row in _normal(draws, free + len(middle), generator=generator):
        noise = law.noise * math.sqrt(free / (row[:free] ** 2).sum())
        again = fit(*points, middle * np.exp(noise * row[free:]))
        laws.append(replace(again, noise=noise))
    return laws


def forecast(
    law: Law,
    drawn: Sequence[Law],
    *point: float,
    generator: torch.Generator | None = None,
) -> Forecast:
    """Return the law's loss at a point, and the interval of a run measured there.

    `drawn` comes from `bootstrap`; to each of its losses a run's own noise is added.

    Raises: ValueError for a point that is not above 0.

    >>> law = ComputeLaw(a=100.0, b=0.25, c=1.5)
    >>> forecast(law, [ComputeLaw(100.0, 0.25, 1.5, noise=0.0)] * 9, 1e8)
    Forecast(loss=2.5, low=2.5, high=2.5)
    """
    losses = [one.loss(*point) for one in drawn]
    noise = [one.noise for one in drawn] * _normal(len(drawn), generator=generator)
    return Forecast(float(law.loss(*point)), *interval(losses * np.exp(noise)))


def interval(values: ArrayLike) -> tuple[float, float]:
    """Return the bounds of the middle 95 % of what drawn laws say, of one constant.

    >>> interval(range(1001))
    (25.0, 975.0)
    """
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _normal(*shape: int, generator: torch.Generator | None) -> np.ndarray:
    return torch.randn(*shape, generator=generator, dtype=torch.float64).numpy()


def _positive(name: str, values: ArrayLike) -> np.ndarray:
    """Return numbers above 0; refuse others, the first of which is told."""
    values = np.asarray(values, dtype=float)
    wrong = values[~(np.isfinite(values) & (values > 0))]
    if wrong.size:
        raise ValueError(f"{name} is {wrong[0]:g}; need finite numbers above 0")
    return values


def _points(least: int, losses: ArrayLike, **axes: ArrayLike) -> list[np.ndarray]:
    """Return the axes and the losses as arrays (p,), at least so many points."""
    found = [_positive(name, axis) for name, axis in {**axes, "L": losses}.items()]
    shapes = [one.shape for one in found]
    if len(set(shapes)) > 1 or found[0].ndim != 1 or len(found[0]) < least:
        raise ValueError(
            f"{', '.join(axes)}, L of shapes {shapes}; need (p,) for all, with p >= "
            f"{least}, the number of constants"
        )
    return found


def _check_rising(name: str, values: np.ndarray) -> None:
    for before, after in zip(values, values[1:], strict=False):
        if after <= before:
            raise ValueError(
                f"{name}={after:g} follows {name}={before:g}; sort the runs, and "
                f"keep one for each {name}"
            )
