"""How narrow worn discs make each level of a phantom's canal, and the grade that readers give it.

The grades are Kang's (AJR 2011;197:W134): 0 no stenosis, 1 more than half of the subarachnoid space
obliterated, 2 cord deformed, 3 cord bright on T2. One number a level, its **narrowness**, is all
that the canal knows of the grade: the severity of the disc
(:class:`~cspine_phantom.patients.Patient`) and how much more or less the canal narrows at that
level in most people,

    narrowness = severity + LEAN[level], severity standard normal.

The drawn canal (:mod:`~cspine_phantom.mr.narrowed`) crosses a grade's threshold of geometry where
the narrowness crosses that of `THRESHOLDS`. A reader sees it with noise,

    grade = number of thresholds below narrowness + READER_NOISE * N, N standard normal,

so the grades overlap, and what can be reached is known: :func:`ideal_matrix`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine_bench.metrics.agreement import kappa
from cspine_phantom.mr.disease import generator
from cspine_phantom.patients import LEVELS, Patient

LEAN = (-0.7, 0.2, 0.55, 0.75, 0.35, -0.7)
"""By level, C2/3 first: C5/6 is the narrowest of most."""

THRESHOLDS = (-0.4, 0.45, 1.3)
"""Narrowness from which a level has grade 1, 2 and 3."""

POSITIVE = 2
"""The cord is compressed from this grade on."""

READER_NOISE = 0.25
"""Standard deviation of what separates a reader's grade from the drawn one."""

_CLASSES = len(THRESHOLDS) + 1

Matrix = NDArray[np.float64]
"""(4, 4) shares of levels by two gradings."""


@dataclass(frozen=True)
class Narrowing:
    """How narrow one patient's canal is; everything is ordered as `LEVELS`.

    Attributes
    ----------
    narrowness
        What the canal is drawn from, and the severity of a grade.
    grades, second
        0 to 3, what the reader who gives the truth says, and a second one whose noise is as large.
    steep
        How much faster than in most the cord is flattened beyond the threshold of grade 2, so that
        how flat it is does not tell whether it is bright.
    symptom
        Points lost on a scale of 17, which follow from the narrowest level and from much else.
    """

    narrowness: tuple[float, ...]
    grades: tuple[int, ...]
    second: tuple[int, ...]
    steep: tuple[float, ...]
    symptom: int

    @property
    def drawn(self) -> tuple[int, ...]:
        """The grades of who reads without error."""
        return tuple(_grades(np.array(self.narrowness)))


def draw_narrowing(patient: Patient) -> Narrowing:
    """Draw how narrow the canal of a patient is and what two readers say of it."""
    rng = generator(patient.seed, patient.number, stream="grades")
    narrowness = np.array(patient.severity) + LEAN
    read = narrowness + READER_NOISE * rng.standard_normal((2, len(LEVELS)))
    steep = rng.uniform(0.6, 1.5, len(LEVELS))
    lost = 4.0 + 2.0 * narrowness.max() + 2.6 * rng.standard_normal()
    return Narrowing(
        narrowness=tuple(narrowness.tolist()),
        grades=tuple(_grades(read[0])),
        second=tuple(_grades(read[1])),
        steep=tuple(steep.tolist()),
        symptom=int(np.clip(np.rint(lost), 0, 17)),
    )


def ideal_matrix() -> Matrix:
    """Return the shares of levels by drawn grade (rows) and by a reader's (columns)."""
    at, density = _narrowness()
    drawn = np.searchsorted(THRESHOLDS, at)[:, None] == np.arange(_CLASSES)
    matrix: Matrix = (density[:, None] * drawn).T @ readings(at)
    return matrix


def readers_matrix() -> Matrix:
    """Return the shares of levels by the grades of two readers, the reference and the second."""
    at, density = _narrowness()
    read = readings(at)
    matrix: Matrix = (density[:, None] * read).T @ read
    return matrix


def ideal_kappa() -> float:
    """Return the quadratic kappa, with a reader, of who reads without error, levels pooled."""
    return kappa(ideal_matrix(), weights="quadratic")


def readers_kappa() -> float:
    """Return the quadratic kappa of two readers, levels pooled."""
    return kappa(readers_matrix(), weights="quadratic")


def _narrowness() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values of narrowness and the share of levels at each, (n,)."""
    at = np.linspace(-9.0, 9.0, 20_001)
    density = np.exp(-0.5 * (at[:, None] - LEAN) ** 2).sum(axis=1)
    return at, density / density.sum()


def readings(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of readers who give each grade to a narrowness, (n, 4)."""
    above = [
        [0.5 * math.erfc((edge - each) / (READER_NOISE * math.sqrt(2))) for each in at]
        for edge in THRESHOLDS
    ]
    at_least = np.array([np.ones_like(at), *above, np.zeros_like(at)])
    each: NDArray[np.float64] = (at_least[:-1] - at_least[1:]).T
    return each


def _grades(values: NDArray[np.float64]) -> list[int]:
    found: list[int] = np.searchsorted(THRESHOLDS, values).tolist()
    return found
