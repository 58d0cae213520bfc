"""Paired comparison: numbers against the formula, verdicts on cases with a known answer."""

import math

import numpy as np
import pytest
from scipy import stats

from aligndet.comparison.statistics import HURT, paired_difference, spread


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_interval_is_that_of_the_paired_t_test(n: int) -> None:
    rng = np.random.default_rng(n)
    start, baseline = rng.normal(10, 2, n), rng.normal(9, 2, n)
    gain = paired_difference(start.tolist(), baseline.tolist())
    half = stats.t.ppf(0.975, n - 1) * np.std(start - baseline, ddof=1) / math.sqrt(n)
    assert gain.mean == pytest.approx(float(np.mean(start - baseline)))
    assert (gain.low, gain.high) == pytest.approx((gain.mean - half, gain.mean + half))


def test_pairing_matters() -> None:
    """Seeds differ by far more than the starts do; only the pairs show the gain."""
    baseline = [1.0, 11.0, 21.0]
    start = [2.0, 12.1, 21.9]
    assert paired_difference(start, baseline).verdict == "helped"
    assert paired_difference([12.1, 21.9, 2.0], baseline).verdict == "no evidence"


@pytest.mark.parametrize(
    ("start", "verdict"),
    [
        ([2.0, 3.1, 3.9], "helped"),
        ([0.0, 0.9, 2.1], "hurt"),
        ([1.0, 2.1, 2.9], "no evidence"),
        ([1.0, 2.0, 3.0], "no evidence"),
        ([2.0, 3.0, 4.0], "helped"),
    ],
    ids=["above", "below", "around", "equal", "constant gain"],
)
def test_verdict(start: list[float], verdict: str) -> None:
    assert paired_difference(start, [1.0, 2.0, 3.0]).verdict == verdict


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_seeds_conclude_nothing(n: int) -> None:
    gain = paired_difference([10.0, 10.001][:n], [1.0, 1.0][:n])
    assert gain.verdict == "no evidence (too few seeds)"


def test_one_pair_has_no_interval() -> None:
    gain = paired_difference([3.0], [1.0])
    assert (gain.mean, gain.low, gain.high) == (2.0, -math.inf, math.inf)


def test_unpaired_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference([1.0], [1.0, 2.0])


def test_spread() -> None:
    found = spread([1.0, 2.0, 4.0])
    assert (found.n, found.mean) == (3, pytest.approx(7 / 3))
    assert found.std == pytest.approx(float(np.std([1, 2, 4], ddof=1)))
    assert spread([5.0]).std == 0.0
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_two_detectors_that_learnt_nothing_prove_nothing() -> None:
    """A sure difference of hundredths of a point, at an AP of hundredths of a point."""
    assert paired_difference([0.03, 0.04, 0.03], [0.01, 0.02, 0.01]).verdict == "no evidence (AP too low)"
    assert paired_difference([9.03, 9.04, 9.03], [9.01, 9.02, 9.01]).verdict == "helped"


def test_best_is_the_higher_of_the_two_means() -> None:
    """Where one arm has learnt something the difference counts, whichever of the two it is."""
    low, high = [0.1, 0.2, 0.3], [5.1, 5.2, 5.3]
    assert paired_difference(high, low).best == pytest.approx(5.2)
    assert paired_difference(low, high).best == pytest.approx(5.2)
    assert paired_difference(low, high).verdict == HURT
    assert paired_difference([0.4, 0.41, 0.42], low).verdict == "no evidence (AP too low)"


def test_equal_differences_have_no_spread() -> None:
    gain = paired_difference([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert (gain.low, gain.high) == (1.0, 1.0)
