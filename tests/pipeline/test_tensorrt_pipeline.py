"""From a bundle to findings over TensorRT: engines are built, found, checked and run.

The engines are those of ``tests/trt``, which ONNX Runtime computes; the findings must be those of
ONNX Runtime itself. ``make device`` does the same on a real GPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from cspine.bundle import Bundle
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.engines.build import build_engines
from cspine.engines.compile import Aim
from cspine.engines.store import load_engine
from cspine.errors import BundleError
from cspine.files import sha256
from cspine.pipeline import Pipeline
from cspine.precision import Choice, Precision, lower
from trt.guard import SURFACES
from trt.install import Install

Invoke = Callable[[Sequence[object]], Result]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("CSPINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def levels(bundle: Bundle, choice: Choice, studies: Sequence[Study]) -> list[list[object]]:
    """Return what a choice finds: labels, decisions and probabilities to a thousandth."""
    pipeline = Pipeline.open(bundle, choice)
    found = [pipeline.run(study).findings for study in studies]
    pipeline.close()
    assert any(each.levels for each in found)
    return [
        [each.refusal, *((x.label, x.positive, round(x.probability, 3)) for x in each.levels)]
        for each in found
    ]


@pytest.mark.parametrize("version", SURFACES)
def test_engines_of_a_bundle_find_what_onnxruntime_finds(
    install: Install, made: Bundle, studies: list[Study], version: str
) -> None:
    install(version)
    build_engines(made, precision="fp32", aim=Aim())
    got = levels(made, Choice("tensorrt", "fp32", None, "a test"), studies[:2])
    assert got == levels(made, Choice("onnxruntime", "fp32", None, "a test"), studies[:2])


@pytest.mark.parametrize("version", ["10.3.0", "11.4.0.106"])
@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_the_typed_emissions_are_what_is_built(
    install: Install, made: Bundle, studies: list[Study], version: str, precision: Precision
) -> None:
    install(version)
    for engine in build_engines(made, precision=precision, aim=Aim()):
        graph = made.read(f"models/{engine.manifest.stage}/trt.{precision}.onnx")
        assert engine.manifest.onnx == sha256(graph)
        assert {each.inputs[0].dtype for each in engine.manifest.layers} == {
            "Int8" if precision == "int8" else "Float"
        }
    assert levels(made, Choice("tensorrt", precision, "trt", "a test"), studies[:2])


def test_fp16_answers_once_it_is_verified(
    install: Install, invoke: Invoke, bundle: Bundle, sets: Path
) -> None:
    install("10.3.0")
    study = sets / "test" / "studies" / "phantom-502-00000"
    asked = ["run", bundle.path, study, "--backend", "tensorrt", "--json"]
    assert invoke(["build", bundle.path, "--precision", "fp16"]).exit_code == 0
    with pytest.raises(BundleError, match="FP16 may not answer: the verdict of FP16 is missing"):
        invoke([*asked, "--precision", "fp16"])

    judge = ["verify", bundle.path, "--set", sets / "test", "--backend", "tensorrt"]
    judged = invoke([*judge, "--precision", "fp16"])
    assert judged.exit_code == 0, judged.output
    assert "FP16 is better by" in judged.output
    (path,) = bundle.evidence.glob("*.json")
    assert path.name.startswith(f"{bundle.digest[:12]}.tensorrt.trt.fp16.")
    assert invoke(["verify", "--from", path]).exit_code == 0

    (found,) = json.loads(invoke(asked).stdout)
    assert found["identity"]["precision"] == "fp16"
    assert found["identity"]["target"] == "trt"
    assert found["levels"]
    assert "evidence: tensorrt, trt, fp16: pass" in invoke(["inspect", bundle.path]).output
    assert invoke(["build", bundle.path, "--precision", "fp32"]).exit_code == 0
    timed = ["bench", bundle.path, "--study", study, "--backend", "tensorrt", "--starts", 0]
    record = json.loads(invoke([*timed, "--precision", "fp16", "--blocks", 6, "--json"]).stdout)
    assert record["arms"]["tensorrt fp16"]["models"] == {
        stage.id: sha256(bundle.model(stage.id, target="trt", precision="fp16"))
        for stage in bundle.spec.networks
    }


def test_tensorrt_8_makes_fp16_of_the_fp32_graph(
    install: Install, made: Bundle, studies: list[Study]
) -> None:
    install("8.6.1")
    for engine in build_engines(made, precision="fp16", aim=Aim()):
        assert engine.manifest.onnx == sha256(made.model(engine.manifest.stage))
    assert levels(made, lower("tensorrt", this_device(), "fp16"), studies[:2])


def test_a_dla_answers_where_it_is_asked(
    install: Install, invoke: Invoke, made: Bundle, studies: list[Study]
) -> None:
    install("10.3.0")
    assert invoke(["build", made.path, "--precision", "fp16", "--dla", 0]).exit_code == 0
    with pytest.raises(BundleError, match="no fp16 engine of the bundle is built; run"):
        Pipeline.open(made, Choice("tensorrt", "fp16", "trt", "a test"))
    assert levels(made, Choice("tensorrt-dla", "fp16", None, "a test"), studies[:2])


def test_a_changed_device_is_refused_and_a_build_mends_it(
    install: Install, invoke: Invoke, made: Bundle, studies: list[Study]
) -> None:
    install("10.3.0")
    assert invoke(["build", made.path, "--precision", "fp32"]).exit_code == 0
    install("10.13.3.9")
    choice = Choice("tensorrt", "fp32", None, "a test")
    with pytest.raises(BundleError, match=r"built with tensorrt 10\.3\.0, here is tensorrt 10\.13"):
        Pipeline.open(made, choice)
    assert invoke(["build", made.path, "--precision", "fp32"]).exit_code == 0
    assert levels(made, choice, studies[:1])


def test_timings_are_kept_for_the_next_build(install: Install, made: Bundle, cache: Path) -> None:
    installed = install("10.3.0")
    build_engines(made, precision="fp32", aim=Aim())
    (kept,) = (cache / "timings").iterdir()
    known = kept.read_bytes()
    build_engines(made, precision="fp32", aim=Aim())
    assert (known,) in installed.surface.said("IBuilderConfig.create_timing_cache")
    assert len(kept.read_bytes()) > len(known)


def test_inspect_shows_what_the_device_built(
    install: Install, invoke: Invoke, made: Bundle
) -> None:
    install("8.6.1")
    built = invoke(["build", made.path, "--precision", "fp32", "--json"])
    for engine in json.loads(built.stdout):
        manifest = load_engine(Path(engine["path"])).manifest
        assert manifest.built_on is not None
        assert manifest.built_on.gpu == "A made GPU"
        assert (manifest.tensorrt_version, manifest.compute_capability) == ("8.6.1", "8.7")
        shown = invoke(["inspect", engine["path"]])
        assert "share" in shown.output or "INT8" in shown.output
