"""The prediction of saturation against an emulation of VPMADDUBSW in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine_calibration.lint.quantized import read_quantized
from cspine_calibration.lint.saturation import Risk, risks, saturation_risk
from drawing import CHANNELS, Drawing

Integers = npt.NDArray[np.integer]


def vpmaddubsw(activations: Integers, weights: Integers) -> Integers:
    """Multiply UINT8 by INT8 and add neighbours of the last axis in INT16, as the CPU does."""
    products = activations.astype(np.int64) * weights
    sums = products.reshape(*products.shape[:-1], -1, 2).sum(axis=-1)
    return np.clip(sums, -(2**15), 2**15 - 1)


def exact(activations: Integers, weights: Integers) -> Integers:
    products = activations.astype(np.int64) * weights
    return products.reshape(*products.shape[:-1], -1, 2).sum(axis=-1)


def every_pair(largest: int) -> Integers:
    """All pairs of activations that matter and many that do not, shape (count, 2)."""
    values = np.unique(np.r_[np.arange(0, largest + 1, 16), largest])
    return np.array([(a, b) for a in values for b in values])


@pytest.mark.parametrize(
    ("first", "second", "largest", "wrong"),
    [
        (64, 64, 255, False),
        (65, 63, 255, False),
        (65, 64, 255, True),
        (127, 1, 255, False),
        (127, 2, 255, True),
        (127, -128, 255, False),
        (-128, 0, 255, False),
        (-128, -1, 255, True),
        (127, 127, 129, False),
        (127, 127, 130, True),
    ],
)
def test_where_the_border_lies(first: int, second: int, largest: int, wrong: bool) -> None:
    weights = np.array([[first, second]], np.int8)
    fed = every_pair(largest)
    assert bool((vpmaddubsw(fed, weights) != exact(fed, weights)).any()) == wrong
    assert saturation_risk(weights, largest=largest).at_risk == wrong


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 9), st.integers(0, 255))
def test_pairs_at_risk_are_those_that_come_out_wrong(
    seed: int, channels: int, length: int, largest: int
) -> None:
    weights = np.random.default_rng(seed).integers(-128, 128, (channels, length)).astype(np.int8)
    risk = saturation_risk(weights, largest=largest)
    padded = np.pad(weights, ((0, 0), (0, length % 2)))
    fed = np.tile(every_pair(largest), padded.shape[1] // 2)[:, None, :]
    wrong = (vpmaddubsw(fed, padded) != exact(fed, padded)).any(axis=0)
    sums = exact(fed, padded)
    assert risk.pairs == wrong.size
    assert risk.at_risk == wrong.sum()
    assert risk.channels_at_risk == wrong.any(axis=1).sum()
    assert abs(risk.worst) == np.abs(sums).max()
    # A channel that is safe is right in whatever order its weights are packed.
    shuffled = np.random.default_rng(seed).permuted(padded, axis=1)
    risky = (vpmaddubsw(fed, shuffled) != exact(fed, shuffled)).any(axis=(0, 2))
    assert risk.channels_safe <= channels - risky.sum()


def only_risk(d: Drawing, output: str) -> Risk:
    (found,) = risks(read_quantized(d.model(d.head(output)), where="m"))
    return found[1]


@pytest.mark.parametrize(
    ("activation", "largest"),
    [("Relu", 255), ("Clip", 120), ("Sigmoid", 20)],
)
def test_the_range_of_an_activation_bounds_the_integers(activation: str, largest: int) -> None:
    d = Drawing(np.uint8, 0)
    ends = (d.constant(np.float32(0)), d.constant(np.float32(6))) if activation == "Clip" else ()
    risk = only_risk(d, d.conv(d.stored(d.node(activation, "x", *ends))))
    assert risk.largest == largest


def test_neighbours_are_channels_and_depthwise_kernels_are_exact() -> None:
    d = Drawing(np.uint8, 128)
    values = np.zeros((CHANNELS, CHANNELS, 3, 3))
    values[0, 0, 1, 1] = values[0, 1, 1, 1] = 127  # neighbours
    values[1, 0, 1, 1] = values[1, 0, 1, 2] = 127  # a whole row of channels apart
    risk = only_risk(d, d.conv(d.stored("x"), d.weights(values=values)))
    assert (risk.at_risk, risk.channels_at_risk) == (1, 1)
    assert (risk.channels_safe, risk.worst) == (CHANNELS - 2, 2 * 127 * 255)
    d = Drawing(np.uint8, 128)
    weights = d.weights((CHANNELS, 1, 3, 3), limit=127)
    output = d.node("Conv", d.stored("x"), weights, group=CHANNELS)
    assert list(risks(read_quantized(d.model(d.head(output)), where="m"))) == []
