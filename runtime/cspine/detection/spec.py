"""A Faster R-CNN as numbers: all that its two graphs do not hold, and its pipeline file does.

Sizes and positions are pixels of the network's input, and every pair is (rows, columns).
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from cspine.fields import Positive, Size, Struct

Count = Annotated[int, msgspec.Meta(ge=1)]
Grid = tuple[Count, Count]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Side = Annotated[float, msgspec.Meta(ge=0)]
Weights = tuple[Positive, Positive, Positive, Positive]
"""What the four deltas of a box (x, y, width, height) are divided by."""


class Anchors(Struct, frozen=True, kw_only=True):
    """The anchors of one map of the pyramid: each size in each ratio, at every cell.

    ``map`` is the name of the graph's output; an aspect ratio is height over width.
    """

    map: str
    grid: Grid
    stride_px: Grid
    sizes_px: tuple[Positive, ...]
    aspect_ratios: tuple[Positive, ...]

    @property
    def count(self) -> int:
        """How many anchors there are."""
        return math.prod(self.grid) * len(self.sizes_px) * len(self.aspect_ratios)


class Proposals(Struct, frozen=True, kw_only=True):
    """How anchors become proposals.

    The best ``before_nms`` of every map are taken; of what suppression leaves, the best
    ``after_nms`` of all. A score at the threshold is enough.
    """

    before_nms: Count
    after_nms: Count
    score_threshold: Share
    nms_threshold: Share
    minimum_side_px: Side
    weights: Weights


class Regions(Struct, frozen=True, kw_only=True):
    """How RoIAlign cuts a proposal out of one of the maps.

    A proposal of ``canonical_scale_px`` squared belongs to level ``canonical_level``, which is
    the map whose scale is 2 to the power of -level; ``scales`` are cells per pixel. With a
    ``sampling_ratio`` of 0 a bin has as many samples as it covers cells.
    """

    maps: tuple[str, ...]
    scales: tuple[Positive, ...]
    channels: Count
    size: Grid
    sampling_ratio: Annotated[int, msgspec.Meta(ge=0)]
    canonical_scale_px: Positive
    canonical_level: int


class Predictions(Struct, frozen=True, kw_only=True):
    """How the head's answers become detections; a score has to be above the threshold.

    ``labels`` counts the background, which is label 0 and is never detected.
    """

    labels: Annotated[int, msgspec.Meta(ge=2)]
    per_image: Count
    score_threshold: Share
    nms_threshold: Share
    minimum_side_px: Side
    weights: Weights


class DetectorSpec(Struct, frozen=True, kw_only=True):
    """One Faster R-CNN, whose images all have the same size."""

    size_px: Size
    anchors: tuple[Anchors, ...]
    proposals: Proposals
    regions: Regions
    predictions: Predictions

    def __post_init__(self) -> None:
        grids = [anchors.map for anchors in self.anchors]
        for anchors in self.anchors:
            stride = (self.size_px[0] // anchors.grid[0], self.size_px[1] // anchors.grid[1])
            if stride != anchors.stride_px:
                raise ValueError(
                    f"anchors of map {anchors.map!r}: got stride_px {anchors.stride_px}, expected "
                    f"{stride}, as {anchors.grid} cells lie over {self.size_px} pixels"
                )
        if len(self.regions.maps) != len(self.regions.scales) or not self.regions.maps:
            raise ValueError(
                f"regions: got {len(self.regions.scales)} scales for "
                f"{len(self.regions.maps)} maps, expected one for each"
            )
        if unknown := sorted(set(self.regions.maps) - set(grids)):
            raise ValueError(
                f"regions: got map {unknown[0]!r}, expected one of those with anchors: "
                f"{', '.join(grids)}"
            )

    @property
    def anchor_count(self) -> int:
        """How many anchors there are on all maps."""
        return sum(anchors.count for anchors in self.anchors)
