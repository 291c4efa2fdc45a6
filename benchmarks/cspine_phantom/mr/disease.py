"""What narrows the canal of a phantom: an ossified ligament (OPLL), worn discs, or both.

One latent number a patient, the **evidence** E, standard normal, is all that the anatomy knows of
the class: the ossification's thickness and how far it reaches follow from it
(:mod:`~cspine_phantom.mr.stenosis`), from a ligament that is only thick to a mass of more than six
millimetres. The label is the evidence read with noise,

    OPLL = 1 where E + READER_NOISE * N > THRESHOLD, N standard normal and independent,

so both classes have thin ones, and no reader of the images does better than who reads E itself.
That reader's area under the ROC curve is :func:`cspine_phantom.measure.ideal.ideal_auc` of the same
noise and threshold. Discs and osteophytes narrow the canal in both classes alike, whatever E is, so
that stenosis tells next to nothing of the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cspine_phantom.measure.ideal import ideal_auc as _ideal_auc
from cspine_phantom.patients import numbered

Pattern = Literal["segmental", "mixed", "continuous", "localised"]

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)

LABEL = "OPLL"
"""Name of the class, and of its column in a case set."""

READER_NOISE = 0.3
"""Standard deviation of what separates a label from its evidence, so that the classes overlap."""

THRESHOLD = 0.0
"""A patient is positive above it, which half of them are."""

_SHARES = (0.38, 0.29, 0.27, 0.06)  # round figures of the four types

Stream = Literal["disease", "anatomy", "study", "picture", "files", "grades", "axials"]

# The radiographs of a patient draw from the streams 0 to 3.
_STREAMS: dict[Stream, int] = {
    "disease": 16, "anatomy": 17, "study": 18, "picture": 19, "files": 20, "grades": 24,
    "axials": 25,
}  # fmt: skip


def generator(seed: int, number: int, *, stream: Stream) -> np.random.Generator:
    """Return the random stream of one aspect of one patient's MR study.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    return numbered(seed, number, _STREAMS[stream])


@dataclass(frozen=True)
class Disease:
    """What narrows one patient's canal.

    Attributes
    ----------
    evidence
        E above; recorded as the severity of the class.
    label, second
        What the reader who gives the truth says, and a second one whose noise is as large.
    stenosis
        Standard normal and independent of the evidence: how much room is lost at the worst level.
    pattern
        How an ossification spreads: behind bodies alone, behind bodies and discs, both, or at one
        disc.
    worst
        Index of the worst disc, 1 (C3/4) to 4 (C6/7).
    """

    evidence: float
    label: bool
    second: bool
    stenosis: float
    pattern: Pattern
    worst: int

    @property
    def thickness_mm(self) -> float:
        """Thickness of the ossified, or merely thick, ligament: 2.4 mm where E is 0."""
        return float(np.clip(2.4 + 1.5 * self.evidence, 0.5, 6.5))

    @property
    def reach(self) -> int:
        """Number of bodies that the ossification lies behind."""
        if self.pattern == "localised":
            return 1
        return 3 + int(np.rint(np.clip(0.7 * self.evidence, -1, 2)))

    @property
    def lost_mm(self) -> float:
        """Depth of the canal that is lost in front of the cord at the worst level."""
        return float(np.clip(5.0 + 1.2 * self.stenosis, 2.0, 8.0))


def draw_disease(seed: int, number: int) -> Disease:
    """Draw the disease of patient `number` of `seed`.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    rng = generator(seed, number, stream="disease")
    evidence = rng.standard_normal()
    read = evidence + READER_NOISE * rng.standard_normal(2)
    pattern = PATTERNS[int(np.searchsorted(np.cumsum(_SHARES)[:-1], rng.random()))]
    return Disease(
        evidence=float(evidence),
        label=bool(read[0] > THRESHOLD),
        second=bool(read[1] > THRESHOLD),
        stenosis=float(rng.standard_normal()),
        pattern=pattern,
        worst=int(rng.choice([1, 2, 3, 4], p=[0.15, 0.25, 0.4, 0.2])),
    )


def ideal_auc() -> float:
    """Return the AUC of who reads the evidence without error, which no reader of images exceeds."""
    return _ideal_auc(noise=READER_NOISE, threshold=THRESHOLD)
