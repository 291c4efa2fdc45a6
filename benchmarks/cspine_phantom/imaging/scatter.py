"""The scatter that a patient adds to the beam, and what the grid leaves of it."""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.imaging.attenuation import NECK, Map
from cspine_phantom.imaging.devices import Device

_WIDTH_MM = 22.0  # standard deviation at the detector; the gap of air spreads it
_STEP_MM = 1.6  # of the grid on which it is computed


def scattered(primary: Map, device: Device) -> Map:
    """Return the signal of scatter behind the grid, in parts of the open beam.

    To first order a ray scatters as much as there are quanta left and matter to meet: in
    proportion to the primary beam times its attenuation.

    Parameters
    ----------
    primary
        (rows, columns) float32, 0 to 1: the primary beam behind the patient.
    """
    rows, columns = primary.shape
    step = round(_STEP_MM / device.spacing_mm)
    small = cv2.resize(primary, (columns // step, rows // step), interpolation=cv2.INTER_AREA)
    met = -np.log(np.clip(small, 1e-6, 1))
    source: Map = small * met * np.float32(device.scatter_left / NECK)
    wide = cv2.GaussianBlur(source, (0, 0), _WIDTH_MM / (step * device.spacing_mm))
    return cv2.resize(wide, (columns, rows), interpolation=cv2.INTER_LINEAR)
