"""The frame of fixed size in the middle of the image that a whole-image network looks at."""

from __future__ import annotations

import numpy as np

from cspine.findings import Refused
from cspine.image import Floats, Image
from cspine.spec import Framed
from cspine.transform import Affine, frame, map_grey, sample

# Part of its own range of levels that the middle 98 % of a frame must span; a radiograph's span
# nearly all of it. Less is one grey with a marker on it.
LEAST_SPREAD = 0.01


def frame_map(image: Image, stage: Framed) -> Affine:
    """Return the map from the network's pixels to the image's."""
    return frame(
        image.shape,
        spacing_mm=image.spacing_mm,
        size_px=stage.size_px,
        to_mm=stage.spacing_mm,
    )


def frame_feeds(image: Image, to_image: Affine, stage: Framed) -> dict[str, Floats]:
    """Return the network's input: ``image``, float32, shape (1, 1, rows, columns).

    Raises
    ------
    Refused
        ``LOW_QUALITY`` if nearly all of the frame has one level, or some of it none;
        ``UNSUPPORTED_OBJECT`` if its levels are not those that a window is of.
    """
    tensor = sample(image, [to_image], size_px=stage.size_px)
    with np.errstate(invalid="ignore"):
        low, high = np.percentile(tensor, [1, 99])
        spread, whole = float(high - low), float(np.ptp(tensor))
    # Written so that NaN, which is neither more nor less than anything, is refused.
    if not spread > LEAST_SPREAD * whole:
        raise Refused(
            "LOW_QUALITY",
            "The image is blank: nearly all of it has one level.",
            remedy="Repeat the exposure or send the right image.",
        )
    return {"image": map_grey(tensor, stage.grey, unit=image.unit)[:, None]}


def same_frame(a: Framed, b: Framed) -> bool:
    """Return whether two networks look at the same frame in the same grey levels."""
    return (a.size_px, a.spacing_mm, a.grey) == (b.size_px, b.spacing_mm, b.grey)
