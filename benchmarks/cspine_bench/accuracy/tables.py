"""The parts of a report that not every pipeline has, as tables: levels, landmarks, parameters."""

from __future__ import annotations

from collections.abc import Iterator

from cspine.console import table
from cspine_bench.accuracy.class_tables import class_rows
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.levels import LevelChange
from cspine_bench.accuracy.points import Extreme, PointChange, PointPerformance
from cspine_bench.accuracy.shown import shown, shown_limits
from cspine_bench.accuracy.values import ValuePerformance

DIGITS = 2  # of millimetres, per cent and degrees
FINE = 4  # of what has no unit

_CASES = [
    ("cases", "cases"),
    ("refused", "refused"),
    ("must be refused", "unfit"),
    ("of them refused", "unfit_refused"),
]
_LEVELS = [
    ("levels", "labelled"),
    ("unanswered", "unanswered"),
    ("AUC, answered levels", "auc"),
    ("AUC, others by chance", "auc_of_all"),
    ("accuracy", "accuracy"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("F1", "f1"),
    ("kappa", "kappa"),
    ("severity, Spearman", "severity"),
    ("numbered right", "numbering"),
    ("Dice", "dice"),
    ("worst vertebra's Dice", "worst_vertebra"),
]


def performance_rows(report: Report) -> Iterator[list[str]]:
    """Yield a row a figure, with those of both pipelines."""
    arms = report.reference, report.candidate
    for name, field in _CASES:
        yield [name, *(shown(getattr(arm, field)) for arm in arms)]
    levels = [arm.levels for arm in arms]
    if all(levels):
        for name, field in _LEVELS:
            yield [name, *(shown(getattr(each, field)) for each in levels)]
    if arms[0].points and arms[1].points:
        rows = [_point_rows(arm.points) for arm in arms if arm.points]
        for (name, before), (_, after) in zip(*rows, strict=True):
            yield [name, before, after]
    before, after = (dict(class_rows(arm)) for arm in arms)
    for name in before:
        yield [name, before[name], after[name]]


def parameter_table(report: Report) -> str:
    """Return how near both come to the true values, a row a parameter and pipeline; or nothing."""
    rows = [
        row
        for name in report.values
        for row in (
            [
                with_unit(name, report.values[name].unit),
                "FP32",
                *_cells(report.reference.values[name]),
            ],
            ["", report.name, *_cells(report.candidate.values[name])],
        )
    ]
    header = ["against the truth", "", "given", "MAE [95 %]", "bias", "95 % within", "SMAPE %",
              "ICC(2,1) [95 %]"]  # fmt: skip
    return table(header, rows) if rows else ""


def change_table(report: Report) -> str:
    """Return what a candidate places and measures otherwise than FP32; or nothing."""
    rows = list(_point_changes(report.points)) if report.points else []
    for name, found in report.values.items():
        furthest = "-"
        if found.largest:
            furthest = shown(found.largest.value, signed=True, digits=digits_of(found.unit))
            furthest += f", line {found.largest.line}"
        digits = digits_of(found.unit)
        rows.append([
            with_unit(name, found.unit),
            shown(found.bias.bias, signed=True, digits=digits + 1),
            shown_limits(found.bias, digits=digits),
            furthest,
        ])  # fmt: skip
    header = [f"{report.name} less FP32", "bias [95 %]", "95 % within", "largest"]
    return table(header, rows) if rows else ""


def with_unit(name: str, unit: str) -> str:
    """Return a name with the unit of its values, where they have one."""
    return f"{name}, {unit}" if unit else name


def digits_of(unit: str) -> int:
    """Return how many digits values of a unit are told with."""
    return DIGITS if unit else FINE


def level_lines(change: LevelChange, *, name: str) -> Iterator[str]:
    """Yield what a candidate of that name answers of the levels otherwise than FP32."""
    yield f"Dice difference {shown(change.dice_difference, signed=True)}"
    yield (
        f"flipped decisions: {len(change.flips)}, of the levels that both answered "
        f"{shown(change.flip_rate)}"
    )
    if shift := change.agreement:
        yield (
            f"scores: largest shift of a logit {shown(shift.largest_shift)}, mean change of the "
            f"probability {shown(shift.mean_change)}, Spearman {shown(shift.spearman)}"
        )
    if change.difference and change.difference.degenerate:
        yield "AUC: no standard error; the interval is what these patients cannot exclude"
    if change.flips:
        flips = [
            [each.line, each.level, int(each.truth), f"{each.reference:.4f}",
             f"{each.candidate:.4f}"]
            for each in change.flips
        ]  # fmt: skip
        yield table(["line", "level", "truth", "FP32", name], flips)


def _point_rows(found: PointPerformance) -> list[tuple[str, str]]:
    return [
        ("landmarks", str(found.points)),
        ("not placed", str(found.missing)),
        ("radial error, mm", shown(found.error_mm, digits=DIGITS + 1)),
        ("its SD, mm", shown(found.sd_mm, digits=DIGITS + 1)),
        ("within 3 mm", shown(found.within_3_mm)),
        ("within 4 mm", shown(found.within_4_mm)),
        ("worst landmark, mm", _extreme(found.worst)),
    ]


def _point_changes(change: PointChange) -> Iterator[list[str]]:
    for name, found in (("to the right", change.across), ("down", change.down)):
        yield [
            f"landmarks {name}, mm",
            shown(found.bias, signed=True, digits=DIGITS + 1),
            shown_limits(found, digits=DIGITS),
            "-",
        ]
    yield [
        "landmarks moved, mm",
        shown(change.distance, digits=DIGITS + 1),
        "-",
        _extreme(change.furthest),
    ]


def _cells(found: ValuePerformance) -> list[str]:
    digits = digits_of(found.unit)
    return [
        f"{found.given} of {found.studies}",
        shown(found.mae, digits=digits),
        shown(found.bias.bias.value, signed=True, digits=digits),
        shown_limits(found.bias, digits=digits),
        shown(found.smape, digits=DIGITS),
        shown(found.icc, digits=DIGITS + 1),
    ]


def _extreme(found: Extreme | None) -> str:
    if found is None:
        return "-"
    of = found.name if found.line is None else f"{found.name} of line {found.line}"
    return f"{shown(found.value, digits=DIGITS)}, {of}"
