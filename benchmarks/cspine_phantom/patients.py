"""Who is imaged: everything about a phantom that is drawn before anything is drawn on a film."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine_phantom.posture import Stance, draw_stance

Face = Literal["left", "right"]

VERTEBRAE = ("C2", "C3", "C4", "C5", "C6", "C7", "T1")
"""Label ``i + 1`` of a mask is the body of ``VERTEBRAE[i]``."""

LEVELS = ("C2/3", "C3/4", "C4/5", "C5/6", "C6/7", "C7/T1")
"""Level ``i`` is the disc below ``VERTEBRAE[i]``."""

SITES = ("A", "B", "C", "D")

SHARED = 0.3
"""Correlation of the severities of two levels of one patient."""

READER_NOISE = 0.2
"""Standard deviation of what separates a label from its severity, so that the classes overlap."""

THRESHOLD = 0.6
"""A level is positive above it: P(N(0, 1 + 0.2²) > 0.6) is 27.8 %."""

Stream = Literal["patient", "anatomy", "picture", "posture"]

_STREAMS: dict[Stream, int] = {"patient": 0, "anatomy": 1, "picture": 2, "posture": 3}


def generator(seed: int, number: int, *, stream: Stream) -> np.random.Generator:
    """Return the random stream of one aspect of one patient.

    The aspects have streams of their own so that a change to how a picture is formed leaves the
    truth as it was.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    return numbered(seed, number, _STREAMS[stream])


def numbered(seed: int, number: int, stream: int) -> np.random.Generator:
    """Return a random stream of one patient by its number: no two aspects may share one.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(number, stream))
    return np.random.Generator(np.random.PCG64(sequence))


@dataclass(frozen=True)
class Patient:
    """One phantom patient.

    Lengths are in millimetres before ``scale`` is applied.

    Attributes
    ----------
    bmi
        Body mass index, kg/m2: how thick the neck is.
    disc_mm
        Height of a disc of severity 0.
    severity, labels
        Ordered as `LEVELS`: what anatomy shows, and what the reader who gives the truth says.
    second
        What a second reader says, whose noise is as large and independent.
    """

    seed: int
    number: int
    site: str
    sex: Literal["F", "M"]
    age: int
    face: Face
    scale: float
    bmi: float
    stance: Stance
    canal_mm: float
    disc_mm: float
    severity: tuple[float, ...]
    labels: tuple[bool, ...]
    second: tuple[bool, ...]

    @property
    def identifier(self) -> str:
        """Patient ID; no two pairs of seed and number share one."""
        return f"PHANTOM-{self.seed}-{self.number:05d}"


def draw_patient(seed: int, number: int) -> Patient:
    """Draw patient `number` of `seed`; the same pair is the same patient on every machine.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    rng = generator(seed, number, stream="patient")
    shared = rng.standard_normal()
    severity = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * rng.standard_normal(len(LEVELS))
    read = severity + READER_NOISE * rng.standard_normal((2, len(LEVELS)))
    sex: Literal["F", "M"] = "F" if rng.random() < 0.5 else "M"
    stature = rng.normal(1.03 if sex == "M" else 0.96, 0.03)
    # Age leans on severity so little that what else it changes tells no label.
    age = int(np.clip(rng.normal(56 + 2 * shared, 13), 22, 88))
    return Patient(
        seed=seed,
        number=number,
        sex=sex,
        age=age,
        face="left" if rng.random() < 0.5 else "right",
        scale=float(np.clip(stature, 0.89, 1.09)),
        bmi=float(np.clip(26 * np.exp(rng.normal(0, 0.16)), 17, 42)),
        stance=draw_stance(generator(seed, number, stream="posture")),
        canal_mm=float(np.clip(rng.normal(17.0, 1.1), 14.5, 19.5)),
        # Whatever its discs have lost, a neck is as long as others: its length would tell labels.
        disc_mm=float(np.clip(rng.normal(5.8, 0.5), 4.6, 7.0) / disc_left(severity).mean()),
        severity=tuple(severity.tolist()),
        labels=tuple((read[0] > THRESHOLD).tolist()),
        second=tuple((read[1] > THRESHOLD).tolist()),
        site=SITES[int(rng.integers(len(SITES)))],
    )


def disc_left(severity: ArrayLike) -> NDArray[np.float64]:
    """Return the part of a disc's height that its severity leaves."""
    left: NDArray[np.float64] = 1 - 0.13 * np.clip(severity, -2, 3)
    return left
