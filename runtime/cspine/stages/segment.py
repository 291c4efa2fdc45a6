"""Localisation: one network labels every pixel of its frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from cspine.backends import Array


def label_map(outputs: Mapping[str, Array]) -> npt.NDArray[np.uint8]:
    """Return the label of each pixel, shape (rows, columns), indexing the stage's labels.

    ``outputs["logits"]`` has shape (1, labels, rows, columns).
    """
    return np.asarray(outputs["logits"][0].argmax(axis=0), np.uint8)
