from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from cspine_bench.latency.equivalence import (
    MEDIAN_MARGIN,
    blocks_at_ratio,
    blocks_needed,
    equivalent,
    non_inferior,
)
from cspine_bench.latency.ratio import RatioInterval, ratio_interval


def spread(error: float, *, ratio: float = 1.0, blocks: int = 40, then: float = 0.0):
    return RatioInterval(ratio, ratio, ratio, 0.95, blocks, error, then)


@pytest.mark.parametrize(
    ("low", "high", "slower", "other"),
    [
        (0.99, 1.02, "pass", "pass"),
        (0.90, 1.02, "pass", "inconclusive"),
        (0.90, 0.95, "pass", "fail"),
        (1.00, 1.03, "inconclusive", "inconclusive"),
        (1.03, 1.05, "inconclusive", "inconclusive"),
        (1.031, 1.05, "fail", "fail"),
    ],
)
def test_only_an_interval_on_one_side_of_the_limit_decides(low, high, slower, other):
    assert non_inferior(low, high, margin=0.03) == slower
    assert equivalent(low, high, margin=0.03) == other


def test_blocks_asked_for_give_the_power_they_promise():
    found = spread(0.02)
    needed = blocks_needed(found, margin=0.03)
    assert needed is not None
    error = 0.02 * math.sqrt(40 / needed)
    half = norm.ppf(0.975) * error
    slowed, limit = math.log(1.06), math.log(1.03)
    assert norm.sf(limit + half, loc=slowed, scale=error) == pytest.approx(0.9, abs=0.01)
    assert norm.cdf(limit - half, loc=0.0, scale=error) >= 0.9
    assert blocks_needed(spread(0.04), margin=0.03) == pytest.approx(4 * needed, abs=4)


def test_the_ratio_that_was_found_does_not_ask_for_blocks():
    needed = blocks_needed(spread(0.02), margin=0.03)
    assert blocks_needed(spread(0.02, ratio=1.029), margin=0.03) == needed
    near = blocks_at_ratio(spread(0.02, ratio=1.029), margin=0.03)
    assert near is not None
    assert needed is not None
    assert near > 100 * needed
    assert blocks_at_ratio(spread(0.02, ratio=1.03), margin=0.03) is None


def test_no_number_of_blocks_makes_up_for_a_short_record():
    short = blocks_needed(spread(0.004, then=0.006), margin=0.03)
    alone = blocks_needed(spread(0.004), margin=0.03)
    assert short is not None
    assert alone is not None
    assert short > alone
    assert blocks_needed(spread(0.004, then=0.02), margin=0.03) is None


def verdicts(slowed: float, *, runs: int) -> list[str]:
    """Judge runs of as many blocks as a first forty ask for; noise lasts from block to block."""
    rng = np.random.default_rng(3)
    found = []
    for seed in range(runs):
        noise = rng.normal(scale=0.05, size=(2, 400, 2))
        for i in range(1, 400):
            noise[:, i] += 0.3 * noise[:, i - 1]
        reference, candidate = np.exp(noise) * np.array([1.0, slowed])[:, None, None]
        first = ratio_interval(reference[:40], candidate[:40], seed=seed)
        count = max(40, min(400, blocks_needed(first, margin=MEDIAN_MARGIN) or 400))
        ratio = ratio_interval(reference[:count], candidate[:count], seed=seed)
        found.append(non_inferior(ratio.low, ratio.high, margin=MEDIAN_MARGIN))
    return found


def test_what_is_slower_by_the_margin_hardly_ever_passes_and_by_twice_it_fails():
    assert verdicts(1.00, runs=15).count("pass") >= 11
    assert verdicts(1.03, runs=15).count("pass") <= 2
    assert verdicts(1.06, runs=15).count("fail") >= 11
