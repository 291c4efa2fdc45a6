from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from cspine import precision
from cspine.bundle import Bundle
from cspine.choose import admitted, choose
from cspine.console import BACKENDS
from cspine.device import Device
from cspine.errors import BackendError, BundleError
from cspine.evidence import Evidence, evidence_of, evidence_path, verdict_of
from cspine.precision import DLA, LOWER, Choice, fp32, lower
from trt.install import Install

AVX2 = Device(
    machine="x86_64",
    system="Linux 6.1",
    python="3.12.0",
    cpu="a CPU with AVX2",
    cores=4,
    memory_mib=8192,
    flags=("sse4_2", "avx2", "fma"),
    jetson=None,
)
UNKNOWN = replace(AVX2, cpu="a CPU of 2009", flags=())
INT8 = Choice("onnxruntime", "int8", "ort-x64-avx2", "its verdict on the locked set is pass")


LOCKED, OTHER = "a" * 64, "b" * 64  # digests of case sets


def criteria(bundle: Bundle, **auc: float) -> list[dict[str, object]]:
    """Differences well inside the bundle's margins, that of the AUC with changes."""
    found: list[dict[str, object]] = [
        {"name": name, "low": -margin / 2, "high": margin / 2, "margin": margin}
        for name, margin in bundle.spec.gate.margins.items()
    ]
    return [found[0] | auc, *found[1:]]


def record(
    bundle: Bundle, changes: Mapping[str, object] | None = None, *, set_digest: str = LOCKED
) -> None:
    """Leave evidence where this bundle's is looked for; by default it is a pass, and its own."""
    facts = {
        "format": 3,
        "bundle": bundle.digest,
        "backend": "onnxruntime",
        "target": "ort-x64-avx2",
        "verdict": "pass",
        "criteria": criteria(bundle),
        "set_digest": set_digest,
    }
    path = evidence_path(bundle, INT8, set_digest=set_digest)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.encode({**facts, **(changes or {})}))


def test_without_evidence_fp32_answers(bundle: Bundle) -> None:
    assert choose(bundle, AVX2, backend="onnxruntime", precision=None) == Choice(
        "onnxruntime", "fp32", None, "the verdict of INT8 is missing for onnxruntime"
    )


def test_a_pass_for_exactly_this_lets_int8_answer(bundle: Bundle) -> None:
    record(bundle)
    assert choose(bundle, AVX2, backend="onnxruntime", precision=None) == INT8
    assert choose(bundle, AVX2, backend="onnxruntime", precision="int8") == INT8


def test_fp32_may_always_be_asked_for(bundle: Bundle) -> None:
    record(bundle)
    asked = choose(bundle, AVX2, backend="onnxruntime", precision="fp32")
    assert asked == fp32("onnxruntime") == Choice("onnxruntime", "fp32", None, "asked for")


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_any_other_verdict_leaves_fp32(bundle: Bundle, verdict: str) -> None:
    record(bundle, {"verdict": verdict})
    chosen = choose(bundle, AVX2, backend="onnxruntime", precision=None)
    assert chosen.precision == "fp32"
    assert chosen.reason == f"the verdict of INT8 is {verdict} for onnxruntime"


@pytest.mark.parametrize(
    "changes", [{"bundle": "0" * 64}, {"backend": "openvino"}, {"target": "ort-x64-vnni"}]
)
def test_evidence_for_something_else_is_none(bundle: Bundle, changes: dict[str, str]) -> None:
    record(bundle, changes)
    assert verdict_of(bundle, INT8) is None
    assert choose(bundle, AVX2, backend="onnxruntime", precision=None).precision == "fp32"


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        (("pass", "fail"), "fail"),
        (("fail", "pass"), "fail"),
        (("inconclusive", "fail"), "fail"),
        (("pass", "inconclusive"), "pass"),
        (("inconclusive", "inconclusive"), "inconclusive"),
    ],
)
def test_the_evidence_of_every_case_set_counts(
    bundle: Bundle, verdicts: tuple[str, str], together: str
) -> None:
    for set_digest, verdict in zip((LOCKED, OTHER), verdicts, strict=True):
        record(bundle, {"verdict": verdict}, set_digest=set_digest)
    assert len(evidence_of(bundle)) == 2
    assert verdict_of(bundle, INT8) == together


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),  # of the AUC, whose margin is 0.01
    [
        (-0.0099, 0.3, 0.01, "pass"),
        (-0.01, 0.01, 0.01, "inconclusive"),
        (-0.05, 0.01, 0.1, "inconclusive"),  # its own margin is wider than the pipeline file's
        (-0.01, 0.01, 0.005, "inconclusive"),  # narrower: then that one counts
        (-0.05, -0.03, 0.1, "fail"),
    ],
)
def test_a_pass_is_believed_as_far_as_its_interval_goes(
    bundle: Bundle, low: float, high: float, margin: float, verdict: str
) -> None:
    record(bundle, {"criteria": criteria(bundle, low=low, high=high, margin=margin)})
    assert verdict_of(bundle, INT8) == verdict


def test_a_pass_that_judged_less_than_the_pipeline_file_demands_is_none(bundle: Bundle) -> None:
    assert len(bundle.spec.gate.margins) > 1
    for number in range(len(bundle.spec.gate.margins)):
        found = criteria(bundle)
        del found[number]
        record(bundle, {"criteria": found})
        assert verdict_of(bundle, INT8) == "inconclusive"


def test_evidence_does_not_survive_a_change_of_the_bundle(bundle: Bundle) -> None:
    record(bundle)
    changed = bundle.extended({"models/localise/ort-x64-avx2.int8.onnx": b"another"}, {})
    assert choose(changed, AVX2, backend="onnxruntime", precision=None).precision == "fp32"


def test_int8_without_evidence_is_refused_with_the_way_to_it(bundle: Bundle) -> None:
    with pytest.raises(BundleError) as caught:
        choose(bundle, AVX2, backend="onnxruntime", precision="int8")
    assert str(caught.value) == (
        f"{bundle.path}: INT8 may not answer: the verdict of INT8 is missing for onnxruntime; "
        f"run: cspine verify {bundle.path} --set DIR --backend onnxruntime"
    )


def test_int8_without_emission_is_refused_with_the_way_to_it(bundle: Bundle) -> None:
    chosen = choose(bundle, AVX2, backend="openvino", precision=None)
    assert chosen == fp32("openvino", reason="the bundle has no INT8 emission for openvino")
    with pytest.raises(BundleError) as caught:
        choose(bundle, AVX2, backend="openvino", precision="int8")
    assert str(caught.value) == (
        f"{bundle.path}: INT8 may not answer: the bundle has no INT8 emission for openvino; "
        f"run: cspine emit {bundle.path} --target openvino"
    )


def test_an_unknown_cpu_stays_with_fp32(bundle: Bundle) -> None:
    record(bundle)
    reason = "no INT8 emission is known to be exact on this CPU"
    chosen = choose(bundle, UNKNOWN, backend="onnxruntime", precision=None)
    assert chosen == fp32("onnxruntime", reason=reason)
    with pytest.raises(BundleError) as caught:
        choose(bundle, UNKNOWN, backend="onnxruntime", precision="int8")
    assert str(caught.value) == (
        f"backend 'onnxruntime': {reason} (a CPU of 2009); use --precision fp32"
    )


@pytest.mark.parametrize(
    ("backend", "target"),
    [("onnxruntime", "ort-x64-avx2"), ("openvino", "openvino")],
)
def test_each_backend_has_its_emission(backend: str, target: str) -> None:
    assert lower(backend, AVX2, "int8") == Choice(backend, "int8", target, "asked for")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_cpu_answers_in_no_fp16(bundle: Bundle, backend: str) -> None:
    with pytest.raises(BundleError) as caught:
        choose(bundle, AVX2, backend=backend, precision="fp16")
    remedy = "use --backend tensorrt, or --precision int8 or fp32"
    assert str(caught.value) == f"backend {backend!r}: has no FP16; {remedy}"


def half(bundle: Bundle) -> Bundle:
    """The bundle with what TensorRT takes for INT8 and for FP16."""
    networks = [stage.id for stage in bundle.spec.networks]
    names = [f"models/{stage}/trt.{each}.onnx" for stage in networks for each in ("int8", "fp16")]
    return bundle.extended(dict.fromkeys(names, b"a graph"), {})


def test_fp16_has_evidence_of_its_own(bundle: Bundle, install: Install) -> None:
    install("10.3.0")
    made = half(bundle)
    facts = {"format": 5, "backend": "tensorrt", "target": "trt"}
    missing = [f"the verdict of {name} is missing for tensorrt" for name in ("INT8", "FP16")]
    asked = partial(choose, made, AVX2, backend="tensorrt")
    assert asked(precision=None) == fp32("tensorrt", reason="; ".join(missing))

    record(made, facts | {"precision": "fp16"})
    fp16 = Choice("tensorrt", "fp16", "trt", "its verdict on the locked set is pass")
    assert asked(precision=None) == asked(precision="fp16") == fp16
    assert admitted(made, AVX2, backend="tensorrt") == ([fp16], {"int8": missing[0]})
    with pytest.raises(BundleError, match="INT8 may not answer: the verdict of INT8 is missing"):
        asked(precision="int8")

    record(made, facts | {"precision": "int8"}, set_digest=OTHER)
    assert [each.precision for each in admitted(made, AVX2, backend="tensorrt")[0]] == [
        "int8", "fp16",
    ]  # fmt: skip
    record(made, facts | {"precision": "int8", "verdict": "fail"}, set_digest=OTHER)
    assert asked(precision=None) == fp16
    record(made, facts | {"precision": "int8"}, set_digest=OTHER)
    record(made, facts | {"precision": "fp16", "verdict": "fail"}, set_digest="c" * 64)
    assert asked(precision=None).precision == "int8"
    with pytest.raises(
        BundleError, match=r"the verdict of FP16 is fail for tensorrt; run: .* fp16"
    ):
        asked(precision="fp16")


def test_evidence_without_a_precision_is_of_int8(bundle: Bundle, install: Install) -> None:
    install("10.3.0")
    made = half(bundle)
    record(made, {"format": 4, "backend": "tensorrt", "target": "trt"})
    allowed, withheld = admitted(made, AVX2, backend="tensorrt")
    assert [each.precision for each in allowed] == ["int8"]
    assert list(withheld) == ["fp16"]


def test_evidence_of_a_precision_that_its_format_lacks_is_damaged(bundle: Bundle) -> None:
    record(bundle, {"format": 4, "precision": "fp16"})
    with pytest.raises(BundleError, match="cannot be read as evidence"):
        evidence_of(bundle)


def test_fp16_without_emission_is_refused_with_the_way_to_it(
    bundle: Bundle, install: Install
) -> None:
    install("10.3.0")
    with pytest.raises(BundleError) as caught:
        choose(bundle, AVX2, backend="tensorrt", precision="fp16")
    assert str(caught.value) == (
        f"{bundle.path}: FP16 may not answer: the bundle has no FP16 emission for trt; "
        f"run: cspine emit {bundle.path} --target trt --precision fp16"
    )


def test_tensorrt_8_makes_fp16_of_the_fp32_graph(bundle: Bundle, install: Install) -> None:
    install("8.6.1")
    assert lower("tensorrt", AVX2, "fp16") == Choice("tensorrt", "fp16", None, "asked for")
    record(bundle, {"format": 5, "backend": "tensorrt", "target": "fp32", "precision": "fp16"})
    assert choose(bundle, AVX2, backend="tensorrt", precision="fp16").target is None


@pytest.mark.parametrize(
    ("version", "targets"),
    [
        ("8.6.1", ("trt-dla", None)),
        ("10.3.0", ("trt-dla", None)),
        ("11.1.0.106", ("trt-dla", "trt")),
    ],
)
def test_a_dla_has_evidence_of_its_own(
    bundle: Bundle, install: Install, version: str, targets: tuple[str | None, ...]
) -> None:
    install(version)
    found = [lower(DLA, AVX2, each) for each in ("int8", "fp16")]
    assert tuple(each.target for each in found) == targets
    made = half(bundle)
    facts = {"format": 5, "precision": "fp16", "target": found[1].graph}
    record(made, facts | {"backend": "tensorrt"})
    with pytest.raises(BundleError, match=r"a DLA computes no FP32 \(.*FP16 is missing for"):
        choose(made, AVX2, backend=DLA, precision=None)
    record(made, facts | {"backend": DLA})
    assert choose(made, AVX2, backend=DLA, precision=None).precision == "fp16"
    with pytest.raises(BundleError, match=r"a DLA computes no FP32 \(asked for\); use --backend"):
        choose(made, AVX2, backend=DLA, precision="fp32")


def test_every_backend_can_be_asked_for() -> None:
    assert tuple(LOWER) == BACKENDS


@pytest.mark.parametrize(
    ("ahead_of_time", "strongly_typed", "target"),
    [((), True, "trt"), ((), False, "trt-8"), (("8.9",), True, "trt-rtx")],
)
def test_tensorrt_has_the_emission_of_the_one_installed(
    monkeypatch: pytest.MonkeyPatch,
    install: Install,
    ahead_of_time: tuple[str, ...],
    strongly_typed: bool,
    target: str,
) -> None:
    found = install("10.3.0").can
    here = replace(found, ahead_of_time=ahead_of_time, strongly_typed=strongly_typed)
    monkeypatch.setattr(precision, "capability", lambda: here)
    assert lower("tensorrt", AVX2, "int8").target == target
    assert lower("tensorrt", AVX2, "fp16").target == (target if strongly_typed else None)


def test_where_tensorrt_is_missing_the_usual_emission_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise BackendError("TensorRT is not installed")

    monkeypatch.setattr(precision, "capability", missing)
    assert lower("tensorrt", AVX2, "int8").target == "trt"
    assert lower("tensorrt", AVX2, "fp16").target == "trt"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"{",
        b'{"format": 2}',
        b'{"verdict": "maybe"}',
        b'{"bundle": "\xff"}',
        b'{"device":' * 5000,
    ],
)
def test_damaged_evidence_is_an_error_not_a_verdict(bundle: Bundle, content: bytes) -> None:
    record(bundle)
    path = evidence_path(bundle, INT8, set_digest=OTHER)
    path.write_bytes(content)  # a pass on another set does not make up for it
    with pytest.raises(BundleError) as caught:
        choose(bundle, AVX2, backend="onnxruntime", precision=None)
    assert str(caught.value) == f"{path}: cannot be read as evidence; remove it and verify"


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_evidence_of_an_older_format_does_not_count(bundle: Bundle, verdict: str) -> None:
    older: dict[str, object] = {"format": 2, "verdict": verdict}
    record(bundle, older)
    assert evidence_of(bundle) == []
    assert verdict_of(bundle, INT8) is None
    chosen = choose(bundle, AVX2, backend="onnxruntime", precision=None)
    assert chosen.precision == "fp32"
    assert chosen.reason == (
        "the verdict of INT8 is missing for onnxruntime; there is one of an older format, which "
        "does not count"
    )
    with pytest.raises(BundleError, match="which does not count; run: cspine verify "):
        choose(bundle, AVX2, backend="onnxruntime", precision="int8")
    record(bundle, older | {"backend": "openvino"})
    assert choose(bundle, AVX2, backend="onnxruntime", precision=None).reason == (
        "the verdict of INT8 is missing for onnxruntime"
    )
    record(bundle, set_digest=OTHER)
    assert choose(bundle, AVX2, backend="onnxruntime", precision=None) == INT8


def test_evidence_lies_beside_the_bundle_and_names_it(bundle: Bundle) -> None:
    path = evidence_path(bundle, INT8, set_digest=LOCKED)
    assert path.parent == bundle.evidence
    assert path.name == f"{bundle.digest[:12]}.onnxruntime.ort-x64-avx2.{'a' * 12}.json"
    record(bundle)
    assert msgspec.json.decode(path.read_bytes(), type=Evidence).verdict == "pass"
