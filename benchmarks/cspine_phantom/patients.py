"""Who is imaged: everything about a phantom that is drawn before anything is drawn on a film."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Face = Literal["left", "right"]

VERTEBRAE = ("C2", "C3", "C4", "C5", "C6", "C7", "T1")
"""Label ``i + 1`` of a mask is the body of ``VERTEBRAE[i]``."""

LEVELS = ("C2/3", "C3/4", "C4/5", "C5/6", "C6/7", "C7/T1")
"""Level ``i`` is the disc below ``VERTEBRAE[i]``."""

SITES = ("A", "B", "C")

SHARED = 0.3
"""Correlation of the severities of two levels of one patient."""

READER_NOISE = 0.2
"""Standard deviation of what separates a label from its severity, so that the classes overlap."""

THRESHOLD = 0.6
"""A level is positive above it: P(N(0, 1 + 0.2²) > 0.6) is 27.8 %."""

_STREAMS = {"patient": 0, "anatomy": 1, "picture": 2}


def generator(
    seed: int, number: int, *, stream: Literal["patient", "anatomy", "picture"]
) -> np.random.Generator:
    """Return the random stream of one aspect of one patient.

    The aspects have streams of their own so that a change to how a picture is formed leaves the
    truth as it was.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(number, _STREAMS[stream]))
    return np.random.Generator(np.random.PCG64(sequence))


@dataclass(frozen=True)
class Patient:
    """One phantom patient.

    ``severity`` and ``labels`` are ordered as `LEVELS`; angles are in degrees, lengths in
    millimetres before ``scale`` is applied.
    """

    seed: int
    number: int
    site: str
    sex: Literal["F", "M"]
    age: int
    face: Face
    scale: float
    lordosis_deg: float
    t1_slope_deg: float
    tilt_deg: float
    canal_mm: float
    disc_mm: float
    severity: tuple[float, ...]
    labels: tuple[bool, ...]

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
    observed = severity + READER_NOISE * rng.standard_normal(len(LEVELS))
    sex: Literal["F", "M"] = "F" if rng.random() < 0.5 else "M"
    stature = rng.normal(1.03 if sex == "M" else 0.96, 0.03)
    return Patient(
        seed=seed,
        number=number,
        site=SITES[int(rng.integers(len(SITES)))],
        sex=sex,
        age=int(np.clip(rng.normal(56 + 4 * shared, 13), 22, 88)),
        face="left" if rng.random() < 0.5 else "right",
        scale=float(np.clip(stature, 0.89, 1.09)),
        lordosis_deg=float(np.clip(rng.normal(14, 8), -6, 32)),
        t1_slope_deg=float(np.clip(rng.normal(23, 5), 12, 34)),
        tilt_deg=float(np.clip(rng.normal(0, 4), -9, 9)),
        canal_mm=float(np.clip(rng.normal(17.0, 1.1), 14.5, 19.5)),
        disc_mm=float(np.clip(rng.normal(5.8, 0.5), 4.6, 7.0)),
        severity=tuple(float(value) for value in severity),
        labels=tuple(bool(value > THRESHOLD) for value in observed),
    )
