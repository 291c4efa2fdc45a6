"""A true label map against the one that a pipeline finds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cspine.errors import ModelError
from cspine.image import Image
from cspine.outcome import Labelled
from cspine.spec import Levels, PipelineSpec, Segment
from cspine.transform import sample_labels
from cspine_bench.cases import Case
from cspine_bench.columns import FILE
from cspine_bench.metrics.overlap import dice, overlaps_most

Labels = npt.NDArray[np.uint8]


def true_mask(case: Case, spec: PipelineSpec) -> Labels | None:
    """Return the label map of a case; ``None`` without one, or if the pipeline finds none.

    Raises
    ------
    ModelError
        If Dice would say nothing of the mask: of both arms alike, and so a pass.
    """
    mask = case.read_mask() if spec.has(Segment) else None
    if mask is None:
        return None
    segment: Segment = spec.only(Segment)
    stage: Levels = spec.only(Levels)
    values = set(np.unique(mask).tolist())
    if max(values) >= len(segment.labels):
        raise ModelError(
            f"{FILE}, line {case.row}: the mask holds {max(values)}, expected the index of a label "
            f"of stage {segment.id!r}, 0 to {len(segment.labels) - 1}"
        )
    if not values & {segment.labels.index(name) for name in stage.vertebrae}:
        raise ModelError(f"{FILE}, line {case.row}: the mask shows no vertebra; leave it out")
    return mask


def on_grid_of(mask: Labels, seen: Labelled, image: Image, case: Case) -> Labels:
    """Return the true label map on the localiser's grid.

    Raises
    ------
    ModelError
        If the mask has another grid than the image.
    """
    if mask.shape != image.shape:
        raise ModelError(
            f"{FILE}, line {case.row}: the mask is {mask.shape}, the image {image.shape}; a mask "
            "has the pixel grid of its image"
        )
    rows, columns = seen.labels.shape
    return sample_labels(mask, seen.to_image, size_px=(rows, columns))


def overlap(
    truth: Labels, seen: Labelled, bodies: Sequence[str], spec: PipelineSpec
) -> tuple[dict[str, float | None], bool]:
    """Return the Dice of each vertebra, and whether the bodies found are numbered right.

    Parameters
    ----------
    truth
        On the localiser's grid.
    bodies
        The vertebrae that the findings name.
    """
    segment: Segment = spec.only(Segment)
    levels: Levels = spec.only(Levels)
    numbers = {name: segment.labels.index(name) for name in levels.vertebrae}
    found: Mapping[int, float] = dice(truth, seen.labels, labels=numbers.values())
    every = tuple(numbers.values())
    right = all(
        overlaps_most(seen.labels, truth, label=numbers[name], labels=every) == numbers[name]
        for name in bodies
    )
    return {
        name: None if math.isnan(found[number]) else found[number]
        for name, number in numbers.items()
    }, right
