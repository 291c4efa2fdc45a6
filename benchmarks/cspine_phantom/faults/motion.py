"""Head and neck that move while the film is exposed."""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.devices import Device
from cspine_phantom.imaging.radiograph import Disturb

_STEP_MM = 0.5  # between two of the positions whose mean is taken
_HEAD_MM = 130.0  # from where the neck turns to the middle of the head


def motion(device: Device, rng: np.random.Generator) -> Disturb:
    """Return what the beam is behind a neck that moves: the mean over its path.

    It drifts, swings or starts: then it stands in two places most of the time, and every edge is
    double. It moves as a whole or turns about its lower end. What the quanta and the detector do
    is not blurred by it.
    """
    heading = rng.normal(0, 0.8) + rng.choice([0.0, np.pi])
    turning = rng.choice([0.0, 0.0, rng.uniform(0.3, 1.0), 1.0])
    reach = rng.uniform(2.5 + 2 * turning, 8.0)  # of the head; less is moved below it by a turn
    travel = (1 - turning) * reach * np.array([np.cos(heading), np.sin(heading)])
    turn_deg = float(np.degrees(turning * reach / _HEAD_MM) * rng.choice([-1, 1]))
    bend = rng.normal(0, 0.12) * reach
    count = int(np.ceil(reach / _STEP_MM)) + 3
    place = np.linspace(-0.5, 0.5, count)
    match int(rng.integers(3)):
        case 0:  # a drift
            share = np.ones(count)
        case 1:  # a swing, slowest where it turns back
            share = 1 / np.sqrt(1.05 - (2 * place) ** 2)
        case _:  # a start
            share = np.ones(count)
            share[:2] = count * rng.uniform(0.5, 2)
            share[-2:] = count * rng.uniform(0.5, 2)
    share /= share.sum()
    pivot = np.array([0.5 * device.columns, 0.85 * device.rows]) / 2

    def moved(beam: Map) -> Map:
        rows, columns = beam.shape
        # Focal spot and detector blur more than the mean of two pixels by two does.
        small: Map = cv2.resize(beam, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
        total: Map = np.zeros_like(small)
        for part, weight in zip(place, share, strict=True):
            shift = travel * part + np.array([0.0, bend * np.cos(np.pi * part)])
            matrix = cv2.getRotationMatrix2D(pivot.tolist(), turn_deg * float(part), 1.0)
            matrix[:, 2] += shift / (2 * device.spacing_mm)
            size = small.shape[::-1]
            there = cv2.warpAffine(small, matrix, size, borderMode=cv2.BORDER_REPLICATE)
            total = cv2.scaleAdd(there, float(weight), total)
        return cv2.resize(total, (columns, rows), interpolation=cv2.INTER_LINEAR)

    return moved
