"""How the objects of an MR study hold their pixels, whichever way they are stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cspine_phantom.mr.receive import BITS


def pixels_of(ds: Dataset, pixels: NDArray[np.uint16]) -> None:
    """Store (frames, rows, columns) of pixels, in place."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, BITS, BITS - 1
    ds.PixelRepresentation = 0
    ds.PixelData = pixels.astype("<u2", copy=False).tobytes()


def window(pixels: NDArray[np.uint16]) -> tuple[int, int]:
    """Return centre and width of a window that shows some pixels well."""
    white = max(float(np.percentile(pixels[..., ::2, ::2], 99.0)), 2.0)
    return round(white / 2), round(white)
