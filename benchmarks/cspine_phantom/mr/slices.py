"""The signal of slices: planes of the neck, weighted by how much of a slice each one fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.mr.anatomy import PITCH_MM, LabelMap, Neck
from cspine_phantom.mr.geometry import Stack
from cspine_phantom.mr.tissue import Table

Signal = NDArray[np.float32]
"""(rows, columns), or (slices, rows, columns)."""

STEP_MM = 1.2
"""Between the planes that a slice is the mean of."""

_COARSE_MM = 0.6  # pixels that skip some of a label map's


@dataclass(frozen=True)
class Wanted:
    """A stack of sagittal slices, and the signal of every label in it."""

    stack: Stack
    table: Table


def sagittal_signals(neck: Neck, wanted: Sequence[Wanted]) -> list[Signal]:
    """Return the signal of every stack, (slices, rows, columns) each.

    Each plane of the neck is drawn once for all stacks that need it. It crosses a slice that is
    rolled against it in a band of rows, and counts there by the part of the slice's thickness that
    it stands for.
    """
    stacks = [each.stack for each in wanted]
    signals = [
        np.zeros((len(stack.offsets_mm), stack.rows, stack.columns), np.float32)
        for stack in stacks
    ]
    reaches = [_reach(stack) for stack in stacks]
    low = min(low for low, _ in reaches)
    high = max(high for _, high in reaches)
    for side_mm in np.arange(low, high + STEP_MM, STEP_MM):
        labels = neck.plane(float(side_mm))
        for each, (low, high), signal in zip(wanted, reaches, signals, strict=True):
            if low - STEP_MM < side_mm < high + STEP_MM:
                seen = _seen(neck, labels, each, float(side_mm))
                _add(signal, seen, each.stack, float(side_mm))
    return signals


def _reach(stack: Stack) -> tuple[float, float]:
    """Return how far to the right and to the left of the midline a stack goes."""
    half = stack.rows / 2 * stack.pixel_mm * abs(stack.down[0])
    half += max(map(abs, stack.offsets_mm)) * stack.normal[0] + stack.thickness_mm / 2
    return stack.middle_mm[0] - half, stack.middle_mm[0] + half


def _seen(neck: Neck, labels: LabelMap, wanted: Wanted, side_mm: float) -> Signal:
    """Return the signal of a plane of the neck on the pixels of a stack.

    A pixel r millimetres down in a slice that is rolled by an angle lies in this plane
    ``r / cos - side * tan`` down along the plane.
    """
    stack = wanted.stack
    cos, sin = stack.normal[0], stack.down[0]
    feet = np.array([-stack.across[2], stack.across[1]])
    fine = wanted.table[labels]
    if stack.pixel_mm > _COARSE_MM:
        fine = cv2.GaussianBlur(fine, (3, 3), 0.45 * stack.pixel_mm / PITCH_MM)
    shift = (side_mm - stack.middle_mm[0]) * sin / cos
    start = neck.pixel(neck.centre + stack.middle_mm[1:] - shift * feet)
    across = stack.across[1:] * stack.pixel_mm / PITCH_MM
    down = feet * stack.pixel_mm / cos / PITCH_MM
    corner = start - across * (stack.columns - 1) / 2 - down * (stack.rows - 1) / 2
    matrix = np.stack([across, down, corner], axis=1)
    size = stack.columns, stack.rows
    return np.asarray(
        cv2.warpAffine(fine, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    )


def _add(signal: Signal, seen: Signal, stack: Stack, side_mm: float) -> None:
    cos, sin = stack.normal[0], stack.down[0]
    down = (np.arange(stack.rows) - (stack.rows - 1) / 2) * stack.pixel_mm
    for index, offset in enumerate(stack.offsets_mm):
        middle = stack.middle_mm[0] + offset * cos + down * sin
        half = stack.thickness_mm / 2
        low = np.maximum(middle - half, side_mm - STEP_MM / 2)
        high = np.minimum(middle + half, side_mm + STEP_MM / 2)
        part = np.clip(high - low, 0, None) / stack.thickness_mm
        rows = np.flatnonzero(part)
        if len(rows):
            band = slice(rows[0], rows[-1] + 1)
            signal[index, band] += part[band, None].astype(np.float32) * seen[band]
