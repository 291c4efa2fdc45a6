"""The ideal observer's AUC, by quadrature, by another quadrature, and by drawing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from cspine_bench.metrics.auc import auc
from cspine_phantom.measure.ideal import drawn_auc, ideal_auc, prevalence
from cspine_phantom.patients import READER_NOISE, THRESHOLD, draw_patient


@pytest.mark.parametrize(("noise", "threshold"), [(0.2, 0.6), (0.4, 0.6), (1.0, 0.0), (0.1, 1.5)])
def test_it_is_what_scipy_integrates(noise: float, threshold: float) -> None:
    """P(S+ > S-), with the negatives below s as a bivariate normal in place of a running sum."""

    def negatives(s: float) -> float:
        # P(S < s and S + noise N < threshold).
        whole = np.hypot(1, noise)
        joint = stats.multivariate_normal(cov=[[1, 1 / whole], [1 / whole, 1]])
        return float(joint.cdf([s, threshold / whole]))

    def integrand(s: float) -> float:
        return float(stats.norm.pdf(s) * stats.norm.cdf((s - threshold) / noise) * negatives(s))

    p = stats.norm.sf(threshold / np.hypot(1, noise))
    area = integrate.quad(integrand, -7, 7, points=[threshold], epsabs=1e-7)[0] / (p * (1 - p))
    assert prevalence(noise=noise, threshold=threshold) == pytest.approx(p, abs=1e-12)
    assert ideal_auc(noise=noise, threshold=threshold) == pytest.approx(area, abs=2e-6)


def test_it_is_what_is_drawn() -> None:
    rng = np.random.default_rng(1)
    severity = rng.standard_normal(400_000)
    labels = severity + READER_NOISE * rng.standard_normal(400_000) > THRESHOLD
    assert ideal_auc() == pytest.approx(auc(labels, severity), abs=4e-4)


def test_it_is_known_and_below_one() -> None:
    assert 0.95 < ideal_auc() < 0.995
    areas = [ideal_auc(noise=noise) for noise in (0.1, 0.2, 0.3, 0.4)]
    assert areas == sorted(areas, reverse=True)


def test_a_set_has_it_within_its_interval() -> None:
    area, interval = drawn_auc([draw_patient(2, number) for number in range(400)])
    assert interval.low < area < interval.high
    assert interval.low < ideal_auc() < interval.high
