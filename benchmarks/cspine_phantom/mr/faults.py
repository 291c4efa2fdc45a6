"""What can be wrong with an MR study, and what that does to its signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np

from cspine.codes import Code
from cspine_phantom.mr.geometry import Stack
from cspine_phantom.mr.slices import Signal

Fault = Literal["no T2", "axial only", "brain", "motion", "metal"]

FAULTS: tuple[Fault, ...] = get_args(Fault)

REFUSED: dict[Fault, Code] = {
    "no T2": "INCOMPLETE_SET",
    "axial only": "INCOMPLETE_SET",
    "brain": "WRONG_ANATOMY",
    "motion": "LOW_QUALITY",
    "metal": "HARDWARE",
}
"""The code that each must be refused with."""

TOLD: tuple[Fault, ...] = ("no T2", "axial only", "brain")
"""Those that are told without a network that was trained for it: by headers, by the canal."""

Spoil = Callable[[Signal, Stack], Signal]
"""What becomes of the signal of a stack, (slices, rows, columns), before it is received."""


def spoil(fault: Fault | None, rng: np.random.Generator) -> Spoil:
    """Return what a fault does to a signal; most are in what was scanned."""
    if fault == "motion":
        return _motion(rng)
    if fault == "metal":
        return _metal(rng)
    return lambda signal, _: signal


def _motion(rng: np.random.Generator) -> Spoil:
    """Return a neck that nods and swallows while the lines of k-space are taken.

    A line that is taken while the neck is elsewhere has another phase; a swing that comes back
    makes ghosts along the direction of phase encoding, here down.
    """
    swing_mm = rng.uniform(1.2, 3.0, 2) * rng.choice([-1, 1], 2)
    swings = rng.uniform(5, 14)
    start_mm = rng.uniform(1.0, 3.0, 2)

    def moved(signal: Signal, stack: Stack) -> Signal:
        rows, columns = signal.shape[1:]
        down = np.fft.fftfreq(rows)[:, None]
        across = np.fft.rfftfreq(columns)[None]
        # The middle of k-space is taken half way through.
        time = np.fft.ifftshift(np.linspace(0, 1, rows))[:, None]
        swung = np.sin(2 * np.pi * swings * time) + 0.5 * np.sin(5.1 * np.pi * swings * time)
        shifts = [
            (swing * swung + start * (time > 0.55)) / stack.pixel_mm
            for swing, start in zip(swing_mm, start_mm, strict=True)
        ]
        phase = np.exp(-2j * np.pi * (down * shifts[0] + across * shifts[1]))
        moved = np.fft.irfft2(np.fft.rfft2(signal) * phase, (rows, columns))
        return np.asarray(np.abs(moved), np.float32)

    return moved


def _metal(rng: np.random.Generator) -> Spoil:
    """Return a plate in front of the bodies: no signal about it, and what was there beside it."""
    at = rng.uniform((-26.0, 0.0), (-18.0, 28.0))
    size_mm = rng.uniform(13.0, 22.0)
    long = rng.uniform(1.2, 1.7)

    def around(signal: Signal, stack: Stack) -> Signal:
        if not stack.is_sagittal:
            return signal
        column, row = np.meshgrid(np.arange(stack.columns), np.arange(stack.rows))
        found: Signal = signal.copy()
        feet = np.array([-stack.across[2], stack.across[1]])
        x = (at - stack.middle_mm[1:]) @ stack.across[1:] / stack.pixel_mm + stack.columns / 2
        y = (at - stack.middle_mm[1:]) @ feet / stack.pixel_mm + stack.rows / 2
        for index, offset in enumerate(stack.offsets_mm):
            reach = size_mm * np.sqrt(max(1 - (offset / 30.0) ** 2, 0.05)) / stack.pixel_mm
            away = np.hypot(column - x, (row - y) / long) / reach
            wobble = away * (1 + 0.12 * np.sin(3 * np.arctan2(row - y, column - x)))
            # What lay within twice the reach is pushed out beyond it, and bright at its edge.
            part = np.clip(wobble - 1, 0, 1)
            factor = np.where(wobble < 2, 2 * part / np.maximum(wobble, 1e-6), 1.0)
            pushed = cv2.remap(
                signal[index],
                (x + (column - x) * factor).astype(np.float32),
                (y + (row - y) * factor).astype(np.float32),
                cv2.INTER_LINEAR,
            )
            glow = 1 + 1.5 * np.exp(-(((wobble - 1.06) / 0.07) ** 2))
            found[index] = np.where(wobble < 1, 0.0, pushed * glow)
        return found

    return around
