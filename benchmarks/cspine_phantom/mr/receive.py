"""What a scanner makes of a signal: coil, resolution, noise, and whole numbers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.imaging.grain import grain
from cspine_phantom.mr.geometry import Stack
from cspine_phantom.mr.scanners import Protocol, Scanner
from cspine_phantom.mr.slices import Signal

Stored = NDArray[np.uint16]

BITS = 12

_COIL_MM = 62.0  # from the middle of the canal to the elements behind the neck
_FALL_MM = 95.0
_LONG_MM = 120.0
# Standard deviation of what differs within a tissue, and how wide it is.
_UNEVEN = ((0.045, 0.9), (0.05, 4.0))


def received(
    signal: Signal,
    stack: Stack,
    protocol: Protocol,
    scanner: Scanner,
    *,
    cord: float,
    fat: float,
    rng: np.random.Generator,
) -> Stored:
    """Return the stored images of one stack, (slices, rows, columns) uint16.

    Noise is Gaussian in both channels and its magnitude Rician; it is as fine as the acquired
    matrix, not the stored one.

    Parameters
    ----------
    cord, fat
        Their signals: what noise and brightness are relative to.
    """
    near, left = coil(stack, scanner)
    gain = near ** (1 - scanner.levelled) * left
    # What levels the coil's falling sensitivity raises the noise where it fell.
    noise = cord / protocol.snr / near**scanner.levelled
    scale = scanner.white / fat * rng.uniform(0.85, 1.2)
    shape = signal.shape[1:]
    kept = _kept(shape, protocol.resolved)
    images = np.empty(signal.shape, np.uint16)
    uneven = np.ones(shape, np.float32)
    for deviation, blur_mm in _UNEVEN:
        uneven += deviation * grain(shape, pitch_mm=stack.pixel_mm, blur_mm=blur_mm, rng=rng)
    for index, one in enumerate(signal):
        # Elsewhere in every slice, so that neighbours do not look alike.
        seen = one * gain * np.roll(uneven, (index * shape[0] // 5, index * shape[1] // 3), (0, 1))
        sharp = np.fft.rfft2(seen)
        real = np.fft.irfft2(sharp * kept, shape).astype(np.float32, copy=False)
        both = _noise(shape, protocol.resolved, rng) * noise
        magnitude = scale * cv2.magnitude(real + both[0], both[1])
        images[index] = np.clip(np.rint(magnitude), 0, 2**BITS - 1)
    return images


def coil(stack: Stack, scanner: Scanner) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the sensitivity of the coil, 1 in the canal, and what a saturation band leaves.

    (rows, columns) each. The coil lies behind the neck.
    """
    across = stack.pixel_mm * (np.arange(stack.columns, dtype=np.float32) - stack.columns / 2)
    down = stack.pixel_mm * (np.arange(stack.rows, dtype=np.float32) - stack.rows / 2)
    back = stack.middle_mm[1] + across[None] * stack.across[1] + down[:, None] * stack.down[1]
    feet = stack.middle_mm[2] + across[None] * stack.across[2] + down[:, None] * stack.down[2]
    long = np.square(np.square(feet / _LONG_MM))
    near = (1 + (_COIL_MM / _FALL_MM) ** 2) / (
        (1 + np.square((_COIL_MM - back) / _FALL_MM)) * (1 + long)
    )
    left = np.ones_like(near)
    if scanner.saturation:
        left = 0.25 + 0.75 / (1 + np.exp(-(back + 46.0 - 0.25 * feet) / 4.0))
    return near.astype(np.float32), left.astype(np.float32)


def _kept(shape: tuple[int, ...], resolved: tuple[float, float]) -> NDArray[np.float32]:
    """Return the filter of an acquired matrix that is smaller than the stored one.

    A sharp edge of it rings (Gibbs); scanners round the edge a little.
    """
    down = np.abs(np.fft.fftfreq(shape[0]))[:, None] * 2 / resolved[0]
    across = np.fft.rfftfreq(shape[1])[None] * 2 / resolved[1]
    edges = [1 / (1 + np.exp(np.clip((each - 0.97) / 0.03, -50, 50))) for each in (down, across)]
    kept: NDArray[np.float32] = (edges[0] * edges[1]).astype(np.float32)
    return kept


def _noise(
    shape: tuple[int, ...], resolved: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return two channels of unit noise, (2, rows, columns), no finer than what is acquired."""
    rows, columns = (round(size * part) for size, part in zip(shape, resolved, strict=True))
    white = rng.standard_normal((2, rows, columns), np.float32)
    size = shape[1], shape[0]
    return np.stack([cv2.resize(each, size, interpolation=cv2.INTER_CUBIC) for each in white])
