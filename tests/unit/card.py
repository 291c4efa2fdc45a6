"""What the model cards share: parts that follow from a pipeline file, a log and the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cspine.codes import Code
from cspine.files import sha256
from cspine.spec import Detect, Features, PipelineSpec, Trained
from cspine_bench.accuracy.agreement import ClassAgreement
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.evidence import Report, read_evidence
from cspine_bench.accuracy.figure import Figure, Limits, share
from cspine_bench.accuracy.figure import figure as with_interval
from cspine_bench.accuracy.levels import LevelPerformance, level_performance
from cspine_bench.accuracy.pairs import paired_levels
from cspine_bench.accuracy.performance import Performance
from cspine_bench.accuracy.subgroup import Subgroup
from cspine_bench.metrics.auc import auc, auc_interval

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "records"
BLOCK = ("<!-- figures -->\n", "<!-- /figures -->")

USE = """\
For developing, testing and measuring a chain from a checkpoint to a device. **Not for diagnosis**,
not for triage, not for any decision about a person: no regulator has cleared it, and it has never
been shown an image of one. Its intended use, as the pipeline file states it and every result
repeats, is that of a network which clinical data would have to train:
"""
FILMS = """\
Simulated lateral cervical radiographs and nothing else: [phantoms](../phantoms.md). Four sites with
a system each, adults of both sexes, four postures. Prevalence, overlap of the classes and the best
AUC that anyone can reach are known. No patient is in two of the sets below.
"""


def verdicts(pipeline: str) -> list[Report]:
    """Return the verdicts on record of a pipeline, one a backend."""
    return [read_evidence(path) for path in sorted((RECORDS / pipeline).glob("*.json"))]


def with_figures(page: Path, figures: str) -> str:
    """Return a page with other figures between its marks."""
    before, _, rest = page.read_text().partition(BLOCK[0])
    _, _, after = rest.partition(BLOCK[1])
    return f"{before}{BLOCK[0]}{figures}{BLOCK[1]}{after}"


def networks(spec: PipelineSpec, log: dict[str, Any], *, assets: Path) -> str:
    rows = []
    for stage in spec.trainings:
        seen = spec.only(Features) if isinstance(stage, Detect) else stage
        data = (assets / f"{stage.id}.safetensors").read_bytes()
        rows.append(
            [
                f"`{stage.id}`",
                architecture(stage),
                f"{log[stage.id]['parameters'] / 1e6:.2f} M",
                f"{len(data) / 1e6:.1f} MB",
                f"{seen.size_px[0]} x {seen.size_px[1]} at {seen.spacing_mm:g} mm",
                f"`{sha256(data)[:12]}`",
            ]
        )
    return table(["stage", "network", "weights", "float16 file", "input", "SHA-256"], rows)


def architecture(stage: Trained) -> str:
    arguments = stage.architecture.arguments
    kind = stage.architecture.factory.partition(":")[2]
    if "layers" in arguments:
        layers = "-".join(map(str, arguments["layers"]))
        return (
            f"{kind}, {arguments['block']} blocks {layers}, from {arguments['block_inplanes'][0]}"
        )
    return f"{kind}, filters {'-'.join(map(str, arguments['filters']))}"


def locked_figures(
    reports: Sequence[Report],
    fields: Sequence[tuple[str, str]],
    *,
    answers: str,
    further: Iterable[Sequence[object]] = (),
) -> str:
    """Return the table of what was judged; `further` rows follow those of the levels."""
    first = reports[0].reference
    header = ["", "FP32", *(f"INT8, {report.backend}" for report in reports)]
    arms = [first, *(report.candidate for report in reports)]
    levels = [arm.levels for arm in arms if arm.levels]
    changes = [report.levels for report in reports if report.levels]
    rows = [
        ["must be refused, and are", *(figure(arm.unfit_refused) for arm in arms)],
        *([name, *(shown(each, field) for each in levels)] for name, field in fields),
        *further,
        *(
            [
                f"{name} less FP32's, margin {-margin:g}",
                "",
                *(difference(report, name) for report in reports),
            ]
            for name, margin in reports[0].gate.margins.items()
        ),
    ]
    if levels[0].dice is not None:
        rows.append(
            ["Dice less FP32's", "", *(figure(each.dice_difference, sign="+") for each in changes)]
        )
    rows += [
        ["decisions flipped", "", *(figure(each.flip_rate) for each in changes)],
        ["verdict", "", *(report.verdict for report in reports)],
    ]
    return (
        f"{first.cases} patients, {first.refused} refused, {levels[0].labelled} {answers}; set "
        f"`{reports[0].set_digest[:12]}`, bundle `{reports[0].bundle[:12]}`.\n"
        "Intervals are at 95 %, clustered by patient. INT8 passes if that of each difference with "
        "a\nmargin lies above it.\n\n" + table(header, rows)
    )


def groups(reports: Sequence[Report]) -> str:
    rows = []
    for found in zip(*(report.subgroups for report in reports), strict=True):
        one = found[0]
        members = [c for c in reports[0].answers if c.groups.get(one.factor) == one.value]
        alone = level_performance(members, paired_levels(members), arm="reference")
        rows.append(
            [
                f"{one.factor} {one.value}",
                f"{one.positive} of {one.compared}",
                *(figure(each) for each in (alone.auc, alone.sensitivity, alone.specificity)),
                *(less(each) for each in found),
            ]
        )
    header = ["", "positive", "AUC, FP32", "sensitivity", "specificity"]
    return (
        "Of each group the figures of FP32, and by how much INT8's AUC is more. The verdict on a "
        "group is by\nHolm's adjustment over all of them; one that is too small stays open.\n\n"
        + table([*header, *(f"INT8, {report.backend}" for report in reports)], rows)
    )


def less(group: Subgroup) -> str:
    found = Figure(group.difference, group.low, group.high)
    return f"{figure(found, sign='+')}, {group.verdict}"


def faults(reports: Sequence[Report], refused: Mapping[Any, Code]) -> str:
    """Return what became of studies with each fault, by the code that it must be refused with."""
    rows = []
    for fault, code in refused.items():
        cases = [case for case in reports[0].answers if case.unfit == fault]
        codes = Counter(case.reference.refusal or "answered" for case in cases)
        rows.append(
            [
                fault,
                f"`{code}`",
                ", ".join(f"{name} {count}" for name, count in codes.most_common()),
                *(figure(answered(report, fault, arm="reference")) for report in reports[:1]),
                *(figure(answered(report, fault, arm="candidate")) for report in reports),
            ]
        )
    header = ["fault", "must be", "FP32", "answered, FP32"]
    return table([*header, *(f"answered, INT8, {each.backend}" for each in reports)], rows)


def answered(report: Report, fault: str, *, arm: str) -> Figure:
    """Return the share of the studies with a fault that got an answer."""
    cases: list[CaseAnswers] = [case for case in report.answers if case.unfit == fault]
    found = np.array([getattr(case, arm).refusal is None for case in cases], bool)
    return share(found, np.array([case.patient for case in cases], np.int64))


def ideal(report: Report) -> Figure:
    """Return the AUC of the evidence on the patients of a report."""
    levels = paired_levels(report.answers)
    interval = auc_interval(levels.truth, levels.severity, clusters=levels.patient)
    return with_interval(auc(levels.truth, levels.severity), interval)


def performance(report: Report) -> LevelPerformance:
    assert report.reference.levels
    return report.reference.levels


def graded(arm: Performance) -> ClassAgreement | None:
    """Return how a pipeline grades as the truth does."""
    return arm.grades.truth if arm.grades else None


def auc_of(report: Report) -> float:
    found = performance(report).auc.value
    assert found is not None
    return found


def difference(report: Report, name: str) -> str:
    (found,) = (each for each in report.criteria if each.name == name)
    return figure(Figure(found.value, found.low, found.high), sign="+")


def shown(arm: LevelPerformance, field: str) -> str:
    value = getattr(arm, field)
    if isinstance(value, Figure):
        return figure(value)
    return "-" if value is None else f"{value:.3f}"


def limits(bias: Limits) -> str:
    value: Figure = bias.bias
    return f"{value.value:+.3f} [{bias.lower:+.3f}, {bias.upper:+.3f}]"


def figure(value: Figure, *, sign: str = "") -> str:
    if value.value is None:
        return "-"
    form = f"{sign}.4f" if sign else ".3f"
    if value.low is None or value.high is None:
        return f"{value.value:{form}}"
    return f"{value.value:{form}} [{value.low:{form}}, {value.high:{form}}]"


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"
