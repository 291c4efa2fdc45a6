"""What MR sees of tissues, and the signal that a sequence gets from each.

Relaxation times are round figures of the ranges in Stanisz et al. (Magn Reson Med 2005;54:507) and
Gold et al. (AJR 2004;183:343); fat's T2 is that of a train of echoes, in which it stays bright.
"""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.volume.tissue import FIRST_BODY, FIRST_DISC, LABEL

Table = NDArray[np.float32]
"""(256,) signal by label."""

Weighting = Literal["T1", "T2", "STIR", "localiser"]


@dataclass(frozen=True)
class Tissue:
    """Proton density relative to water, T1 at 1.5 and 3 T, and T2, in milliseconds."""

    density: float
    t1_ms: tuple[float, float]
    t2_ms: float


_TISSUES: dict[str, Tissue] = {
    "air": Tissue(0.0, (1000, 1000), 1),
    "bone": Tissue(0.06, (900, 1000), 8),
    "ligament": Tissue(0.30, (850, 1000), 20),
    "fat": Tissue(0.92, (270, 370), 110),
    "muscle": Tissue(0.80, (1000, 1350), 42),
    "skin": Tissue(0.60, (800, 1000), 30),
    "marrow": Tissue(0.72, (520, 620), 78),
    "fatty marrow": Tissue(0.80, (380, 470), 90),
    "annulus": Tissue(0.52, (850, 1000), 34),
    "cord": Tissue(0.78, (800, 1000), 82),
    "oedema": Tissue(0.86, (1200, 1500), 140),
    "csf": Tissue(1.0, (3800, 4000), 1500),
    "flowing csf": Tissue(0.55, (3800, 4000), 600),
    "white matter": Tissue(0.74, (650, 880), 78),
    "grey matter": Tissue(0.84, (1000, 1350), 98),
    "mucosa": Tissue(0.85, (950, 1250), 85),
    "gland": Tissue(0.82, (750, 900), 62),
    "cartilage": Tissue(0.70, (900, 1050), 36),
    "vein": Tissue(0.85, (1400, 1600), 130),
    "flow void": Tissue(0.02, (1000, 1000), 5),
    "epidural": Tissue(0.80, (480, 620), 85),
}


@dataclass(frozen=True)
class Sequence:
    """One contrast.

    Attributes
    ----------
    inversion_ms
        0 without an inversion pulse.
    flip_deg
        90 for spin echoes; a gradient echo has less.
    train
        Echoes after one excitation.
    """

    weighting: Weighting
    repetition_ms: float
    echo_ms: float
    inversion_ms: float = 0.0
    flip_deg: float = 90.0
    train: int = 1


@dataclass(frozen=True)
class Tissues:
    """Density, T1 and T2 by label, of one patient at one field strength; (256,) each."""

    density: NDArray[np.float64]
    t1_ms: NDArray[np.float64]
    t2_ms: NDArray[np.float64]

    def signal(self, sequence: Sequence) -> Table:
        """Return the signal of every label.

        Spin echo: ``S = PD (1 - exp(-TR/T1)) exp(-TE/T2)``; after an inversion the bracket is
        ``|1 - 2 exp(-TI/T1) + exp(-TR/T1)|``; spoiled gradient echo: it is
        ``sin(a) (1 - exp(-TR/T1)) / (1 - cos(a) exp(-TR/T1))``.
        """
        left = np.exp(-sequence.repetition_ms / self.t1_ms)
        flip = np.deg2rad(sequence.flip_deg)
        if sequence.inversion_ms:
            ready = np.abs(1 - 2 * np.exp(-sequence.inversion_ms / self.t1_ms) + left)
        else:
            ready = np.sin(flip) * (1 - left) / (1 - np.cos(flip) * left)
        left_over = np.exp(-sequence.echo_ms / self.t2_ms)
        return np.asarray(self.density * ready * left_over, np.float32)


def tissues(
    field_t: float, *, severity: collections.abc.Sequence[float], rng: np.random.Generator
) -> Tissues:
    """Return the tissues of one patient.

    Parameters
    ----------
    field_t
        Static field, tesla; T1 is that of the nearer of 1.5 and 3.
    severity
        How worn the discs C2/3 to C7/T1 are: the more, the shorter T2.
    rng
        What differs from patient to patient and from body to body.
    """
    strong = int(field_t > 2)
    density, t1, t2 = np.zeros(256), np.full(256, 1000.0), np.full(256, 1.0)
    for name, label in LABEL.items():
        tissue = _TISSUES[name]
        density[label] = tissue.density
        t1[label], t2[label] = tissue.t1_ms[strong], tissue.t2_ms
    spread = rng.normal(1, 0.04, (2, len(LABEL)))
    t1[: len(LABEL)] *= spread[0]
    t2[: len(LABEL)] *= spread[1]
    nuclei = slice(FIRST_DISC, FIRST_DISC + 9)
    worn = np.array([*severity, 0.0, 0.0, 0.0])
    density[nuclei], t1[nuclei] = 0.74, (950, 1150)[strong]
    t2[nuclei] = np.clip(58.0 - 8.0 * worn + rng.normal(0, 7.0, 9), 36.0, 95.0)
    # Marrow turns to fat with age and where endplates have suffered, body by body.
    fat = rng.normal(0, 0.09) + rng.normal(0, 0.05, 16)
    bodies = slice(FIRST_BODY, FIRST_BODY + 16)
    marrow = LABEL["marrow"]
    density[bodies] = density[marrow] * (1 + 0.5 * fat)
    t1[bodies] = t1[marrow] * (1 - fat)
    t2[bodies] = t2[marrow] * (1 + 0.7 * fat)
    return Tissues(density, t1, t2)
