"""How much of the spinal canal with its cord a sagittal slice shows: told from its levels.

In a slice through the middle of the neck, cord and fluid run as parallel bands from head to feet.
The measure looks for them row by row and joins what it finds by the best path down the slice.

1. The slice is brought to pixels of 1 mm, and smoothed by 0.6 mm across and 5 mm along.
2. At each pixel, means of neighbouring stretches of its row are compared. The contrast of two
   levels is their difference over their sum, so that the fall-off of a coil does not matter.

   - Fluid bright (T2, STIR): the canal, 10 to 16 mm wide, is brighter than 5 mm on both sides of
     it, and the cord in its middle, 5 to 9 mm wide, is darker than 3 mm on both sides. A pixel
     counts with the root of the two contrasts' product, 1 where they reach 0.4 and 0.2.
   - Fluid dark (T1): the cord, 6 to 10 mm wide, is brighter than 3 mm on both sides, and alike in
     both of its halves. A pixel counts 1 where the contrast reaches 0.2.

3. Within 15 mm of the air before the neck and 30 mm of that behind it nothing counts: fat under the
   skin and between the muscles of the nape makes bands too.
4. A path from the first row to the last, at most 45 degrees steep, sums its pixels and loses 0.3
   for each step aside, as the canal bends gently. The best sum is what the slice shows, in mm.

A canal without its cord, beside the middle, and a vessel have one of the two contrasts, or both
for a short way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from cspine.image import Floats

Fluid = Literal["bright", "dark"]

CANAL_MM, WALL_MM, CORD_MM, FLUID_MM = (10, 12, 14, 16), 5, (5, 7, 9), 3
BRIGHT_CORD_MM = (6, 8, 10)
FULL_CANAL, FULL_CORD, ALIKE = 0.4, 0.2, 0.2
STEP_COST = 0.3
SMOOTH_ACROSS_MM, SMOOTH_ALONG_MM = 0.6, 5
# Levels below this share of the brightest are noise, whose contrasts say nothing.
NOISE = 0.05
FRONT_MM, BACK_MM, AIR_MM = 15, 30, 10
# More than any stretch reaches to the side.
_MARGIN = 24
# Slices as far apart as this show the same canal, half of which is about as wide.
REACH_MM, FINE_MM = 10.0, 0.5


def canal_mm(slices: Floats, spacing_mm: tuple[float, float], *, fluid: Fluid) -> list[float]:
    """Return how many millimetres of canal and cord each slice shows.

    Parameters
    ----------
    slices
        Shape (slices, rows, columns): sagittal, rows from head to feet, columns to the back.
    spacing_mm
        (row, column) spacing.
    fluid
        Whether cerebrospinal fluid is ``"bright"`` or ``"dark"``.

    Returns
    -------
    list of float
        At most the height of a slice.
    """
    dark, bright = np.percentile(slices[:, ::2, ::2], (0.5, 99))
    size = [max(1, round(n * mm)) for n, mm in zip(slices.shape[1:], spacing_mm, strict=True)]
    seen = _fluid_bright if fluid == "bright" else _fluid_dark
    # A blank stack has no level but one, and nothing in it has a contrast.
    noise = float(max(NOISE * (bright - dark), np.finfo(np.float32).tiny))
    maps = []
    for each in slices:
        # Real and phase-sensitive images have levels below zero, which have no contrast.
        levels = cv2.resize(np.maximum(each - dark, 0), size[::-1], interpolation=cv2.INTER_AREA)
        levels = cv2.GaussianBlur(levels, (0, 0), SMOOTH_ACROSS_MM)
        levels = cv2.blur(levels, (1, SMOOTH_ALONG_MM))
        maps.append(seen(levels, noise) * _within(levels > noise))
    return [float(each) for each in _best_paths(np.stack(maps))]


def middle_of(canal: Sequence[float], places_mm: Sequence[float]) -> int:
    """Return the index of the slice in the middle of those that show the canal.

    The cord is seen equally well in several slices, and the middle one of these is meant. So what
    the slices show is averaged over neighbouring places, the less the farther they are, up to half
    a canal's width; between slices, and where some are missing, it is interpolated.

    Parameters
    ----------
    canal
        What each slice shows, in order.
    places_mm
        Where each lies along their normal, ascending from 0.
    """
    places = np.arange(0, places_mm[-1] + FINE_MM, FINE_MM)
    shown = np.interp(places, places_mm, canal)
    count = round(REACH_MM / FINE_MM)
    weights = 1 - np.abs(np.arange(-count, count + 1)) / count
    best = places[np.argmax(np.convolve(shown, weights)[count : count + len(places)])]
    return int(np.argmin(np.abs(np.asarray(places_mm) - best)))


def _fluid_bright(levels: Floats, noise: float) -> Floats:
    rows = _Rows(levels)
    canal = [_between(rows, width, WALL_MM, noise, np.maximum) for width in CANAL_MM]
    cord = [-_between(rows, width, FLUID_MM, noise, np.minimum) for width in CORD_MM]
    product = np.clip(np.max(canal, axis=0) / FULL_CANAL, 0, 1)
    product *= np.clip(np.max(cord, axis=0) / FULL_CORD, 0, 1)
    return np.asarray(np.sqrt(product), np.float32)


def _fluid_dark(levels: Floats, noise: float) -> Floats:
    rows = _Rows(levels)
    best = np.zeros_like(levels)
    for width in BRIGHT_CORD_MM:
        half = width // 2
        one, other = rows.mean(-half, half), rows.mean(0, half)
        sides = np.maximum(rows.mean(-half - FLUID_MM, FLUID_MM), rows.mean(half, FLUID_MM))
        contrast = _contrast(np.minimum(one, other), sides, noise) / FULL_CORD
        alike = 1 - np.abs(_contrast(one, other, noise)) / ALIKE
        best = np.maximum(best, np.clip(contrast, 0, 1) * np.maximum(alike, 0))
    return best


def _between(rows: _Rows, width: int, side: int, noise: float, extreme: np.ufunc) -> Floats:
    """Return the contrast of a stretch against an extreme of the stretches on its two sides."""
    start = -(width // 2)
    sides = extreme(rows.mean(start - side, side), rows.mean(start + width, side))
    return _contrast(rows.mean(start, width), sides, noise)


def _within(body: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return what lies deep enough in each row, where there is air beside it in the picture."""
    columns = np.arange(body.shape[1])
    first = np.argmax(body, axis=1)[:, np.newaxis]
    last = body.shape[1] - 1 - np.argmax(body[:, ::-1], axis=1)[:, np.newaxis]
    front = (columns >= first + FRONT_MM) | (first < AIR_MM)
    back = (columns <= last - BACK_MM) | (last >= body.shape[1] - AIR_MM)
    return np.asarray(front & back)


class _Rows:
    """Means over stretches of the rows of a picture, from running sums."""

    def __init__(self, levels: Floats) -> None:
        wide = np.pad(levels, ((0, 0), (_MARGIN + 1, _MARGIN)), mode="edge")
        self._sums = np.cumsum(wide, axis=1, dtype=np.float64)
        self._columns = levels.shape[1]

    def mean(self, start: int, count: int) -> Floats:
        """Return the mean of ``count`` pixels from ``start`` beside each pixel on."""
        before = _MARGIN + start
        ends = self._sums[:, before + count : before + count + self._columns]
        sums = ends - self._sums[:, before : before + self._columns]
        return np.asarray(sums / count, np.float32)


def _contrast(one: Floats, other: Floats, noise: float) -> Floats:
    return np.asarray((one - other) / (one + other + np.float32(noise)))


def _best_paths(maps: Floats) -> Floats:
    """Return the best sum of each map, shape (maps, rows, columns), from its top to its bottom."""
    sums = maps[:, 0]
    for row in range(1, maps.shape[1]):
        before = np.pad(sums, ((0, 0), (1, 1)), constant_values=-np.inf)
        aside = np.maximum(before[:, :-2], before[:, 2:]) - np.float32(STEP_COST)
        sums = np.maximum(before[:, 1:-1], aside) + maps[:, row]
    return np.asarray(sums.max(axis=1))
