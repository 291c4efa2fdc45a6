"""CT series for tests: a drawn neck in Hounsfield units, in each form that scanners store it in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

import mr_series
from mr_series import Cut

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SLOPE, INTERCEPT, PADDING = 0.5, -2048.0, 0


def neck(slices: int = 24, *, seed: int = 1) -> npt.NDArray[np.float64]:
    """Draw a neck at 1 mm, shape (slices to the head, 90 rows to the back, 80 columns to the left).

    Values are multiples of half a HU: air, soft tissue, a ring of bone about its canal. The
    corners are NaN: nothing was reconstructed there.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:90, :80]
    picture = np.full((90, 80), -1000.0)
    picture[((y - 45) / 40) ** 2 + ((x - 38) / 36) ** 2 < 1] = 40
    ring = ((y - 52) / 12) ** 2 + ((x - 39) / 14) ** 2
    picture[ring < 1] = 700
    picture[ring < 0.4] = 15
    drawn = picture + rng.integers(-40, 40, (slices, 90, 80)) / 2
    drawn[:, (y - 45) ** 2 + (x - 40) ** 2 > 55**2] = np.nan
    return np.asarray(drawn)


def axial(
    volume: npt.NDArray[np.float64],
    *,
    step_mm: float = 1.0,
    tilt_deg: float = 0.0,
    gantry: bool = False,
) -> list[Cut]:
    """Cut a volume into axial slices, those at the feet first.

    Tilted, a patient's slices follow each other along their normal; of a tilted gantry the table
    moves them along the patient's axis, so that they are sheared.
    """
    turn = np.radians(tilt_deg)
    across, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(turn), np.sin(turn)])
    step = np.array([0.0, 0.0, 1.0]) if gantry else np.cross(across, down)
    return [
        Cut(pixels, np.array([-40.0, -45.0, 9.0]) + step * step_mm * k, across, down, (1.0, 1.0))
        for k, pixels in enumerate(volume)
    ]


def hounsfield(cut: Cut) -> npt.NDArray[np.float32]:
    """Return what a slice is to be read as: what was not reconstructed is air."""
    values = np.nan_to_num(cut.pixels, nan=np.nanmin(cut.pixels))
    return np.asarray(np.maximum(values, -1024), np.float32)


def classic(
    cuts: Sequence[Cut], *, series: str = "1.2.3.5", numbers: Sequence[int] = (), **header: Any
) -> list[Dataset]:
    """Return a CT Image for each slice."""
    stated = {"RescaleSlope": SLOPE, "RescaleIntercept": INTERCEPT, "RescaleType": "HU"}
    return [
        _ct(made, header)
        for made in mr_series.classic(
            [_stored(cut) for cut in cuts], series=series, numbers=numbers, **stated | header
        )
    ]


def enhanced(
    cuts: Sequence[Cut], *, series: str = "1.2.3.5", legacy: bool = False, **header: Any
) -> Dataset:
    """Return one Enhanced CT object, or a Legacy Converted one, of all slices.

    The scale at its root is that of no frame.
    """
    made = mr_series.enhanced([_stored(cut) for cut in cuts], series=series)
    made.RescaleSlope, made.RescaleIntercept = 3, 7
    scale = {"RescaleSlope": SLOPE, "RescaleIntercept": INTERCEPT, "RescaleType": "HU"}
    (shared,) = made.SharedFunctionalGroupsSequence
    kind = Dataset()
    kind.FrameType = header.pop("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "NONE"])
    shared.CTImageFrameTypeSequence = Items([kind])
    values = Dataset()
    for keyword in scale:
        if (value := header.pop(keyword, scale[keyword])) is not None:
            setattr(values, keyword, value)
    shared.PixelValueTransformationSequence = Items([values])
    kernel = Dataset()
    if "ConvolutionKernel" in header:
        kernel.ConvolutionKernel = header.pop("ConvolutionKernel")
    if legacy:
        shared.UnassignedSharedConvertedAttributesSequence = Items([kernel])
    else:
        shared.CTReconstructionSequence = Items([kernel])
    for macro in ("MRTimingAndRelatedParameters", "MREcho", "MRModifier", "MRImageFrameType"):
        delattr(shared, f"{macro}Sequence")
    return _ct(made, header, f".{2 if legacy else 1}")


def _ct(made: Dataset, header: dict[str, Any], form: str = "") -> Dataset:
    made.SOPClassUID, made.Modality = CT_IMAGE + form, "CT"
    made.PixelPaddingValue = PADDING
    for keyword in ("EchoTime", "RepetitionTime", "InversionTime", "ScanningSequence"):
        if keyword in made:
            delattr(made, keyword)
    for keyword, value in header.items():
        if value is not None:
            setattr(made, keyword, value)
    return made


def _stored(cut: Cut) -> Cut:
    words = np.nan_to_num((cut.pixels - INTERCEPT) / SLOPE, nan=PADDING)
    return Cut(words, cut.origin, cut.across, cut.down, cut.spacing)
