"""The rank among images that could all be judged."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import pydicom
from pydicom.multival import MultiValue

from cspine.dicom.element import integer
from cspine.dicom.geometry import spacing_of
from cspine.dicom.identity import Instance

UNNUMBERED = 1 << 31  # past every Instance Number


class Origin(IntEnum):
    """Whether an image is what the detector saw, by Image Type (0008,0008)."""

    ORIGINAL = 0
    NOT_STATED = 1
    DERIVED = 2


class Rank(NamedTuple):
    """What candidates are compared by, one after the other; the lowest is judged.

    Attributes
    ----------
    unscaled
        Whether the pixel spacing is missing, without which nothing can be judged.
    open_questions
        How many questions of admission the header leaves open.
    origin
        A processed copy or a capture loses to its original.
    fewer_pixels
        Minus the number of pixels, so that a reduced copy loses to the whole.
    number
        Instance Number.
    name
        SOP Instance UID; no two candidates share it.
    """

    unscaled: bool
    open_questions: int
    origin: Origin
    fewer_pixels: int
    number: int
    name: str


# Why an image was judged that won by a criterion.
WON = {
    "unscaled": "it states its pixel spacing",
    "open_questions": "its header leaves least open",
    "origin": "it is an original, or not known to be derived",
    "fewer_pixels": "it has the most pixels",
    "number": "it has the lowest Instance Number",
    "name": "it has the lowest SOP Instance UID",
}


def rank_of(instance: Instance, *, open_questions: int) -> Rank:
    """Return the rank of an admitted instance."""
    dataset = instance.dataset
    return Rank(
        unscaled=spacing_of(dataset) is None,
        open_questions=open_questions,
        origin=origin_of(image_type(dataset)),
        fewer_pixels=-_pixels(dataset),
        number=number_of(dataset),
        name=instance.name,
    )


def reason(best: Rank, second: Rank) -> str:
    """Return by what the best differs from the one that comes next."""
    pairs = zip(Rank._fields, best, second, strict=True)
    return next(WON[criterion] for criterion, a, b in pairs if a != b)


def number_of(dataset: pydicom.Dataset) -> int:
    """Return the Instance Number, or one past all others if none is stated."""
    return integer(dataset, "InstanceNumber", default=UNNUMBERED)


def image_type(dataset: pydicom.Dataset, keyword: str = "ImageType") -> tuple[str, ...]:
    """Return the values of Image Type, or of a frame's Frame Type, in capitals."""
    value = dataset.get(keyword)
    values = value if isinstance(value, MultiValue) else [value]
    return tuple(str(each).strip().upper() for each in values if each is not None)


def origin_of(values: tuple[str, ...]) -> Origin:
    """Read values 1 and 2: pixels DERIVED from others, or SECONDARY, made after the examination."""
    if "DERIVED" in values[:1] or "SECONDARY" in values[1:2]:
        return Origin.DERIVED
    return Origin.ORIGINAL if "ORIGINAL" in values[:1] else Origin.NOT_STATED


def _pixels(dataset: pydicom.Dataset) -> int:
    return integer(dataset, "Rows", default=0) * integer(dataset, "Columns", default=0)
