"""What is said of a study: findings, or a refusal with its reason. The JSON is versioned.

Findings of the same input by the same bundle on the same backend are the same bytes: they hold
no time, no path and no name. :func:`findings_schema` gives
the JSON Schema, published as ``docs/findings.schema.json``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cspine.codes import Code
from cspine.schema import json_schema

SCHEMA = 3

NOT_FOR_DIAGNOSIS = "Not for diagnosis. Research software; no regulator has cleared it."


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, keyword-only."""


class Refusal(Struct, frozen=True, kw_only=True):
    """Why there is no answer, for a machine (code) and a person (reason, remedy)."""

    code: Code
    reason: str
    remedy: str


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """Carries a refusal from the stage that found its ground to the pipeline that answers."""

    def __init__(self, code: Code, reason: str, *, remedy: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(code=code, reason=reason, remedy=remedy)


Calibration = Literal["calibrated", "geometry", "detector plane", "unknown"]


class Spacing(Struct, frozen=True, kw_only=True):
    """Pixel spacing that millimetres rest on, and how far it can be trusted."""

    row_mm: float
    column_mm: float
    flag: Calibration


class Source(Struct, frozen=True, kw_only=True):
    """The instance that was judged, by the UIDs it came with and by its pixels.

    ``pixels`` is the SHA-256 of the pixel data as they are stored; a UID that is not stated, or
    not a valid one, is empty. ``frame`` is that of a multi-frame object, its number from 1.
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    pixels: str
    frame: int | None = None


class Identity(Struct, frozen=True, kw_only=True):
    """What judged it: enough to repeat the answer.

    ``target`` is the emission, null for FP32, and for FP16 where it is made of the FP32 graph.
    """

    pipeline: str
    bundle: str
    backend: str
    precision: str
    target: str | None


Corner = tuple[float, float]
Box = tuple[Corner, Corner, Corner, Corner]


class Vertebra(Struct, frozen=True, kw_only=True):
    """One labelled vertebra: centroid in image pixels (x, y) and area."""

    label: str
    centre_px: tuple[float, float]
    area_mm2: float


class ClassScore(Struct, frozen=True, kw_only=True):
    """One class of a grading, and how probable it is."""

    label: str
    probability: float


class Level(Struct, frozen=True, kw_only=True):
    """The answer at one disc level.

    ``grade`` is the most probable of ``classes``, which stand in order of severity; null and empty
    where there are but two answers. ``box_px`` are the four corners (x, y) in pixels of the stored
    image, zero-based at pixel centres: anterior-cranial, posterior-cranial, posterior-caudal,
    anterior-caudal.
    """

    label: str
    probability: float
    positive: bool
    decision: str
    box_px: Box
    grade: str | None = None
    classes: tuple[ClassScore, ...] = ()


class Landmark(Struct, frozen=True, kw_only=True):
    """A point that was found: (x, y) in pixels of the stored image, zero-based at pixel centres.

    ``confidence`` is the share of the network's map that lies near it.
    """

    name: str
    position_px: tuple[float, float]
    confidence: float


class Measurement(Struct, frozen=True, kw_only=True):
    """One value, and what it means.

    ``definition`` says between which lines it was taken, and ``lines_px`` where they lie: each from
    one (x, y) to another, in pixels as those of a landmark; what is measured to stands first.
    ``calibration`` is that of the spacing, for a length; ``null`` for what does not depend on it.
    ``level`` is where it was taken; ``source`` is the slice it was taken on, where that is another
    than the findings', and its lines lie there as it hangs: front up, the patient's left on the
    right. ``tilt_deg`` is the angle between that slice and the plane of the level's disc.
    """

    name: str
    value: float
    unit: Literal["mm", "%", "deg", "1"]
    definition: str
    lines_px: tuple[tuple[tuple[float, float], tuple[float, float]], ...]
    calibration: Calibration | None
    level: str | None = None
    source: Source | None = None
    tilt_deg: float | None = None

    @property
    def shown(self) -> str:
        """The value as a person reads it."""
        return f"{self.value:.2f}" if self.unit == "1" else f"{self.value:.1f} {self.unit}"


class SliceScore(Struct, frozen=True, kw_only=True):
    """What one slice of a stack says, and the corners (x, y) of what was judged of it.

    ``grade`` and ``classes`` are as those of a level.
    """

    source: Source | None
    probability: float
    box_px: Box
    grade: str | None = None
    classes: tuple[ClassScore, ...] = ()


class Decision(Struct, frozen=True, kw_only=True):
    """The answer to a question about the study, and first the slice that a picture shows.

    That is the slice in the middle of the stack or, of graded slices, the worst, which the others
    follow in their order from the feet. ``grade`` and ``classes`` are as those of a level.
    """

    question: str
    probability: float
    positive: bool
    decision: str
    slices: tuple[SliceScore, ...]
    grade: str | None = None
    classes: tuple[ClassScore, ...] = ()


class Withheld(Struct, frozen=True, kw_only=True):
    """A level or a measurement that was asked for and not answered, and why."""

    label: str
    code: Code
    reason: str


class Findings(Struct, frozen=True, kw_only=True):
    """All that is said of one study.

    ``threshold`` is the classifier's, ``null`` for a pipeline that only measures.
    """

    schema: Literal[3] = 3
    status: Literal["answered", "partial", "refused"]
    refusal: Refusal | None
    source: Source | None
    identity: Identity
    spacing: Spacing | None
    facing: Literal["left", "right"] | None
    threshold: float | None
    vertebrae: tuple[Vertebra, ...]
    levels: tuple[Level, ...]
    landmarks: tuple[Landmark, ...]
    measurements: tuple[Measurement, ...]
    decisions: tuple[Decision, ...]
    withheld: tuple[Withheld, ...]
    notes: tuple[str, ...]
    disclaimer: str = NOT_FOR_DIAGNOSIS

    def to_json(self) -> bytes:
        """Return the findings as indented JSON, the same bytes for the same findings."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def findings_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of :class:`Findings`."""
    return json_schema(Findings)
