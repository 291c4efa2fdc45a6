"""Detection: the one region of each slice that a Faster R-CNN is surest of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cspine.backends import Array
from cspine.detection.faster_rcnn import Detections
from cspine.findings import Refused
from cspine.spec import Features
from cspine.transform import Affine, Points

# Of a Faster R-CNN a pixel has its corner at whole numbers, of ours its centre.
_CORNER_TO_CENTRE = 0.5


@dataclass(frozen=True)
class Featured:
    """Per slice the map from its frame to its pixels, and what the first network gave."""

    maps: tuple[Affine, ...]
    outputs: tuple[Mapping[str, Array], ...]
    stage: Features


@dataclass(frozen=True)
class Region:
    """What was found on a slice.

    Attributes
    ----------
    image
        Which slice, as an index.
    corners
        Shape (4, 2): (x, y) in pixels of the slice, clockwise from the upper left.
    score
        The network's probability.
    """

    image: int
    corners: Points
    score: float

    @property
    def centre(self) -> Points:
        """(x, y) of the middle."""
        return np.asarray(self.corners.mean(axis=0))


def region_of(found: Detections, to_image: Affine, *, image: int) -> Region | None:
    """Return the detection of the highest score on a slice, if there is one.

    Parameters
    ----------
    to_image
        The map from the network's pixels to the slice's.
    image
        The index of the slice.
    """
    if not len(found.boxes):
        return None
    left, top, right, bottom = found.boxes[0].astype(float) - _CORNER_TO_CENTRE
    corners = to_image([[left, top], [right, top], [right, bottom], [left, bottom]])
    return Region(image, corners, float(found.scores[0]))


def found_regions(regions: Sequence[Region | None]) -> tuple[Region, ...]:
    """Return the regions of the slices that have one.

    Raises
    ------
    Refused
        ``MODEL_UNSURE`` if none has.
    """
    found = tuple(region for region in regions if region is not None)
    if not found:
        raise Refused(
            "MODEL_UNSURE",
            f"The spinal canal was found on none of {len(regions)} slices.",
            remedy="See whether the series shows the neck; send the original axial series.",
        )
    return found
