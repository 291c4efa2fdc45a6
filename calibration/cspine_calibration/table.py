"""The calibration table: what was seen in every activation of one model, and of which data.

Scales are no part of it. They are derived at emission, so that one table serves every target and
every estimator, and a device's INT8 file can be made anew without the data.

The format is one line of JSON (ASCII, sorted keys), then the histograms' counts as little-endian
int64, tensor after tensor in the header's order, without the empty bins at either end, then the
means as little-endian float64. The same statistics give the same bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from cspine.errors import ModelError, did_you_mean
from cspine_calibration.histogram import BINS, MAX_EXPONENT, MIN_EXPONENT, Histogram

_SCHEMA = "cspine-calibration/2"
# Had neither means, by which biases are corrected, nor choices.
_SCHEMA_1 = "cspine-calibration/1"
_COUNT, _MEAN = np.dtype("<i8"), np.dtype("<f8")
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
    means
        Of the tensors that weighted operators read, by name, the mean per channel over all samples
        and positions. A table of version 1 has none.
    choices
        By the kind of grid (:mod:`cspine_calibration.choices`), the estimators that tuning found
        better than the default, by tensor; empty if nothing was tuned.

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
    means: Mapping[str, tuple[float, ...]]
    choices: Mapping[str, Mapping[str, str]]

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
        means = sorted(self.means.items())
        blobs += [np.array(values, _MEAN).tobytes() for _, values in means]
        header = {
            "schema": _SCHEMA,
            **{name: getattr(self, name) for name in _DIGESTS},
            "samples": self.samples,
            "tensors": rows,
            "means": [{"name": name, "channels": len(values)} for name, values in means],
            "choices": {kind: dict(named) for kind, named in self.choices.items()},
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
        line, _, blob = data.partition(b"\n")
        try:
            header = json.loads(line)
            schema = header["schema"]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError("not a calibration table: it has no header") from error
        if schema not in (_SCHEMA, _SCHEMA_1):
            raise ModelError(
                f"calibration table: schema {schema!r}, expected {_SCHEMA!r}; calibrate again"
            )
        try:
            counted = _COUNT.itemsize * sum(stop - first for first, stop in _bins(header))
            added = {"means": (), "choices": {}} if schema == _SCHEMA_1 else header
            return cls(
                **{name: header[name] for name in _DIGESTS},
                samples=header["samples"],
                tensors=_read_tensors(header["tensors"], blob[:counted]),
                means=_read_means(added["means"], blob[counted:]),
                choices={kind: dict(named) for kind, named in added["choices"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"calibration table: damaged ({error}); restore or calibrate again"
            ) from error


def _bins(header: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    for row in header["tensors"]:
        first, stop = row["bins"]
        if not 0 <= first < stop <= BINS:
            raise ValueError(f"tensor {row['name']!r} has impossible bins")
        yield first, stop


def _read_tensors(rows: Iterable[Mapping[str, Any]], blob: bytes) -> dict[str, TensorStatistics]:
    counts = np.frombuffer(blob, _COUNT).astype(np.int64)
    tensors: dict[str, TensorStatistics] = {}
    start = 0
    for row in rows:
        first, stop = row["bins"]
        low, high, exponent = row["minimum"], row["maximum"], row["exponent"]
        end = start + stop - first
        if end > counts.size:
            raise ValueError(f"tensor {row['name']!r} has no counts")
        full = np.zeros(BINS, np.int64)
        full[first:stop] = counts[start:end]
        possible = MIN_EXPONENT <= exponent <= MAX_EXPONENT and full.min() >= 0 and full.any()
        if not (possible and -(2.0**exponent) < low <= high < 2.0**exponent):
            raise ValueError(f"tensor {row['name']!r} has impossible statistics")
        histogram = Histogram(int(exponent), full)
        tensors[str(row["name"])] = TensorStatistics(float(low), float(high), histogram)
        start = end
    return tensors


def _read_means(rows: Iterable[Mapping[str, Any]], blob: bytes) -> dict[str, tuple[float, ...]]:
    values: list[float] = np.frombuffer(blob, _MEAN).tolist()
    means: dict[str, tuple[float, ...]] = {}
    start = 0
    for row in rows:
        stop = start + row["channels"]
        if not start < stop <= len(values):
            raise ValueError(f"tensor {row['name']!r} has impossible means")
        means[str(row["name"])] = tuple(values[start:stop])
        start = stop
    if start != len(values) or not all(map(math.isfinite, values)):
        raise ValueError(f"{len(values)} means, header has {start}, each to be a finite number")
    return means
