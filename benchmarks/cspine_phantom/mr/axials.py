"""Axial T2 slices through the discs of a neck, as sites take them to see what the cord has left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cspine_phantom.mr.disease import generator
from cspine_phantom.mr.geometry import Stack, across
from cspine_phantom.mr.scanners import Protocol
from cspine_phantom.patients import LEVELS, Patient
from cspine_phantom.volume.anatomy import Anatomy
from cspine_phantom.volume.lying import Lying, Vector, lie

Way = Literal["along discs", "parallel", "gap", "moved", "none"]
"""Three slices along each disc; one stack through all of them, whole or with slices missing; along
discs after the patient was moved, in another Frame of Reference; or no axial series at all."""

WAYS: tuple[Way, ...] = get_args(Way)

SHARES = (0.42, 0.34, 0.08, 0.06, 0.10)
"""How often each of `WAYS` is."""

_ALONG = 3  # slices of a disc
_BEYOND_MM = 6.0  # that one stack covers above the highest disc and below the lowest
_TILT_DEG = {"along discs": 3.0, "moved": 3.0, "parallel": 4.0, "gap": 4.0}


@dataclass(frozen=True)
class Axials:
    """How one study has axial slices.

    Attributes
    ----------
    tilt_deg
        (6,) angles by which stacks miss their discs; the first is that of a single stack.
    missing
        Level, from 0, and number of slices that a gap there takes.
    lying
        How the patient lay, if it was otherwise than in the other series.
    """

    way: Way
    tilt_deg: tuple[float, ...]
    missing: tuple[int, int]
    lying: Lying | None

    def stacks(
        self, protocol: Protocol, anatomy: Anatomy, *, middle_mm: Vector
    ) -> tuple[Stack, ...]:
        """Return the stacks of the series in the neck, the highest first; none where none is.

        Parameters
        ----------
        protocol
            Its number of slices is not asked: a disc has three, a single stack what it takes.
        middle_mm
            Of the sagittal series: axial slices are as far to the left.
        """
        if self.way == "none":
            return ()
        tilts = np.deg2rad(self.tilt_deg)
        if self.way in ("along discs", "moved"):
            return tuple(
                _stack(protocol, np.array([middle_mm[0], *at]), tilt - rise, slices=_ALONG)
                for (at, rise), tilt in zip(anatomy.discs, tilts, strict=True)
            )
        rise = float(tilts[0] - np.mean([rise for _, rise in anatomy.discs]))
        places = np.array([at for at, _ in anatomy.discs])
        off = places @ np.array([-np.sin(rise), np.cos(rise)])
        spacing = protocol.thickness_mm + protocol.gap_mm
        slices = int(np.ceil((np.ptp(off) + 2 * _BEYOND_MM) / spacing))
        centre = np.array([middle_mm[0], *(places[off.argmin()] + places[off.argmax()]) / 2])
        whole = _stack(protocol, centre, rise, slices=slices)
        return (self._parted(whole, off) if self.way == "gap" else whole,)

    def _parted(self, stack: Stack, off_mm: Vector) -> Stack:
        """Return a stack without the slices about one disc."""
        level, count = self.missing
        offsets = np.array(stack.offsets_mm)
        from_disc = np.abs(offsets + stack.middle_mm @ stack.normal - off_mm[level])
        kept = np.sort(np.argsort(from_disc)[count:])
        return replace(stack, offsets_mm=tuple(offsets[kept].tolist()))


def draw_axials(patient: Patient) -> Axials:
    """Draw how a patient's study has axial slices."""
    rng = generator(patient.seed, patient.number, stream="axials")
    way = WAYS[int(np.searchsorted(np.cumsum(SHARES)[:-1], rng.random(), side="right"))]
    tilt = _TILT_DEG.get(way, 0.0) * rng.standard_normal(len(LEVELS)).clip(-2, 2)
    # A gap is never at the first two slices, which tell how far apart all are.
    missing = int(rng.integers(1, len(LEVELS))), int(rng.integers(3, 6))
    return Axials(way, tuple(tilt.tolist()), missing, lie(rng) if way == "moved" else None)


def _stack(protocol: Protocol, middle: Vector, rise: float, *, slices: int) -> Stack:
    return across(
        slices=slices, shape=(protocol.rows, protocol.columns), pixel_mm=protocol.pixel_mm,
        thickness_mm=protocol.thickness_mm, gap_mm=protocol.gap_mm, rise=rise, middle_mm=middle,
    )  # fmt: skip
