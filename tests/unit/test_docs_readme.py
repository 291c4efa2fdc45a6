"""The tables of the README are the records; run this file to write them anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from cspine.accept import Film, Stacks
from cspine.pipeline_file import SHIPPED, load_spec
from cspine.spec import PipelineSpec
from cspine_bench.accuracy.evidence import Report, read_evidence
from cspine_bench.accuracy.figure import Figure
from cspine_bench.accuracy.levels import LevelPerformance
from cspine_bench.latency.record import Record, read_record
from cspine_bench.latency.scenario import NETWORKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "README.md"
RECORDS = ROOT / "benchmarks" / "records"
ASSETS = ROOT / "assets"
BACKENDS = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
FIGURES = {
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "numbering": "studies with every level numbered right",
}


def reference() -> str:
    """Return the README with its tables of now."""
    text = PAGE.read_text()
    blocks = {
        "pipelines": pipelines(),
        "verdicts": verdicts(),
        "speed": speed(),
        "sagittal": sagittal(),
    }
    for name, rows in blocks.items():
        first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(first)
        _, _, after = rest.partition(last)
        text = f"{before}{first}{rows}{last}{after}"
    return text


def pipelines() -> str:
    """Return a row a pipeline that ships: what it takes, how right and how fast it is."""
    header = ["pipeline", "input", "networks", "FP32", "INT8", "times as fast", "MB"]
    specs = [load_spec(path) for path in sorted(SHIPPED.glob("*.toml"))]
    return table(header, map(row, specs))


def row(spec: PipelineSpec) -> list[str]:
    megabytes = sum(path.stat().st_size for path in (ASSETS / spec.name).glob("*.safetensors"))
    factories = [stage.architecture.factory.partition(":")[2] for stage in spec.trainings]
    about = [
        f"[{spec.name}](docs/pipelines/{spec.name}.md)",
        taken(spec),
        ", ".join(dict.fromkeys(factories)),
    ]
    if not (RECORDS / spec.name).is_dir():
        return [*about, "no verdict on record yet", "", "", f"{megabytes / 1e6:.1f}"]
    reports = [_report(backend, pipeline=spec.name) for backend in BACKENDS]
    return [
        *about,
        "; ".join(headline(reports[0])),
        ", ".join(f"{each.verdict} on {BACKENDS[each.backend]}" for each in reports),
        ", ".join(faster(_record(backend, pipeline=spec.name)) for backend in BACKENDS),
        f"{megabytes / 1e6:.1f}",
    ]


def taken(spec: PipelineSpec) -> str:
    if isinstance(spec.accept, Film):
        return "lateral radiograph"
    if isinstance(spec.accept, Stacks):
        return f"{spec.accept.sagittal.words} MR, {spec.accept.axial.words} MR"
    series = spec.accept.series
    return " ".join(filter(None, (series.orientation, series.weighting, series.modality)))


def headline(report: Report) -> list[str]:
    """Return what a pipeline is judged by first, of FP32."""
    arm, found = report.reference, []
    if arm.levels:
        found.append(f"AUC {shown(arm.levels.auc)}")
    if arm.grades and arm.grades.truth:
        found.append(f"quadratic kappa {shown(arm.grades.truth.quadratic_kappa)}")
    if arm.boxes:
        found.append(f"canals found {shown(arm.boxes.recall)}")
    if "ratio" in arm.values:
        found.append(f"ratio, mean error {shown(arm.values['ratio'].mae)}")
    if arm.points:
        found.append(f"landmarks {brief(arm.points.error_mm)} mm")
    return [f"{arm.cases} patients", *found]


def faster(record: Record) -> str:
    ratio = record.speed[NETWORKS]
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" + (
        "*" if record.verdict and record.verdict.verdict == "void" else ""
    )


def verdicts() -> str:
    reports = [_report(backend) for backend in BACKENDS]
    arms = [reports[0].reference, *(report.candidate for report in reports)]
    levels: list[LevelPerformance] = [arm.levels for arm in arms if arm.levels]
    rows = [
        [name, *(shown(getattr(each, field)) for each in levels)] for field, name in FIGURES.items()
    ]
    rows.append([
        f"refused, of {arms[0].cases} studies that need not be",
        *(arm.refused for arm in arms),
    ])  # fmt: skip
    rows.append([
        f"refused, of {arms[0].unfit} films that must be",
        *(shown(arm.unfit_refused) for arm in arms),
    ])  # fmt: skip
    for number, (name, margin) in enumerate(reports[0].gate.margins.items()):
        found = [report.criteria[number] for report in reports]
        assert {each.name for each in found} == {name}
        differences = [Figure(each.value, each.low, each.high) for each in found]
        rows.append([
            f"{name} less FP32's, above {-margin:g}", "",
            *(shown(each, sign="+") for each in differences),
        ])  # fmt: skip
    rows.append([
        f"decisions flipped, of {levels[0].labelled}", "",
        *(len(report.levels.flips) for report in reports if report.levels),
    ])  # fmt: skip
    rows.append(["verdict", "", *(f"**{each.verdict}**" for each in reports)])
    header = [f"on {arms[0].cases} simulated patients that nothing was fitted to", "FP32"]
    return table([*header, *(f"INT8, {name}" for name in BACKENDS.values())], rows)


def speed() -> str:
    rows = []
    device = _record(next(iter(BACKENDS))).device
    for backend, name in BACKENDS.items():
        record = _record(backend)
        medians = [
            f"{record.statistics[arm][NETWORKS].median:.1f} ms"
            for arm in (record.reference, record.candidate)
        ]
        rows.append([name, *medians, faster(record)])
    header = f"three networks of one study, {device['cores']} cores of an {device['cpu']}"
    return table([header, "FP32", "INT8", "times as fast"], rows)


def sagittal() -> str:
    reports = [_report(backend, pipeline="xray-sagittal") for backend in BACKENDS]
    arms = [reports[0].reference, *(report.candidate for report in reports)]
    points = [arm.points for arm in arms if arm.points]
    rows: list[list[object]] = [
        ["landmarks, mean error, mm", *(brief(each.error_mm) for each in points)],
        ["landmarks within 3 mm", *(shown(each.within_3_mm) for each in points)],
    ]
    for name, found in arms[0].values.items():
        rows.append(
            [f"{name}, mean error, {found.unit}", *(brief(arm.values[name].mae) for arm in arms)]
        )
    worst = [min(each.icc.value or 0.0 for each in arm.values.values()) for arm in arms]
    rows.append(["ICC(2,1) of the worst parameter", *(f"{value:.3f}" for value in worst)])
    rows.append(["verdict", "", *(f"**{each.verdict}**" for each in reports)])
    header = [f"on the same {arms[0].cases} simulated patients", "FP32"]
    return table([*header, *(f"INT8, {name}" for name in BACKENDS.values())], rows)


def brief(figure: Figure) -> str:
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def _report(backend: str, *, pipeline: str = "xray-compression") -> Report:
    (path,) = (RECORDS / pipeline).glob(f"*.{backend}.*.json")
    return read_evidence(path)


def _record(backend: str, *, pipeline: str = "xray-compression") -> Record:
    name = backend if pipeline == "xray-compression" else f"{pipeline}-{backend}"
    (path,) = RECORDS.glob(f"*cpu-{name}.json")
    return read_record(path)


def shown(figure: Figure, *, sign: str = "") -> str:
    return f"{figure.value:{sign}.4f} [{figure.low:{sign}.4f}, {figure.high:{sign}.4f}]"


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def test_the_tables_are_those_of_the_records() -> None:
    assert PAGE.read_text() == reference(), "run: python tests/unit/test_docs_readme.py"


def test_all_were_timed_on_one_kind_of_machine() -> None:
    specs = [load_spec(path) for path in sorted(SHIPPED.glob("*.toml"))]
    records = [_record(backend, pipeline=spec.name) for spec in specs for backend in BACKENDS]
    assert {(each.device["cpu"], each.device["cores"]) for each in records} == {("AMD EPYC", 2)}


@pytest.mark.parametrize("pipeline", [path.stem for path in sorted(SHIPPED.glob("*.toml"))])
def test_verdicts_and_latencies_are_of_one_bundle(pipeline: str) -> None:
    bundles = {
        read(backend, pipeline=pipeline).bundle
        for backend in BACKENDS
        for read in (_report, _record)
    }
    assert len(bundles) == 1


if __name__ == "__main__":
    PAGE.write_text(reference())
