"""Compression of the cord at each level, or the reason that it is withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.cord import CORD, Diameters, cord_diameters
from cspine.findings import Measurement, Withheld
from cspine.image import Image
from cspine.spec import Ratio
from cspine.stages.axial import Cut
from cspine.stages.cord import Cords
from cspine.stages.landmarks import Placed
from cspine.transform import rounded

NAME, SMALLEST = "ratio", "smallest ratio"
DEFINITION = "compression ratio: AP over transverse diameter of the cord, the axes of its ellipse"
DIGITS = 3
MOST_SKEWED_DEG = 30.0  # which the axes of an ellipse are not at all


@dataclass(frozen=True)
class Compressed:
    """The ratios of a study, the smallest last.

    Attributes
    ----------
    shown
        Place of the slice with the smallest among the images of the study; ``None`` if there is
        no ratio.
    """

    measurements: tuple[Measurement, ...]
    withheld: tuple[Withheld, ...]
    shown: int | None


def compression(cords: Cords, images: Sequence[Image], stage: Ratio) -> Compressed:
    """Measure the cord of each level by its points."""
    measured: list[tuple[float, Cut, Measurement]] = []
    withheld = list(cords.cuts.withheld)
    for cut, placed in zip(cords.cuts.found, cords.placed, strict=True):
        image = images[cut.image]
        if reason := implausible(placed.points, image.spacing_mm, stage):
            withheld.append(Withheld(label=cut.level, code="MODEL_UNSURE", reason=reason))
            continue
        found = cord_diameters(placed.points, image.spacing_mm)
        measured.append((found.ratio, cut, _measurement(found, cut, placed, image)))
    said = [each for _, _, each in measured]
    if not measured:
        return Compressed((), _named(withheld), None)
    _, cut, smallest = min(measured, key=lambda each: each[0])
    said.append(_smallest(smallest, count=len(measured)))
    return Compressed(tuple(said), _named(withheld), cut.image)


def implausible(
    points: Mapping[str, npt.ArrayLike], spacing_mm: tuple[float, float], stage: Ratio
) -> str:
    """Return why points, in pixels of an axial slice as it hangs, are no cord's; empty if they are.

    A slice hangs with the front up and the patient's left on the right.
    """
    if lacking := [name for name in CORD if name not in points]:
        return f"Not seen with confidence: {', '.join(lacking)} of the cord."
    row_mm, column_mm = spacing_mm
    scale = np.array([column_mm, row_mm])
    front, back, left, right = (np.asarray(points[name], np.float64) * scale for name in CORD)
    down, across = back - front, left - right
    # Turned by less than 45 degrees.
    upright = down[1] > abs(down[0]) and across[0] > abs(across[1])
    if not upright or not _crossing(front, down, right, across):
        return "The ends of the cord's diameters lie in no order that they can have."
    ap, transverse = cord_diameters(points, spacing_mm)
    if (
        not stage.minimum_ap_mm <= ap <= stage.maximum_ap_mm
        or not stage.minimum_transverse_mm <= transverse <= stage.maximum_transverse_mm
    ):
        return "The diameters found are not those of a cord."
    return ""


def _crossing(
    front: npt.NDArray[np.float64],
    down: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    across: npt.NDArray[np.float64],
) -> bool:
    """Return whether two lines, each a start and a way, cross between their ends, not too askew."""
    lengths = float(np.linalg.norm(down) * np.linalg.norm(across))
    if abs(float(down @ across)) > lengths * np.sin(np.radians(MOST_SKEWED_DEG)):
        return False
    shares = np.linalg.solve(np.column_stack([down, -across]), right - front)
    return bool(((shares > 0) & (shares < 1)).all())


def _measurement(found: Diameters, cut: Cut, placed: Placed, image: Image) -> Measurement:
    front, back, left, right = (rounded(placed.points[name]) for name in CORD)
    return Measurement(
        name=f"{NAME} {cut.level}",
        value=round(found.ratio, DIGITS),
        unit="1",
        definition=DEFINITION,
        lines_px=((front, back), (right, left)),
        calibration=None,  # it needs no more than the shape of a pixel
        level=cut.level,
        source=image.source,
        tilt_deg=round(cut.tilt_deg, 1),
    )


def _smallest(one: Measurement, *, count: int) -> Measurement:
    levels = "1 level" if count == 1 else f"{count} levels"
    definition = f"the lowest of {levels}, where the cord is most compressed"
    return msgspec.structs.replace(one, name=SMALLEST, definition=definition)


def _named(withheld: Sequence[Withheld]) -> tuple[Withheld, ...]:
    """Return what is withheld of levels as what it is of their ratios, from the head down."""
    ordered = sorted(withheld, key=lambda item: item.label)
    return tuple(
        Withheld(label=f"{NAME} {item.label}", code=item.code, reason=item.reason)
        for item in ordered
    )
