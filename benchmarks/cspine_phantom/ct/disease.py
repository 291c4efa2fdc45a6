"""How narrow the canal of a phantom is, and what a reader calls it.

One latent number a patient, the **evidence** E, standard normal, is all that the anatomy knows of
the class: it says how much room is left from front to back at the worst level
(:func:`room_mm`), and spurs of bone and thick ligament take the rest. A reader calls a canal by the
evidence with an error of his own for the patient,

    E + READER_NOISE * N, N standard normal and independent,

and the first of `CLASSES` below the first of `THRESHOLDS`, and so on. Where a slice shows another
room, the same reader calls the slice by the evidence of that room with the same error. CT is read
against MR of the same patient, which is why its readers err. No reader of the images does better
than who reads E itself: :func:`ideal_accuracy` and :func:`ideal_auc` are that reader's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cspine_phantom.measure.ideal import ideal_auc as _ideal_auc
from cspine_phantom.patients import numbered

Grade = Literal["none", "mild", "severe"]

CLASSES: tuple[Grade, ...] = get_args(Grade)
"""In order of severity."""

POSITIVE: tuple[Grade, ...] = ("mild", "severe")
"""What counts as a narrow canal where two answers are wanted."""

LABEL = "stenosis"
"""Name of the finding, and of its column in a case set."""

READER_NOISE = 0.22
"""Standard deviation of what separates a label from its evidence, so that the classes overlap."""

THRESHOLDS = tuple(math.sqrt(1 + READER_NOISE**2) * z for z in (-0.12566, 0.67449))
"""Between the classes: 45 % of patients have none, 30 % mild and 25 % severe stenosis."""

_ROOM_MM, _LOST_MM = 10.2, 1.75
_LEAST_ROOM_MM, _MOST_ROOM_MM = 4.2, 14.2

Stream = Literal["disease", "anatomy", "study", "picture", "files"]

# The radiographs of a patient draw from the streams 0 to 3, the MR studies from 16 on.
_STREAMS: dict[Stream, int] = {
    "disease": 48, "anatomy": 49, "study": 50, "picture": 51, "files": 52,
}  # fmt: skip


def generator(seed: int, number: int, *, stream: Stream) -> np.random.Generator:
    """Return the random stream of one aspect of one patient's CT study.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    return numbered(seed, number, _STREAMS[stream])


def room_mm(evidence: float) -> float:
    """Return what an evidence leaves of the dural sac from front to back, millimetres."""
    return float(np.clip(_ROOM_MM - _LOST_MM * evidence, _LEAST_ROOM_MM, _MOST_ROOM_MM))


def evidence_of(room: float) -> float:
    """Return the evidence that leaves such a room, the inverse of :func:`room_mm`."""
    return (_ROOM_MM - room) / _LOST_MM


def graded(evidence: float, error: float) -> Grade:
    """Return what a reader with an error calls an evidence."""
    return CLASSES[int(np.searchsorted(THRESHOLDS, evidence + error))]


@dataclass(frozen=True)
class Disease:
    """How narrow one patient's canal is.

    Attributes
    ----------
    evidence
        E above; recorded as the severity of the class.
    error, second_error
        Of the reader who gives the truth, and of a second one.
    worst
        Index of the worst disc, 1 (C3/4) to 4 (C6/7).
    """

    evidence: float
    error: float
    second_error: float
    worst: int

    @property
    def grade(self) -> Grade:
        """What the reader who gives the truth says."""
        return graded(self.evidence, self.error)

    @property
    def second(self) -> Grade:
        """What a second reader says."""
        return graded(self.evidence, self.second_error)


def draw_disease(seed: int, number: int) -> Disease:
    """Draw the disease of patient `number` of `seed`.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    rng = generator(seed, number, stream="disease")
    evidence, *errors = rng.standard_normal(3).tolist()
    return Disease(
        evidence=evidence,
        error=READER_NOISE * errors[0],
        second_error=READER_NOISE * errors[1],
        worst=int(rng.choice([1, 2, 3, 4], p=[0.15, 0.25, 0.4, 0.2])),
    )


def ideal_auc() -> float:
    """Return the AUC, positive or not, of who reads the evidence without error."""
    return _ideal_auc(noise=READER_NOISE, threshold=THRESHOLDS[0])


def ideal_accuracy(thresholds: tuple[float, ...] = THRESHOLDS[:1]) -> float:
    """Return the largest accuracy that anyone can have, who then reads the evidence itself.

    That reader calls each evidence the likeliest class, so it is the mean over E of the largest of
    the classes' probabilities, ``Phi((t - E) / noise)`` between the thresholds t. It is taken by
    the trapezoidal rule, whose ends are nought here.

    Parameters
    ----------
    thresholds
        Those between the classes that are told apart: two classes, positive or not, unless
        `THRESHOLDS` are given.
    """
    evidence = np.linspace(-9.0, 9.0, 20_001)
    density = np.exp(-0.5 * evidence**2) / math.sqrt(2 * math.pi)
    below = [
        [0.5 * math.erfc((each - t) / (READER_NOISE * math.sqrt(2))) for each in evidence.tolist()]
        for t in thresholds
    ]
    edges = np.array([np.zeros_like(evidence), *below, np.ones_like(evidence)])
    step = evidence[1] - evidence[0]
    return float((density * np.diff(edges, axis=0).max(axis=0)).sum() * step)
