"""From files to data sets, and from a data set to an image.

Grey levels follow the order of PS3.3: stored values, padding, Modality LUT or rescale, VOI LUT or
window, then one inversion where MONOCHROME1 or Presentation LUT Shape asks for it.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cspine.dicom.element import CONSULTED, items, text, uid
from cspine.dicom.geometry import facing_of, spacing_of
from cspine.errors import StudyError
from cspine.files import sha256
from cspine.findings import Refused, Source
from cspine.image import Image

# pydicom warns of odd values by repeating them, and they may be a patient's name: neither its
# warnings nor its log may reach the terminal or the log of a program that embeds this one.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
logging.getLogger("pydicom").propagate = False

MAXIMUM_PIXELS = 64_000_000
MAXIMUM_BYTES = 1 << 30
# Longer values stay in the file until they are asked for, so that many studies can be held.
DEFERRED_BYTES = 1 << 16


def read_dataset(path: Path, *, name: str | None = None) -> pydicom.Dataset:
    """Read a DICOM file; pixel data stay encoded, and in the file until they are asked for.

    Parameters
    ----------
    path
        The file, which must stay in place until its image has been read.
    name
        What an error calls the file; its path if not given.

    Raises
    ------
    StudyError
        If the file cannot be opened, is not DICOM, or is cut off.
    """
    name = name or str(path)
    try:
        size = path.stat().st_size
        if size == 0:
            raise StudyError(f"{name}: the file is empty")
        if size > MAXIMUM_BYTES:
            raise StudyError(f"{name}: {size >> 20} MiB, at most {MAXIMUM_BYTES >> 20} are read")
        dataset = pydicom.dcmread(path, defer_size=DEFERRED_BYTES)
        if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            # Deferred, its values would share one inflated buffer that two threads seek in.
            dataset = pydicom.dcmread(path)
        _convert(dataset)
        return dataset
    except StudyError:
        raise
    except OSError as error:
        raise StudyError(f"{name}: cannot be read: {error.strerror or 'damaged'}") from error
    except Exception as error:  # pydicom lets struct.error, RecursionError and others escape
        # The library's own message may quote the element that broke it: only its kind is told.
        raise StudyError(f"{name}: not a DICOM file ({type(error).__name__})") from error


def _convert(dataset: pydicom.Dataset) -> None:
    """Convert what will be consulted, down to the last item, so that it fails here or never."""
    for keyword in CONSULTED:
        for item in items(dataset, keyword):
            for _ in item.iterall():
                pass


def read_image(dataset: pydicom.Dataset) -> Image:
    """Decode the pixels of an admitted data set.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if the pixels cannot be decoded, ``INCOMPLETE_SET`` without spacing.
    """
    spacing = spacing_of(dataset)
    if spacing is None:
        raise Refused(
            "INCOMPLETE_SET",
            "The image states no pixel spacing, so its scale is unknown.",
            remedy="Send the image from the modality, which writes Imager Pixel Spacing.",
        )
    return Image(
        pixels=_grey_levels(dataset),
        spacing=spacing,
        facing=facing_of(dataset),
        source=source_of(dataset),
    )


def source_of(dataset: pydicom.Dataset) -> Source:
    """Return what tells an instance from all others; a UID is empty if none valid is stated."""
    return Source(
        study_uid=uid(dataset, "StudyInstanceUID"),
        series_uid=uid(dataset, "SeriesInstanceUID"),
        instance_uid=uid(dataset, "SOPInstanceUID"),
        pixels=sha256(bytes(dataset.get("PixelData") or b"")),
    )


def _grey_levels(dataset: pydicom.Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        if int(dataset.Rows) * int(dataset.Columns) > MAXIMUM_PIXELS:
            raise ValueError("too many pixels")
        stored = pixel_array(dataset, raw=True)
        levels = apply_voi_lut(apply_modality_lut(stored, dataset), dataset, index=0)
    except Exception as error:  # decoders raise whatever they like
        raise Refused(
            "UNSUPPORTED_OBJECT",
            f"The pixels cannot be decoded ({type(error).__name__}): cut off, damaged, "
            "or in a form that this build does not read.",
            remedy="Send the image again, uncompressed if that fails.",
        ) from error
    pixels = np.ascontiguousarray(levels, np.float32)
    padded = _padding(stored, dataset)
    inverse = text(dataset, "PresentationLUTShape") == "INVERSE"
    if inverse or text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        np.negative(pixels, out=pixels)
    if padded.any() and not padded.all():
        pixels[padded] = pixels[~padded].min()
    if not np.isfinite(pixels).all() or pixels.min() == pixels.max():
        raise Refused(
            "LOW_QUALITY",
            "The image is blank: all its pixels have one value.",
            remedy="Repeat the exposure or send the right image.",
        )
    pixels.flags.writeable = False
    return pixels


def _padding(
    stored: np.ndarray[tuple[int, ...], np.dtype[Any]], dataset: pydicom.Dataset
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which stored values are padding: one value, or a range up to its limit."""
    value = dataset.get("PixelPaddingValue")
    limit = dataset.get("PixelPaddingRangeLimit", value)
    if not isinstance(value, int) or not isinstance(limit, int):
        return np.zeros(stored.shape, bool)
    low, high = sorted((value, limit))
    return (stored >= low) & (stored <= high)
