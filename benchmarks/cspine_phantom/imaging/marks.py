"""What every department puts on its films: side markers, and the date in some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.devices import Device
from cspine_phantom.imaging.lettering import Cover, lettered, stamp
from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.scene.shapes import Points

_CLEAR_MM = 8.0  # of the column, if there is room

_SIDES = ("L", "R", "L", "R", "LAT", "L LAT", "R LAT", "L 12", "R AR", "L MK", "7 R")
_DATES = ("01-01-2020", "2020-01-01 12:00", "12:00:00", "1/1/2020  LAT")


@dataclass(frozen=True)
class Mark:
    """One mark: its letters, their first column and row, and what the beam loses in them.

    ``density`` is the attenuation (natural logarithm); 0 for letters that are burned in.
    """

    cover: Cover
    at: tuple[int, int]
    density: float


def draw_marks(device: Device, column: Points, *, rng: np.random.Generator) -> tuple[Mark, ...]:
    """Return the marks of one film, near its edges.

    Three films in five have a side marker of lead or light, one in eight its date.

    Parameters
    ----------
    column
        (n, 2) positions (column, row) on the picture that the marks stay clear of.
    """
    marks = []
    if rng.random() < 0.6:
        lead = rng.random() < 0.55
        letters = lettered(
            [_SIDES[int(rng.integers(len(_SIDES)))]],
            height_mm=rng.uniform(6, 16),
            pitch_mm=device.spacing_mm,
            stroke=rng.uniform(0.12, 0.24),
        )
        density = float(rng.uniform(1.2, 4.0)) if lead else 0.0
        marks.append(Mark(letters, _place(letters, device, column, rng), density))
    if rng.random() < 0.125:
        text = _DATES[int(rng.integers(len(_DATES)))]
        strip = lettered([text], height_mm=rng.uniform(2.4, 4.4), pitch_mm=device.spacing_mm)
        marks.append(Mark(strip, _place(strip, device, column, rng), 0.0))
    return tuple(marks)


def _place(
    cover: Cover, device: Device, column: Points, rng: np.random.Generator
) -> tuple[int, int]:
    """Return the first of some places near a side that is clear of `column`, or the clearest."""
    size = np.array(cover.shape[::-1])
    room = np.array([device.columns, device.rows]) - size
    part = rng.uniform((0.01, 0.03), (0.14, 0.97), (12, 2))
    part[:, 0] = np.where(rng.random(12) < 0.5, part[:, 0], 1 - part[:, 0])
    places = np.rint(part * room).astype(int)
    nearest = np.clip(column, places[:, None], (places + size)[:, None])
    distance = np.linalg.norm(nearest - column, axis=2).min(axis=1) * device.spacing_mm
    left, top = places[int(np.minimum(distance, _CLEAR_MM).argmax())].tolist()
    return left, top


def shade(beam: Map, marks: tuple[Mark, ...]) -> None:
    """Take from the primary beam what the lead of some marks stops, in place."""
    for mark in marks:
        if mark.density:
            left, top = mark.at
            box = beam[top : top + mark.cover.shape[0], left : left + mark.cover.shape[1]]
            box *= np.exp(mark.cover * np.float32(-mark.density / 255))


def burn(picture: Picture, marks: tuple[Mark, ...]) -> None:
    """Write the other marks on a picture, in place."""
    for mark in marks:
        if not mark.density:
            stamp(picture, mark.cover, at=mark.at, level=WHITE)
