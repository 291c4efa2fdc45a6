"""``python -m cspine_int8.rounding``: what rounding the weights costs each network.

Cross-layer equalisation and adaptive rounding change how weights become integers. Neither can bring
what weights that are not rounded at all do not bring.
"""

from __future__ import annotations

import argparse

from cspine.backends import open_backend
from cspine.console import table as laid_out
from cspine_calibration.emit import emit, scales_of
from cspine_calibration.estimate import DEFAULT
from cspine_calibration.form import formed
from cspine_calibration.numeric import compare
from cspine_calibration.placement import place
from cspine_calibration.read import read_float_graph
from cspine_calibration.reference import Reference
from cspine_calibration.rewrite import rewrite
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import find_target
from cspine_int8.networks import Subject, subjects
from cspine_int8.peers import observed

_TARGET = "openvino"  # which has an integer operator wherever another CPU's target has one


def with_exact_weights(model: bytes, table: CalibrationTable, *, target: str) -> bytes:
    """Return an INT8 emission, serialised, whose weights and biases are still those of FP32.

    Parameters
    ----------
    model, table, target
        As :func:`cspine_calibration.emit.emit` takes them.
    """
    row = find_target(target)
    graph = formed(read_float_graph(model), row, keep_float=())
    placement = place(graph, row, keep_float=())
    forms = scales_of(placement, table, row, DEFAULT)
    return rewrite(graph, placement, forms=forms, weights={}, biases={}, target=row)


def decibels(subject: Subject) -> tuple[float, float]:
    """Return the noise of the worst output of our INT8, as emitted and with exact weights.

    Both are signal-to-noise ratios in dB against FP32, on images that calibrated nothing.
    """
    table = observed(subject)
    emitted = emit(subject.model, table, target=_TARGET).model
    exact = with_exact_weights(subject.model, table, target=_TARGET)
    reference = open_backend("onnxruntime", subject.model)

    def worst(model: bytes) -> float:
        # As the file says: onnxruntime's optimiser rounds weights that are not.
        return min(compare(reference, Reference(model), subject.test).values())

    found = worst(emitted), worst(exact)
    reference.close()
    return found


def main() -> None:
    """Print a row a network."""
    parser = argparse.ArgumentParser(
        prog="python -m cspine_int8.rounding", description="What rounding the weights costs."
    )
    parser.add_argument("--network", action="append", help="only this one; may be repeated")
    makers = subjects()
    rows = []
    for name in parser.parse_args().network or makers:
        emitted, exact = decibels(makers[name]())
        rows.append([name, f"{emitted:.1f}", f"{exact:.1f}", f"{exact - emitted:+.1f}"])
    print(laid_out(["network", "INT8, dB", "weights not rounded, dB", "gain"], rows))


if __name__ == "__main__":
    main()
