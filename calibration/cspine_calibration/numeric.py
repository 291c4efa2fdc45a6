"""How far one backend's outputs lie from another's, as a signal-to-noise ratio."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from cspine.backends import Array
from cspine.errors import ModelError


class Computes(Protocol):
    """What can be compared: a backend, or less."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return freshly owned arrays."""


def sqnr(reference: Array, candidate: Array) -> float:
    """Return the signal-to-quantisation-noise ratio in decibels.

    ``10 log10(sum(reference^2) / sum((reference - candidate)^2))``; infinite if the two are equal.

    Parameters
    ----------
    reference, candidate
        Numbers of the same shape.

    Raises
    ------
    ModelError
        If the shapes differ.
    """
    return decibels(*energies(reference, candidate))


def compare(
    reference: Computes, candidate: Computes, feeds: Iterable[Mapping[str, Array]]
) -> dict[str, float]:
    """Return, for every output of the reference, its SQNR over all cases together, in decibels.

    Parameters
    ----------
    feeds
        The inputs, case by case; read once.

    Raises
    ------
    ModelError
        If there are no cases, or the candidate lacks an output or gives another shape.
    """
    signal: dict[str, float] = defaultdict(float)
    noise: dict[str, float] = defaultdict(float)
    for feed in feeds:
        expected, got = reference.run(feed), candidate.run(feed)
        for name, values in expected.items():
            if name not in got:
                raise ModelError(f"candidate has outputs {', '.join(got)}, expected also {name!r}")
            sums = energies(values, got[name])
            signal[name] += sums[0]
            noise[name] += sums[1]
    if not signal:
        raise ModelError("nothing to compare: no cases")
    return {name: decibels(signal[name], noise[name]) for name in signal}


def energies(reference: Array, candidate: Array) -> tuple[float, float]:
    """Return the energy of the reference and that of the difference, to be added up over cases.

    Raises
    ------
    ModelError
        If the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ModelError(f"shapes {reference.shape} and {candidate.shape} cannot be compared")
    exact = reference.astype(np.float64)
    return float(np.sum(exact**2)), float(np.sum((exact - candidate) ** 2))


def decibels(signal: float, noise: float) -> float:
    """Return the ratio of two energies in decibels; infinite if there is no noise."""
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal else -math.inf
