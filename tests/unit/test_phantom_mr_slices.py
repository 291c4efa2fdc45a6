"""Slices lie where their headers say, and hold the signal that the equation gives."""

from __future__ import annotations

import numpy as np
import pytest

from cspine_phantom.mr.geometry import Stack, across, sagittal
from cspine_phantom.mr.receive import received
from cspine_phantom.mr.scanners import SCANNERS
from cspine_phantom.mr.slices import Wanted, signals
from cspine_phantom.mr.tissue import Sequence, tissues
from cspine_phantom.scene.shapes import ellipse
from cspine_phantom.volume.anatomy import Anatomy
from cspine_phantom.volume.lying import lie
from cspine_phantom.volume.solid import Solid, Solids
from cspine_phantom.volume.tissue import LABEL

BALL = np.array([4.0, -11.0, 17.0])
"""Centre of a ball of 9 mm: left of the midline, behind and below the middle of the stack."""

TABLE = np.zeros(256, np.float32)
TABLE[7] = 1.0


def ball() -> Anatomy:
    outline = ellipse(BALL[1:], radii=(9.0, 9.0))
    # A second one on the other side would be its twin: this one lies about the midline.
    solid = Solid(outline, 7, half_mm=9.0, power=2.0)
    return Anatomy((_Shifted(Solids([solid]), BALL[0]),), 1.0, np.zeros(2), ())


class _Shifted:
    """What lies to the left of where it was made."""

    def __init__(self, solids: Solids, by_mm: float) -> None:
        self.solids, self.by_mm = solids, by_mm

    def cut(self, side_mm: float) -> list[object]:
        return list(self.solids.cut(side_mm - self.by_mm))


def stacks() -> list[Stack]:
    common = {"shape": (160, 140), "pixel_mm": 0.8, "thickness_mm": 3.0, "gap_mm": 0.3}
    middle = np.array([1.0, -4.0, 6.0])
    sides = [
        sagittal(
            slices=15, roll=np.deg2rad(roll), pitch=np.deg2rad(pitch), middle_mm=middle,
            upward=upward, **common,
        )
        for roll, pitch, upward in ((0, 0, True), (4, 0, True), (-3, 5, False), (2, -4, False))
    ]  # fmt: skip
    sections = [
        across(slices=15, rise=rise, middle_mm=middle + np.array([0, -6, 8]), **common)
        for rise in (0.0, 0.3, np.pi / 2)
    ]
    return [*sides, *sections]


@pytest.mark.parametrize("stack", stacks(), ids=range(7))
def test_a_ball_is_where_it_was_put(stack: Stack) -> None:
    """The centre of mass of what a stack shows, by its own geometry."""
    (seen,) = signals(ball(), [Wanted(stack, TABLE)])
    assert seen.max() == pytest.approx(1.0, abs=0.02)
    index = np.stack(np.meshgrid(*map(np.arange, seen.shape), indexing="ij"), axis=-1)
    origins = np.array([stack.origin(k) for k in range(len(seen))])
    places = (
        origins[index[..., 0]]
        + index[..., 1:2] * stack.pixel_mm * stack.down
        + index[..., 2:3] * stack.pixel_mm * stack.across
    )
    found = (places * seen[..., None]).sum(axis=(0, 1, 2)) / seen.sum()
    assert found == pytest.approx(BALL, abs=0.35)
    volume = seen.sum() * stack.pixel_mm**2 * stack.spacing_mm
    assert volume == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.06)


def test_a_thick_slice_holds_part_of_what_crosses_it() -> None:
    """A wall 3.6 mm thick fills six tenths of the slice of 6 mm about it, and none beside it."""
    wall = Solid(ellipse((0.0, 0.0), radii=(30.0, 30.0)), 7, half_mm=1.8, power=200.0)
    anatomy = Anatomy((Solids([wall]),), 1.0, np.zeros(2), ())
    stack = sagittal(
        slices=3, shape=(32, 32), pixel_mm=1.0, thickness_mm=6.0, gap_mm=0.0, roll=0.0, pitch=0.0,
        middle_mm=np.zeros(3), upward=True,
    )  # fmt: skip
    (seen,) = signals(anatomy, [Wanted(stack, TABLE)])
    assert seen[1, 16, 16] == pytest.approx(0.6, abs=0.01)
    assert seen[0, 16, 16] + seen[2, 16, 16] == 0


def test_a_patient_lies_right_handed_and_nearly_straight() -> None:
    for seed in range(20):
        lying = lie(np.random.default_rng(seed))
        back, feet = lying.direct(np.array([0.0, 1, 0])), lying.direct(np.array([0.0, 0, 1]))
        assert back[1] > 0.99
        assert feet[2] < -0.99
        assert abs(back @ feet) < 1e-12
        assert np.linalg.det(lying.matrix) == pytest.approx(-1)  # the neck's own axes are not


def test_signal_is_what_the_equation_says() -> None:
    rng = np.random.default_rng(0)
    one = tissues(1.5, severity=(0.0,) * 6, rng=rng)
    csf, cord, fat = (LABEL[name] for name in ("csf", "cord", "fat"))
    t2 = one.signal(Sequence("T2", 3000.0, 100.0))
    by_hand = (
        one.density[csf] * (1 - np.exp(-3000 / one.t1_ms[csf])) * np.exp(-100 / one.t2_ms[csf])
    )
    assert t2[csf] == pytest.approx(by_hand, rel=1e-5)
    t1 = one.signal(Sequence("T1", 550.0, 11.0))
    stir = one.signal(
        Sequence("STIR", 4000.0, 60.0, inversion_ms=float(np.log(2) * one.t1_ms[fat]))
    )
    assert t2[csf] > 1.7 * t2[cord] > 0
    assert t1[csf] < 0.6 * t1[cord]
    assert t1[fat] > 1.8 * t1[cord]
    assert stir[fat] < 0.02 * stir[csf]
    assert max(t1[LABEL["bone"]], t2[LABEL["bone"]]) < 0.15 * t2[cord]
    assert t1[0] == t2[0] == 0


def test_noise_is_rician_and_as_strong_as_stated() -> None:
    """Where there is no signal it has the mean of a Rayleigh distribution, sigma * sqrt(pi / 2)."""
    scanner = SCANNERS["B"]
    protocol = scanner.t1
    stack = sagittal(
        slices=2, shape=(protocol.rows, protocol.columns), pixel_mm=protocol.pixel_mm,
        thickness_mm=3.0, gap_mm=0.3, roll=0.0, pitch=0.0, middle_mm=np.zeros(3), upward=True,
    )  # fmt: skip
    dark = np.zeros((2, protocol.rows, protocol.columns), np.float32)
    bright = np.full_like(dark, 0.5)

    def stored(signal: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(3)
        images = received(signal, stack, protocol, scanner, cord=0.5, fat=1.0, rng=rng)
        middle = tuple(slice(size // 2 - 40, size // 2 + 40) for size in images.shape[1:])
        return images[(slice(None), *middle)].astype(float)

    ground, level = stored(dark), stored(bright)
    sigma = level.mean() / protocol.snr
    # Cubic interpolation leaves a part of the acquired matrix's noise.
    assert 0.6 * sigma < ground.mean() / np.sqrt(np.pi / 2) < 1.05 * sigma
    assert ground.std() / ground.mean() == pytest.approx(np.sqrt(4 / np.pi - 1), rel=0.12)
