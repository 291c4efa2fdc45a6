"""What the documents say of the files is what the code reads and writes."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import TypeVar, get_args

import jsonschema
import msgspec
import numpy as np
import pytest

from cspine import accept, findings, gate, spec
from cspine import fields as parts
from cspine.detection import spec as detector
from cspine.device import Device
from cspine.dicom.stacks.wanted import WantedSeries
from cspine.engines.convolutions import Convolution
from cspine.engines.layers import Layer, Tensor
from cspine.engines.store import BuiltOn, EngineManifest
from cspine.evidence import Evidence, believed
from cspine.geometry import Lines
from cspine.manifest import FORMAT, File, Manifest
from cspine.pipeline_file import parse_spec
from cspine.signature import Signature
from cspine.stages.levels import level_names
from cspine.tune import Measured, Tuning
from cspine_bench.accuracy import answers, boxes, evidence, figure, grades, levels, points, values
from cspine_bench.accuracy.again import judged_again
from cspine_bench.accuracy.agreement import ClassAgreement
from cspine_bench.accuracy.noninferiority import Criterion
from cspine_bench.accuracy.performance import Performance
from cspine_bench.accuracy.readers import Readers
from cspine_bench.accuracy.subgroup import Subgroup
from cspine_bench.accuracy.symptoms import Symptoms
from cspine_bench.cases import SPLITS, read_cases
from cspine_bench.latency import record
from cspine_calibration.emit import Summary
from cspine_calibration.table import CalibrationTable, summarize
from cspine_calibration.targets import TARGETS

DOCS = Path(__file__).parents[2] / "docs"
FORMATS = (DOCS / "formats.md").read_text(encoding="utf-8")
REGENERATE = (
    'python -c "import json; from cspine.findings import findings_schema; '
    'print(json.dumps(findings_schema(), indent=2))" > docs/findings.schema.json'
)
REGENERATE_EVIDENCE = (
    'python -c "import json; from cspine_bench.accuracy.evidence import evidence_schema; '
    'print(json.dumps(evidence_schema(), indent=2))" > docs/evidence.schema.json'
)

S = TypeVar("S", bound=msgspec.Struct)


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next of any level."""
    found = re.findall(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", FORMATS, re.M | re.S)
    assert len(found) == 1, f"docs/formats.md: {len(found)} headings {heading!r}"
    return str(found[0])


def chapter(heading: str) -> str:
    """Return what stands under a heading of the second level, subsections included."""
    (found,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", FORMATS, re.M | re.S)
    return str(found)


def documented(heading: str) -> set[str]:
    """Return the words in the first column of the table under a heading."""
    rows = re.findall(r"^\| (`[^|]*?) \|", section(heading), re.M)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def example(heading: str, language: str = "json") -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", chapter(heading), re.M | re.S)
    return str(found)


def keys(struct: type[msgspec.Struct]) -> set[str]:
    tag = struct.__struct_config__.tag_field
    names = {field.encode_name for field in msgspec.structs.fields(struct)}
    return names | ({tag} if tag else set())


def read(heading: str, struct: type[S]) -> S:
    """Read a chapter's example and check that nothing of it is lost, so that all of it is real."""
    data = json.loads(example(heading))
    value = msgspec.convert(data, struct)
    assert json.loads(msgspec.json.encode(value)) == data
    return value


def test_schema_is_current():
    published = json.loads((DOCS / "findings.schema.json").read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(findings.findings_schema())), (
        f"it is old; run: {REGENERATE}"
    )


def test_the_schema_of_evidence_is_current():
    published = json.loads((DOCS / "evidence.schema.json").read_text(encoding="utf-8"))
    assert published == evidence.evidence_schema(), f"it is old; run: {REGENERATE_EVIDENCE}"
    example_of_it = json.loads(example("Evidence"))
    jsonschema.Draft202012Validator(published).validate(example_of_it)


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("The file", spec.PipelineSpec),
        ("accept of view lateral", accept.Film),
        ("accept of view stack", accept.Stack),
        ("accept of view stacks", accept.Stacks),
        ("series", WantedSeries),
        ("gate", gate.Gate),
        ("stage of kind screen", spec.Screen),
        ("sign", spec.Sign),
        ("stage of kind segment", spec.Segment),
        ("stage of kind levels", spec.Levels),
        ("stage of kind classify", spec.Classify),
        ("stage of kind explain", spec.Explain),
        ("stage of kind landmarks", spec.Landmarks),
        ("stage of kind measure", spec.Measure),
        ("stage of kind slices", spec.Slices),
        ("stage of kind features", spec.Features),
        ("anchors", detector.Anchors),
        ("stage of kind detect", spec.Detect),
        ("proposals", detector.Proposals),
        ("regions", detector.Regions),
        ("predictions", detector.Predictions),
        ("stage of kind grade", spec.Grade),
        ("stage of kind worst", spec.Worst),
        ("stage of kind axial", spec.Axial),
        ("stage of kind cord", spec.Cord),
        ("stage of kind ratio", spec.Ratio),
        ("grey of kind percentile", parts.Percentile),
        ("grey of kind window", parts.Window),
        ("grey of kind standardise", parts.Standardise),
        ("architecture", parts.Architecture),
        ("manifest.json", Manifest),
        ("file of a bundle", File),
        ("signature", Signature),
        ("The findings", findings.Findings),
        ("refusal", findings.Refusal),
        ("source", findings.Source),
        ("identity", findings.Identity),
        ("spacing", findings.Spacing),
        ("vertebra", findings.Vertebra),
        ("level", findings.Level),
        ("landmark", findings.Landmark),
        ("measurement", findings.Measurement),
        ("decision", findings.Decision),
        ("slice", findings.SliceScore),
        ("class", findings.ClassScore),
        ("withheld", findings.Withheld),
        ("The evidence", evidence.Report),
        ("performance", Performance),
        ("performance on levels", levels.LevelPerformance),
        ("performance on points", points.PointPerformance),
        ("performance on values", values.ValuePerformance),
        ("performance on grades", grades.GradePerformance),
        ("performance on regions", boxes.BoxPerformance),
        ("readers", Readers),
        ("class agreement", ClassAgreement),
        ("symptoms", Symptoms),
        ("figure", figure.Figure),
        ("limits", figure.Limits),
        ("extreme", points.Extreme),
        ("criterion", Criterion),
        ("subgroup", Subgroup),
        ("change of levels", levels.LevelChange),
        ("difference", levels.Difference),
        ("agreement", levels.Agreement),
        ("flip", levels.Flip),
        ("change of points", points.PointChange),
        ("change of values", values.ValueChange),
        ("change of grades", grades.GradeChange),
        ("regrade", grades.Regrade),
        ("change of regions", boxes.BoxChange),
        ("overlap", boxes.Overlap),
        ("shift", values.Shift),
        ("case", answers.CaseAnswers),
        ("arm", answers.Arm),
        ("The record", record.Record),
        ("statistic", record.Statistic),
        ("ratio", record.Ratio),
        ("The manifest", EngineManifest),
        ("device that built an engine", BuiltOn),
        ("The tuning", Tuning),
        ("candidate", Measured),
    ],
)
def test_every_key_is_documented(heading, struct):
    assert documented(heading) == keys(struct)


def test_every_other_list_is_complete():
    for heading, record_of in [
        ("device", Device),
        ("lines", Lines),
        ("convolution of a graph", Convolution),
        ("layer of an engine", Layer),
        ("tensor of a layer", Tensor),
    ]:
        assert documented(heading) == {field.name for field in fields(record_of)}
    assert documented("codes") == set(get_args(findings.Code))
    assert documented("provenance of an emission") == {
        *(field.name for field in fields(Summary)),
        "checked", "tools", "from", "studies", "tuned_on",
    }  # fmt: skip
    assert documented("targets") == set(TARGETS)
    flag = findings.findings_schema()["$defs"]["Spacing"]["properties"]["flag"]["enum"]
    assert set(re.findall(r"`([a-z ]+)`: ", section("spacing"))) == set(flag)
    assert all(f"`{split}`" in section("cases.csv") for split in SPLITS)


def test_the_pipeline_file_is_read():
    parsed = parse_spec(example("Pipeline file", "toml").encode(), where="docs/formats.md")
    assert parsed.largest_batch(parsed.only(spec.Classify)) == 3


def test_the_manifest_is_sealed():
    manifest = read("Bundle", Manifest)
    assert manifest.sealed() == manifest
    assert manifest.format == FORMAT
    assert manifest.provenance.keys() <= manifest.files.keys()
    for name, words in [
        ("fp32.onnx", "provenance of fp32.onnx"),
        ("calibration.bin", "provenance of calibration.bin"),
        ("int8.onnx", "provenance of an emission"),
    ]:
        (facts,) = (value for path, value in manifest.provenance.items() if path.endswith(name))
        # Only code of the user's own has a digest.
        assert facts.keys() == documented(words) - {"factory_sha256"}


def test_the_calibration_table_is_read():
    header = json.loads(example("Calibration table"))
    line = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    data = line + b"\n" + np.array([3, 2], "<i8").tobytes() + np.array([0.75], "<f8").tobytes()
    table = CalibrationTable.from_bytes(data)
    assert table.to_bytes() == data
    assert table.tensors["image"] == summarize(np.full(3, 0.75, np.float32))
    assert table.tensors["relu"] == summarize(np.zeros(2, np.float32))
    assert table.means == {"image": (0.75,)}
    assert table.choices["asymmetric"] == {"image": "mse"}
    assert documented("header") == header.keys()
    assert documented("means of a tensor") == header["means"][0].keys()
    assert documented("tensor") == header["tensors"][0].keys()


def test_the_case_set_is_read(tmp_path):
    text = example("Case set", "csv")
    for row in csv.DictReader(io.StringIO(text)):
        for name in filter(None, (row["study"], row["mask"])):
            file = tmp_path / name / ("" if Path(name).suffix else "image.dcm")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(name.encode())
    (tmp_path / "cases.csv").write_text(text)
    pipeline = parse_spec(example("Pipeline file", "toml").encode(), where="docs/formats.md")
    levels = level_names(pipeline.only(spec.Levels).vertebrae)
    cases = read_cases(tmp_path, split="test", levels=levels).cases
    assert [case.row for case in cases] == [3, 4]
    assert cases[1].labels == {"C5/6": True, "C6/7": False}


def test_the_findings_fit_their_schema():
    found = read("Findings", findings.Findings)
    jsonschema.Draft202012Validator(findings.findings_schema()).validate(
        json.loads(found.to_json())
    )
    assert found.levels
    for level in found.levels:
        assert level.positive == (level.probability >= found.threshold)


def test_the_evidence_is_read_and_follows_from_its_answers():
    report = read("Evidence", evidence.Report)
    assert report.levels
    assert all(flip.line > 1 for flip in report.levels.flips)
    judged_again(report, where="docs/formats.md")
    known = msgspec.json.decode(msgspec.json.encode(report), type=Evidence)
    assert believed(known, gate=report.gate) == report.verdict


def test_the_engine_manifest_is_read():
    batch = read("Engine manifest", EngineManifest).batch
    assert list(batch) == sorted(set(batch))


def test_the_tuning_is_read():
    times = [each.milliseconds for each in read("Tuning", Tuning).candidates]
    assert times == sorted(times)


def test_links_between_documents_lead_somewhere():
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
