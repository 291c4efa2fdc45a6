"""What is said of an engine: its layers against what its graph asks for."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from cspine.cli import cspine
from cspine.engines.convolutions import Convolution, convolutions
from cspine.engines.layers import Layer, Tensor
from cspine.engines.store import EngineManifest, store
from cspine.engines.summary import summarize
from cspine.files import sha256
from cspine.onnxfile import read_onnx
from small_graphs import EVERYTHING, SHAPES, build, random_weights

PLAN = bytes(12345)
ASKED = (
    Convolution("stem", "Conv", 100, quantized=False),
    Convolution("deep", "Conv", 600, quantized=True),
    Convolution("wide", "Conv", 200, quantized=True),
    Convolution("up", "ConvTranspose", 100, quantized=True),
)


def layer(
    origin: str, dtype: str, *, kind: str = "correlation", extra: tuple[str, ...] = ()
) -> Layer:
    return Layer(
        name=f"{origin}_myl0_0",
        kind=kind,
        inputs=(Tensor("x", dtype, (6, 1, 8, 8)),),
        constants=(Tensor("w", dtype, (16, 1, 3, 3)), Tensor("s", "Float", ())),
        outputs=(Tensor("y", "Half", (6, 16, 8, 8)),),
        origins=(*extra, origin),
    )


def manifest(*layers: Layer, tensorrt: str = "tensorrt") -> EngineManifest:
    return EngineManifest(
        engine=sha256(PLAN),
        onnx="1" * 64,
        bundle="2" * 64,
        stage="classify",
        precision="int8",
        tensorrt=tensorrt,
        tensorrt_version="10.3.0",
        compute_capability="8.7",
        built_on=None,
        flags=("STRONGLY_TYPED",),
        dla_core=None,
        workspace_bytes=1 << 30,
        batch=(1, 2, 4, 6),
        convolutions=ASKED,
        layers=layers,
    )


REFORMAT = Layer(
    name="Reformatting CopyNode for Input Tensor 0 to stem",
    kind="Reformat",
    inputs=(Tensor("x", "Float", (6, 1, 8, 8)),),
    constants=(),
    outputs=(Tensor("x8", "Half", (6, 1, 8, 8)),),
    origins=(),
)
WHOLE = (
    REFORMAT,
    layer("stem", "Half"),
    layer("deep", "Int8", extra=("x_quantized", "relu", "deep_dequantized")),
    layer("wide", "Int8", kind="CaskGemmConvolution"),
    layer("up", "Int8", kind="CaskDeconvolutionV2"),
)


def test_an_engine_that_is_what_was_emitted() -> None:
    found = summarize(manifest(*WHOLE))
    assert (found.layers, found.reformats) == (5, 1)
    assert found.expected == ("deep", "wide", "up")
    assert (found.missing, found.unsupported, found.untold) == ((), (), ())
    assert (found.flops, found.integer_flops, found.integer_share) == (1000, 900, 0.9)
    assert found.remark is None


def test_a_convolution_in_float_is_named_and_its_flops_are_not_counted() -> None:
    found = summarize(manifest(*WHOLE[:3], layer("wide", "Half"), WHOLE[4]))
    assert found.missing == ("wide",)
    assert found.integer_share == 0.7
    assert found.remark == (
        "1 of 3 convolutions emitted in INT8 run in float: wide; the engine answers as it should, "
        "but slower"
    )


def test_a_transposed_convolution_in_float_is_no_surprise_with_rtx_alone() -> None:
    layers = (*WHOLE[:4], layer("up", "Half", kind="deconv"))
    known = summarize(manifest(*layers, tensorrt="tensorrt_rtx_bindings"))
    assert (known.missing, known.unsupported) == ((), ("up",))
    assert known.integer_share == 0.8
    assert known.remark is None
    assert summarize(manifest(*layers)).missing == ("up",)


def test_what_is_in_no_layer_is_missing_unless_a_layer_hides_it() -> None:
    assert summarize(manifest(*WHOLE[:4])).missing == ("up",)
    dla = layer("{ForeignNode[wide...up]}", "Int8", kind="DLA")
    for layers in ((*WHOLE[:3], dla), ()):
        found = summarize(manifest(*layers, tensorrt="tensorrt_rtx"))
        assert found.missing == found.unsupported == ()
        assert found.untold == (("wide", "up") if layers else ("deep", "wide", "up"))
        assert found.integer_flops is found.integer_share is None
        assert found.remark is not None
        assert found.remark.startswith(f"TensorRT does not say how {len(found.untold)} of 3 ")


def test_a_graph_without_integers_has_none() -> None:
    found = summarize(msgspec.structs.replace(manifest(), convolutions=ASKED[:1]))
    assert (found.expected, found.remark, found.integer_share) == ((), None, 0.0)


def test_flops_are_those_of_the_data_sheet() -> None:
    file = read_onnx(build(EVERYTHING, **random_weights(SHAPES)), where="a test")
    counted = {each.name: each.flops for each in convolutions(file)}
    assert counted["node_of_c1"] == 2 * 16 * 12 * 12 * 8 * 3 * 3
    assert counted["node_of_u"] == 2 * 32 * 6 * 6 * 16 * 2 * 2
    assert len(counted) == 6


def test_a_graph_with_an_unknown_shape_has_convolutions_all_the_same() -> None:
    file = read_onnx(
        build(
            '<ir_version: 8, opset_import: ["" : 17]>'
            "g (float[N,4,9,9] x) => (float[N,M] y)"
            "{ c = Conv(x, w) z = NonZero(c) y = Cast<to = 1>(z) }",
            **random_weights({"w": (16, 4, 3, 3)}),
        ),
        where="a test",
    )
    assert convolutions(file) == (Convolution("node_of_c", "Conv", None, quantized=False),)


def test_a_kernel_whose_types_are_withheld_is_not_said_to_be_float() -> None:
    found = summarize(manifest(*WHOLE[:3], layer("wide", ""), layer("up", "Half", kind="deconv")))
    assert (found.missing, found.untold) == (("up",), ("wide",))
    assert found.integer_share is None
    assert found.remark is not None
    assert found.remark.startswith("1 of 3 convolutions emitted in INT8 run in float: up")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep engines in a cache of the test's own."""
    monkeypatch.setenv("CSPINE_CACHE", str(tmp_path))


def test_inspect_lays_an_engine_out() -> None:
    layers = (*WHOLE[:3], layer("wide", "Half"), layer("up", "Half", kind="deconv"))
    engine = store(PLAN, manifest(*layers, tensorrt="tensorrt_rtx"))
    shown = CliRunner().invoke(cspine, ["inspect", str(engine.path)])
    assert shown.exit_code == 0
    facts, rows, totals = (part.splitlines() for part in shown.stdout.split("\n\n"))
    assert any(line.split() == ["stage", "classify"] for line in facts)
    assert any(line.split() == ["size", "0.01", "MB"] for line in facts)
    assert [line.split(maxsplit=4) for line in rows[:1] + rows[2:5]] == [
        ["layer", "reads", "weights", "writes", "from"],
        ["Reformat", "Float", "Half"],
        ["correlation", "Half", "Half", "Half", "stem"],
        ["correlation", "Int8", "Int8", "Half", "deep and 3 more"],
    ]
    assert totals == [
        "layers: 5, of them 1 only lay out or convert a tensor",
        "FLOPs of convolutions in INT8: 60.00 %",
        "convolutions emitted in INT8: 3",
        "in float all the same: 1: wide",
        "in float, for TensorRT-RTX has no integer kernel for transposed convolutions: 1: up",
    ]


def test_inspect_says_where_tensorrt_lists_nothing() -> None:
    engine = store(PLAN, manifest())
    shown = CliRunner().invoke(cspine, ["inspect", str(engine.path)]).stdout
    assert "TensorRT has not listed the layers" in shown
    assert "FLOPs of convolutions in INT8: unknown" in shown
    assert "of which TensorRT does not say how they run: 3: deep, wide, up" in shown


def test_inspect_gives_programs_everything() -> None:
    made = manifest(*WHOLE)
    engine = store(PLAN, made)
    shown = json.loads(CliRunner().invoke(cspine, ["inspect", str(engine.path), "--json"]).stdout)
    summary, size = shown.pop("summary"), shown.pop("bytes")
    assert msgspec.convert(shown, EngineManifest) == made
    assert size == len(PLAN)
    assert summary == {
        "layers": 5,
        "reformats": 1,
        "convolution_flops": 1000,
        "integer_flops": 900,
        "integer_share": 0.9,
        "expected": ["deep", "wide", "up"],
        "missing": [],
        "unsupported": [],
        "untold": [],
    }
