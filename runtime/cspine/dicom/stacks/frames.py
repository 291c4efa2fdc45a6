"""The frames of a study's MR or CT objects by their headers, whichever way they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pydicom
from pydicom.uid import UID

from cspine.dicom.admit import REGION_CODES
from cspine.dicom.codec import SYNTAXES
from cspine.dicom.element import codes, integer, items, number, syntax_of, text, uid
from cspine.dicom.frame import frame_header
from cspine.dicom.identity import Instance
from cspine.dicom.pixels import MAXIMUM_PIXELS, frame_count
from cspine.dicom.plane import plane_of
from cspine.dicom.rank import UNNUMBERED, Origin, image_type, number_of, origin_of
from cspine.dicom.stacks.ct import kernel_of, unfit
from cspine.dicom.stacks.hanging import Turn, turn_of
from cspine.dicom.stacks.mr import times_of, weighting_of
from cspine.dicom.stacks.wanted import Kernel, Modality, Weighting
from cspine.findings import Refused
from cspine.plane import Plane

CLASSIC: dict[str, Modality] = {
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
}
ENHANCED: dict[str, Modality] = {
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.3": "MR",  # in colour
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",  # Legacy Converted
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",  # Legacy Converted
}
CERVICAL = frozenset({"CSPINE", "NECK"})


@dataclass(frozen=True)
class Frame:
    """One frame of an MR or CT object that has a place in the patient.

    Attributes
    ----------
    instance, index
        Where its pixels are: frame ``index``, zero-based, of that object.
    shape
        (rows, columns) as hung.
    plane, stored
        Where its pixels lie as hung, and as they are stored.
    turn
        How stored pixels come to hang.
    kind
        Image Type or Frame Type: frames of one stack have the same.
    modality
        MR or CT.
    weighting, echo_ms
        What an MR frame is weighted by, and its echo time; ``None`` where nothing tells.
    kernel
        What a CT frame was reconstructed with; ``None`` where nothing tells.
    thickness_mm
        Of the slice; ``None`` if it is not stated.
    cervical
        Whether the header states the cervical spine; ``None`` if it leaves the part open.
    order
        Of two frames at one place the lower is taken: the earlier.
    """

    instance: Instance
    index: int
    shape: tuple[int, int]
    plane: Plane
    stored: Plane
    turn: Turn
    kind: tuple[str, ...]
    modality: Modality
    weighting: Weighting | None
    echo_ms: float | None
    kernel: Kernel | None
    thickness_mm: float | None
    cervical: bool | None
    order: tuple[int, int, int, str, int]


@dataclass(frozen=True)
class Unfit:
    """A frame that can be no slice of a stack, or an object none of whose frames can.

    Attributes
    ----------
    what
        What it is, in words and the plural.
    """

    what: str


def modality_of(dataset: pydicom.Dataset) -> Modality | None:
    """Return what kind of image an object is, classic or enhanced; ``None`` if of neither kind."""
    return (CLASSIC | ENHANCED).get(uid(dataset, "SOPClassUID"))


def frames_of(instance: Instance, modality: Modality) -> Iterator[Frame | Unfit]:
    """Yield the frames of an object that is of a modality.

    A single :class:`Unfit` if none of them can be a slice.
    """
    dataset = instance.dataset
    fault = _fault(dataset)
    if fault:
        yield Unfit(fault)
        return
    for index in range(frame_count(dataset)):
        yield _frame(instance, index, modality)


def _fault(dataset: pydicom.Dataset) -> str:
    """Return what an object is that cannot be used as a whole; empty if it can."""
    colour = text(dataset, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2")
    described = len(items(dataset, "PerFrameFunctionalGroupsSequence"))
    enhanced = uid(dataset, "SOPClassUID") in ENHANCED
    if colour or integer(dataset, "SamplesPerPixel", default=1) != 1:
        return "objects in colour"
    if "PixelData" not in dataset:
        return "objects without pixel data"
    if UID(syntax_of(dataset)) not in SYNTAXES:
        return "objects in a transfer syntax that is not read"
    if frame_count(dataset) != (described if enhanced else 1):
        return "objects describing other frames than they hold"
    size = integer(dataset, "Rows", default=0) * integer(dataset, "Columns", default=0)
    if not 0 < size <= MAXIMUM_PIXELS:
        return "objects of no size that is read"
    return ""


def _frame(instance: Instance, index: int, modality: Modality) -> Frame | Unfit:
    dataset = instance.dataset
    header = frame_header(dataset, frame=index)
    kind = image_type(header, "FrameType") or image_type(header) or image_type(dataset)
    # Siemens and others write LOCALIZER as value 3, GE and Philips at other places.
    if any(value.startswith(("LOCALI", "SCOUT", "SURVEY")) for value in kind):
        return Unfit("slices of a localiser")
    if origin_of(kind) is Origin.DERIVED:
        return Unfit("slices derived from other images")
    if modality == "CT" and (what := unfit(header, kind)):
        return Unfit(what)
    try:
        stored = plane_of(header)
    except Refused:
        return Unfit("slices without a place in the patient")
    shape = int(dataset.Rows), int(dataset.Columns)
    turn = turn_of(stored)
    return Frame(
        instance=instance,
        index=index,
        shape=shape[::-1] if turn.swap else shape,
        plane=turn.plane(stored, shape),
        stored=stored,
        turn=turn,
        kind=kind,
        modality=modality,
        weighting=weighting_of(header) if modality == "MR" else None,
        echo_ms=times_of(header).echo_ms if modality == "MR" else None,
        kernel=kernel_of(header) if modality == "CT" else None,
        thickness_mm=number(header.get("SliceThickness")),
        cervical=_cervical(dataset, header),
        order=(
            max(
                integer(header, "TemporalPositionIndex", default=0),
                integer(header, "TemporalPositionIdentifier", default=0),
            ),
            integer(header, "AcquisitionNumber", default=UNNUMBERED),
            number_of(dataset),
            instance.name,
            index,
        ),
    )


def _cervical(dataset: pydicom.Dataset, header: pydicom.Dataset) -> bool | None:
    part = text(dataset, "BodyPartExamined").replace("-", "").replace(" ", "")
    regions = codes(header, "AnatomicRegionSequence") | codes(dataset, "AnatomicRegionSequence")
    if part in CERVICAL or regions & REGION_CODES:
        return True
    return None if part in ("", "SPINE") else False
