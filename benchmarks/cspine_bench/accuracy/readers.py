"""What a case set says of itself: how its second reader agrees with its truth, and its symptoms."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from cspine_bench.accuracy.agreement import ClassAgreement, class_agreement
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.compared import Compared
from cspine_bench.accuracy.symptoms import Symptoms, symptoms


class Readers(msgspec.Struct, frozen=True, kw_only=True):
    """What the set's own columns say, which any pipeline may be held against.

    ``levels`` and ``grades`` are how the second reader agrees with the truth, in decisions and in
    classes; ``symptoms`` how the truth goes with the symptom score. ``None`` of what it lacks.
    """

    levels: ClassAgreement | None
    grades: ClassAgreement | None
    symptoms: Symptoms | None


def readers(cases: Sequence[CaseAnswers], of: Compared) -> Readers | None:
    """Return what the columns of some cases say; ``None`` if they have neither."""
    found = Readers(
        levels=class_agreement(
            of.levels.truth.astype(np.int64), of.levels.second, of.levels.patient, classes=2
        )
        if of.levels
        else None,
        grades=of.grades.agreement(of.grades.truth, of.grades.second) if of.grades else None,
        symptoms=symptoms(cases, of.classes, of=None),
    )
    return found if any(msgspec.structs.astuple(found)) else None
