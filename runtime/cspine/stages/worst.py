"""The answer of a study whose slices were graded: what neighbours say where it is worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cspine.findings import Refused
from cspine.image import Image
from cspine.spec import Grade, Worst
from cspine.stages.grade import Doubles, Graded, log_odds


@dataclass(frozen=True)
class Worsts:
    """Where a stack is worst.

    Attributes
    ----------
    order
        Indices of the crops, as their slices follow each other from the feet.
    worst
        Index of the crop that is shown.
    log_probabilities
        Of each class, shape (1, classes): of the mean over the neighbours.
    """

    order: tuple[int, ...]
    worst: int
    log_probabilities: Doubles
    graded: Graded
    stage: Worst

    @property
    def logits(self) -> dict[str, float]:
        """The log-odds of the study, which findings round and squash."""
        (found,) = log_odds(self.log_probabilities, self.graded.stage).tolist()
        return {self.stage.question: found}


def find_worst(graded: Graded, images: Sequence[Image], stage: Worst) -> Worsts:
    """Return the neighbours whose mean probability of a positive class is the largest.

    Neighbours are ``stage.adjacent`` graded slices that follow each other; one on which nothing was
    found is passed over. Of equal ones the first from the feet are taken.

    Raises
    ------
    Refused
        ``MODEL_UNSURE`` if less than ``stage.minimum_slices`` are graded; ``INCOMPLETE_SET`` if one
        does not say where it lies.
    """
    if len(graded.crops) < stage.minimum_slices:
        raise Refused(
            "MODEL_UNSURE",
            f"The spinal canal was found on {len(graded.crops)} of {len(images)} slices, "
            f"{stage.minimum_slices} are needed.",
            remedy="See whether the series shows the neck; send the original axial series.",
        )
    order = np.argsort(_heights([images[crop.image] for crop in graded.crops]), kind="stable")
    ordered = graded.log_probabilities[order]
    start, mean = worst_run(ordered, graded.stage, stage)
    shown = start + int(log_odds(ordered[start : start + stage.adjacent], graded.stage).argmax())
    return Worsts(tuple(order.tolist()), int(order[shown]), mean, graded, stage)


def worst_run(log_probabilities: Doubles, grade: Grade, stage: Worst) -> tuple[int, Doubles]:
    """Return where the worst neighbours begin, and the mean of what they say, shape (1, classes).

    Parameters
    ----------
    log_probabilities
        Of each class, shape (slices, classes), in the order of the slices; at least
        ``stage.adjacent``.
    """
    means = np.stack(
        [
            np.logaddexp.reduce(log_probabilities[start : start + stage.adjacent], axis=0)
            for start in range(len(log_probabilities) - stage.adjacent + 1)
        ]
    ) - np.log(stage.adjacent)
    start = int(log_odds(means, grade).argmax())
    return start, means[start, None]


def _heights(images: Sequence[Image]) -> Doubles:
    """Return how far each slice lies along the stack, towards the head, in millimetres."""
    planes = [image.plane for image in images if image.plane is not None]
    if len(planes) < len(images):
        raise Refused(
            "INCOMPLETE_SET",
            "A slice does not say where it lies, so its neighbours are not known.",
            remedy="Send the original series from the scanner.",
        )
    normal = planes[0].normal
    upwards = normal if normal[2] >= 0 else -normal
    return np.array([plane.origin_mm @ upwards for plane in planes])
