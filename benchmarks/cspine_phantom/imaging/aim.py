"""What a header states of body part, view and orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cspine_phantom.patients import Face

Header = Literal["true", "stripped", "lying"]
"""``"true"`` states what the picture shows, or showed before it was spoilt; ``"stripped"`` leaves
part, view and orientation out; ``"lying"`` is the header of a lateral cervical film."""


@dataclass(frozen=True)
class Aim:
    """Part and view, in the attributes of a DX object.

    Attributes
    ----------
    body_part
        Body Part Examined.
    region, view
        SNOMED CT code and meaning: Anatomic Region, View Code.
    orientation
        Patient Orientation: where a row runs to, and a column.
    position
        View Position.
    laterality
        Image Laterality: of a paired part which one, otherwise ``"U"``.
    title, subject
        What Series and Study Description say after ``PHANTOM``.
    """

    body_part: str
    region: tuple[str, str]
    orientation: tuple[str, str]
    position: str
    view: tuple[str, str]
    laterality: Literal["L", "R", "U"]
    title: str
    subject: str


# Face left: the row runs to the back. Seen from the front, it runs to the patient's left.
_ROW = {"left": "P", "right": "A"}
_LATERAL = {"left": ("399173006", "left lateral"), "right": ("399198007", "right lateral")}
_OBLIQUE = {
    "left": ("399135007", "left anterior oblique"),
    "right": ("399356000", "right anterior oblique"),
}


def lateral_aim(face: Face) -> Aim:
    """Return what a lateral of the neck states."""
    return _neck((_ROW[face], "F"), "LL" if face == "left" else "RL", _LATERAL[face], "lateral")


def oblique_aim(face: Face) -> Aim:
    """Return what an anterior oblique of the neck states."""
    row = "PL" if face == "left" else "AL"
    return _neck((row, "F"), "LLO" if face == "left" else "RLO", _OBLIQUE[face], "oblique")


def frontal_aim() -> Aim:
    """Return what an antero-posterior film of the neck states."""
    return _neck(("L", "F"), "AP", ("399348003", "antero-posterior"), "ap")


def _neck(orientation: tuple[str, str], position: str, view: tuple[str, str], title: str) -> Aim:
    region = ("122494005", "Cervical spine")
    return Aim("CSPINE", region, orientation, position, view, "U", title, "cervical spine")
