"""What two pipelines answer on the cases of a set: the raw scores that a verdict follows from.

A patient is a number, the line of their first case, and nothing else names them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.dicom.select import Study
from cspine.errors import ModelError
from cspine.findings import Refused, Source
from cspine.image import Image
from cspine.outcome import Labelled, Outcome
from cspine.pipeline import Pipeline
from cspine.spec import Accept, Levels, PipelineSpec, Segment
from cspine.transform import sample_labels
from cspine_bench.cases import FILE, Case, study_digest
from cspine_bench.metrics.overlap import dice, overlaps_most

Labels = npt.NDArray[np.uint8]


class Score(msgspec.Struct, frozen=True, array_like=True):
    """The classifier's logit, which keeps what a rounded probability loses, and the decision."""

    logit: float
    positive: bool


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What one pipeline answers on a case.

    ``refusal`` is the code of one; ``scores`` are of the labelled levels that were answered.
    ``dice`` is of each vertebra on the localiser's grid, ``None`` if it is neither there nor found,
    and ``numbered`` says whether each vertebra found lies on the true one of its name; of a case
    that was refused or has no mask they are empty and ``None``.
    """

    refusal: str | None
    scores: dict[str, Score]
    dice: dict[str, float | None]
    numbered: bool | None


class CaseAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """A case, named by its line in ``cases.csv``, and how both pipelines answer it.

    ``study`` is the digest of its pixels; ``unfit`` says why it must be refused, ``None`` that it
    need not be.
    """

    line: int
    study: str
    patient: int
    unfit: str | None
    groups: dict[str, str]
    truth: dict[str, bool]
    severity: dict[str, float]
    reference: Arm
    candidate: Arm


class Decoded:
    """A study that is decoded once, however many pipelines judge it."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._found: Image | Refused | None = None

    @cached_property
    def digest(self) -> str:
        """What tells the study again by its pixels, which are read for it once."""
        return study_digest(self.study)

    @property
    def source(self) -> Source | None:
        """Where the image comes from."""
        return self.study.source

    def image(self, accept: Accept) -> Image:
        """Return the image, or refuse: the first time by decoding, then what was found."""
        if self._found is None:
            try:
                self._found = self.study.image(accept)
            except Refused as refused:
                self._found = refused
        if isinstance(self._found, Refused):
            raise self._found
        return self._found


def answer(
    case: Case, decoded: Decoded, pipelines: tuple[Pipeline, Pipeline], *, patient: int
) -> CaseAnswers:
    """Send a case through the reference and the candidate."""
    mask = case.read_mask()
    if mask is not None:
        _check_mask(mask, case, pipelines[0].spec)
    reference, candidate = (
        _arm(pipeline.run(decoded), case, mask, pipeline.spec) for pipeline in pipelines
    )
    return CaseAnswers(
        line=case.row,
        study=decoded.digest,
        patient=patient,
        unfit=case.unfit,
        groups=dict(case.groups),
        truth=dict(case.labels),
        severity=dict(case.severity),
        reference=reference,
        candidate=candidate,
    )


def patient_numbers(cases: Sequence[Case]) -> list[int]:
    """Return for each case the line of its patient's first."""
    first: dict[str, int] = {}
    return [first.setdefault(case.patient, case.row) for case in cases]


def _arm(outcome: Outcome, case: Case, mask: Labels | None, spec: PipelineSpec) -> Arm:
    findings = outcome.findings
    overlap: dict[str, float | None] = {}
    numbered = None
    seen = outcome.view.labelled if outcome.view else None
    if outcome.view is not None and seen is not None and mask is not None:
        bodies = [vertebra.label for vertebra in findings.vertebrae]
        truth = _true_labels(mask, outcome.view.image, seen, case)
        overlap, numbered = _compare(seen, bodies, truth, spec)
    return Arm(
        refusal=findings.refusal.code if findings.refusal else None,
        scores={
            level.label: Score(_shortest(outcome.logits[level.label]), level.positive)
            for level in findings.levels
            if level.label in case.labels
        },
        dice=overlap,
        numbered=numbered,
    )


def _check_mask(mask: Labels, case: Case, spec: PipelineSpec) -> None:
    """Refuse a mask of which Dice would say nothing: of both arms alike, and so a pass."""
    segment: Segment = spec.only(Segment)
    stage: Levels = spec.only(Levels)
    values = set(np.unique(mask).tolist())
    if max(values) >= len(segment.labels):
        raise ModelError(
            f"{FILE}, line {case.row}: the mask holds {max(values)}, expected the index of a label "
            f"of stage {segment.id!r}, 0 to {len(segment.labels) - 1}"
        )
    if not values & {segment.labels.index(name) for name in stage.vertebrae}:
        raise ModelError(f"{FILE}, line {case.row}: the mask shows no vertebra; leave it out")


def _shortest(logit: float) -> float:
    """Return the number of fewest digits that is the same float32."""
    return float(str(np.float32(logit)))


def _true_labels(mask: Labels, image: Image, seen: Labelled, case: Case) -> Labels:
    """Return the true label map on the localiser's grid."""
    if mask.shape != image.shape:
        raise ModelError(
            f"{FILE}, line {case.row}: the mask is {mask.shape}, the image {image.shape}; a mask "
            "has the pixel grid of its image"
        )
    rows, columns = seen.labels.shape
    return sample_labels(mask, seen.to_image, size_px=(rows, columns))


def _compare(
    seen: Labelled, bodies: Sequence[str], truth: Labels, spec: PipelineSpec
) -> tuple[dict[str, float | None], bool]:
    """Return the Dice of each vertebra, and whether the bodies found are numbered right."""
    segment: Segment = spec.only(Segment)
    levels: Levels = spec.only(Levels)
    numbers = {name: segment.labels.index(name) for name in levels.vertebrae}
    found: Mapping[int, float] = dice(truth, seen.labels, labels=numbers.values())
    every = tuple(numbers.values())
    right = all(
        overlaps_most(seen.labels, truth, label=numbers[name], labels=every) == numbers[name]
        for name in bodies
    )
    return {
        name: None if math.isnan(found[number]) else found[number]
        for name, number in numbers.items()
    }, right
