"""The series of one CT study: thin axial slices, and others that are often there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.ct.disease import Disease, generator
from cspine_phantom.ct.faults import Fault, screwed
from cspine_phantom.ct.hounsfield import Table, units
from cspine_phantom.ct.necks import Neck, neck
from cspine_phantom.ct.reconstruct import reconstructed
from cspine_phantom.ct.scanners import Protocol, Scanner
from cspine_phantom.ct.series import TITLES, Series, Title, assemble, stored
from cspine_phantom.ct.slices import Body, Stack, body
from cspine_phantom.ct.truth import SliceTruth, slice_truths
from cspine_phantom.patients import Patient
from cspine_phantom.volume.brain import brain
from cspine_phantom.volume.lying import lie

_PARTS = 3  # planes of which a slice is the mean
_SHUFFLED = 0.5  # of all series: their frames are stored in no order
_LOST = 0.3  # of the slices, in one run, where some are missing
_SHOULDERS = 1.5  # by which noise is stronger between them
_SHOULDER_MM = 9.0


@dataclass(frozen=True)
class Scan:
    """What a scanner has of one patient.

    Attributes
    ----------
    series
        In the order of their numbers.
    stack
        Of the axial series, whichever of its slices are stored.
    truths
        Of each of its slices, from the feet to the head; none of a head.
    """

    series: tuple[Series, ...]
    stack: Stack
    truths: tuple[SliceTruth, ...]


def scan(
    patient: Patient,
    disease: Disease,
    scanner: Scanner,
    *,
    fault: Fault | None = None,
    only: Title | None = None,
) -> Scan:
    """Return the series of a patient, or only the one of a title.

    What a slice shows does not depend on which others are taken.
    """
    study = generator(patient.seed, patient.number, stream="study")
    rng, lain, coming, order, spoilt = study.spawn(5)
    own = neck(patient, disease, lie(lain))
    anatomy = own.anatomy
    if fault == "brain":
        anatomy = brain(patient, rng=generator(patient.seed, patient.number, stream="anatomy"))
    protocol = _varied(scanner.axial, rng)
    axial = _axial(own, protocol, rng)
    table, drawn = units(rng), body(anatomy, own.lying)
    girth = float(np.exp(0.03 * (patient.bmi - 26.0)))
    picture = generator(patient.seed, patient.number, stream="picture")
    noise = dict(zip(TITLES, picture.spawn(len(TITLES)), strict=True))
    titles = [each for each in _taken(scanner, fault, coming) if only in (None, each)]
    series = []
    for number, title in enumerate(titles, 1):
        stack, seen = _planned(title, axial, protocol, own)
        found = (
            drawn.slices(stack, table, parts=_PARTS)
            if title != "scout"
            else _scout(drawn, stack, table)
        )
        if fault == "metal" and title != "scout":
            found = screwed(found, stack, own, spoilt)
        if title != "scout":
            found = reconstructed(
                found, stack, seen, dose=girth * _dose(stack, own), rng=noise[title]
            )
        kept = _order(stack, scanner, title, fault, order)
        series.append(
            assemble(
                title, stack, stored(found, scanner), number=number, kernel=seen.kernel, order=kept
            )
        )
    truths = () if fault == "brain" else slice_truths(own, disease, axial)
    return Scan(tuple(series), axial, truths)


def _taken(scanner: Scanner, fault: Fault | None, rng: np.random.Generator) -> list[Title]:
    """Return which series a study has: thin axial slices, and by chance what the site adds."""
    drawn = rng.random(3)
    wanted: list[Title] = ["scout"] if drawn[0] < scanner.scout else []
    if fault == "sagittal only":
        return [*wanted, "sagittal reformat"]
    wanted.append("axial")
    if drawn[1] < scanner.thick:
        wanted.append("thick axial")
    if drawn[2] < scanner.reformat:
        wanted.append("sagittal reformat")
    return wanted


def _varied(protocol: Protocol, rng: np.random.Generator) -> Protocol:
    """Return a protocol as it was set for one study: the field of view differs a little."""
    return replace(protocol, pixel_mm=round(protocol.pixel_mm * rng.uniform(0.94, 1.06), 4))


def _axial(own: Neck, protocol: Protocol, rng: np.random.Generator) -> Stack:
    """Return slices from the middle of T1 to that of C2, at right angles to the table."""
    top, bottom = (own.placed(own.column.poses[index].centre)[2] for index in (0, 6))
    count = int((top - bottom) / protocol.spacing_mm) + 1
    middle = own.placed(own.column.poses[3].centre) + np.array([*rng.normal(0, 3.0, 2), 0.0])
    half = protocol.pixel_mm * (protocol.size - 1) / 2
    back_mm = 6.0  # more of the neck lies before the bodies than behind
    return Stack(
        first_mm=np.array([middle[0] - half, middle[1] - half + back_mm, bottom]),
        across=np.array([1.0, 0.0, 0.0]),
        down=np.array([0.0, 1.0, 0.0]),
        normal=np.array([0.0, 0.0, 1.0]),
        offsets_mm=tuple((protocol.spacing_mm * np.arange(count)).tolist()),
        rows=protocol.size,
        columns=protocol.size,
        pixel_mm=protocol.pixel_mm,
        thickness_mm=protocol.thickness_mm,
    )


def _planned(title: Title, axial: Stack, protocol: Protocol, own: Neck) -> tuple[Stack, Protocol]:
    """Return where the slices of a series lie, and how they are reconstructed."""
    length = axial.offsets_mm[-1]
    if title == "thick axial":
        offsets = np.arange(0.0, length, 10.0)
        return replace(axial, offsets_mm=tuple(offsets.tolist()), thickness_mm=5.0), protocol
    if title == "axial":
        return axial, protocol
    pixel_mm = 0.7
    rows, columns = round((length + 20.0) / pixel_mm), 180
    middle = own.placed(own.column.poses[3].centre)
    first = np.array(
        [middle[0], middle[1] - pixel_mm * columns / 2, axial.first_mm[2] + length + 10.0]
    )
    sides = (0.0,) if title == "scout" else tuple((3.0 * np.arange(-4, 5)).tolist())
    stack = Stack(
        first_mm=first, across=np.array([0.0, 1.0, 0.0]), down=np.array([0.0, 0.0, -1.0]),
        normal=np.array([-1.0, 0.0, 0.0]), offsets_mm=sides, rows=rows, columns=columns,
        pixel_mm=pixel_mm, thickness_mm=3.0,
    )  # fmt: skip
    return stack, protocol


def _scout(drawn: Body, stack: Stack, table: Table) -> NDArray[np.float32]:
    """Return the view from the side that a study is planned on: all planes behind each other."""
    many = replace(stack, offsets_mm=tuple(np.arange(-60.0, 60.0, 4.0).tolist()), thickness_mm=4.0)
    through = drawn.slices(many, table, parts=1)
    return np.asarray(through.mean(axis=0, keepdims=True) * 2.0, np.float32)


def _dose(stack: Stack, own: Neck) -> NDArray[np.float64]:
    """Return the noise of each slice, relative to one above the shoulders."""
    shoulders = own.placed(own.column.poses[5].centre)
    away = np.array(
        [float((stack.origin(index) - shoulders)[2]) for index in range(len(stack.offsets_mm))]
    )
    if abs(stack.normal[2]) < 0.5:  # a reformat has all heights in every slice
        away = np.zeros_like(away)
    level: NDArray[np.float64] = 1 + _SHOULDERS / (1 + np.exp(away / _SHOULDER_MM))
    return level


def _order(
    stack: Stack, scanner: Scanner, title: Title, fault: Fault | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the order in which frames are stored, without those that are missing."""
    count = len(stack.offsets_mm)
    order = np.arange(count) if scanner.upward else np.arange(count)[::-1]
    shuffled = rng.random() < _SHUFFLED
    if fault == "missing slices" and title == "axial":
        first = count // 3
        order = order[(order < first) | (order >= first + round(_LOST * count))]
    return rng.permutation(order) if shuffled else order
