"""Scaling laws: planted constants are found, and intervals hold what they say."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, curve_fit, minimize, minimize_scalar
from scipy.stats import chi2
from scipy.stats import t as student

from gptcourse.training import scaling
from gptcourse.training.scaling import (
    ComputeLaw,
    SizeLaw,
    bootstrap,
    fit_compute_law,
    fit_isoflop,
    fit_size_law,
    forecast,
    interval,
)

pytestmark = pytest.mark.filterwarnings("error")  # such as an overflow
FEW = settings(max_examples=15, deadline=None)
CHINCHILLA = SizeLaw(e=1.69, a=406.4, b=410.7, alpha=0.34, beta=0.28)
BESIROGLU = SizeLaw(e=1.8172, a=482.01, b=2085.43, alpha=0.3478, beta=0.3658)
SMALL = ComputeLaw(a=1e14**0.25, b=0.25, c=1.0)  # L = 2 at 1e14 FLOPs
COMPUTE = np.geomspace(10**12.5, 10**15.5, 6)
N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e5, 1e7, 5),
                                       np.geomspace(1e6, 1e8, 4)))  # fmt: skip


def constants(law):
    return [value for name, value in vars(law).items() if name != "noise"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noisy(losses, noise, seed=0):
    """Losses with a normal noise of this standard deviation in their logarithm."""
    drawn = np.random.default_rng(seed).standard_normal(len(losses))
    return losses * np.exp(noise * drawn)


def huber(law, losses, *points, delta=1e-3):
    """The objective as Hoffmann et al. print it."""
    far = np.abs(np.log(law.loss(*points)) - np.log(losses))
    return sum(x**2 / 2 if x <= delta else delta * (x - delta / 2) for x in far)


# The laws


@pytest.mark.parametrize(
    ("n", "d", "loss"),
    [(70e9, 1.4e12, 1.937), (280e9, 300e9, 1.993), (175e9, 300e9, 2.002)],
)
def test_chinchilla_s_constants_give_its_losses(n, d, loss):
    assert CHINCHILLA.loss(n, d) == pytest.approx(loss, abs=5e-4)


def test_chinchilla_s_constants_give_its_g_and_exponents():
    assert CHINCHILLA.optimum(6).n == pytest.approx(1.3447, abs=5e-5)  # G
    assert CHINCHILLA.exponents == pytest.approx((0.452, 0.548), abs=5e-4)
    assert CHINCHILLA.optimum(5.76e23).n == pytest.approx(32e9, rel=0.01)


def test_the_refitted_constants_advise_about_20_tokens_a_parameter():
    n, d, _ = BESIROGLU.optimum(5.76e23)
    assert d / n == pytest.approx(20, abs=3)


@pytest.mark.parametrize("law", [CHINCHILLA, BESIROGLU])
@pytest.mark.parametrize("compute", [1e15, 1e20, 5.76e23])
def test_the_optimum_is_where_a_search_along_the_budget_ends(law, compute):
    n, d, loss = law.optimum(compute)
    assert 6 * n * d == pytest.approx(compute)
    found = minimize_scalar(
        lambda x: law.loss(math.exp(x), compute / 6 / math.exp(x)),
        bounds=(0, math.log(compute / 6)),
        options={"xatol": 1e-9},
    )
    assert math.exp(found.x) == pytest.approx(n, rel=1e-4)
    assert loss == pytest.approx(found.fun, rel=1e-9)


def test_the_optimum_grows_by_the_exponents():
    low, high = CHINCHILLA.optimum(1e20), CHINCHILLA.optimum(1e23)
    grown = math.log10(high.n / low.n) / 3, math.log10(high.d / low.d) / 3
    assert CHINCHILLA.exponents == pytest.approx(grown)
    assert sum(grown) == pytest.approx(1)


def test_a_loss_by_hand_and_the_compute_that_reaches_it():
    law = ComputeLaw(a=8.0, b=1 / 3, c=0.5)
    assert law.loss([1, 8, 64]).tolist() == pytest.approx([8.5, 4.5, 2.5])
    assert law.compute(4.5) == pytest.approx(8)
    assert law.compute(2.0) == pytest.approx(
        brentq(lambda c: law.loss(c) - 2.0, 1, 1e6)
    )


@pytest.mark.parametrize("loss", [1.0, 0.9, -1.0, math.nan])
def test_a_loss_that_no_compute_reaches_is_refused(loss):
    with pytest.raises(ValueError, match=r"^loss \S+ is not above the floor 1 of L"):
        SMALL.compute(loss)


# Fits


@pytest.mark.parametrize("law", [SMALL, ComputeLaw(3e6, 0.5, 2.5),
                                 ComputeLaw(20.0, 0.057, 0.3)])  # fmt: skip
def test_planted_constants_of_compute_are_found(law):
    found = fit_compute_law(COMPUTE, law.loss(COMPUTE))
    assert constants(found) == pytest.approx(constants(law), rel=2e-3)
    assert found.noise < 1e-6


@pytest.mark.parametrize(
    "law", [CHINCHILLA, BESIROGLU, SizeLaw(0.5, 9.0, 400.0, 0.15, 0.5)]
)
def test_planted_constants_of_size_and_tokens_are_found(law):
    found = fit_size_law(N, D, law.loss(N, D))
    assert constants(found) == pytest.approx(constants(law), rel=2e-3)
    assert found.noise < 1e-6


def test_planted_constants_are_found_in_noise():
    compute = np.geomspace(1e10, 1e18, 60)
    found = fit_compute_law(compute, noisy(SMALL.loss(compute), 0.003))
    assert (found.b, found.c) == pytest.approx((0.25, 1.0), rel=0.02)
    assert found.noise == pytest.approx(0.003, rel=0.45)
    n, d = (x.ravel() for x in np.meshgrid(*[np.geomspace(1e4, 1e11, 12)] * 2))
    found = fit_size_law(n, d, noisy(CHINCHILLA.loss(n, d), 0.003))
    assert constants(found) == pytest.approx(constants(CHINCHILLA), rel=0.03)
    assert found.exponents == pytest.approx(CHINCHILLA.exponents, rel=0.01)
    assert found.noise == pytest.approx(0.003, rel=0.3)


def test_without_noise_the_fit_is_that_of_scipy_s_curve_fit():
    losses = SMALL.loss(COMPUTE)
    (a, b, c), _ = curve_fit(
        lambda x, a, b, c: a * x**-b + c, COMPUTE / 1e14, losses, (1.0, 0.3, 0.5)
    )
    found = fit_compute_law(COMPUTE / 1e14, losses)
    assert constants(found) == pytest.approx([a, b, c], rel=1e-4)


@pytest.mark.parametrize(
    ("noise", "seed"),
    # in great noise there are several minima: two draws in which some starts miss it
    [(0.003, 0), (0.003, 1), (0.003, 2), (0.1, 3), (0.1, 5)],
)
def test_a_search_from_the_truth_finds_no_smaller_huber_loss(noise, seed):
    losses = noisy(SMALL.loss(COMPUTE), noise, seed)
    found = fit_compute_law(COMPUTE, losses)
    least = huber(found, losses, COMPUTE)
    searched = minimize(
        lambda x: huber(ComputeLaw(math.exp(x[0]) * 1e14 ** math.exp(x[1]),
                                   *np.exp(x[1:])), losses, COMPUTE),
        [0, math.log(0.25), 0], method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4_000},
    )  # fmt: skip
    assert least <= searched.fun * (1 + 1e-6)
    assert huber(SMALL, losses, COMPUTE) > least


def test_no_law_near_has_a_smaller_huber_loss():
    losses = noisy(CHINCHILLA.loss(N, D), 0.003)
    found = fit_size_law(N, D, losses)
    least = huber(found, losses, N, D)
    generator = np.random.default_rng(0)
    for width in (1e-1, 1e-2, 1e-3, 1e-4):
        for step in generator.standard_normal((50, 5)):
            near = SizeLaw(*np.multiply(constants(found), np.exp(width * step)))
            assert huber(near, losses, N, D) >= least * (1 - 1e-6)


def test_one_run_gone_wrong_hardly_moves_the_fit():
    compute = np.geomspace(1e10, 1e18, 20)
    losses = noisy(SMALL.loss(compute), 0.001)
    straight = fit_compute_law(compute, losses)
    losses[17] *= 1.5
    assert fit_compute_law(compute, losses).b == pytest.approx(straight.b, rel=3e-3)
    squares, _ = np.polyfit(np.log(compute), np.log(losses - 1), 1)
    assert abs(-squares / straight.b - 1) > 0.05


@FEW
@given(st.floats(-30, 30))
def test_the_unit_of_compute_changes_a_alone(power):
    losses = noisy(SMALL.loss(COMPUTE), 0.003)
    one, other = (fit_compute_law(COMPUTE * unit, losses) for unit in (1, 10**power))
    assert (other.b, other.c) == pytest.approx((one.b, one.c), rel=1e-6)
    far = COMPUTE[-1] * 10
    assert other.loss(far * 10**power) == pytest.approx(one.loss(far), rel=1e-6)
    assert other.a / 10 ** (power * one.b) == pytest.approx(one.a, rel=1e-5)


def test_the_order_of_runs_of_size_and_tokens_does_not_matter():
    losses = noisy(CHINCHILLA.loss(N, D), 0.003)
    order = np.random.default_rng(1).permutation(len(N))
    one, other = (
        fit_size_law(N, D, losses),
        fit_size_law(N[order], D[order], losses[order]),
    )
    assert constants(one) == pytest.approx(constants(other), rel=1e-5)


def test_sizes_and_tokens_exchanged_exchange_their_constants():
    losses = noisy(CHINCHILLA.loss(N, D), 0.003)
    one, other = fit_size_law(N, D, losses), fit_size_law(D, N, losses)
    swapped = [other.e, other.b, other.a, other.beta, other.alpha]
    assert constants(one) == pytest.approx(swapped, rel=1e-5)


def test_as_many_runs_as_constants_fit_exactly_and_show_no_noise():
    few = COMPUTE[[0, 2, 5]]
    found = fit_compute_law(few, SMALL.loss(few))
    assert found.b == pytest.approx(0.25, rel=1e-3)
    assert math.isnan(found.noise)


def test_the_noise_is_of_the_residuals_over_the_degrees_of_freedom():
    losses = noisy(SMALL.loss(COMPUTE), 0.01)
    found = fit_compute_law(COMPUTE, losses)
    far = np.log(losses) - np.log(found.loss(COMPUTE))
    assert found.noise == pytest.approx(math.sqrt(sum(far**2) / 3))


@pytest.mark.parametrize("losses", [[3.0, 3.0, 3.0, 3.0], [2.0, 2.1, 2.2, 2.3],
                                    [9.0, 1.0, 1.0, 1.0]])  # fmt: skip
def test_losses_that_follow_no_law_still_give_constants_above_0(losses):
    assert min(constants(fit_compute_law([1e12, 1e13, 1e14, 1e15], losses))) > 0


# IsoFLOP


def test_the_minimum_of_a_parabola_is_found():
    n = np.array([1e6, 2e6, 3e6, 9e6])
    losses = 2.5 + 0.04 * np.log(n / 2.5e6) ** 2
    iso = fit_isoflop(n, losses)
    assert constants(iso) == pytest.approx([2.5e6, 2.5, 0.04])
    assert iso.loss(n).tolist() == pytest.approx(losses.tolist())


def test_isoflop_minima_of_a_law_lie_near_its_optimum():
    for compute in (1e18, 1e20, 1e22):
        best = CHINCHILLA.optimum(compute)
        n = best.n * np.geomspace(0.5, 2, 5)
        iso = fit_isoflop(n, CHINCHILLA.loss(n, compute / 6 / n))
        assert iso.n == pytest.approx(best.n, rel=0.02)
        assert iso.lowest == pytest.approx(best.loss, rel=1e-4)


@pytest.mark.parametrize("losses", [[3.0, 3.1, 3.0], [1.0, 2.0, 2.5, 2.7]])
def test_losses_without_a_minimum_are_refused(losses):
    with pytest.raises(ValueError, match="^the losses have no minimum in log N; add"):
        fit_isoflop(np.geomspace(1e5, 1e7, len(losses)), losses)


# Intervals


@dataclass(frozen=True)
class Level:
    """log L = level: the simplest law, whose interval is Student's."""

    level: float
    noise: float = math.nan

    def loss(self, compute):
        return np.exp(self.level) * np.ones(np.shape(compute))


def fit_level(compute, losses):
    logs = np.log(losses)
    return Level(logs.mean(), logs.std(ddof=1))


@pytest.mark.parametrize("p", [4, 6])
def test_the_intervals_of_a_level_are_student_s(p):
    # a bound's standard error is under 3 %; normal bounds are 24 % nearer, or more
    compute, losses = np.arange(1, p + 1), noisy(np.full(p, 2.0), 0.05)
    law = fit_level(compute, losses)
    drawn = bootstrap(
        fit_level, compute, losses=losses, draws=10_000, generator=seeded()
    )
    spread = student.ppf(0.975, p - 1) * law.noise
    low, high = interval([one.level for one in drawn])
    assert [law.level - low, high - law.level] == pytest.approx(
        [spread / math.sqrt(p)] * 2, rel=0.15
    )
    f_over_chi2 = (p - 1) / chi2.ppf([0.975, 0.025], p - 1)
    assert interval([one.noise for one in drawn]) == pytest.approx(
        law.noise * np.sqrt(f_over_chi2), rel=0.15
    )
    said = forecast(law, drawn, 9.0, generator=seeded(1))
    assert said.loss == pytest.approx(math.exp(law.level))
    assert [law.level - math.log(said.low), math.log(said.high) - law.level] == (
        pytest.approx([spread * math.sqrt(1 + 1 / p)] * 2, rel=0.15)
    )


def test_in_little_noise_a_constant_s_interval_is_that_of_linear_least_squares(
    monkeypatch,
):
    # the Huber loss is then a square, and curve_fit's covariance an oracle
    monkeypatch.setattr(scaling, "N_STARTS", 1)
    compute = np.geomspace(1e10, 1e18, 20)
    losses = noisy(SMALL.loss(compute), 1e-4)
    _, covariance = curve_fit(
        lambda x, a, b, c: np.log(a * x**-b + c), compute / 1e14, np.log(losses),
        (1.0, 0.3, 0.5),
    )  # fmt: skip
    drawn = bootstrap(
        fit_compute_law, compute, losses=losses, draws=400, generator=seeded()
    )
    of_student = math.sqrt(17 / 15)  # the standard deviation of t with 17 degrees
    for k, name in ((1, "b"), (2, "c")):
        found = np.std([getattr(law, name) for law in drawn])
        expected = math.sqrt(covariance[k, k]) * of_student
        assert found == pytest.approx(expected, rel=0.25)


def test_intervals_hold_the_run_that_is_made_later_and_the_true_exponent(monkeypatch):
    # 91 % of either in a longer trial with 40 draws, 95 % with 200
    monkeypatch.setattr(scaling, "N_STARTS", 1)
    generator, held, held_b = seeded(), 0, 0
    for seed in range(40):
        *losses, later = noisy(SMALL.loss([*COMPUTE, 10**16.5]), 0.003, seed)
        law = fit_compute_law(COMPUTE, losses)
        drawn = bootstrap(
            fit_compute_law, COMPUTE, losses=losses, draws=40, generator=generator
        )
        said = forecast(law, drawn, 10**16.5, generator=generator)
        held += said.low < later < said.high
        low, high = interval([one.b for one in drawn])
        held_b += low < SMALL.b < high
    assert held >= 29 and held_b >= 29


def test_the_generator_alone_decides_the_draws():
    losses = noisy(SMALL.loss(COMPUTE), 0.003)

    def drawn(seed):
        return bootstrap(
            fit_compute_law, COMPUTE, losses=losses, draws=3, generator=seeded(seed)
        )

    first = drawn(1)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert drawn(1) == first
        one, other = (forecast(SMALL, first, 1e16, generator=seeded(2)) for _ in "ab")
    assert one == other and drawn(2) != first
    assert one != forecast(SMALL, first, 1e16, generator=seeded(3))


def test_a_run_s_own_noise_widens_its_interval():
    sure = [replace(SMALL, noise=0.0)] * 200
    loud = [replace(SMALL, noise=0.1)] * 5_000
    assert forecast(SMALL, sure, 1e14) == pytest.approx((2, 2, 2))
    _, low, high = forecast(SMALL, loud, 1e14, generator=seeded())
    assert math.log(high / low) == pytest.approx(2 * 1.96 * 0.1, rel=0.1)


def test_as_many_points_as_constants_have_no_interval():
    with pytest.raises(ValueError, match="^3 points for as many constants leave no"):
        bootstrap(fit_compute_law, [1.0, 2.0, 4.0], losses=[3.0, 2.0, 1.5])


# Bad input


@pytest.mark.parametrize(
    ("compute", "losses", "message"),
    [
        ([1.0, 2.0], [3.0, 2.0], r"^C, L of shapes .*; need \(p,\) .* p >= 3, the"),
        ([1.0, 2.0, 3.0], [3.0, 2.0], "^C, L of shapes"),
        ([[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]], "^C, L of shapes"),
        ([0.0, 2.0, 3.0], [3.0, 2.0, 1.0], "^C is 0; need finite numbers above 0$"),
        ([1.0, 2.0, math.inf], [3.0, 2.0, 1.0], "^C is inf; need"),
        ([1.0, 2.0, 3.0], [3.0, -2.0, 1.0], "^L is -2; need"),
        ([1.0, 2.0, 3.0], [3.0, 2.0, math.nan], "^L is nan; need"),
        ([1.0, 3.0, 2.0], [3.0, 2.0, 1.0], "^C=2 follows C=3; sort the runs"),
        ([1.0, 2.0, 2.0], [3.0, 2.0, 1.0], "^C=2 follows C=2; .* keep one for each C$"),
    ],
)
def test_runs_that_no_curve_can_be_fitted_to_are_refused(compute, losses, message):
    with pytest.raises(ValueError, match=message) as refusal:
        fit_compute_law(compute, losses)
    assert "\n" not in str(refusal.value)
    with pytest.raises(ValueError, match=message.replace("C", "N")):
        fit_isoflop(compute, losses)


@pytest.mark.parametrize(
    ("n", "d", "message"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], r"^N, D, L of shapes .* p >= 5, the number"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], "^N, D, L of shapes"),
        ([1, 2, 3, 4, 0], [1, 2, 3, 4, 5], "^N is 0; need finite numbers above 0$"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, -5], "^D is -5; need"),
        ([1, 2, 3, 1, 2], [1, 2, 3, 2, 2], "^two runs of N=2, D=2; average them$"),
        ([1, 1, 2, 2, 2], [1, 2, 1, 2, 3], "^fewer than 3 different N; a power and"),
        ([1, 2, 1, 2, 3], [1, 1, 2, 2, 2], "^fewer than 3 different D; a power and"),
    ],
)
def test_runs_that_no_surface_can_be_fitted_to_are_refused(n, d, message):
    with pytest.raises(ValueError, match=message) as refusal:
        fit_size_law(n, d, [3.0] * len(n))
    assert "\n" not in str(refusal.value)


def test_a_point_of_0_has_no_loss():
    for of_zero in (
        lambda: SMALL.loss(0),
        lambda: CHINCHILLA.loss(0, 1e9),
        lambda: CHINCHILLA.loss(1e9, 0),
        lambda: CHINCHILLA.optimum(0),
        lambda: fit_isoflop([1, 2, 4], [3, 2, 3]).loss(0),
        lambda: forecast(SMALL, [SMALL], 0),
    ):
        with pytest.raises(
            ValueError, match=r"^\w+ is 0; need finite numbers above 0$"
        ):
            of_zero()
