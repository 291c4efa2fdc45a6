"""The INT8 files of one network: ours, and what ONNX Runtime's and OpenVINO's own tools make.

ONNX Runtime: ``quantize_static`` at its defaults, and at the best settings that we know of for
x86-64: unsigned activations, weights per channel, after its own preprocessing. NNCF quantises for
the runtime that will run it: an ONNX graph for the one, an OpenVINO model for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nncf
import onnx
import openvino as ov
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from cspine.backends import Array
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable
from cspine_int8.networks import Subject

OURS, DEFAULT, BEST, NNCF = "ours", "quantize_static", "quantize_static, best", "nncf"
TARGETS = {"onnxruntime": "ort-x64-vnni", "openvino": "openvino"}
_NOTHING = "0" * 64  # no calibration set of files, and no preprocessing, stands behind these


@dataclass(frozen=True)
class Peer:
    """One way to make an INT8 model; ``shared`` if it is the same for every runtime."""

    name: str
    make: Callable[[Subject, str, Path], Path]
    shared: bool = False


def ours(subject: Subject, runtime: str, folder: Path) -> Path:
    """Return our emission for a runtime."""
    result = folder / "ours.onnx"
    result.write_bytes(emit(subject.model, observed(subject), target=TARGETS[runtime]).model)
    return result


def observed(subject: Subject) -> CalibrationTable:
    """Return the calibration table of a network."""
    observer = Observer(subject.model)
    for feed in subject.calibration:
        observer.run(feed)
    table = observer.table(set_digest=_NOTHING, preprocessing_digest=_NOTHING)
    observer.close()
    return table


def static_default(subject: Subject, _runtime: str, folder: Path) -> Path:
    """Return what ``quantize_static`` makes at its defaults, the same for every runtime."""
    result = folder / "default.onnx"
    quantize_static(str(_source(subject, folder)), str(result), _Reader(subject.calibration))
    return result


def static_best(subject: Subject, _runtime: str, folder: Path) -> Path:
    """Return what ``quantize_static`` makes at its best for x86-64."""
    prepared, result = folder / "prepared.onnx", folder / "best.onnx"
    # Symbolic shapes of U-Nets and detectors are beyond it.
    quant_pre_process(str(_source(subject, folder)), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(result),
        _Reader(subject.calibration),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return result


def nncf_quantized(subject: Subject, runtime: str, folder: Path) -> Path:
    """Return what ``nncf.quantize`` makes at its defaults of what the runtime reads best."""
    native = runtime == "openvino"
    source = _source(subject, folder)
    made = nncf.quantize(
        ov.Core().read_model(source) if native else onnx.load(source),
        nncf.Dataset(list(subject.calibration)),
        subset_size=len(subject.calibration),
    )
    result = folder / ("nncf.xml" if native else "nncf.onnx")
    if native:
        ov.save_model(made, result, compress_to_fp16=False)
    else:
        onnx.save(made, result)
    return result


PEERS = (
    Peer(OURS, ours),
    Peer(DEFAULT, static_default, shared=True),
    Peer(BEST, static_best, shared=True),
    Peer(NNCF, nncf_quantized),
)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """A set of feeds as ``quantize_static`` wants it."""

    def __init__(self, feeds: Iterable[Mapping[str, Array]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Mapping[str, Array] | None:
        """Return the next feed."""
        return next(self._feeds, None)


def _source(subject: Subject, folder: Path) -> Path:
    source = folder / "fp32.onnx"
    source.write_bytes(subject.model)
    return source
