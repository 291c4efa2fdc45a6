"""How the objects of a CT study hold their pixels, whichever way they are stored."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from cspine_phantom.ct.scanners import Scanner
from cspine_phantom.ct.series import Stored

WINDOWS = (40, 350), (500, 2000)
"""Centre and width of what is shown of soft tissue and of bone, Hounsfield units."""

KILOVOLTS = 120


def pixels_of(ds: Dataset, scanner: Scanner, stored: Stored) -> None:
    """Store (frames, rows, columns) of pixels, in place."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, scanner.bits, scanner.bits - 1
    ds.PixelRepresentation = int(scanner.signed)
    if scanner.padding_hu is not None:
        ds.PixelPaddingValue = scanner.padding_hu - scanner.intercept
    kind = np.dtype("<i2" if scanner.signed else "<u2")
    ds.PixelData = stored.astype(kind).tobytes()
