"""What CT sees of tissues: Hounsfield units, round figures at 120 kV without contrast agent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.volume.tissue import FIRST_BODY, FIRST_DISC, LABEL

Table = NDArray[np.float32]
"""(256,) Hounsfield units by label."""

AIR_HU = -1000.0

_UNITS = {
    "air": AIR_HU, "bone": 900.0, "ligament": 75.0, "fat": -95.0, "muscle": 58.0, "skin": 40.0,
    "marrow": 230.0, "fatty marrow": 150.0, "annulus": 95.0, "cord": 38.0, "oedema": 36.0,
    "csf": 8.0, "flowing csf": 8.0, "white matter": 29.0, "grey matter": 38.0, "mucosa": 42.0,
    "gland": 62.0, "cartilage": 120.0, "vein": 45.0, "flow void": 45.0, "epidural": -45.0,
}  # fmt: skip


def units(rng: np.random.Generator) -> Table:
    """Return the Hounsfield units of one patient's tissues.

    How much lime a patient's bone holds differs much, and a little from body to body.
    """
    table = np.full(256, AIR_HU, np.float32)
    for name, label in LABEL.items():
        table[label] = _UNITS[name]
    soft = [LABEL[name] for name, value in _UNITS.items() if abs(value) < 140]
    table[soft] += rng.normal(0, 3.0, len(soft))
    lime = float(np.clip(rng.normal(1.0, 0.18), 0.6, 1.45))
    table[LABEL["bone"]] *= 0.6 + 0.4 * lime
    for name in ("marrow", "fatty marrow"):
        table[LABEL[name]] *= lime
    table[FIRST_DISC : FIRST_DISC + 16] = 85.0 + rng.normal(0, 6.0, 16)
    marrow = table[LABEL["marrow"]]
    table[FIRST_BODY : FIRST_BODY + 16] = marrow * (1 + rng.normal(0, 0.08, 16))
    return table
