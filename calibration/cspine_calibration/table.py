"""The calibration table: what was seen in every activation of one model, and of which data.

Scales are no part of it. They are derived at emission, so that one table serves every target and
every estimator, and a device's INT8 file can be made anew without the data.

The format is one line of JSON (ASCII, sorted keys), then the histograms' counts as little-endian
int64, tensor after tensor in the header's order, without the empty bins at either end. The same
statistics give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from cspine.errors import ModelError, did_you_mean
from cspine_calibration.histogram import BINS, MAX_EXPONENT, MIN_EXPONENT, Histogram

_SCHEMA = "cspine-calibration/1"
_COUNT = np.dtype("<i8")
_DIGESTS = ("model_digest", "set_digest", "preprocessing_digest")


@dataclass(frozen=True)
class TensorStatistics:
    """What one FP32 tensor held; ``minimum`` and ``maximum`` are exact, not bin borders."""

    minimum: float
    maximum: float
    histogram: Histogram

    @property
    def values(self) -> int:
        """How many numbers were seen."""
        return int(self.histogram.counts.sum())

    @property
    def non_negative(self) -> bool:
        """Whether no number below zero was seen."""
        return self.minimum >= 0.0

    def merge(self, other: TensorStatistics) -> TensorStatistics:
        """Return the statistics of both sets of numbers together."""
        return TensorStatistics(
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.histogram.merge(other.histogram),
        )


def summarize(values: npt.NDArray[np.float32]) -> TensorStatistics:
    """Return the statistics of finite numbers, at least one, in any shape."""
    return TensorStatistics(float(values.min()), float(values.max()), Histogram.of(values))


@dataclass(frozen=True)
class CalibrationTable:
    """Statistics of every tensor some target may quantise, and what they were taken from.

    Attributes
    ----------
    model_digest, set_digest, preprocessing_digest
        SHA-256, lower-case hexadecimal, of the FP32 ONNX file, of the calibration set's list and
        of the preprocessing that made the network's inputs.
    samples
        Cases seen, the sum of the batch sizes; every tensor has seen all of them.
    tensors
        Statistics by FP32 tensor name.

    Raises
    ------
    ModelError
        If a digest is none, or nothing was seen.
    """

    model_digest: str
    set_digest: str
    preprocessing_digest: str
    samples: int
    tensors: Mapping[str, TensorStatistics]

    def __post_init__(self) -> None:
        for name in _DIGESTS:
            digest = getattr(self, name)
            if not re.fullmatch("[0-9a-f]{64}", str(digest)):
                raise ModelError(
                    f"calibration table: {name} is {digest!r}, expected a SHA-256 of 64 "
                    "lower-case hexadecimal digits"
                )
        if self.samples < 1 or not self.tensors:
            raise ModelError(
                f"calibration table: {self.samples} samples of {len(self.tensors)} tensors, "
                "expected at least one of each; run the calibration set first"
            )

    def statistics(self, tensors: Iterable[str]) -> TensorStatistics:
        """Return the statistics of the named tensors together.

        Raises
        ------
        ModelError
            If one was not observed.
        """
        names = list(tensors)
        for name in names:
            if name not in self.tensors:
                raise ModelError(
                    f"calibration table: tensor {name!r} was not observed"
                    f"{did_you_mean(name, self.tensors)}; calibrate this model again"
                )
        return reduce(TensorStatistics.merge, (self.tensors[name] for name in names))

    def to_bytes(self) -> bytes:
        """Return the table's file."""
        rows: list[dict[str, Any]] = []
        blobs: list[bytes] = []
        for name, seen in sorted(self.tensors.items()):
            filled = np.flatnonzero(seen.histogram.counts)
            first, stop = int(filled[0]), int(filled[-1]) + 1
            rows.append(
                {
                    "name": name,
                    "minimum": seen.minimum,
                    "maximum": seen.maximum,
                    "exponent": seen.histogram.exponent,
                    "bins": [first, stop],
                }
            )
            blobs.append(seen.histogram.counts[first:stop].astype(_COUNT).tobytes())
        header = {
            "schema": _SCHEMA,
            **{name: getattr(self, name) for name in _DIGESTS},
            "samples": self.samples,
            "tensors": rows,
        }
        line = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return b"\n".join([line.encode("ascii"), b"".join(blobs)])

    @classmethod
    def from_bytes(cls, data: bytes) -> CalibrationTable:
        """Read a table's file.

        Raises
        ------
        ModelError
            If the bytes are no calibration table, or a damaged one.
        """
        line, _, counts = data.partition(b"\n")
        try:
            header = json.loads(line)
            schema = header["schema"]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError("not a calibration table: it has no header") from error
        if schema != _SCHEMA:
            raise ModelError(
                f"calibration table: schema {schema!r}, expected {_SCHEMA!r}; calibrate again"
            )
        try:
            return cls(
                **{name: header[name] for name in _DIGESTS},
                samples=header["samples"],
                tensors=_read_tensors(header["tensors"], counts),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"calibration table: damaged ({error}); restore or calibrate again"
            ) from error


def _read_tensors(rows: Iterable[Mapping[str, Any]], blob: bytes) -> dict[str, TensorStatistics]:
    counts = np.frombuffer(blob, _COUNT).astype(np.int64)
    tensors: dict[str, TensorStatistics] = {}
    start = 0
    for row in rows:
        first, stop = row["bins"]
        low, high, exponent = row["minimum"], row["maximum"], row["exponent"]
        end = start + stop - first
        if not (0 <= first < stop <= BINS and end <= counts.size):
            raise ValueError(f"tensor {row['name']!r} has impossible bins")
        full = np.zeros(BINS, np.int64)
        full[first:stop] = counts[start:end]
        possible = MIN_EXPONENT <= exponent <= MAX_EXPONENT and full.min() >= 0 and full.any()
        if not (possible and -(2.0**exponent) < low <= high < 2.0**exponent):
            raise ValueError(f"tensor {row['name']!r} has impossible statistics")
        histogram = Histogram(int(exponent), full)
        tensors[str(row["name"])] = TensorStatistics(float(low), float(high), histogram)
        start = end
    if start != counts.size:
        raise ValueError(f"{counts.size} counts, header has {start}")
    return tensors
