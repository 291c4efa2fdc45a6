"""What NVIDIA's own builder makes of the emissions, with no GPU: small networks of every family.

TensorRT-RTX lists its kernels at the end of a build. Every convolution that a file quantises must
be a kernel with two INT8 operands there; a quantiser in the wrong place is a silent float kernel.
The published sizes are in ``tests/zoo``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.engines.compile import Aim, Compiled, compile_onnx
from cspine.engines.convolutions import convolutions
from cspine.engines.layers import left_in_float
from cspine.onnxfile import read_onnx
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable
from cspine_export.graph.exported import to_onnx
from cspine_export.graph.interface import Interface

HEAD = "m = GlobalAveragePool(t) f = Flatten(m) y = Gemm<transB = 1>(f, g, h)"
# Weights are named for their output channels, input channels, kernel: v_32_16_3.
GRAPHS = {
    # A bottleneck with a down-sampling branch, then one without.
    "resnet": f"""{{
        s0 = Conv<pads = [3, 3, 3, 3], strides = [2, 2]>(x, w0_16_1_7, b0_16) s = Relu(s0)
        q = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(s)
        a0 = Conv(q, w1_16_16_1, b1_16) a = Relu(a0)
        b0 = Conv<pads = [1, 1, 1, 1]>(a, w2_16_16_3, b2_16) b = Relu(b0)
        c = Conv(b, w3_64_16_1, b3_64) d = Conv(q, w4_64_16_1, b4_64)
        e0 = Add(c, d) e = Relu(e0)
        k0 = Conv(e, w5_16_64_1, b5_16) k = Relu(k0)
        l0 = Conv<pads = [1, 1, 1, 1]>(k, w6_16_16_3, b6_16) l = Relu(l0)
        o = Conv(l, w7_64_16_1, b7_64) t0 = Add(o, e) t = Relu(t0)
        {HEAD.replace("g,", "g_4_64,").replace("h)", "h_4)")} }}""",
    # Depthwise convolutions, SiLU, squeeze and excitation, a linear bottleneck with its addition.
    "efficientnet": f"""{{
        s0 = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w0_16_1_3, b0_16)
        s1 = Sigmoid(s0) s = Mul(s0, s1)
        e0 = Conv(s, w1_96_16_1, b1_96) e1 = Sigmoid(e0) e = Mul(e0, e1)
        d0 = Conv<pads = [2, 2, 2, 2], group = 96>(e, w2_96_1_5, b2_96)
        d1 = Sigmoid(d0) d = Mul(d0, d1)
        p = GlobalAveragePool(d) r0 = Conv(p, w3_16_96_1, b3_16) r1 = Sigmoid(r0) r = Mul(r0, r1)
        i0 = Conv(r, w4_96_16_1, b4_96) i = Sigmoid(i0) j = Mul(d, i)
        o = Conv(j, w5_16_96_1, b5_16) a = Add(o, s)
        t0 = Conv(a, w6_64_16_1, b6_64) t1 = Sigmoid(t0) t = Mul(t0, t1)
        {HEAD.replace("g,", "g_4_64,").replace("h)", "h_4)")} }}""",
    # Concatenations that grow, a normalisation before each convolution, a transition.
    "densenet": f"""{{
        s0 = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w0_32_1_3, b0_32) s = Relu(s0)
        a0 = Conv(s, w1_32_32_1, b1_32) a = Relu(a0)
        a1 = Conv<pads = [1, 1, 1, 1]>(a, w2_16_32_3)
        k1 = Concat<axis = 1>(s, a1)
        n1 = BatchNormalization(k1, n_48, n_48, n_48, n_48) r1 = Relu(n1)
        c0 = Conv(r1, w3_32_48_1, b3_32) c = Relu(c0)
        c1 = Conv<pads = [1, 1, 1, 1]>(c, w4_16_32_3)
        k2 = Concat<axis = 1>(s, a1, c1)
        n2 = BatchNormalization(k2, n_64, n_64, n_64, n_64) r2 = Relu(n2)
        v = Conv(r2, w5_32_64_1) t = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(v)
        {HEAD.replace("g,", "g_4_32,").replace("h)", "h_4)")} }}""",
    # A patch stem, a depthwise convolution, LayerNorm over channels, GELU, a scaled residual.
    "convnext": f"""{{
        s = Conv<strides = [4, 4]>(x, w0_32_1_4, b0_32)
        d = Conv<pads = [3, 3, 3, 3], group = 32>(s, w1_32_1_7, b1_32)
        u = Transpose<perm = [0, 2, 3, 1]>(d)
        n = LayerNormalization<axis = -1, epsilon = 0.000001>(u, n_32, z_32)
        m1 = Transpose<perm = [0, 3, 1, 2]>(n)
        e = Conv(m1, w2_128_32_1, b2_128)
        e1 = Div(e, two) e2 = Erf(e1) e3 = Add(e2, one) e4 = Mul(e, e3) e5 = Mul(e4, half)
        o = Conv(e5, w3_32_128_1, b3_32) t = Add(o, s)
        {HEAD.replace("g,", "g_4_32,").replace("h)", "h_4)")} }}""",
    # Hard swish and a residual, as MobileNetV3 has them.
    "mobilenet": f"""{{
        s0 = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w0_16_1_3, b0_16) s = HardSwish(s0)
        e0 = Conv(s, w1_64_16_1, b1_64) e = HardSwish(e0)
        d0 = Conv<pads = [1, 1, 1, 1], group = 64>(e, w2_64_1_3, b2_64) d = HardSwish(d0)
        p = GlobalAveragePool(d) r0 = Conv(p, w3_16_64_1, b3_16) r = Relu(r0)
        i0 = Conv(r, w4_64_16_1, b4_64) i = HardSigmoid<alpha = 0.16666667>(i0) j = Mul(d, i)
        o = Conv(j, w5_16_64_1, b5_16) t = Add(o, s)
        {HEAD.replace("g,", "g_4_16,").replace("h)", "h_4)")} }}""",
    # A feature pyramid: nearest up-sampling onto a lateral branch.
    "pyramid": """{
        s0 = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w0_32_1_3, b0_32) s = Relu(s0)
        a0 = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(s, w1_64_32_3, b1_64) a = Relu(a0)
        l = Conv(a, w2_32_64_1, b2_32) m = Conv(s, w3_32_32_1, b3_32)
        u = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric",
                   nearest_mode = "floor">(l, , scales)
        n = Add(m, u) o = Conv<pads = [1, 1, 1, 1]>(n, w4_32_32_3, b4_32)
        r = Relu(o) y = Conv(r, w5_4_32_1, b5_4) }""",
}
SHAPE = (2, 1, 64, 64)


@dataclass(frozen=True)
class Net:
    """A network and its table."""

    model: bytes
    table: CalibrationTable
    input: str

    def compiled(self, data: bytes) -> Compiled:
        return compile_onnx(
            data,
            where="a small network",
            profiles=[{self.input: (SHAPE,) * 3}],
            precision="int8",
            aim=Aim(compute_capability="8.9"),
        )


def written(body: str) -> bytes:
    """Return a graph with weights of the shapes that their names tell."""
    output = "float[N, 4] y" if "Gemm" in body else "float[N, 4, H, W] y"
    text = '<ir_version: 8, opset_import: ["" : 17]>'
    model = onnx.parser.parse_model(f"{text} g (float[N, 1, 64, 64] x) => ({output}) {body}")
    rng = np.random.default_rng(0)
    written_by = {name for node in model.graph.node for name in node.output}
    fixed = {"two": 2**0.5, "one": 1.0, "half": 0.5, "scales": [1.0, 1.0, 2.0, 2.0]}
    for name in dict.fromkeys(name for node in model.graph.node for name in node.input if name):
        if name in written_by or name == "x":
            continue
        sizes = [int(part) for part in name.split("_")[1:]]
        shape = (*sizes, sizes[-1]) if len(sizes) == 3 else sizes
        spread = max(float(np.prod(shape[1:])), 1.0) ** 0.5
        values = (
            np.asarray(fixed[name])
            if name in fixed
            else rng.uniform(0.5, 1.5, shape)
            if name.startswith("n")
            else rng.normal(size=shape) / spread
        )
        tensor = numpy_helper.from_array(values.astype(np.float32), name)
        model.graph.initializer.append(tensor)
    for node in model.graph.node:
        node.name = f"node/{node.output[0]}"
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def unet(norm: str) -> bytes:
    """Return a small U-Net as torch exports it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and MONAI's own deprecations
        import torch
        from monai.networks.nets import DynUNet

        torch.manual_seed(0)
        net = DynUNet(
            spatial_dims=2, in_channels=1, out_channels=4, kernel_size=[3] * 3, strides=[1, 2, 2],
            upsample_kernel_size=[2, 2], filters=[16, 32, 32], norm_name=norm, act_name="relu",
        )  # fmt: skip
        interface = Interface("image", SHAPE[1:], ("logits",), meaning="labels")
        return to_onnx(net.eval(), interface).data


@pytest.fixture(scope="module", params=[*GRAPHS, "batch", "instance"])
def net(request: pytest.FixtureRequest) -> Net:
    family: str = request.param
    model = written(GRAPHS[family]) if family in GRAPHS else unet(family)
    observer = Observer(model, threads=1)
    (spec,) = observer.inputs
    rng = np.random.default_rng(1)
    observer.run({spec.name: rng.random(SHAPE, np.float32)})
    table = observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)
    observer.close()
    return Net(model, table, spec.name)


@pytest.mark.parametrize("target", ["trt", "trt-rtx", "trt-dla"])
def test_every_quantized_convolution_is_an_integer_kernel(net: Net, target: str) -> None:
    emission = emit(net.model, net.table, target=target)
    kernels = net.compiled(emission.model).layers
    asked = convolutions(read_onnx(emission.model, where=target))
    assert sum(each.quantized for each in asked) == emission.summary.quantized
    # All but heads and, on tensor cores, what squeezes and excites single pixels.
    allowed = ("head: its result", "one pixel", "trt-rtx has no integer ConvTranspose", "FP32: ")
    assert all(reason.startswith(allowed) for _, reason in emission.summary.left)
    # TensorRT-RTX has no integer kernel for transposed convolutions.
    left = left_in_float(asked, kernels)
    assert {each.operator for each in left} <= {"ConvTranspose"}
    assert target != "trt-rtx" or not left
    # What INT8 leaves is FP16.
    assert {each.inputs[0].dtype for each in kernels if each.convolves} <= {"Int8", "Half"}


@pytest.mark.parametrize("target", ["trt", "trt-rtx"])
def test_half_precision_leaves_no_convolution_in_single(net: Net, target: str) -> None:
    emission = emit(net.model, net.table, target=target, precision="fp16")
    kernels = [each for each in net.compiled(emission.model).layers if each.convolves]
    assert {each.inputs[0].dtype for each in kernels} == {"Half"}


def test_a_convolution_without_its_quantizer_is_seen(net: Net) -> None:
    """The proof above can fail: one of two operands dequantised makes no integer kernel."""
    graph = onnx.load_model_from_string(emit(net.model, net.table, target="trt").model)
    node = next(
        node
        for node in reversed(graph.graph.node)
        if node.op_type == "Conv" and node.input[0].endswith("_dequantized")
    )
    node.input[0] = node.input[0].removesuffix("_dequantized")
    kernels = net.compiled(graph.SerializeToString()).layers
    whole = read_onnx(emit(net.model, net.table, target="trt").model, where="trt")
    assert node.name in {each.name for each in left_in_float(convolutions(whole), kernels)}
