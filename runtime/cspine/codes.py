"""Why a study is refused or a value withheld: codes in the order of their precedence.

Precedence goes identity, object, anatomy, view, quality, task: where the header gives two grounds,
or the image does, the first is told. The header is asked before the image is decoded, so a ground
in the header comes before any in the image. ``docs/refusals.md`` is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "IDENTITY_CONFLICT",
    "UNSUPPORTED_OBJECT",
    "INCOMPLETE_SET",
    "WRONG_ANATOMY",
    "WRONG_VIEW",
    "NOT_TRUE_LATERAL",
    "ORIENTATION_CONFLICT",
    "LOW_QUALITY",
    "HARDWARE",
    "OUT_OF_SCOPE",
    "NOT_VISIBLE",
    "MODEL_UNSURE",
]
Gate = Literal["identity", "object", "anatomy", "view", "quality", "task"]


@dataclass(frozen=True)
class Meaning:
    """What a code says.

    Attributes
    ----------
    gate
        Where it closes.
    ground
        What was found.
    told_by
        What it is told from.
    dicom
        Code value of the DICOM concept that is nearest (scheme DCM); empty if there is none.
    """

    gate: Gate
    ground: str
    told_by: str
    dicom: str = ""


CODES: dict[Code, Meaning] = {
    "IDENTITY_CONFLICT": Meaning(
        "identity",
        "One study UID under two patients, or one image UID with two sets of pixels.",
        "header and pixels of all files together",
    ),
    "UNSUPPORTED_OBJECT": Meaning(
        "object",
        "Another kind of object or transfer syntax, or pixels that are damaged or cut off.",
        "header, decoder",
        "110522",
    ),
    "INCOMPLETE_SET": Meaning(
        "object",
        "Something that the pipeline needs is not there: on a radiograph, its pixel spacing; on "
        "MR and CT, the series, or slices of it.",
        "header",
        "110523",
    ),
    "WRONG_ANATOMY": Meaning(
        "anatomy", "Another body part than the cervical spine.", "header; image"
    ),
    "WRONG_VIEW": Meaning(
        "view", "Frontal, oblique, flexion or extension instead of a lateral.", "header; image"
    ),
    "NOT_TRUE_LATERAL": Meaning(
        "view", "A lateral with the patient turned: contours are double.", "image"
    ),
    "ORIENTATION_CONFLICT": Meaning(
        "view",
        "Greys inverted, upside down, or mirrored against the header.",
        "header against image",
    ),
    "LOW_QUALITY": Meaning(
        "quality", "Blank, clipped or of too little contrast.", "image", "110531"
    ),
    "HARDWARE": Meaning("task", "Metal: plates, screws, cages, rods, a halo or collar.", "image"),
    "OUT_OF_SCOPE": Meaning("task", "An age that no training patient had.", "header"),
    "NOT_VISIBLE": Meaning(
        "task",
        "Withheld: a vertebra that the value needs is hidden or outside of the image.",
        "image",
    ),
    "MODEL_UNSURE": Meaning(
        "task",
        "What the network found cannot be right, or is not all there.",
        "the network's answer",
        "114006",
    ),
}
"""Every code, in the order of precedence."""


def precedence(code: Code) -> int:
    """Return the place of a code: the lower, the earlier its gate."""
    return list(CODES).index(code)
