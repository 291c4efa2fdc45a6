"""What can be wrong with a study, and the film that has it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cspine_phantom import exposure
from cspine_phantom.aim import Aim, frontal_aim, lateral_aim, oblique_aim
from cspine_phantom.anatomy import lateral
from cspine_phantom.devices import DEVICES, Device
from cspine_phantom.frontal import frontal
from cspine_phantom.hardware import with_hardware
from cspine_phantom.hidden import without_c7
from cspine_phantom.oblique import oblique
from cspine_phantom.parts import HELD_OUT_PARTS, PARTS, other
from cspine_phantom.patients import Patient, generator
from cspine_phantom.radiograph import LabelMap, Picture, radiograph
from cspine_phantom.rotated import rotated

Fault = Literal[
    "ap", "oblique", "rotated", "other part", "unseen part", "c7 hidden", "hardware", "inverted",
    "mirrored", "upside down", "blank", "clipped", "low contrast",
]  # fmt: skip
"""``"ap"`` is a frontal film; ``"unseen part"`` shows a part of which ``"other part"`` has none."""

FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True)
class Film:
    """A picture, its truth and what an honest header says of it.

    Attributes
    ----------
    device
        What took it; the detector of a film of another part has another size.
    picture
        (rows, columns) uint16, 12 bits, bone bright unless that is the fault.
    mask
        (rows, columns) uint8, see :func:`~cspine_phantom.radiograph.radiograph`. All 0 where
        nothing may be answered.
    hidden
        Names of the levels that cannot be judged though the film may be answered.
    """

    device: Device
    picture: Picture
    mask: LabelMap
    aim: Aim
    hidden: tuple[str, ...] = ()


def expose(patient: Patient, fault: Fault | None) -> Film:
    """Return the film of a patient, with `fault` or without."""
    device = DEVICES[patient.site]
    # A stream of its own, so that a fault leaves patient, anatomy and clean picture as they were.
    (rng,) = generator(patient.seed, patient.number, stream="picture").spawn(1)
    match fault:
        case "ap":
            picture, mask = radiograph(frontal(patient), patient, device)
            return Film(device, picture, mask, frontal_aim())
        case "oblique":
            picture, mask = radiograph(oblique(patient, rng=rng), patient, device)
            return Film(device, picture, mask, oblique_aim(patient.face))
        case "rotated":
            picture, _ = radiograph(rotated(patient, rng=rng), patient, device)
            mask = np.zeros(picture.shape, np.uint8)
            return Film(device, picture, mask, lateral_aim(patient.face))
        case "other part" | "unseen part":
            found = other(PARTS if fault == "other part" else HELD_OUT_PARTS, rng)
            device = replace(device, spacing_mm=round(device.spacing_mm * found.field, 3))
            picture, mask = radiograph(found.scene, patient, device)
            return Film(device, picture, mask, found.aim)
        case "c7 hidden":
            picture, mask, hidden = without_c7(patient, device, rng=rng)
            return Film(device, picture, mask, lateral_aim(patient.face), hidden)
    scene = lateral(patient)
    if fault == "hardware":
        scene = with_hardware(scene, patient, rng=rng)
    picture, mask = radiograph(scene, patient, device)
    aim = lateral_aim(patient.face)
    if fault is None:
        return Film(device, picture, mask, aim)
    return Film(device, _spoilt(picture, mask, fault, rng), np.zeros_like(mask), aim)


def _spoilt(picture: Picture, mask: LabelMap, fault: Fault, rng: np.random.Generator) -> Picture:
    """Return what becomes of a lateral film."""
    match fault:
        case "inverted":
            return exposure.inverted(picture, rng)
        case "mirrored":
            return exposure.mirrored(picture)
        case "upside down":
            return exposure.upside_down(picture, rng)
        case "blank":
            return exposure.blank(picture.shape, rng)
        case "clipped":
            return exposure.clipped(picture, mask, rng)
        case "low contrast":
            return exposure.low_contrast(picture, mask, rng)
        case _:  # what is wrong was in the beam already
            return picture
