from __future__ import annotations

import numpy as np
import pytest

from cspine.errors import ModelError
from cspine_bench.latency.ratio import blocks, quantile_ratio_interval, ratio_interval


def test_blocks_run_every_arm_once_in_a_random_order():
    order = blocks(np.random.default_rng(1), ("fp32", "int8", "fp16"), repeats=600)
    assert len(order) == 600
    assert all(sorted(block) == ["fp16", "fp32", "int8"] for block in order)
    for arm in ("fp32", "int8", "fp16"):
        for place in range(3):
            assert sum(block[place] == arm for block in order) == pytest.approx(200, abs=50)
    assert order == blocks(np.random.default_rng(1), ("fp32", "int8", "fp16"), repeats=600)
    assert order != blocks(np.random.default_rng(2), ("fp32", "int8", "fp16"), repeats=600)


def drifting(rng, ratio, *, count=20, samples=5):
    """Simulate two arms that share a drift of 30 % from block to block."""
    drift = rng.lognormal(sigma=0.3, size=(count, 1))
    noise = rng.lognormal(sigma=0.02, size=(2, count, samples))
    return drift * noise[0], ratio * drift * noise[1]


def test_pairing_by_block_cancels_what_the_arms_share():
    rng = np.random.default_rng(5)
    reference, candidate = drifting(rng, 0.9)
    found = ratio_interval(reference, candidate, seed=0)
    assert found.low <= found.ratio <= found.high
    medians = np.median(np.log(candidate / reference), axis=0)
    assert found.ratio == pytest.approx(np.exp(medians.mean()))
    assert 0.85 < found.low < 0.9 < found.high < 0.95
    unpaired = ratio_interval(reference, rng.permutation(candidate), seed=0)
    assert unpaired.high - unpaired.low > 3 * (found.high - found.low)


def test_how_long_a_study_takes_does_not_matter():
    reference, candidate = drifting(np.random.default_rng(13), 1.05, count=40, samples=2)
    lengths = np.array([1.0, 1.3])
    found = ratio_interval(reference, candidate, seed=0)
    other = ratio_interval(lengths * reference, lengths * candidate, seed=0)
    assert (other.ratio, other.low, other.high) == pytest.approx(
        (found.ratio, found.low, found.high), rel=1e-12
    )
    pooled = quantile_ratio_interval(lengths * reference, lengths * candidate, q=0.5, seed=0)
    assert pooled.error > 2 * found.error


def test_a_study_that_is_slower_counts_for_its_share():
    errors = []
    for seed, slower in enumerate([1.0, 1.21]):
        rng = np.random.default_rng(14)
        reference, candidate = drifting(rng, 1.0, count=40, samples=2)
        found = ratio_interval(reference, candidate * [1.0, slower], seed=seed)
        assert found.ratio == pytest.approx(np.sqrt(slower), abs=0.02)
        errors.append(found.error)
    assert errors[1] < 1.1 * errors[0]  # it does not jump from one study to the other


def test_interruptions_of_one_arm_do_not_move_it():
    rng = np.random.default_rng(15)
    reference, candidate = drifting(rng, 1.0, count=60, samples=2)
    struck = np.where(rng.random(candidate.shape) < 0.1, 3.0, 1.0)
    assert ratio_interval(reference, candidate * struck, seed=0).high < 1.03


def test_samples_of_a_block_are_drawn_together():
    rng = np.random.default_rng(6)
    reference, candidate = drifting(rng, 1.0, count=12, samples=1)
    candidate = candidate * rng.lognormal(sigma=0.2, size=candidate.shape)
    once = ratio_interval(reference, candidate, seed=0)
    copied = ratio_interval(
        np.repeat(reference, 9, axis=1), np.repeat(candidate, 9, axis=1), seed=0
    )
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.25)


def test_the_seed_decides_and_the_unit_does_not():
    reference, candidate = drifting(np.random.default_rng(7), 1.05)
    found = ratio_interval(reference, candidate, seed=3)
    assert ratio_interval(reference, candidate, seed=3) == found
    assert ratio_interval(reference, candidate, seed=4) != found
    assert ratio_interval(1024.0 * reference, 1024.0 * candidate, seed=3) == found
    wider = ratio_interval(reference, candidate, seed=3, level=0.99)
    assert wider.low <= found.low < found.high <= wider.high


def test_ratio_interval_covers():
    rng = np.random.default_rng(8)
    covered = 0
    for seed in range(40):
        found = ratio_interval(*drifting(rng, 0.97), seed=seed)
        covered += found.low <= 0.97 <= found.high
    assert covered >= 36


def lasting(rng, *, count):
    """Simulate arms of which one is disturbed for several blocks on end."""
    noise = rng.normal(scale=0.07, size=count)
    for i in range(1, count):
        noise[i] = 0.6 * noise[i - 1] + 0.8 * noise[i]
    return np.ones((count, 1)), np.exp(noise)[:, None]


def test_disturbances_that_last_widen_the_interval():
    rng = np.random.default_rng(9)
    missed = 0
    for seed in range(60):
        found = ratio_interval(*lasting(rng, count=60), seed=seed)
        missed += not found.low <= 1.0 <= found.high
    assert missed <= 9  # blocks drawn one by one miss a quarter

    reference, candidate = lasting(rng, count=300)
    found = ratio_interval(reference, candidate, seed=0)
    shuffled = ratio_interval(reference, rng.permutation(candidate), seed=0)
    assert found.error > 1.4 * shuffled.error


def test_standard_error_is_that_of_the_logarithm():
    rng = np.random.default_rng(10)
    ratios = [ratio_interval(*drifting(rng, 1.0, count=60), seed=0) for _ in range(30)]
    seen = np.std([np.log(found.ratio) for found in ratios])
    assert np.mean([found.error for found in ratios]) == pytest.approx(seen, rel=0.35)
    assert {(found.blocks, found.baseline_error) for found in ratios} == {(60, 0.0)}


def test_a_quantile_of_the_tail_has_a_ratio_too():
    rng = np.random.default_rng(11)
    reference = rng.lognormal(sigma=0.05, size=(70, 10))
    candidate = rng.lognormal(sigma=0.05, size=(70, 10))
    candidate[:, 0] *= 1.5  # one in ten
    assert quantile_ratio_interval(reference, candidate, q=0.5, seed=0).high < 1.05
    tail = quantile_ratio_interval(reference, candidate, q=0.99, seed=0)
    assert tail.ratio == np.quantile(candidate, 0.99) / np.quantile(reference, 0.99)
    assert 1.3 < tail.low < tail.ratio < tail.high < 1.6


def test_a_baseline_cancels_what_the_reference_lost_too():
    rng = np.random.default_rng(12)
    then = drifting(rng, 0.5, count=80)
    now = drifting(rng, 0.55, count=60)
    slower = tuple(1.3 * times for times in now)  # the clocks of this machine
    found = ratio_interval(*slower, seed=0, baseline=then)
    assert 1.05 < found.low < 1.1 < found.high < 1.15
    alone = ratio_interval(*slower, seed=0)
    assert found.high / found.low > alone.high / alone.low
    assert found.error == alone.error
    assert found.baseline_error == pytest.approx(alone.error, rel=0.5)


def test_refusals_say_what_is_wrong():
    times = np.ones((6, 2))
    with pytest.raises(ModelError, match=r"reference: got shape \(2,\), expected \(blocks, sampl"):
        ratio_interval(np.ones(2), times, seed=0)
    with pytest.raises(ModelError, match="candidate: got 6 blocks, expected 7"):
        ratio_interval(np.ones((7, 2)), times, seed=0)
    with pytest.raises(ModelError, match="candidate: got 3 samples a block, expected 2"):
        ratio_interval(times, np.ones((6, 3)), seed=0)
    assert quantile_ratio_interval(times, np.ones((6, 3)), q=0.99, seed=0).ratio == 1.0
    with pytest.raises(ModelError, match=r"candidate: got a time of 0\.0, expected times above"):
        ratio_interval(times, 0.0 * times, seed=0)
    with pytest.raises(ModelError, match=r"blocks: got 5, expected at least 6 for level 0\.95"):
        ratio_interval(times[:5], times[:5], seed=0)
    with pytest.raises(ModelError, match=r"expected at least 8 for level 0\.99"):
        ratio_interval(times, times, seed=0, level=0.99)
