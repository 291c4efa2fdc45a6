"""The best that anyone can do on phantoms: who reads a level's severity off without error.

A label is the severity read with noise, ``S + noise * N > threshold`` with S and N standard normal.
The likelihood of a label rises with S, so no score tells the classes better than S itself does
(Neyman and Pearson 1933), and its area under the ROC curve bounds that of every model. One that
does better on a fair set has seen the label in another way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cspine_bench.metrics.auc import auc, auc_interval
from cspine_bench.metrics.interval import Interval
from cspine_phantom.patients import LEVELS, READER_NOISE, THRESHOLD, Patient


def prevalence(*, noise: float = READER_NOISE, threshold: float = THRESHOLD) -> float:
    """Return the part of levels that are positive: P(N(0, 1 + noise²) > threshold)."""
    return 0.5 * math.erfc(threshold / math.sqrt(2 * (1 + noise**2)))


def ideal_auc(*, noise: float = READER_NOISE, threshold: float = THRESHOLD) -> float:
    """Return the area under the ROC curve of severity itself.

    With f the density of S and g(s) = P(label | s) = Phi((s - threshold) / noise), positives have
    the density f g / p and negatives f (1 - g) / (1 - p), where p is the prevalence, and

        AUC = 1 / (p (1 - p)) * integral of f g (integral to s of f (1 - g)) ds.

    Both are taken by the trapezoidal rule, whose error on these smooth functions is below 1e-7.

    Parameters
    ----------
    noise
        Standard deviation of the reader's error, above 0 (without one the AUC is 1).
    """
    severity = np.linspace(-9.0, 9.0, 40_001)
    step = severity[1] - severity[0]
    density = np.exp(-0.5 * severity**2) / math.sqrt(2 * math.pi)
    below = [0.5 * math.erfc((s - threshold) / (noise * math.sqrt(2))) for s in severity]
    negative = density * below
    positive = density - negative
    reached = np.concatenate([[0.0], np.cumsum((negative[1:] + negative[:-1]) / 2) * step])
    return float((positive * reached).sum() / (positive.sum() * reached[-1]))


def drawn_auc(patients: Sequence[Patient]) -> tuple[float, Interval]:
    """Return the same of a drawn set, with its interval clustered by patient.

    Raises
    ------
    ModelError
        If all levels have one label.
    """
    labels = np.array([patient.labels for patient in patients]).ravel()
    severity = np.array([patient.severity for patient in patients]).ravel()
    clusters = np.repeat(np.arange(len(patients)), len(LEVELS))
    return auc(labels, severity), auc_interval(labels, severity, clusters=clusters)
