"""What every target makes of one graph and one table, written down; run this file to write it anew.

A change here is a change of every emission in the field: say in the commit why.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.files import sha256
from cspine_calibration.emit import emit
from cspine_calibration.fusion import integer_kernels
from cspine_calibration.observe import observable
from cspine_calibration.read import read_float_graph
from cspine_calibration.table import CalibrationTable, summarize
from cspine_calibration.targets import TARGETS
from small_graphs import EVERYTHING, SHAPES, build

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "emissions.json"
EMISSIONS = [f"{name} {each}" for name, row in TARGETS.items() for each in row.precisions]


def model() -> bytes:
    """Return the graph of every pattern with weights that no random generator can change."""
    return build(
        EVERYTHING,
        **{
            name: ((np.arange(np.prod(shape)) * 37 + 11) % 101 - 50).reshape(shape) / 100.0
            for name, shape in SHAPES.items()
        },
    )


def table(data: bytes) -> CalibrationTable:
    """Return statistics made up by hand: a tensor's extremes follow from its place."""
    graph = read_float_graph(data)
    rectified = {"r1", "r2", "r3", "r5", "r7", "m"}
    tensors = {
        name: summarize(
            np.array([0.0 if name in rectified else -1.5 - place / 4, 2.0 + place / 8], np.float32)
        )
        for place, name in enumerate(observable(graph))
    }
    return CalibrationTable(sha256(data), "0" * 64, "1" * 64, 1, tensors, {}, {})


def emission(name: str) -> Any:
    data = model()
    target, precision = name.split()
    return emit(data, table(data), target=target, precision=precision)


def facts(name: str) -> dict[str, Any]:
    """Return scales, placement and fusion of one emission."""
    made = emission(name)
    graph = onnx.load_model_from_string(made.model).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found: dict[str, Any] = {
        "scales": {
            node.input[0]: [float(constants[node.input[1]]), int(constants[node.input[2]])]
            for node in graph.node
            if node.op_type == "QuantizeLinear"
        },
        "weights": {
            node.input[0]: [
                float(constants[node.input[1]].min()),
                float(constants[node.input[1]].max()),
                hashlib.sha256(constants[node.input[0]].tobytes()).hexdigest()[:16],
            ]
            for node in graph.node
            if node.op_type == "DequantizeLinear" and node.input[0] in constants
        },
        "edges": [
            f"{node.output[0]} <- {source}"
            for node in graph.node
            for source in node.input
            if source.removesuffix("_fp32").endswith("_dequantized")
        ],
        "casts": [node.output[0] for node in graph.node if node.op_type == "Cast"],
        "left": [list(each) for each in made.summary.left],
    }
    if name.startswith("ort-x64"):
        fusion = integer_kernels(made.model)
        found["fusion"] = {**fusion.integer, "conversions": fusion.conversions}
    return found


@pytest.mark.parametrize("name", EMISSIONS)
def test_the_emission_is_the_one_on_record(name: str) -> None:
    remedy = "run: python tests/unit/test_calibration_golden.py"
    assert facts(name) == json.loads(GOLDEN.read_text())[name], remedy


def test_the_record_holds_every_target_and_no_other() -> None:
    assert sorted(json.loads(GOLDEN.read_text())) == sorted(EMISSIONS)


def test_another_process_writes_the_same_bytes() -> None:
    """Nothing depends on the order of a set, which differs from process to process."""
    code = (
        "from test_calibration_golden import EMISSIONS, emission, sha256\n"
        "print(*(sha256(emission(name).model) for name in EMISSIONS))"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {" ".join(sha256(emission(name).model) for name in EMISSIONS)}


if __name__ == "__main__":
    text = json.dumps({name: facts(name) for name in EMISSIONS}, indent=1)
    GOLDEN.write_text(text + "\n")
