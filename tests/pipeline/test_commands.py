"""Every verb, one by one, on a new bundle made from the shipped checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft202012Validator
from packageurl import PackageURL
from pydicom import dcmread

from cspine.accept import Accept
from cspine.bundle import Bundle, emission_path, fp32_path, table_path
from cspine.choose import choose
from cspine.commands.run import _outcomes
from cspine.device import this_device
from cspine.dicom.select import Readable, Study
from cspine.errors import BackendError, BundleError, CspineError
from cspine.findings import findings_schema
from cspine.image import Image
from cspine.pipeline import Pipeline
from cspine_bench.accuracy.evidence import evidence_schema
from cspine_bench.accuracy.verdict import answered_levels
from cspine_bench.cases import CaseSet, read_cases
from cspine_calibration.calibrate import calibrate
from cspine_calibration.estimate import DEFAULT
from cspine_phantom.cases import write_cases
from cspine_phantom.study import phantom

Invoke = Callable[[Sequence[object]], Result]


def documents(result: Result) -> Any:
    """The JSON that a verb printed, and nothing else."""
    return json.loads(result.stdout)


def test_the_chain(
    invoke: Invoke, sets: Path, pipeline_file: Path, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    bundle = tmp_path / "xray.cspine"
    weights = [f"--checkpoint={stage}={path}" for stage, path in checkpoints.items()]
    study = sets / "faults" / "studies"

    exported = invoke(["export", pipeline_file, *weights, "-o", bundle, "--json"])
    assert exported.exit_code == 0
    assert {each["stage"] for each in documents(exported)["parity"]} == {
        "screen",
        "localise",
        "classify",
    }

    nothing_yet = invoke(["run", bundle, study, "--json"])
    assert {each["identity"]["precision"] for each in documents(nothing_yet)} == {"fp32"}

    calibrated = invoke(["calibrate", bundle, "--set", sets / "calibration", "--json"])
    assert calibrated.exit_code == 0
    tables = documents(calibrated)["tables"]
    assert tables["classify"]["samples"] == 16 * 6

    emitted = invoke(
        ["emit", bundle, "--target", "ort-x64-vnni", "--estimator", "minmax", "--json"]
    )
    assert {each["estimator"] for each in documents(emitted)["emissions"]} == {"minmax"}

    junit, markdown = tmp_path / "verdict.xml", tmp_path / "verdict.md"
    reports = ["--junit", junit, "--markdown", markdown]
    verified = invoke(["verify", bundle, "--set", sets / "test", *reports, "--json"])
    assert (verified.exit_code, documents(verified)["verdict"]) == (0, "pass")
    assert 'failures="0" errors="0"' in junit.read_text()
    assert "| score agreement | **pass** |" in markdown.read_text()
    (kept,) = bundle.with_name("xray.cspine.evidence").iterdir()
    Draft202012Validator(evidence_schema()).validate(json.loads(kept.read_bytes()))
    again = invoke(["verify", bundle, "--from", kept, "--json"])
    assert (again.exit_code, documents(again)) == (0, documents(verified))

    ran = invoke(["run", bundle, study, "-o", tmp_path / "results", "--json"])
    assert ran.exit_code == 0
    for found in documents(ran):
        Draft202012Validator(findings_schema()).validate(found)
        assert found["identity"]["precision"] == "int8"
    assert [found["status"] for found in documents(ran)] == ["answered"] * 2 + ["refused"] * 2
    levels = documents(ran)[0]["levels"]
    assert [level["label"] for level in levels] == ["C2/3", "C3/4", "C4/5", "C5/6", "C6/7", "C7/T1"]
    written = sorted(path.name for path in (tmp_path / "results").rglob("*.*"))
    assert written == ["findings.json"] * 4 + ["overlay.png"] * 2

    one = sets / "test" / "studies" / "phantom-502-00000"
    record = tmp_path / "record.json"
    words = ["bench", bundle, "--study", one, "--blocks", 6, "--starts", 0, "--record", record]
    benched = invoke([*words, "--json"])
    assert benched.exit_code == (3 if documents(benched)["verdict"] else 0)  # void, or no verdict
    assert json.loads(record.read_text()) == documents(benched)

    inspected = documents(invoke(["inspect", bundle, "--json"]))
    (evidence,) = inspected["evidence"]
    assert (evidence["backend"], evidence["target"]) == ("onnxruntime", "ort-x64-vnni")
    assert (evidence["precision"], evidence["verdict"]) == ("int8", "pass")
    model = bundle / "models" / "classify" / "ort-x64-vnni.int8.onnx"
    assert documents(invoke(["inspect", model, "--json"]))["integer_kernels"]["QLinearConv"] > 0
    assert documents(invoke(["doctor", "--json"]))["device"]["cores"] >= 1


def test_one_file_goes_wherever_the_folder_goes(
    invoke: Invoke, made: Bundle, sets: Path, tmp_path: Path
) -> None:
    one, study = tmp_path / "one", sets / "faults" / "studies" / "phantom-503-00000"
    packed = documents(invoke(["pack", made.path, "-o", one, "--json"]))
    assert packed["digest"] == made.digest
    ran = documents(invoke(["run", one, study, "--json"]))
    assert ran == documents(invoke(["run", made.path, study, "--json"]))
    assert ran[0]["identity"]["bundle"] == made.digest
    words = ["bench", one, "--against", one, "--study", study, "--blocks", 6, "--starts", 1]
    assert documents(invoke([*words, "--json"]))["bundle"] == made.digest
    words = ["emit", one, "--target", "trt", "--json", "--estimator"]
    emitted = documents(invoke([*words, "percentile"]))
    assert emitted["digest"] == Bundle.open(one).digest != made.digest
    # As it was emitted first, it is the bundle that it was.
    assert documents(invoke([*words, DEFAULT]))["digest"] == made.digest
    assert one.is_file()
    write_cases(tmp_path / "few", patients=4, seed=505, split="test")
    verified = documents(invoke(["verify", one, "--set", tmp_path / "few", "--json"]))
    # What other tests left beside the folder has been packed along.
    found = documents(invoke(["inspect", one, "--json"]))["evidence"]
    assert verified["verdict"] in [each["verdict"] for each in found]
    assert [*tmp_path.glob("one.evidence/*.json")]


def test_people_get_tables(invoke: Invoke, made: Bundle, sets: Path) -> None:
    ran = invoke(["run", made.path, sets / "faults" / "studies"])
    assert "WRONG_VIEW: The header states a view that is not lateral." in ran.stdout
    assert "C5/6" in ran.stdout
    assert "stage" in invoke(["inspect", made.path]).stdout
    assert "onnxruntime" in invoke(["doctor"]).stdout


def test_inspect_counts_what_was_emitted(invoke: Invoke, made: Bundle) -> None:
    inspected = documents(invoke(["inspect", made.path, "--json"]))
    left = {
        (each["stage"], each["target"], each["precision"]): each["left"]
        for each in inspected["emissions"]
    }
    halves = {f"{target}.fp16" for target in made.emitted("fp16")}
    for stage in inspected["stages"]:
        fp32, *emitted = stage["models"]
        assert (fp32["model"], fp32["integer_share"]) == ("fp32", 0)
        assert {each["model"] for each in emitted} == {*made.targets, *halves}
        for model in emitted:
            assert model["flops"] == fp32["flops"]
            if model["model"] in halves:
                assert model["integer_share"] == 0
                continue
            # What has no bias gets one, to make up for the rounding of its weights.
            assert 1 <= model["parameters"] / fp32["parameters"] < 1.001
            assert model["inputs"] == fp32["inputs"]
            assert 0.9 < model["integer_share"] <= 1
            # The head of a network, which is float throughout where it does not multiply integers.
            floats = left[stage["stage"], model["model"], "int8"]
            assert bool(floats) == (model["integer_share"] < 1)
            assert floats or not model["model"].startswith("trt")
    shown = invoke(["inspect", made.path]).stdout
    assert max(map(len, shown.splitlines())) <= 100


def test_the_bill_of_materials_names_the_tools_that_ran(invoke: Invoke, made: Bundle) -> None:
    data = invoke(["sbom", made.path]).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data) is None
    needed = {each["ref"]: each.get("dependsOn", ()) for each in json.loads(data)["dependencies"]}
    for package, path in [
        ("onnxruntime", table_path("classify")),
        ("onnx", emission_path("classify", "trt")),
    ]:
        purl = PackageURL("pypi", name=package, version=version(package)).to_string()
        assert purl in needed[f"file:{path}"]
    assert any(ref.startswith("checkpoint:") for ref in needed[f"file:{fp32_path('classify')}"])


def test_verify_on_a_calibration_study_is_refused_whatever_its_header_says(
    made: Bundle, sets: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "set"
    shutil.copytree(sets / "calibration", copy)
    table = copy / "cases.csv"
    table.write_text(table.read_text().replace(",calibration,", ",test,"))
    for path in copy.rglob("*.dcm"):
        dataset = dcmread(path)
        dataset.SeriesDescription = "saved again"
        dataset.save_as(path)
    result = command("verify", made.path, "--set", copy)
    assert result.returncode == 2
    assert "was calibrated on this study" in result.stderr


def test_another_calibration_drops_the_models_of_the_last(
    bundle: Bundle, sets: Path, tmp_path: Path
) -> None:
    cases = read_cases(sets / "calibration", split="calibration", levels=answered_levels(bundle))
    fewer = CaseSet(cases.cases[:2], "0" * 64, cases.folder)
    again = calibrate(bundle, fewer, threads=None, progress=lambda done, total: None)
    assert again.targets == ()
    assert all(
        len(facts["studies"]) == 2
        for facts in again.manifest.provenance.values()
        if "studies" in facts
    )


def command(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The installed command, as a user runs it."""
    program = Path(sys.executable).with_name("cspine")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


def modified(sets: Path, to: Path, **elements: object) -> Path:
    """A clean phantom with some elements changed."""
    dataset = dcmread(sets / "test" / "studies" / "phantom-502-00000" / "image.dcm")
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(to, enforce_file_format=True)
    return to


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"},
            "UNSUPPORTED_OBJECT",
        ),
        ({"ViewPosition": "AP", "ViewCodeSequence": []}, "WRONG_VIEW"),
        ({"BodyPartExamined": "CHEST"}, "WRONG_ANATOMY"),
        ({"PixelData": b"\0\0"}, "UNSUPPORTED_OBJECT"),
    ],
)
def test_wrong_studies_are_answered_with_a_refusal_and_no_score(
    made: Bundle, sets: Path, tmp_path: Path, elements: dict[str, object], code: str
) -> None:
    result = command("run", made.path, modified(sets, tmp_path / "x.dcm", **elements), "--json")
    assert result.returncode == 0, result.stderr
    (found,) = json.loads(result.stdout)
    assert (found["status"], found["refusal"]["code"]) == ("refused", code)
    assert found["levels"] == []
    assert not result.stderr


def test_a_mirrored_image_contradicts_its_header(made: Bundle, sets: Path, tmp_path: Path) -> None:
    clean = dcmread(sets / "test" / "studies" / "phantom-502-00000" / "image.dcm")
    flipped = clean.pixel_array[:, ::-1].tobytes()
    path = modified(sets, tmp_path / "mirrored.dcm", PixelData=flipped)
    (found,) = json.loads(command("run", made.path, path, "--json").stdout)
    assert found["refusal"]["code"] == "ORIENTATION_CONFLICT"


def test_a_lateral_header_on_a_frontal_picture_gets_no_score(made: Bundle, tmp_path: Path) -> None:
    for number in range(6):
        dataset = phantom(seed=504, number=number, fault="ap").dataset
        dataset.ViewPosition = "LL"
        dataset.ViewCodeSequence = []
        dataset.PatientOrientation = ["P", "F"]
        dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    result = command("run", made.path, tmp_path, "--json")
    assert all(found["status"] == "refused" for found in json.loads(result.stdout))


@pytest.mark.parametrize("kind", ["empty file", "text file", "empty folder", "nothing", "PNG"])
def test_what_is_no_study_exits_2_with_a_line_and_no_traceback(
    made: Bundle, sets: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "input"
    match kind:
        case "empty file":
            path.touch()
        case "text file":
            path.write_text("DOE^JANE, a letter")
        case "empty folder":
            path.mkdir()
        case "PNG":
            path = next((sets / "test" / "masks").iterdir())
    result = command("run", made.path, path)
    assert result.returncode == 2
    assert result.stderr.startswith("cspine: ")
    assert "Traceback" not in result.stdout + result.stderr
    assert "DOE" not in result.stdout + result.stderr
    assert "0." not in result.stdout


def test_one_unreadable_file_does_not_stop_the_others(
    made: Bundle, sets: Path, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.dcm"
    junk.write_bytes(os.urandom(999))
    good = sets / "test" / "studies" / "phantom-502-00000"
    result = command("run", made.path, junk, good, "--json")
    assert result.returncode == 2
    assert "junk.dcm: not a DICOM file" in result.stderr
    (found,) = json.loads(result.stdout)
    assert found["status"] == "answered"


class Failing:
    """A study at which a model fails."""

    source = None

    def images(self, accept: Accept) -> Sequence[Image]:
        """Fail."""
        raise BackendError("stage 'x': failed")


def test_a_study_that_fails_costs_no_other_its_answer(made: Bundle, studies: list[Study]) -> None:
    choice = choose(made, this_device(), backend="onnxruntime", precision="fp32")
    pipeline = Pipeline.open(made, choice)
    failed: list[CspineError] = []
    mixed: list[Readable] = [Failing(), studies[0], Failing(), Failing(), studies[2]]
    outcomes = list(_outcomes(pipeline, mixed, failed))
    pipeline.close()
    statuses = [outcome and outcome.findings.status for outcome in outcomes]
    assert statuses == [None, "answered", None, None, "refused"]
    assert [str(error) for error in failed] == [
        f"study {number} of 5: stage 'x': failed" for number in (1, 3, 4)
    ]


def test_every_file_of_the_bundle_is_guarded(bundle: Bundle) -> None:
    names = ["manifest.json", *bundle.manifest.files]
    assert len(names) == 1 + 1 + 3 * (1 + 1 + 8)
    for name in names:
        path = bundle.path / name
        data = path.read_bytes()
        for place in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(BundleError, match=path.name):
                Bundle.open(bundle.path)
        path.unlink()
        with pytest.raises(BundleError, match=path.name):
            Bundle.open(bundle.path)
        path.write_bytes(data)
    Bundle.open(bundle.path)


def test_a_changed_bundle_exits_2_and_judges_nothing(bundle: Bundle, sets: Path) -> None:
    path = bundle.path / "models" / "classify" / "fp32.onnx"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    result = command("run", bundle.path, sets / "test" / "studies" / "phantom-502-00000")
    assert result.returncode == 2
    assert "models/classify/fp32.onnx has changed" in result.stderr
    assert not result.stdout


def test_int8_without_evidence_is_refused(bundle: Bundle, sets: Path) -> None:
    study = sets / "test" / "studies" / "phantom-502-00000"
    result = command("run", bundle.path, study, "--precision", "int8")
    assert result.returncode == 2
    assert "INT8 may not answer: the verdict of INT8 is missing" in result.stderr
    assert "cspine verify" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum"], "no command 'rum'; did you mean 'run'?"),
        (["run"], "Missing argument"),
        (["run", "nowhere", "nothing"], "no manifest.json there, so it is no bundle"),
        (["export", "xray-compresion", "--checkpoint", "a=b", "-o", "c"], "did you mean"),
        (["export", "xray-compression", "--checkpoint", "a", "-o", "c"], "expected STAGE=FILE"),
        (["verify", "x"], "give BUNDLE and --set to judge, or --from EVIDENCE"),
        (["inspect", "x.txt"], "expected a bundle, an .onnx or an .engine file"),
    ],
)
def test_usage_errors_exit_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = command(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("turn", ["half turn", "up side down"])
@pytest.mark.parametrize("header", ["as it was", "silent"])
def test_an_image_that_is_not_upright_gets_no_score(
    made: Bundle, sets: Path, tmp_path: Path, turn: str, header: str
) -> None:
    for study in sorted((sets / "test" / "studies").iterdir())[:30]:
        dataset = dcmread(study / "image.dcm")
        pixels = (
            dataset.pixel_array[::-1] if turn != "half turn" else dataset.pixel_array[::-1, ::-1]
        )
        dataset.PixelData = pixels.tobytes()
        if header == "silent":
            dataset.PatientOrientation = None
        dataset.save_as(tmp_path / f"{study.name}.dcm", enforce_file_format=True)
    result = command("run", made.path, tmp_path, "--json")
    answered = [found for found in json.loads(result.stdout) if found["status"] != "refused"]
    assert not answered
