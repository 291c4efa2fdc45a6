"""Whether an emission computes its network at all: a check with no data, before it is kept.

A runtime can accept a file and compute something else in silence: a pattern it mistakes, products
that saturate. Then the signal-to-noise ratio against FP32 falls to a few decibels, on any input.
This tells such files; how accurate one is, only a verdict on real studies tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from cspine.backends import Array, open_backend
from cspine.device import Device, installed
from cspine.errors import ModelError
from cspine_calibration.numeric import sqnr
from cspine_calibration.reference import Reference
from cspine_calibration.table import CalibrationTable

# What was silently wrong gave 0.7 to 4.4 dB, the least accurate right network 12. An error that is
# as large as the signal gives 0.
FLOOR_DB = 5.0
_SEED = 20
_BLOCKS = (16, 4, 1)


@dataclass(frozen=True)
class Smoke:
    """What was seen: signal-to-noise ratio against FP32 in decibels, by output.

    ``backend`` is what computed the emission; ``reference`` is the file as it says, operator by
    operator, where the runtime that it is for is not here.
    """

    backend: str
    decibels: Mapping[str, float]


class SmokeTest:
    """A network's answer to noise in the range that the table saw, for all its emissions.

    Parameters
    ----------
    model
        The serialised FP32 model.
    table
        Its statistics.
    """

    def __init__(self, model: bytes, table: CalibrationTable) -> None:
        exact = Reference(model)
        self._feeds = {
            name: _noise(shape, *_range(table, name), seed=_SEED + number)
            for number, (name, shape) in enumerate(exact.inputs)
        }
        self._expected = exact.run(self._feeds)

    def check(self, emitted: bytes, *, target: str, device: Device) -> Smoke:
        """Compute an emission on the same noise.

        Parameters
        ----------
        emitted
            What was made of the network for ``target``.
        device
            This one; a target for another CPU is computed as its file says.

        Raises
        ------
        ModelError
            If an output has less than :data:`FLOOR_DB`.
        """
        backend = _backend(target, device)
        got = _computed(emitted, backend, self._feeds)
        decibels = {name: sqnr(values, got[name]) for name, values in self._expected.items()}
        for output, found in decibels.items():
            if found < FLOOR_DB:
                raise ModelError(
                    f"target {target!r}: output {output!r} is {found:.1f} dB from FP32 as "
                    f"{backend} computes it, expected {FLOOR_DB:g} or more; use FP32 there, or "
                    "report the network"
                )
        return Smoke(backend, decibels)


def _computed(emitted: bytes, backend: str, feeds: Mapping[str, Array]) -> dict[str, Array]:
    if backend == "reference":
        return Reference(emitted).run(feeds)
    with closing(open_backend(backend, emitted, threads=1)) as opened:
        return opened.run(feeds)


def _backend(target: str, device: Device) -> str:
    if target == device.onnxruntime_target:
        return "onnxruntime"
    return target if target == "openvino" and installed("openvino") else "reference"


def _range(table: CalibrationTable, name: str) -> tuple[float, float]:
    seen = table.tensors.get(name)
    return (seen.minimum, seen.maximum) if seen else (0.0, 1.0)


def _noise(shape: tuple[int, ...], low: float, high: float, *, seed: int) -> Array:
    """Return blocks of noise in several sizes: networks that have seen images see edges in it."""
    rng = np.random.default_rng(seed)
    layers = [_blocks(rng, shape, size) for size in _BLOCKS]
    mixed = np.mean(layers, axis=0)
    mixed = (mixed - mixed.min()) / max(float(np.ptp(mixed)), 1e-12)
    return np.asarray(low + mixed * (high - low), np.float32)


def _blocks(rng: np.random.Generator, shape: tuple[int, ...], size: int) -> Array:
    """Return uniform noise, constant over squares of the last two of four axes."""
    if len(shape) != 4:
        return rng.random(shape)
    rows, columns = (-(-extent // size) for extent in shape[2:])
    coarse = rng.random((*shape[:2], rows, columns))
    fine = coarse.repeat(size, axis=2).repeat(size, axis=3)
    return np.asarray(fine[:, :, : shape[2], : shape[3]])
