"""What any row of vertebrae must be, however they were found: upright, a spine's, facing one way.

Coordinates are millimetres of the image, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cspine.findings import Refused
from cspine.image import Facing
from cspine.transform import Points

# A neutral cervical spine never leans further from the vertical of a radiograph.
STEEPEST_LEAN_DEG = 60.0
# Adjacent segments bend by far less; more means that something else was labelled.
SHARPEST_BEND_DEG = 60.0


def is_bent(centres: Sequence[Points]) -> bool:
    """Return whether a row of centres, from the head down, bends as no spine does."""
    steps = [lower - upper for upper, lower in pairwise(centres)]
    return any(_angle(a, b) > SHARPEST_BEND_DEG for a, b in pairwise(steps))


def check_upright(centres: Sequence[Points]) -> None:
    """Refuse a row of distinct centres, from the head down, that does not run down the image.

    Raises
    ------
    Refused
        ``ORIENTATION_CONFLICT``.
    """
    if _angle(centres[-1] - centres[0], np.array([0.0, 1.0])) > STEEPEST_LEAN_DEG:
        raise Refused(
            "ORIENTATION_CONFLICT",
            "The spine does not run down the image: it is upside down or lies on its side.",
            remedy="Turn the image upright at the modality and send it again.",
        )


def check_facing(seen: Facing, *, header: Facing | None) -> None:
    """Refuse an image whose header says that the face points the other way.

    Raises
    ------
    Refused
        ``ORIENTATION_CONFLICT``: a contradiction is refused, never resolved.
    """
    if header is not None and header != seen:
        raise Refused(
            "ORIENTATION_CONFLICT",
            f"The header says that the face points {header}, the image shows it pointing {seen}.",
            remedy="Correct Patient Orientation or the mirroring at the modality, then resend.",
        )


def misaligned() -> Refused:
    """Return the refusal of vertebrae that are no row."""
    return Refused(
        "MODEL_UNSURE",
        "The vertebrae found do not line up as a cervical spine does.",
        remedy="Check that this is a lateral view of the cervical spine; repeat it if so.",
    )


def unsure(what: str) -> Refused:
    """Return the refusal of an image on which ``what`` is not found."""
    return Refused(
        "MODEL_UNSURE",
        f"{what[0].upper()}{what[1:]} cannot be found with confidence.",
        remedy="Check that this is an upright lateral view with C2 to C7 in view, near its middle.",
    )


def _angle(a: Points, b: Points) -> float:
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
