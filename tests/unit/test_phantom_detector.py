"""The physics of scatter, blur, noise and response, each against its own law."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cspine_phantom.imaging.attenuation import NECK, Map
from cspine_phantom.imaging.beam import QUANTA_PER_MM2_UGY
from cspine_phantom.imaging.detector import SATURATION, detected, exposed, line_spread
from cspine_phantom.imaging.devices import DEVICES, Device
from cspine_phantom.imaging.scatter import scattered
from cspine_phantom.patients import SITES

QUIET_UGY = 1e9
"""Air kerma at which no noise is left."""


def flat(device: Device, kerma_ugy: float, *, level: float = 1.0, seed: int = 0) -> Map:
    beam = np.full((768, 768), level, np.float32)
    return detected(beam, device, kerma_ugy=kerma_ugy, rng=np.random.default_rng(seed))


def nnps(device: Device, kerma_ugy: float, *frequencies: float) -> npt.NDArray[np.float64]:
    """Return the normalised noise power spectrum in mm2, as IEC 62220-1 defines it."""
    size, pitch = 128, device.spacing_mm
    field = flat(device, kerma_ugy).astype(float)
    blocks = field.reshape(6, size, 6, size).swapaxes(1, 2).reshape(-1, size, size)
    power = np.abs(np.fft.fft2(blocks / field.mean() - 1)) ** 2
    spectrum = power.mean(axis=0) * pitch**2 / size**2
    axis = np.fft.fftfreq(size, pitch)
    radius = np.hypot(axis[:, None], axis)
    found = [spectrum[np.abs(radius - wanted) < 0.15].mean() for wanted in frequencies]
    return np.array(found)


def transfer(device: Device, per_mm: float) -> float:
    """Return the modulation transfer function along an axis, from the image of a point."""
    point = np.zeros((256, 256), np.float32)
    point[128, 128] = 1
    image = detected(point, device, kerma_ugy=QUIET_UGY, rng=np.random.default_rng(0))
    line = image.sum(axis=0).astype(float)
    place = (np.arange(256) - 128) * device.spacing_mm
    return abs(np.sum(line * np.exp(-2j * np.pi * per_mm * place))) / line.sum()


@pytest.mark.parametrize("site", SITES)
def test_noise_of_a_flat_field_is_what_such_detectors_have(site: str) -> None:
    device = DEVICES[site]
    half, one, two = nnps(device, 2.5, 0.5, 1.0, 2.0)
    assert 1e-5 < half < 3e-5
    assert half > 1.3 * one > 2 * two
    # The quanta that are there, and no more, are counted: DQE = MTF² / (NNPS * fluence).
    efficiency = transfer(device, 0.5) ** 2 / (half * 2.5 * QUANTA_PER_MM2_UGY)
    assert efficiency == pytest.approx(device.detector.efficiency, rel=0.12)


@pytest.mark.parametrize("site", SITES)
def test_signal_over_noise_grows_as_the_root_of_dose(site: str) -> None:
    device = DEVICES[site]
    low, high = flat(device, 50.0), flat(device, 200.0)  # electronic noise is lost in it
    assert low.mean() == pytest.approx(1, abs=1e-3)
    assert low.std() / high.std() == pytest.approx(2, rel=0.02)
    behind = flat(device, 200.0, level=0.25)
    assert behind.std() / behind.mean() == pytest.approx(2 * high.std(), rel=0.03)


def test_electronic_noise_takes_over_where_quanta_are_few() -> None:
    device = DEVICES["C"]
    detector = replace(device.detector, electronic=0.0)
    with_it, without = flat(device, 0.05), flat(replace(device, detector=detector), 0.05)
    added = with_it.astype(float).var() - without.astype(float).var()
    expected = (device.detector.electronic / device.quanta(kerma_ugy=0.05)) ** 2
    assert added == pytest.approx(expected, rel=0.05)


def test_noise_of_two_halves_of_a_picture_is_not_the_same() -> None:
    field = flat(DEVICES["A"], 2.5).astype(float) - 1
    upper, lower = field[:384].ravel(), field[384:].ravel()
    # The little white noise is drawn from the numbers of the other half.
    assert abs(np.corrcoef(upper, lower)[0, 1]) < 0.6


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("per_mm", [0.5, 1.0, 2.0])
def test_blur_is_that_of_focal_spot_and_scintillator(site: str, per_mm: float) -> None:
    device = DEVICES[site]
    spot = np.sinc(per_mm * device.focal_mm * (device.magnification - 1))
    expected = spot / (1 + (per_mm / device.detector.mtf50_per_mm) ** 2)
    assert transfer(device, per_mm) == pytest.approx(expected, abs=0.02)


def test_blur_is_one_of_millimetres_whatever_the_pitch() -> None:
    device = DEVICES["A"]
    coarser = replace(device, spacing_mm=0.15)
    assert len(line_spread(coarser)) < len(line_spread(device))
    assert transfer(coarser, 1.0) == pytest.approx(transfer(device, 1.0), abs=0.02)


def step(device: Device) -> tuple[Map, tuple[slice, slice], tuple[slice, slice]]:
    """Return a neck's beam with a square of bone in it, and two places: bone and beside it."""
    beam = np.full((device.rows, device.columns), np.exp(-NECK), np.float32)
    row, column, reach = device.rows // 2, device.columns // 2, round(5 / device.spacing_mm)
    bone = np.s_[row - reach : row + reach, column - reach : column + reach]
    beam[bone] *= np.float32(np.exp(-0.4))
    return beam, bone, np.s_[row - reach : row + reach, column + 2 * reach : column + 4 * reach]


def contrast(device: Device) -> float:
    beam, bone, beside = step(device)
    total = beam + scattered(beam, device)
    return float(1 - total[bone].mean() / total[beside].mean())


def test_scatter_lowers_contrast_and_the_grid_restores_it() -> None:
    device = DEVICES["A"]
    primary = contrast(replace(device, scatter=0.0))
    bare = contrast(replace(device, grid=None))
    behind = contrast(device)
    assert primary == pytest.approx(1 - np.exp(-0.4), rel=1e-3)
    assert bare == pytest.approx(primary / (1 + device.scatter), rel=0.03)
    assert behind == pytest.approx(primary / (1 + device.scatter_left), rel=0.03)
    assert bare < behind < primary


@pytest.mark.parametrize("site", SITES)
def test_scatter_behind_a_neck_is_as_stated_and_there_is_none_in_the_open_beam(site: str) -> None:
    device = DEVICES[site]
    beam = np.full((device.rows, device.columns), np.exp(-NECK), np.float32)
    middle = scattered(beam, device)[device.rows // 2, device.columns // 2]
    assert middle / np.exp(-NECK) == pytest.approx(device.scatter_left, rel=1e-3)
    assert scattered(np.ones_like(beam), device).max() < 1e-6


@pytest.mark.parametrize("site", SITES)
def test_the_response_is_undone_to_its_last_step(site: str) -> None:
    device = DEVICES[site]
    values = np.geomspace(0.01, 1.2, 500, dtype=np.float32)[None]
    found = exposed(values, device)[0]
    # The coarsest: a linear one of 14 bits has steps of 0.8 % at a hundredth of the open beam.
    assert np.abs(found + np.log(values[0])).max() < 0.008
    brighter = exposed(np.full((1, 1), 2 * SATURATION, np.float32), device)
    assert brighter[0, 0] == pytest.approx(-np.log(SATURATION), abs=1e-3)


def test_steps_are_those_of_the_response() -> None:
    values = np.linspace(0.5, 0.6, 20_000, dtype=np.float32)[None]
    counts = {site: len(np.unique(exposed(values, DEVICES[site]))) for site in SITES}
    top = {site: 2 ** DEVICES[site].detector.bits for site in SITES}
    part = 0.1 / SATURATION
    roots = np.sqrt(np.array([0.5, 0.6]) / SATURATION)
    assert counts["A"] == pytest.approx(part * top["A"], abs=2)
    assert counts["B"] == pytest.approx((roots[1] - roots[0]) * top["B"], abs=2)
    assert counts["D"] == pytest.approx(np.log10(0.6 / 0.5) / 4 * top["D"], abs=2)


def test_one_seed_is_one_signal_and_the_beam_stays_as_it_was() -> None:
    device = DEVICES["B"]
    beam = cv2.GaussianBlur(np.eye(512, dtype=np.float32), (0, 0), 9)
    before = beam.copy()
    first, second = (
        detected(beam, device, kerma_ugy=3.0, rng=np.random.default_rng(4)) for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert np.array_equal(beam, before)
