"""The evidence: what was judged on what, every answer, and the verdict that follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from cspine.errors import ModelError
from cspine.evidence import FORMAT, OLDEST, Verdict
from cspine.gate import Gate
from cspine.geometry import Lines
from cspine.precision import Precision
from cspine.schema import json_schema
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.boxes import BoxChange
from cspine_bench.accuracy.grades import GradeChange
from cspine_bench.accuracy.levels import LevelChange
from cspine_bench.accuracy.noninferiority import Criterion
from cspine_bench.accuracy.performance import Performance
from cspine_bench.accuracy.points import PointChange
from cspine_bench.accuracy.readers import Readers
from cspine_bench.accuracy.subgroup import Subgroup
from cspine_bench.accuracy.values import ValueChange


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with everything it rests on; the file is the evidence.

    All but ``answers`` and what says what was judged follows from ``answers``. ``criteria`` are the
    differences that the pipeline file has margins for. ``readers`` is what the set says of itself.
    ``levels``, ``points``, ``values``, ``grades`` and ``boxes`` are what the candidate answers
    otherwise than the reference: ``None`` or empty for what the pipeline does not answer, or the
    set has nothing to hold against. Intervals are clustered by patient. Format 4 has no precision:
    it is of INT8. Format 3 has none of what may be left out here, and is otherwise the same.
    """

    format: Literal[3, 4, 5]
    bundle: str
    backend: str
    target: str
    precision: Precision = "int8"
    verdict: Verdict
    reasons: tuple[str, ...]
    gate: Gate
    threshold: float | None
    lines: Lines | None
    classes: tuple[str, ...] = ()
    set_digest: str
    look: int
    readers: Readers | None = None
    reference: Performance
    candidate: Performance
    criteria: tuple[Criterion, ...]
    subgroups: tuple[Subgroup, ...]
    levels: LevelChange | None
    points: PointChange | None
    values: dict[str, ValueChange]
    grades: GradeChange | None = None
    boxes: BoxChange | None = None
    answered_by_one: tuple[str, ...]
    device: dict[str, Any]
    versions: dict[str, str | None]
    answers: tuple[CaseAnswers, ...]

    @property
    def name(self) -> str:
        """What the candidate is called in words."""
        return self.precision.upper()


def evidence_bytes(report: Report) -> bytes:
    """Return the file: a line a key, and a line a case."""
    head = msgspec.json.encode(msgspec.structs.replace(report, answers=()))
    lines = b",\n    ".join(msgspec.json.encode(case) for case in report.answers)
    start = msgspec.json.format(head, indent=2).removesuffix(b"[]\n}")
    return start + b"[\n    " + lines + b"\n  ]\n}\n"


def read_evidence(path: Path) -> Report:
    """Read a file of evidence.

    Raises
    ------
    ModelError
        If it cannot be read, or is of another format.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: cannot be read as evidence of format {OLDEST} to {FORMAT}: {error}; judge "
            "again with: cspine verify BUNDLE --set DIR"
        ) from error


def evidence_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of :class:`Report`."""
    return json_schema(Report)
