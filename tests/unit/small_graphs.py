"""Small graphs, their weights and their tables, for the tests of emission."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable

# Up to 1.23, the last for Python 3.10, onnxruntime divides by an FP16 scale in FP16 where ONNX has
# it divide in FP32: integers are then one step off more often.
DIVIDES_IN_HALF = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24)
# Every pattern at once: a residual block, pooling, a transposed convolution, a concatenation of a
# rectified and a signed tensor, a fully connected layer that is no head, and two heads.
EVERYTHING = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,8,12,12] x) => (float[N,3,12,12] y, float[N,2] z) {
  c1 = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)       r1 = Relu(c1)
  c2 = Conv<pads = [1, 1, 1, 1]>(r1, w2, b2)      a = Add(c2, r1)     r2 = Relu(a)
  p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r2)
  c3 = Conv(p, w3)                                r3 = Relu(c3)
  u = ConvTranspose<strides = [2, 2]>(r3, w4, b4)
  k = Concat<axis = 1>(r2, u)
  c5 = Conv(k, w5, b5)                            r5 = Relu(c5)
  y = Conv(r5, w6)
  m = GlobalAveragePool(r3)                       f = Flatten(m)
  g1 = Gemm<transB = 1>(f, w7, b7)                r7 = Relu(g1)
  z = Gemm(r7, w8)
}"""
SHAPES = {
    "w1": (16, 8, 3, 3), "b1": (16,), "w2": (16, 16, 3, 3), "b2": (16,), "w3": (32, 16, 1, 1),
    "w4": (32, 16, 2, 2), "b4": (16,), "w5": (16, 32, 1, 1), "b5": (16,), "w6": (3, 16, 1, 1),
    "w7": (24, 32), "b7": (24,), "w8": (24, 2),
}  # fmt: skip


def build(text: str, **weights) -> bytes:
    model = onnx.parser.parse_model(text)
    for name, values in weights.items():
        values = np.asarray(values, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def random_weights(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=s) / np.sqrt(max(np.prod(s[1:]), 1)) for n, s in shapes.items()}


def cases(shape=(4, 8, 12, 12), count=3, seed=1):
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(count)]


def calibrated(model: bytes, feeds) -> CalibrationTable:
    observer = Observer(model, threads=1)
    for feed in feeds:
        observer.run(feed)
    return observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)


class File:
    """An emitted file, read back without the package's help."""

    def __init__(self, data: bytes) -> None:
        proto = onnx.load_model_from_string(data)
        onnx.checker.check_model(proto, full_check=True)
        self.graph = proto.graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
        self.producers = {name: n for n in self.graph.node for name in n.output}
        self.activations = {
            n.input[0].removesuffix("_fp16"): (
                self.constants[n.input[1]],
                self.constants[n.input[2]],
            )
            for n in self.graph.node
            if n.op_type == "QuantizeLinear"
        }

    def node(self, output: str) -> onnx.NodeProto:
        return self.producers[output]

    def weights(self, output: str):
        """Return values, scales and axis of the weights of the node that writes a tensor."""
        dequantize = self.producers[self.node(output).input[1]]
        values, scales, zeros = (self.constants[name] for name in dequantize.input)
        assert not zeros.any()
        return values, scales, dequantize.attribute[0].i
