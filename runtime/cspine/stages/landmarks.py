"""Landmarks: one network places every named point in its frame, a map a point.

The softmax of a map over all of its pixels says where the point may be. Its mean near the largest
value is the position, to a part of a pixel; the share that lies there is the confidence, so that a
map with two candidates, or with none, is unsure of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine.backends import Array
from cspine.errors import BackendError
from cspine.findings import Landmark
from cspine.spec import Placing
from cspine.transform import Affine, Points, rounded

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Placed:
    """The landmarks of one image.

    Attributes
    ----------
    points
        (2,) positions (x, y) in pixels of the image, by name, of those that are seen.
    confidence
        Of all that were looked for, by name.
    """

    points: Mapping[str, Points]
    confidence: Mapping[str, float]

    @property
    def said(self) -> tuple[Landmark, ...]:
        """What the findings say of the points that are seen."""
        return tuple(
            Landmark(
                name=name,
                position_px=rounded(point),
                confidence=round(self.confidence[name], 3),
            )
            for name, point in self.points.items()
        )


def place(outputs: Mapping[str, Array], to_image: Affine, stage: Placing) -> Placed:
    """Return the landmarks that the network's maps show.

    Parameters
    ----------
    outputs
        ``outputs["logits"]`` has shape (1, points, rows, columns).
    to_image
        From the network's pixels to the image's.

    Raises
    ------
    BackendError
        If a map holds what is no number: it would have no peak.
    """
    positions, shares = decode(outputs["logits"][0], reach_px=stage.reach_mm / stage.spacing_mm)
    confidence = dict(zip(stage.points, shares.tolist(), strict=True))
    seen = {
        name: to_image(position)
        for name, position in zip(stage.points, positions, strict=True)
        if confidence[name] >= stage.minimum_confidence
    }
    return Placed(seen, confidence)


def decode(logits: Array, *, reach_px: float) -> tuple[Points, Values]:
    """Return where each map has its peak, and how much of it lies there.

    Parameters
    ----------
    logits
        Shape (points, rows, columns).
    reach_px
        Radius about the largest value within which the softmax is averaged.

    Returns
    -------
    positions
        Shape (points, 2), (x, y) in pixels of the map.
    shares
        Shape (points,), in 0..1.

    Raises
    ------
    BackendError
        If a value is not finite.
    """
    count, _, columns = logits.shape
    flat = logits.reshape(count, -1)
    peaks = flat.argmax(axis=1)
    highest = flat[np.arange(count), peaks, None]
    odds = np.exp((flat - highest).astype(np.float32))
    totals = odds.sum(axis=1, dtype=np.float64)
    if not np.isfinite(totals).all():
        raise BackendError("output 'logits': the model gave what is no number; its answer is void")
    near = int(np.ceil(reach_px))
    y, x = np.mgrid[-near : near + 1, -near : near + 1]
    circle = np.hypot(x, y) <= reach_px
    # What lies beyond the map's edge has no weight.
    padded = np.pad(odds.reshape(logits.shape), ((0, 0), (near, near), (near, near)))
    positions, shares = np.empty((count, 2)), np.empty(count)
    for number, (row, column) in enumerate(zip(*np.divmod(peaks, columns), strict=True)):
        window = padded[number, row : row + 2 * near + 1, column : column + 2 * near + 1]
        weights = np.where(circle, window, 0).astype(np.float64)
        mass = weights.sum()
        shares[number] = mass / totals[number]
        positions[number] = column + (weights * x).sum() / mass, row + (weights * y).sum() / mass
    return positions, shares
