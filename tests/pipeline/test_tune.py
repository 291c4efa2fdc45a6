"""The device chooses by measuring, among what evidence allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from cspine import tune
from cspine.bundle import Bundle, EmittedPrecision
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.engines.build import build_engines
from cspine.engines.compile import Aim
from cspine.errors import StudyError
from cspine.evidence import evidence_path
from cspine.precision import lower
from trt.install import Install

Invoke = Callable[[Sequence[object]], Result]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of the test's own, and fewer rounds: what wins is no matter here."""
    monkeypatch.setenv("CSPINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tune, "ROUNDS", 2)


def allow(
    bundle: Bundle,
    backend: str,
    verdict: str = "pass",
    *,
    precision: EmittedPrecision = "int8",
) -> Path:
    """Leave a verdict as `verify` would."""
    choice = lower(backend, this_device(), precision)
    path = evidence_path(bundle, choice, set_digest="a" * 64)
    path.parent.mkdir(exist_ok=True)
    found = {
        "format": 5,
        "precision": precision,
        "bundle": bundle.digest,
        "backend": backend,
        "target": choice.target,
        "verdict": verdict,
        "criteria": [
            {"name": name, "low": -0.001, "high": 0.001, "margin": margin}
            for name, margin in bundle.spec.gate.margins.items()
        ],
    }
    path.write_text(json.dumps(found))
    return path


def nothing(done: int, total: int) -> None: ...


def test_only_fp32_may_answer_without_evidence(bundle: Bundle, studies: list[Study]) -> None:
    result = tune.tune(bundle, this_device(), studies[:1], progress=nothing)
    assert {each.precision for each in result.candidates} == {"fp32"}
    assert {each.backend for each in result.candidates} == {"onnxruntime", "openvino"}
    assert any("onnxruntime int8: the verdict of INT8 is missing" in x for x in result.left_out)
    assert any(
        "tensorrt fp32: stage 'screen': no fp32 engine of the bundle is built" in x
        for x in result.left_out
    )
    times = [each.milliseconds for each in result.candidates]
    assert times == sorted(times)


def test_run_uses_the_winner_until_its_evidence_is_gone(
    bundle: Bundle, sets: Path, invoke: Invoke
) -> None:
    study = sets / "test" / "studies" / "phantom-502-00000"
    evidence = allow(bundle, "onnxruntime")
    allow(bundle, "openvino")
    tuned = json.loads(invoke(["tune", bundle.path, "--study", study, "--json"]).stdout)
    assert len(tuned["candidates"]) == 4 * len({1, this_device().cores})
    best = tuned["candidates"][0]

    (found,) = json.loads(invoke(["run", bundle.path, study, "--json"]).stdout)
    assert found["identity"]["backend"] == best["backend"]
    assert found["identity"]["precision"] == best["precision"]
    assert "the fastest of those that may answer here" in invoke(["run", bundle.path, study]).stdout

    evidence.unlink()
    allow(bundle, "openvino", verdict="fail")
    (found,) = json.loads(invoke(["run", bundle.path, study, "--json"]).stdout)
    assert found["identity"]["precision"] == "fp32"


def test_fp16_is_measured_where_it_may_answer(
    install: Install, bundle: Bundle, studies: list[Study]
) -> None:
    install("10.3.0")
    allow(bundle, "tensorrt", precision="fp16")
    for precision in ("fp32", "fp16"):
        build_engines(bundle, precision=precision, aim=Aim())
    found = tune.tune(bundle, this_device(), studies[:1], progress=nothing)
    measured = [each.precision for each in found.candidates if each.backend == "tensorrt"]
    assert sorted(measured) == ["fp16", "fp32"]
    assert "tensorrt int8: the verdict of INT8 is missing for tensorrt" in found.left_out
    assert tune.tuned(bundle, this_device()) is not None


def test_another_device_or_bundle_has_no_tuning(bundle: Bundle, studies: list[Study]) -> None:
    device = this_device()
    tune.tune(bundle, device, studies[:1], progress=nothing)
    assert tune.tuned(bundle, device) is not None
    assert tune.tuned(bundle, replace(device, cpu="another")) is None
    changed = bundle.extended({"models/localise/extra.onnx": b"x"}, {})
    assert tune.tuned(changed, device) is None


def test_a_refused_study_tunes_nothing(bundle: Bundle, studies: list[Study]) -> None:
    with pytest.raises(StudyError, match="a study is refused, so it tunes nothing"):
        tune.tune(bundle, this_device(), studies[2:], progress=nothing)


def test_no_study_tunes_nothing(bundle: Bundle) -> None:
    with pytest.raises(StudyError, match="there is no study to measure on"):
        tune.tune(bundle, this_device(), [], progress=nothing)


def test_a_tuning_is_forgotten_when_something_else_is_admissible(
    bundle: Bundle, studies: list[Study]
) -> None:
    device = this_device()
    tune.tune(bundle, device, studies[:1], progress=nothing)
    evidence = allow(bundle, "openvino")
    assert tune.tuned(bundle, device) is None  # INT8 was not measured
    evidence.unlink()
    assert tune.tuned(bundle, device) is not None
    evidence.write_bytes(b"{")
    assert tune.tuned(bundle, device) is None


def test_every_study_is_timed(
    bundle: Bundle, studies: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {id(studies[0]): 2_000_000, id(studies[1]): 6_000_000}
    monkeypatch.setattr(tune, "_nanoseconds", lambda pipeline, study: times[id(study)])
    result = tune.tune(bundle, this_device(), studies[:2], progress=nothing)
    assert {each.milliseconds for each in result.candidates} == {4.0}


def test_a_cache_that_cannot_be_used_is_no_tuning_and_stops_tune_at_once(
    bundle: Bundle, studies: list[Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CSPINE_CACHE", str(tmp_path / "file" / "cache"))
    assert tune.tuned(bundle, this_device()) is None
    rounds: list[int] = []
    with pytest.raises(NotADirectoryError):
        tune.tune(
            bundle, this_device(), studies[:1], progress=lambda done, total: rounds.append(done)
        )
    assert not rounds


def test_looking_for_a_tuning_makes_no_cache(bundle: Bundle, tmp_path: Path) -> None:
    assert tune.tuned(bundle, this_device()) is None
    assert not (tmp_path / "cache").exists()
