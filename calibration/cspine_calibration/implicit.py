"""A calibration cache for TensorRT up to 10.7, whose DLA takes scales from no other place.

There the network stays FP32 without quantisers, and the builder reads one scale a tensor from this
text: ``NAME: HEX``, the float32 scale's bits in hexadecimal, below a first line that names the
version and the calibrator. From TensorRT 11 on there is no such thing.
"""

from __future__ import annotations

import struct

from cspine_calibration.emit import check_table, scales_of
from cspine_calibration.estimate import DEFAULT
from cspine_calibration.placement import place
from cspine_calibration.read import read_float_graph
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import find_target


def calibration_cache(
    model: bytes,
    table: CalibrationTable,
    *,
    tensorrt: tuple[int, int, int],
    estimator: str = DEFAULT,
) -> bytes:
    """Return the cache of a model: the scales of the emission for ``trt-dla``.

    Heads have no scale there and run in FP16. A tensor that is rectified has the scale of the
    rectified one: what that clips is below zero.

    Parameters
    ----------
    model
        The serialised FP32 model that was calibrated, which the builder is given as well.
    table
        Its statistics.
    tensorrt
        The version that will read the cache, such as (10, 3, 0); it takes no other's.
    estimator
        One of :data:`cspine_calibration.estimate.ESTIMATORS`.

    Raises
    ------
    ModelError
        If the table belongs to another model or lacks a tensor.
    """
    check_table(model, table)
    row = find_target("trt-dla")
    graph = read_float_graph(model)
    forms = scales_of(place(graph, row), table, row, estimator)
    scales = {name: form.scale for name, form in forms.items()}
    scales |= {before: scales[output] for before, output in graph.bare.items() if output in scales}
    lines = [f"TRT-{_number(tensorrt)}-EntropyCalibration2"]
    lines += [f"{name}: {_bits(scale)}" for name, scale in sorted(scales.items())]
    return ("\n".join(lines) + "\n").encode()


def _number(version: tuple[int, int, int]) -> int:
    """Return a version as TensorRT's headers number it: two digits a part from 10 on."""
    major, minor, patch = version
    return (
        major * 10000 + minor * 100 + patch if major >= 10 else major * 1000 + minor * 100 + patch
    )


def _bits(scale: float) -> str:
    return struct.pack(">f", scale).hex()
