"""What a verdict is asked of: two pipelines' answers to a set, and what they were asked."""

from __future__ import annotations

from typing import Any

import msgspec

from cspine.gate import Gate
from cspine.geometry import Lines
from cspine.precision import Precision
from cspine_bench.accuracy.answers import CaseAnswers


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged on what, and every answer: all that a verdict follows from.

    ``threshold`` is ``None`` if nothing is classified, ``lines`` if no landmarks are measured.
    ``classes`` are those of a grading, in order of severity; none of a pipeline that does not
    grade. ``look`` counts the candidates that were judged on the set, this one included.
    """

    bundle: str
    backend: str
    target: str
    precision: Precision
    gate: Gate
    threshold: float | None
    lines: Lines | None
    classes: tuple[str, ...] = ()
    set_digest: str
    look: int
    device: dict[str, Any]
    versions: dict[str, str | None]
    answers: tuple[CaseAnswers, ...]
