"""Noise power and detective quantum efficiency by the method of IEC 62220-1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.beam import QUANTA_PER_MM2_UGY
from cspine_phantom.imaging.detector import detected, line_spread
from cspine_phantom.imaging.devices import Device

SIDE = 256
"""Pixels of a side of the regions whose spectra are averaged; they overlap by half."""

_BESIDE = 7  # rows or columns of the spectrum at each side of an axis, without the axis itself

Spectrum = NDArray[np.float64]


@dataclass(frozen=True)
class NoisePower:
    """Normalised noise power along the axes.

    Attributes
    ----------
    frequency
        (n,) per millimetre, ascending.
    power
        (n,) square millimetres: noise power over the square of the mean signal.
    pitch_mm
        Of the detector; it sets how far about a frequency the power is averaged.
    """

    frequency: Spectrum
    power: Spectrum
    pitch_mm: float

    def at(self, frequency: float) -> float:
        """Return the mean power within 0.01 / pitch of a frequency."""
        near = np.abs(self.frequency - frequency) <= 0.01 / self.pitch_mm
        return float(self.power[near].mean())


def noise_power(signal: Map, *, pitch_mm: float, side: int = SIDE) -> NoisePower:
    """Return the normalised noise power of a homogeneous region.

    A quadratic surface is taken away first, then the squared spectra of all regions are averaged,
    and those rows and columns of the mean that lie beside an axis become one curve.

    Parameters
    ----------
    signal
        (rows, columns), linear in exposure, `side` or more each way.
    """
    flat = _detrended(np.asarray(signal, np.float64))
    rows, columns = flat.shape
    starts = [
        (row, column)
        for row in range(0, rows - side + 1, side // 2)
        for column in range(0, columns - side + 1, side // 2)
    ]
    total = np.zeros((side, side))
    for row, column in starts:
        region = flat[row : row + side, column : column + side]
        total += np.abs(np.fft.fft2(region)) ** 2
    mean = float(np.mean(signal))
    power = total / len(starts) * pitch_mm**2 / (side**2 * mean**2)
    axis = np.fft.fftfreq(side, pitch_mm)
    along, beside = np.arange(1, side // 2), [*range(-_BESIDE, 0), *range(1, _BESIDE + 1)]
    # The other axis is the same picture transposed.
    frequency = np.hypot(axis[along][:, None], axis[beside][None, :])
    both = (power[np.ix_(along, beside)] + power[np.ix_(beside, along)].T) / 2
    order = np.argsort(frequency, axis=None, kind="stable")
    return NoisePower(frequency.ravel()[order], both.ravel()[order], pitch_mm)


def flat_field(device: Device, *, kerma_ugy: float, seed: int) -> NoisePower:
    """Return the noise power of a device's open beam at an air kerma at the detector.

    Four million pixels or more, as the standard wants.
    """
    rng = np.random.default_rng(seed)
    beam = np.ones((2048, 2048), np.float32)
    return noise_power(
        detected(beam, device, kerma_ugy=kerma_ugy, rng=rng), pitch_mm=device.spacing_mm
    )


def transfer(device: Device, frequency: float) -> float:
    """Return the modulation transfer function of focal spot and detector at a frequency."""
    spread = line_spread(device).astype(np.float64)
    position = (np.arange(len(spread)) - len(spread) // 2) * device.spacing_mm
    return float(spread @ np.cos(2 * np.pi * frequency * position))


def quantum_efficiency(
    power: NoisePower, device: Device, *, kerma_ugy: float, frequency: float
) -> float:
    """Return the detective quantum efficiency: MTF² / (quanta a mm² x noise power)."""
    quanta = QUANTA_PER_MM2_UGY * kerma_ugy
    return transfer(device, frequency) ** 2 / (quanta * power.at(frequency))


def half_transfer(device: Device) -> float:
    """Return the frequency, per millimetre, at which the transfer function is one half."""
    frequency = np.linspace(0, 4, 401)
    values = [transfer(device, each) for each in frequency]
    return float(np.interp(-0.5, np.negative(values), frequency))


def _detrended(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the signal less the quadratic surface that fits it best; every 8th pixel decides."""
    rows, columns = signal.shape
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    few = np.s_[::8, ::8]
    fit = np.linalg.lstsq(terms[few].reshape(-1, 6), signal[few].ravel(), rcond=None)[0]
    flat: NDArray[np.float64] = signal - terms @ fit
    return flat
