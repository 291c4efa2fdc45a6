"""Class activation maps: where the evidence for the answer lies.

For a network that ends in global average pooling and one linear layer, Grad-CAM (Selvaraju et
al. 2017) is the weighted sum of the last feature maps with that layer's weights, then clipped at
zero, up to the constant 1 / (rows * columns): the gradient of the logit with respect to a feature
map is that weight, spread evenly. The graph carries the sum as its output ``cam``, so it needs no
gradient and exists in every precision.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cspine.backends import Array
from cspine.image import Floats


def activation_maps(outputs: Mapping[str, Array]) -> Floats:
    """Return one map per crop, shape (crops, rows, columns), in logits, negative evidence cut.

    ``outputs["cam"]`` has shape (crops, classes, rows, columns); of several classes the map is that
    of the most probable one.
    """
    likeliest = outputs["logits"].argmax(axis=1)
    chosen = outputs["cam"][np.arange(len(likeliest)), likeliest]
    return np.asarray(np.maximum(chosen, 0), np.float32)
