"""What running a pipeline on one study leaves: the answer, what a picture needs, and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt

from cspine.findings import Findings
from cspine.image import Floats, Image
from cspine.spec import Segment
from cspine.transform import Affine


@dataclass(frozen=True)
class Labelled:
    """What a stage labelled: shape (rows, columns), and the map from its pixels to the image's."""

    labels: npt.NDArray[np.uint8]
    to_image: Affine
    stage: Segment


@dataclass(frozen=True)
class View:
    """What a picture of the findings needs beside them.

    Attributes
    ----------
    title
        What the pipeline is about.
    image
        The radiograph, or the slice that is shown.
    labelled
        The localiser's label map; ``None`` where there is no localiser.
    crops
        Of each answered level, or of the slice that is shown, the map from the crop's pixels to the
        image's.
    crop_px
        (rows, columns) of a crop.
    heat
        Class activation maps, shape (crops, rows, columns), in logits, one per crop.
    axial
        The axial slice where the cord is most compressed; ``None`` where none was measured.
    """

    title: str
    image: Image
    labelled: Labelled | None = None
    crops: tuple[Affine, ...] = ()
    crop_px: tuple[int, int] = (0, 0)
    heat: Floats | None = None
    axial: Image | None = None


@dataclass
class Clock:
    """Nanoseconds per part of one study; kept apart from the findings, which hold no time."""

    parts: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        start = perf_counter_ns()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0) + perf_counter_ns() - start


@dataclass(frozen=True)
class Outcome:
    """The answer to one study; ``view`` is ``None`` where it was refused.

    ``logits`` are the classifier's raw scores by level, which findings round and squash: what is
    measured against another precision is these.
    """

    findings: Findings
    view: View | None
    logits: Mapping[str, float]
    nanoseconds: Mapping[str, int]
