"""From a data set to an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pydicom

from cspine.dicom.frame import frame_header
from cspine.dicom.geometry import facing_of, spacing_of
from cspine.dicom.grey import display_scale, modality_scale
from cspine.dicom.overlays import overlay_mask
from cspine.dicom.pixels import pixel_words
from cspine.dicom.plane import plane_of
from cspine.findings import Refused
from cspine.image import Floats, GreyScale, Image, Words
from cspine.plane import Plane


def read_image(dataset: pydicom.Dataset, *, halvings: int = 0) -> Image:
    """Read an admitted radiograph as it is meant to be shown, bone brighter than air.

    Parameters
    ----------
    dataset
        With its file meta information and Pixel Data.
    halvings
        For JPEG 2000, leave out up to this many levels of detail: faster, and no longer the same
        pixels. Coordinates stay those of the whole image. Other syntaxes have no such levels;
        they are read whole.

    Raises
    ------
    Refused
        ``INCOMPLETE_SET`` without spacing, ``UNSUPPORTED_OBJECT`` if the pixels cannot be
        decoded, ``LOW_QUALITY`` if they all have one value.
    """
    spacing = spacing_of(dataset)
    if spacing is None:
        raise Refused(
            "INCOMPLETE_SET",
            "The image states no pixel spacing, so its scale is unknown.",
            remedy="Send the image from the modality, which writes Imager Pixel Spacing.",
        )
    words = pixel_words(dataset, halvings=halvings)
    stated = display_scale(dataset)
    scale = stated.settled(words)
    if _blank(words, scale):
        raise Refused(
            "LOW_QUALITY",
            "The image is blank: all its pixels have one value.",
            remedy="Repeat the exposure or send the right image.",
        )
    shape = int(dataset.Rows), int(dataset.Columns)
    return Image(
        pixels=words,
        spacing=spacing,
        facing=facing_of(dataset),
        notes=stated.notes,
        grey=scale,
        step=next(
            2**n for n in range(halvings + 1) if words.shape == tuple(-(-s >> n) for s in shape)
        ),
        stored_shape=shape,
    )


@dataclass(frozen=True)
class Slice:
    """One plane of an MR or CT series.

    Attributes
    ----------
    values
        Shape (rows, columns), float32, freshly owned: what was measured, in Hounsfield units on
        CT. Padding has the lowest value of the rest.
    plane
        Where it lies in the patient.
    """

    values: Floats
    plane: Plane


def read_slice(dataset: pydicom.Dataset, *, frame: int = 0) -> Slice:
    """Read one frame of an MR or CT object, classic or enhanced.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if the pixels cannot be decoded, ``INCOMPLETE_SET`` if the header
        does not place the frame.
    """
    header = _header(dataset, frame)
    words = pixel_words(dataset, frame=frame)
    return Slice(modality_scale(header).settled(words).levels(words), plane_of(header))


def render(
    dataset: pydicom.Dataset, *, frame: int = 0, window: int = 0, overlays: bool = False
) -> npt.NDArray[np.uint8]:
    """Render one frame as a viewer shows it.

    Parameters
    ----------
    dataset
        With its file meta information and Pixel Data.
    frame
        Zero-based.
    window
        Which of several VOI LUTs or windows. Without any, the frame's lowest and highest values
        are black and white.
    overlays
        Whether to burn the object's overlay planes in, in white; else they are ignored.

    Returns
    -------
    numpy.ndarray
        Shape (rows, columns), uint8, 0 black to 255 white, freshly owned.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if the pixels cannot be decoded.
    """
    header = _header(dataset, frame)
    words = pixel_words(dataset, frame=frame)
    scale = display_scale(header, window=window).settled(words)
    levels = scale.levels(words)
    black, white = scale.span or (float(levels.min()), float(levels.max()))
    shown = np.clip((levels - black) * (255.0 / ((white - black) or 1.0)), 0, 255)
    picture: npt.NDArray[np.uint8] = np.rint(shown).astype(np.uint8)
    if overlays:
        picture[overlay_mask(dataset, frame=frame)] = 255
    return picture


def _blank(words: Words, scale: GreyScale) -> bool:
    """Return whether all words have one level; most images show at two of them that they do not."""
    lowest, highest, *_ = cv2.minMaxLoc(words)
    if scale.table[int(lowest)] != scale.table[int(highest)]:
        return False
    darkest, brightest, *_ = cv2.minMaxLoc(scale.levels(words))
    return darkest == brightest


def _header(dataset: pydicom.Dataset, frame: int) -> pydicom.Dataset:
    try:
        return frame_header(dataset, frame=frame)
    except IndexError as error:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            "The object describes fewer frames than it states.",
            remedy="Send the object again; the transfer may have been cut off.",
        ) from error
