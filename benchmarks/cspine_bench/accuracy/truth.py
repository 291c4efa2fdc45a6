"""The true landmarks of a case, and what they measure."""

from __future__ import annotations

from collections.abc import Mapping

from cspine.errors import ModelError
from cspine.geometry import Lines, Parameters, known_parameters
from cspine.spec import Grade, Landmarks, Measure, PipelineSpec
from cspine.stages.measure import named
from cspine_bench.cases import Case
from cspine_bench.columns import FILE
from cspine_bench.marks import Position

_NAMED = named(Lines())  # which lines are meant changes the definition, neither name nor unit
UNITS: dict[str, str] = {_NAMED[key].name: _NAMED[key].unit for key in Parameters._fields}
"""The unit of each parameter, by the name that findings give it, in the order of the papers."""
RATIO, LOWEST_RATIO = "ratio", "lowest ratio"
"""The compression ratio of every level, and of each study the lowest: of no unit."""


def measured_lines(spec: PipelineSpec) -> Lines | None:
    """Return the lines that a pipeline measures by; ``None`` if it measures nothing."""
    if not spec.has(Measure):
        return None
    stage: Measure = spec.only(Measure)
    return stage.lines


def graded_classes(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the classes that a pipeline grades by, in order of severity; none if it does not."""
    if not spec.has(Grade):
        return ()
    stage: Grade = spec.only(Grade)
    return tuple(stage.classes)


def true_grades(case: Case, spec: PipelineSpec) -> tuple[dict[str, str], dict[str, str]]:
    """Return the true classes of a case by level, and a second reader's of the same levels.

    None of a pipeline that does not grade.

    Raises
    ------
    ModelError
        If the pipeline does not know a class, or counts one as positive whose level is labelled
        negative, or the other way round: the two would be judged by different truths.
    """
    if not spec.has(Grade):
        return {}, {}
    stage: Grade = spec.only(Grade)
    for prefix, grades, labels in (
        ("grade ", case.grades, case.labels),
        ("second grade ", case.second_grades, case.second),
    ):
        for level, grade in grades.items():
            where = f"{FILE}, line {case.row}, {prefix}{level}"
            if grade not in stage.classes:
                raise ModelError(
                    f"{where}: got {grade!r}, expected a class of stage {stage.id!r}: "
                    + ", ".join(stage.classes)
                )
            positive = grade in stage.positive
            if labels.get(level, positive) != positive:
                raise ModelError(
                    f"{where}: {grade!r} counts as {int(positive)} by stage {stage.id!r}, but the "
                    f"level is labelled {int(not positive)}; make them agree"
                )
    second = {
        level: case.second_grades[level] for level in case.grades if level in case.second_grades
    }
    return dict(case.grades), second


def true_points(case: Case, spec: PipelineSpec) -> dict[str, Position]:
    """Return the true places of the points that a pipeline looks for; none if it looks for none.

    Raises
    ------
    ModelError
        If the case has points and the pipeline looks for none of them: both arms would miss them
        alike, and so pass.
    """
    if not spec.has(Landmarks):
        return {}
    stage: Landmarks = spec.only(Landmarks)
    known = case.read_points()
    points = {name: known[name] for name in stage.points if name in known}
    if known and not points:
        raise ModelError(
            f"{FILE}, line {case.row}: none of the points is one of stage {stage.id!r}, expected "
            f"names such as {', '.join(stage.points[:3])}; leave the file out"
        )
    return points


def true_values(
    points: Mapping[str, Position], spacing_mm: tuple[float, float] | None, lines: Lines | None
) -> dict[str, float]:
    """Return the parameters that true points give, by the name that findings give them.

    They are taken at the spacing that the findings state and between the lines that the pipeline
    means, so that a candidate is judged by what its network finds, and neither by the
    magnification of the film nor by a definition. Those whose points are not all known are left
    out.

    Parameters
    ----------
    spacing_mm
        (row, column); ``None`` where both pipelines refused, which gives no values.
    lines
        ``None`` if nothing is measured.
    """
    if spacing_mm is None or lines is None:
        return {}
    found = known_parameters(points, spacing_mm, lines=lines)
    return {_NAMED[key].name: found[key] for key in Parameters._fields if key in found}
