"""Grey levels in the order of PS3.3: stored value, padding, modality, VOI, one inversion.

Every step acts on a pixel's value alone. So it is done once for every value that a word can hold,
and the image goes through the resulting table: exact, and in a tenth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom

from cspine.dicom.element import items, numbers, text
from cspine.dicom.lut import Table
from cspine.dicom.pixels import Stored, significant
from cspine.findings import Refused
from cspine.image import GreyScale, Words

# What a slope, intercept or window can be, widely taken: levels are averaged, squared and summed in
# float32 further on, where larger ones overflow and smaller ones are one level.
SMALLEST, LARGEST = 1e-6, 1e9


@dataclass(frozen=True)
class Stated:
    """What a header says that words mean.

    Attributes
    ----------
    scale
        The level of every word.
    padding
        Shape as the scale's table, uint8: 1 for words that are no part of the picture; ``None``
        if there are none.
    notes
        What of the header could not be followed.
    """

    scale: GreyScale
    padding: npt.NDArray[np.uint8] | None
    notes: tuple[str, ...] = ()

    def settled(self, words: Words) -> GreyScale:
        """Return the scale with the lowest level in the picture given to the padding around it."""
        if self.padding is None:
            return self.scale
        inside = 1 - np.asarray(cv2.LUT(words, self.padding))
        if inside.all() or not inside.any():
            return self.scale
        lowest, *_ = cv2.minMaxLoc(self.scale.levels(words), inside)
        table = np.where(self.padding, np.float32(lowest), self.scale.table)
        return GreyScale(table, self.scale.span)


def modality_scale(header: pydicom.Dataset) -> Stated:
    """Return the scale of what was measured: Hounsfield units on CT.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if the header's rescale or Modality LUT is not a valid one.
    """
    stored, padding = _ramp(header)
    return Stated(GreyScale(_modality(stored, header).astype(np.float32)), padding)


def display_scale(header: pydicom.Dataset, *, window: int = 0) -> Stated:
    """Return the scale of what is shown, bone brighter than air.

    Parameters
    ----------
    header
        Of one frame.
    window
        Which of several VOI LUTs or windows; a VOI LUT takes precedence over a window.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if the header's tables or functions are not valid ones.
    """
    stored, padding = _ramp(header)
    values = _modality(stored, header)
    notes: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    if tables := items(header, "VOILUTSequence"):
        chosen = min(window, len(tables) - 1)
        table = _table(tables[chosen], "VOI LUT", signed=bool(values.min() < 0))
        values, span = table(values), (0.0, 2.0**table.bits - 1)
    elif windows := valid_windows(header):
        chosen = min(window, len(windows) - 1)
        values = windowed(values, *windows[chosen], function=_function(header))
        span = 0.0, 1.0
    elif "WindowWidth" in header:
        notes = ("The header's window is not a valid one; the full range of values was used.",)
    if text(header, "PresentationLUTShape") == "INVERSE" or (
        text(header, "PhotometricInterpretation") == "MONOCHROME1"
    ):
        values = -values.astype(float)
        span = (-span[1], -span[0]) if span else None
    return Stated(GreyScale(values.astype(np.float32), span), padding, notes)


def windowed(
    values: npt.NDArray[Any], centre: float, width: float, *, function: str
) -> npt.NDArray[np.float64]:
    """Map values through a window to 0..1 (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    pydicom's function of this kind is not used: it inverts an image whose Rescale Slope is
    negative.

    Raises
    ------
    ValueError
        If the function is none of LINEAR, LINEAR_EXACT and SIGMOID.
    """
    match function:
        case "LINEAR" if width == 1:
            return np.asarray(values > centre - 0.5, float)
        case "LINEAR":
            return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
        case "LINEAR_EXACT":
            return np.clip((values - centre) / width + 0.5, 0, 1)
        case "SIGMOID":  # 1 / (1 + exp(-4 (x - c) / w)), in the form that never overflows
            return np.asarray(0.5 + 0.5 * np.tanh(2 * (values - centre) / width))
    raise ValueError("no window function that is known")


def valid_windows(header: pydicom.Dataset) -> list[tuple[float, float]]:
    """Return the header's windows (centre, width), without those that are not valid ones."""
    linear = _function(header) == "LINEAR"
    pairs = zip(numbers(header, "WindowCenter"), numbers(header, "WindowWidth"), strict=False)
    return [
        (centre, width)
        for centre, width in pairs
        if abs(centre) <= LARGEST and (1 if linear else SMALLEST) <= width <= LARGEST
    ]


def _ramp(header: pydicom.Dataset) -> tuple[Stored, npt.NDArray[np.uint8] | None]:
    """Return what is stored in every possible word, and which of them is padding."""
    words = np.arange(2 ** int(header.BitsAllocated)).astype(f"u{header.BitsAllocated // 8}")
    stored = significant(words, header)
    return stored, _padding(stored, header)


def _padding(stored: Stored, header: pydicom.Dataset) -> npt.NDArray[np.uint8] | None:
    """Return which stored values are padding: one value, or a range up to its limit."""
    value = header.get("PixelPaddingValue")
    limit = header.get("PixelPaddingRangeLimit", value)
    if not isinstance(value, int) or not isinstance(limit, int):
        return None
    size = stored.dtype.itemsize
    half = 2 ** (8 * size - 1)
    if not all(-half <= each < 2 * half for each in (value, limit)):
        return None  # no word of this size
    # Written with or without a sign, as the pixels or not: the same word is meant.
    words = [each % 2 ** (8 * size) for each in (value, limit)]
    low, high = np.sort(np.array(words, f"u{size}").view(stored.dtype))
    padding = (stored >= low) & (stored <= high)
    return padding.astype(np.uint8) if padding.any() else None


def _modality(stored: Stored, header: pydicom.Dataset) -> npt.NDArray[Any]:
    if tables := items(header, "ModalityLUTSequence"):
        return _table(tables[0], "Modality LUT", signed=stored.dtype.kind == "i")(stored)
    slope, intercept = numbers(header, "RescaleSlope"), numbers(header, "RescaleIntercept")
    if not slope and not intercept:
        return stored
    line = [*(slope or [1.0])[:1], *(intercept or [0.0])[:1]]
    # Written so that NaN is none.
    if not (SMALLEST <= abs(line[0]) <= LARGEST and abs(line[1]) <= LARGEST):
        raise _unsupported("rescale")
    return np.polyval(line, stored.astype(float))


def _table(item: pydicom.Dataset, what: str, *, signed: bool) -> Table:
    try:
        return Table.read(item, signed=signed)
    except Exception as error:  # a table is where broken writers put whatever they like
        raise _unsupported(what) from error


def _function(header: pydicom.Dataset) -> str:
    """Return the window's function; what is no known one is read as the default, LINEAR."""
    stated = text(header, "VOILUTFunction")
    return stated if stated in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"


def _unsupported(what: str) -> Refused:
    return Refused(
        "UNSUPPORTED_OBJECT",
        f"The header's {what} is not a valid one.",
        remedy="Correct it at the modality, or send the image without it.",
    )
