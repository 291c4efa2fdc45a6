"""Every region of a set as both pipelines found it on its slice, and what one changes of the other.

A study that was refused has no regions: those of the truth, or of the other pipeline, are lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.figure import (
    ArmName,
    Figure,
    Flags,
    Floats,
    Patients,
    mean_figure,
    share,
)
from cspine_bench.marks import Edges
from cspine_bench.metrics.detection import iou

FOUND = 0.5
"""Least overlap with the true region of what finds it, as detectors are commonly judged."""
KEPT = 0.9
"""Least overlap with the reference's region of what counts as the same."""


@dataclass(frozen=True)
class PairedBoxes:
    """The slices of a set on which a region is, or was found; all arrays have shape (slices,).

    Attributes
    ----------
    line, slice
        Which case, by its line in ``cases.csv``, and which of its slices from the feet.
    patient
        Number, equal within a patient.
    truth, reference, candidate
        Whether there is a region, and whether either found one.
    reference_iou, candidate_iou
        Overlap of what either found with the true region; 0 where one of both is not.
    iou
        Overlap of what the two found, likewise.
    """

    line: npt.NDArray[np.int64]
    slice: npt.NDArray[np.int64]
    patient: Patients
    truth: Flags
    reference: Flags
    candidate: Flags
    reference_iou: Floats
    candidate_iou: Floats
    iou: Floats


class BoxPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline finds the true regions of a set.

    ``recall`` is the share of the ``regions`` that it has at an overlap of 0.5 or more, ``iou`` the
    mean overlap of what it has on slices with a region. ``elsewhere`` counts what it has on slices
    without one.
    """

    regions: int
    recall: Figure
    iou: Figure
    elsewhere: int


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """How much two regions overlap, on a slice of the case of a line in ``cases.csv``."""

    value: float
    line: int
    slice: int


class BoxChange(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate finds otherwise than the reference.

    ``kept`` is the share of the reference's ``boxes`` that the candidate has at an overlap of 0.9
    or more on the same slice, ``lost`` counts those of slices on which it has none, ``gained`` its
    own where the reference has none. ``iou`` is the mean overlap where both have one, ``least`` the
    least.
    """

    boxes: int
    kept: Figure
    lost: int
    gained: int
    iou: Figure
    least: Overlap | None


def paired_boxes(cases: Sequence[CaseAnswers]) -> PairedBoxes | None:
    """Lay out the regions of some cases, by slice; ``None`` if there are none."""
    keys = [
        (case, number)
        for case in cases
        for number in sorted(
            case.true_boxes.keys() | case.reference.boxes.keys() | case.candidate.boxes.keys()
        )
    ]
    if not keys:
        return None

    def overlaps(pairs: Sequence[tuple[Mapping[int, Edges], Mapping[int, Edges]]]) -> Floats:
        numbers = [number for _, number in keys]
        return np.array([_iou(*pair, at) for pair, at in zip(pairs, numbers, strict=True)], float)

    return PairedBoxes(
        line=np.array([case.line for case, _ in keys], np.int64),
        slice=np.array([number for _, number in keys], np.int64),
        patient=np.array([case.patient for case, _ in keys], np.int64),
        truth=np.array([number in case.true_boxes for case, number in keys], bool),
        reference=np.array([number in case.reference.boxes for case, number in keys], bool),
        candidate=np.array([number in case.candidate.boxes for case, number in keys], bool),
        reference_iou=overlaps([(case.true_boxes, case.reference.boxes) for case, _ in keys]),
        candidate_iou=overlaps([(case.true_boxes, case.candidate.boxes) for case, _ in keys]),
        iou=overlaps([(case.reference.boxes, case.candidate.boxes) for case, _ in keys]),
    )


def box_performance(boxes: PairedBoxes, *, arm: ArmName) -> BoxPerformance:
    """Score one of the two pipelines on the true regions of a set."""
    found: Flags = getattr(boxes, arm)
    overlap: Floats = getattr(boxes, f"{arm}_iou")
    true, both = boxes.truth, boxes.truth & found
    return BoxPerformance(
        regions=int(true.sum()),
        recall=share(overlap[true] >= FOUND, boxes.patient[true]),
        iou=mean_figure(overlap[both], boxes.patient[both]),
        elsewhere=int((found & ~true).sum()),
    )


def box_change(boxes: PairedBoxes) -> BoxChange:
    """Compare the two pipelines on the regions that they found."""
    both = np.flatnonzero(boxes.reference & boxes.candidate)
    least = None
    if both.size:
        at = int(both[boxes.iou[both].argmin()])
        least = Overlap(
            value=float(boxes.iou[at]), line=int(boxes.line[at]), slice=int(boxes.slice[at])
        )
    _, kept, patients = kept_boxes(boxes)
    return BoxChange(
        boxes=kept.size,
        kept=share(kept, patients),
        lost=int((boxes.reference & ~boxes.candidate).sum()),
        gained=int((boxes.candidate & ~boxes.reference).sum()),
        iou=mean_figure(boxes.iou[both], boxes.patient[both]),
        least=least,
    )


def kept_boxes(boxes: PairedBoxes) -> tuple[Flags, Flags, Patients]:
    """Return of each region of the reference that it has it, and whether the candidate does.

    And the patients; all of shape (regions,).
    """
    of = boxes.reference
    return of[of], boxes.iou[of] >= KEPT, boxes.patient[of]


def _iou(one: Mapping[int, Edges], other: Mapping[int, Edges], number: int) -> float:
    if number not in one or number not in other:
        return 0.0
    return float(iou([one[number]], [other[number]])[0, 0])
