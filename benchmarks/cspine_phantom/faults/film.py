"""What can be wrong with a study, and the film that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from cspine_phantom.faults import exposure
from cspine_phantom.faults.gridlines import grid_lines
from cspine_phantom.faults.hidden import without_c7
from cspine_phantom.faults.motion import motion
from cspine_phantom.faults.pasted import pasted
from cspine_phantom.faults.stitched import stitched
from cspine_phantom.imaging.aim import Aim, frontal_aim, lateral_aim, oblique_aim
from cspine_phantom.imaging.attenuation import Map, project
from cspine_phantom.imaging.devices import DEVICES, Device
from cspine_phantom.imaging.marks import Mark, burn, draw_marks, shade
from cspine_phantom.imaging.presentation import Picture
from cspine_phantom.imaging.radiograph import Disturb, LabelMap, radiograph
from cspine_phantom.patients import Patient, generator
from cspine_phantom.scene.anatomy import lateral
from cspine_phantom.scene.frontal import frontal
from cspine_phantom.scene.hardware import with_hardware
from cspine_phantom.scene.oblique import oblique
from cspine_phantom.scene.parts import HELD_OUT_PARTS, PARTS, other
from cspine_phantom.scene.rotated import rotated
from cspine_phantom.scene.shapes import Points, Scene
from cspine_phantom.scene.worn import adorned, with_jewellery

Fault = Literal[
    "ap", "oblique", "rotated", "other part", "unseen part", "c7 hidden", "hardware", "jewellery",
    "inverted", "mirrored", "upside down", "blank", "clipped", "low contrast", "motion",
    "grid lines", "stitched", "pasted text",
]  # fmt: skip
"""``"ap"`` is a frontal film; ``"unseen part"`` shows a part of which ``"other part"`` has none."""

FAULTS: tuple[Fault, ...] = get_args(Fault)
UNFIT = tuple(fault for fault in FAULTS if fault != "c7 hidden")
"""What must be refused; where C7 is hidden, the levels above may be answered."""


@dataclass(frozen=True)
class Film:
    """A picture, its truth and what an honest header says of it.

    Attributes
    ----------
    device
        What took it; the detector of a film of another part has another size.
    picture
        (rows, columns) uint16, 0 to `WHITE`, bone bright unless that is the fault.
    mask
        (rows, columns) uint8, see :class:`~cspine_phantom.imaging.radiograph.Exposure`. All 0
        where nothing may be answered.
    hidden
        Names of the levels that cannot be judged though the film may be answered.
    points
        Landmarks by name, (2,) positions (column, row), of those that are not hidden; none where
        nothing may be answered.
    """

    device: Device
    picture: Picture
    mask: LabelMap
    aim: Aim
    hidden: tuple[str, ...] = ()
    points: Mapping[str, Points] = field(default_factory=dict)


@dataclass(frozen=True)
class _Aimed:
    """What stands in the beam, before which detector, under which header."""

    scene: Scene
    device: Device
    aim: Aim


def expose(patient: Patient, fault: Fault | None) -> Film:
    """Return the film of a patient, with `fault` or without."""
    # Streams of their own, so that a fault leaves patient, anatomy and clean picture as they were,
    # and marks and fillings are the same with a fault and without.
    rng, worn, written = generator(patient.seed, patient.number, stream="picture").spawn(3)
    aimed = _aimed(patient, fault, rng, worn)
    scene, device, aim = aimed.scene, aimed.device, aimed.aim
    projection = project(
        scene, patient, device, rng=generator(patient.seed, patient.number, stream="picture")
    )
    marks = draw_marks(device, projection.pixels(scene.focus), rng=written)
    disturb = _disturb(fault, device, marks, rng)
    if fault == "blank":
        shape = device.rows, device.columns
        picture = exposure.blank(shape, pitch_mm=device.spacing_mm, rng=rng)
        burn(picture, marks)
        return Film(device, picture, np.zeros(shape, np.uint8), aim)
    if fault == "c7 hidden":
        shot, hidden = without_c7(scene, patient, device, disturb=disturb, rng=rng)
        burn(shot.picture, marks)
        device = replace(device, rows=len(shot.picture))
        return Film(device, shot.picture, shot.mask, aim, hidden, shot.points)
    shot = radiograph(scene, patient, device, disturb=disturb)
    picture = _spoilt(shot.picture, shot.mask, fault, device.spacing_mm, rng)
    burn(picture, marks)
    if fault is None:
        return Film(device, picture, shot.mask, aim, points=shot.points)
    picture = _turned(picture, fault, rng)
    device = replace(device, rows=len(picture))  # a joined film is as long as it came out
    return Film(device, picture, np.zeros(picture.shape, np.uint8), aim)


def _aimed(
    patient: Patient, fault: Fault | None, rng: np.random.Generator, worn: np.random.Generator
) -> _Aimed:
    """Return what is imaged, and on what."""
    device = DEVICES[patient.site]
    match fault:
        case "ap":
            return _Aimed(frontal(patient), device, frontal_aim())
        case "oblique":
            return _Aimed(oblique(patient, rng=rng), device, oblique_aim(patient.face))
        case "other part" | "unseen part":
            found = other(PARTS if fault == "other part" else HELD_OUT_PARTS, rng)
            device = replace(device, spacing_mm=round(device.spacing_mm * found.field, 3))
            return _Aimed(found.scene, device, found.aim)
    scene = adorned(lateral(patient), rng=worn)
    match fault:
        case "rotated":
            scene = rotated(scene, rng=rng)
        case "hardware":
            scene = with_hardware(scene, patient, rng=rng)
        case "jewellery":
            scene = with_jewellery(scene, patient, rng=rng)
        case "stitched" if rng.random() < 0.5:
            device = replace(device, rows=16 * round(device.rows * rng.uniform(1.05, 1.3) / 16))
    return _Aimed(scene, device, lateral_aim(patient.face))


def _disturb(
    fault: Fault | None, device: Device, marks: tuple[Mark, ...], rng: np.random.Generator
) -> Disturb:
    """Return what happens to the primary beam; a marker lies on the detector and does not move."""
    spoil: Disturb | None = None
    if fault == "motion":
        spoil = motion(device, rng)
    elif fault == "grid lines":
        spoil = grid_lines(device, rng)

    def disturbed(beam: Map) -> Map:
        if spoil:
            beam = spoil(beam)
        shade(beam, marks)
        return beam

    return disturbed


def _spoilt(
    picture: Picture,
    mask: LabelMap,
    fault: Fault | None,
    pitch_mm: float,
    rng: np.random.Generator,
) -> Picture:
    """Return what becomes of a film before anything is written on it."""
    match fault:
        case "clipped":
            return exposure.clipped(picture, mask, pitch_mm=pitch_mm, rng=rng)
        case "low contrast":
            return exposure.low_contrast(picture, mask, pitch_mm=pitch_mm, rng=rng)
        case "stitched":
            return stitched(picture, mask, pitch_mm=pitch_mm, rng=rng)
        case "pasted text":
            return pasted(picture, mask, pitch_mm=pitch_mm, rng=rng)
        case _:  # what is wrong was in the beam already, or comes later
            return picture


def _turned(picture: Picture, fault: Fault, rng: np.random.Generator) -> Picture:
    """Return how a film is stored, with all that is written on it."""
    match fault:
        case "inverted":
            return exposure.inverted(picture, rng)
        case "mirrored":
            return exposure.mirrored(picture)
        case "upside down":
            return exposure.upside_down(picture, rng)
        case _:
            return picture
