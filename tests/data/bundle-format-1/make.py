"""Made what lies beside it: a signed bundle of format 1, by the last code that wrote that format.

It ran once, before format 2 was: ``python tests/data/bundle-format-1/make.py``. Later code writes
a later format, so it replaces nothing; what lies here must stay as it is.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper

from cspine.bundle import PIPELINE, fp32_path, write_bundle
from cspine.keys import sign
from cspine.pipeline_file import parse_spec, shipped_spec
from cspine.signature import PublicKey

HERE = Path(__file__).parent
SEED = sha256(b"cspine: the key of the golden bundle; it vouches for nothing").digest()


def model(outputs: int) -> bytes:
    """Return a network that gives the image's mean for every output."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Concat", ["mean"] * outputs, ["logits"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, None, None])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])
    graph = helper.make_graph(nodes, "mean", [image], [logits])
    opsets = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString()
    return made


if __name__ == "__main__":
    if (HERE / "small.cspine").exists():
        sys.exit(f"{HERE / 'small.cspine'}: is there, and cannot be made again")
    pipeline = shipped_spec("xray-compression").read_bytes()
    stages = [stage.id for stage in parse_spec(pipeline, where="").networks]
    models = {fp32_path(stage): model(outputs) for outputs, stage in enumerate(stages, 2)}
    facts = {
        name: {"checkpoint_sha256": "0" * 64, "opset": 17, "parity": [{"relative": 0.0}]}
        for name in models
    }
    bundle = write_bundle(HERE / "small.cspine", {PIPELINE: pipeline, **models}, facts)
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    sign(bundle, private)
    public = PublicKey(private.public_key().public_bytes_raw().hex(), "golden bundle")
    (HERE / "trust").mkdir()
    (HERE / "trust" / "golden.pub").write_text(public.to_line())
