"""What goes wrong after the aim: exposure, processing and the way a picture is stored.

Pictures are (rows, columns) uint16 of 12 bits; the caller's stay as they are.
"""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.attenuation import Map
from cspine_phantom.radiograph import WHITE, LabelMap, Picture


def inverted(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the negative; shutters that processing paints afterwards stay black in some."""
    negative: Picture = WHITE - picture
    if rng.random() < 0.4:
        negative[~picture.any(axis=1)] = 0
        negative[:, ~picture.any(axis=0)] = 0
    return negative


def mirrored(picture: Picture) -> Picture:
    """Return the picture with left and right exchanged."""
    return np.ascontiguousarray(picture[:, ::-1])


def upside_down(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture turned by 180 degrees, or flipped."""
    turned = picture[::-1, ::-1] if rng.random() < 0.5 else picture[::-1]
    return np.ascontiguousarray(turned)


def blank(shape: tuple[int, ...], rng: np.random.Generator) -> Picture:
    """Return a film of nothing: unexposed, covered by the shutters, or of the open beam alone."""
    rows, columns = shape
    level, noise = rng.uniform(0, WHITE), 10 ** rng.uniform(0.3, 2.6)
    if rng.random() < 0.12:
        return np.full(shape, round(level) if rng.random() < 0.6 else 0, np.uint16)
    film = rng.standard_normal((rows, columns), np.float32)
    if rng.random() < 0.5:
        film += 3 * cv2.GaussianBlur(film, (0, 0), 2.5)
    film *= np.float32(noise)
    kind = rng.random()
    if kind < 0.35:  # the heel of the anode shades an open beam
        across, down = rng.normal(0, 0.12 * WHITE, 2)
        film += np.linspace(-across, across, columns, dtype=np.float32)
        film += np.linspace(-down, down, rows, dtype=np.float32)[:, None]
    film += np.float32(level)
    if kind > 0.6:
        _shut(film, rng)
    if rng.random() < 0.35:
        mark(film, rng)
    return _stored(film)


def _shut(film: Map, rng: np.random.Generator) -> None:
    """Cover all but a sliver of the film, or all of it."""
    rows, columns = film.shape
    left, top = rng.uniform(0, 0.9, 2) * (columns, rows)
    wide, high = rng.uniform(0, 0.35, 2) * (columns, rows)
    open_part = np.zeros(film.shape, bool)
    open_part[round(top) : round(top + high), round(left) : round(left + wide)] = True
    noise = rng.standard_normal(film.shape, np.float32) * np.float32(rng.uniform(0, 12))
    np.copyto(film, noise, where=~open_part)


def clipped(picture: Picture, mask: LabelMap, rng: np.random.Generator) -> Picture:
    """Return a film so light or so dark that the vertebrae are lost at one end of the scale."""
    bodies = picture[(mask > 0) & (mask < 8)]
    shown = picture.astype(np.float32)
    noise = cv2.GaussianBlur(rng.standard_normal(picture.shape, np.float32), (0, 0), 1.2)
    if rng.random() < 0.5:
        # Light: what is denser than nearly all bone, and much of what is not, is white.
        white = np.percentile(bodies, rng.uniform(1, 25))
        shown *= np.float32(WHITE / white)
        shown += noise * np.float32(rng.uniform(0, 300)) * (picture > 0)
    else:
        black = np.percentile(bodies, rng.uniform(50, 93))
        shown -= np.float32(black)
        brightest = max(np.percentile(picture, 99.9), black + 0.1 * WHITE)
        shown *= np.float32(rng.uniform(0.5, 1.0) * WHITE / (brightest - black))
        shown += noise * np.float32(rng.uniform(0, 60)) * (shown > 0)
    return _stored(shown)


def low_contrast(picture: Picture, mask: LabelMap, rng: np.random.Generator) -> Picture:
    """Return a film whose anatomy is squeezed into little of the scale and drowned in noise.

    Shutters and a marker span the rest of the scale in most, so that its extremes say nothing.
    """
    spine = picture[_about(mask)].astype(np.float32)
    low, high = np.percentile(spine, [5, 95])
    span = rng.uniform(0.03, 0.10) * WHITE
    gain = span / max(high - low, 1.0)
    noise = cv2.GaussianBlur(rng.standard_normal(picture.shape, np.float32), (0, 0), 2.2)
    noise *= np.float32(rng.uniform(0.45, 1.2) * gain * spine.std()) / noise.std()
    level = rng.uniform(span, WHITE - span)
    film = (picture - np.float32((low + high) / 2)) * np.float32(gain) + np.float32(level) + noise
    if rng.random() < 0.75:
        _frame(film, rng)
    if rng.random() < 0.65:
        mark(film, rng)
    return _stored(film)


def _about(mask: LabelMap) -> tuple[slice, slice]:
    """Return the box of what is labelled."""
    rows, columns = np.nonzero(mask)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def _frame(film: Map, rng: np.random.Generator) -> None:
    """Paint shutters: black, and white beyond them in some."""
    rows, columns = film.shape
    left, right = (round(part * columns) for part in rng.uniform(0.02, 0.14, 2))
    top, bottom = (round(part * rows) for part in rng.uniform(0.02, 0.1, 2))
    value = WHITE if rng.random() < 0.25 else 0
    film[:top] = film[rows - bottom :] = value
    film[:, :left] = film[:, columns - right :] = value


def mark(film: Map, rng: np.random.Generator) -> None:
    """Burn a side marker into a corner of `film`, in place."""
    rows, columns = film.shape
    text = ("L", "R", "LAT", "L 12", "R AR")[int(rng.integers(5))]
    size = rng.uniform(1.6, 3.6) * columns / 960
    at = rng.uniform((0.04, 0.12), (0.7, 0.96)) * (columns, rows)
    if rng.random() < 0.5:
        at[0] = rng.choice([0.05, 0.8]) * columns
    place = (round(at[0]), round(at[1]))
    lead = np.zeros(film.shape, np.uint8)
    cv2.putText(
        lead, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, round(3 * size), cv2.LINE_AA
    )
    np.copyto(film, np.maximum(film, lead * np.float32(WHITE / 255)))


def _stored(film: Map) -> Picture:
    return np.clip(np.rint(film), 0, WHITE).astype(np.uint16)
