"""How much of a harder or softer beam each material stops.

Mass attenuation coefficients of Hubbell and Seltzer, NIST Standard Reference Database 126
(cortical bone and soft tissue after ICRU-44, titanium), in cm2/g.
"""

from __future__ import annotations

import numpy as np

from cspine_phantom.scene.shapes import Material

_KEV = (40.0, 50.0, 60.0, 80.0)
_COEFFICIENT: dict[Material, tuple[float, float, float, float]] = {
    "bone": (0.6655, 0.4242, 0.3148, 0.2229),
    "tissue": (0.2688, 0.2264, 0.2048, 0.1823),
    "metal": (2.214, 1.213, 0.7661, 0.4052),
}

REFERENCE_KEV = 50.0
"""Mean energy behind a neck of a beam of about 70 kV; every shape's density is given for it."""

QUANTA_PER_MM2_UGY = 30_174.0
"""Quanta of a 70 kV beam behind a patient (RQA5) to an air kerma of 1 uGy, IEC 62220-1."""


def hardness(material: Material, *, kev: float) -> float:
    """Return the attenuation of `material` at `kev`, relative to that at the reference energy.

    Between the table's energies the coefficient's logarithm is linear in that of the energy.
    """
    energies = np.log(_KEV)
    values = np.log(_COEFFICIENT[material])
    return float(
        np.exp(
            np.interp(np.log(kev), energies, values)
            - np.interp(np.log(REFERENCE_KEV), energies, values)
        )
    )
