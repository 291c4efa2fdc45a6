"""What goes wrong after the aim: exposure, processing and the way a picture is stored.

Pictures are (rows, columns) uint16 of 0 to `WHITE`; the caller's stay as they are. Every length is
in millimetres on the detector, whose pixels are `pitch_mm` wide.
"""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.grain import grain
from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.imaging.radiograph import LabelMap


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


def blank(shape: tuple[int, ...], *, pitch_mm: float, rng: np.random.Generator) -> Picture:
    """Return a film of nothing: unexposed, covered by the shutters, or of the open beam alone."""
    rows, columns = shape
    level, noise = rng.uniform(0, WHITE), WHITE * 10 ** rng.uniform(-3.5, -1.2)
    if rng.random() < 0.12:
        return np.full(shape, round(level) if rng.random() < 0.6 else 0, np.uint16)
    film = grain(shape, pitch_mm=pitch_mm, blur_mm=0.12, rng=rng)
    if rng.random() < 0.5:
        film += 0.5 * grain(shape, pitch_mm=pitch_mm, blur_mm=0.6, rng=rng)
    film *= np.float32(noise)
    kind = rng.random()
    if kind < 0.35:  # the heel of the anode shades an open beam
        across, down = rng.normal(0, 0.12 * WHITE, 2)
        film += np.linspace(-across, across, columns, dtype=np.float32)
        film += np.linspace(-down, down, rows, dtype=np.float32)[:, None]
    film += np.float32(level)
    if kind > 0.6:
        _shut(film, pitch_mm, rng)
    return _stored(film)


def _shut(film: Map, pitch_mm: float, rng: np.random.Generator) -> None:
    """Cover all but a sliver of the film, or all of it."""
    rows, columns = film.shape
    left, top = rng.uniform(0, 0.9, 2) * (columns, rows)
    wide, high = rng.uniform(0, 0.35, 2) * (columns, rows)
    open_part = np.zeros(film.shape, bool)
    open_part[round(top) : round(top + high), round(left) : round(left + wide)] = True
    noise = grain(film.shape, pitch_mm=pitch_mm, blur_mm=0.12, rng=rng)
    noise *= np.float32(rng.uniform(0, 0.0018) * WHITE)
    np.copyto(film, noise, where=~open_part)


def clipped(
    picture: Picture, mask: LabelMap, *, pitch_mm: float, rng: np.random.Generator
) -> Picture:
    """Return a film so light or so dark that the vertebrae are lost at one end of the scale."""
    few, labels = picture[::4, ::4], mask[::4, ::4]
    bodies = few[(labels > 0) & (labels < 8)]
    shown = picture.astype(np.float32)
    noise = grain(picture.shape, pitch_mm=pitch_mm, blur_mm=0.3, rng=rng)
    if rng.random() < 0.5:
        # Light: what is denser than nearly all bone, and much of what is not, is white.
        white = np.percentile(bodies, rng.uniform(1, 25))
        shown *= np.float32(WHITE / white)
        noise *= np.float32(rng.uniform(0, 0.017) * WHITE)
        np.add(shown, noise, out=shown, where=picture > 0)
    else:
        black = np.percentile(bodies, rng.uniform(50, 93))
        shown -= np.float32(black)
        brightest = max(np.percentile(few, 99.9), black + 0.1 * WHITE)
        shown *= np.float32(rng.uniform(0.5, 1.0) * WHITE / (brightest - black))
        noise *= np.float32(rng.uniform(0, 0.0035) * WHITE)
        np.add(shown, noise, out=shown, where=shown > 0)
    return _stored(shown)


def low_contrast(
    picture: Picture, mask: LabelMap, *, pitch_mm: float, rng: np.random.Generator
) -> Picture:
    """Return a film whose anatomy is squeezed into little of the scale and drowned in noise.

    Shutters span the rest of the scale in most, so that its extremes say nothing.
    """
    left, top, wide, high = cv2.boundingRect(mask)
    spine = picture[top : top + high : 4, left : left + wide : 4].astype(np.float32)
    low, high_level = np.percentile(spine, [5, 95])
    span = rng.uniform(0.03, 0.10) * WHITE
    gain = span / max(high_level - low, 1.0)
    noise = grain(picture.shape, pitch_mm=pitch_mm, blur_mm=0.55, rng=rng)
    noise *= np.float32(rng.uniform(0.45, 1.2) * gain * spine.std())
    level = rng.uniform(span, WHITE - span)
    film = picture.astype(np.float32)
    film *= np.float32(gain)
    film += np.float32(level - gain * (low + high_level) / 2)
    film += noise
    if rng.random() < 0.75:
        _frame(film, rng)
    return _stored(film)


def _frame(film: Map, rng: np.random.Generator) -> None:
    """Paint shutters: black, and white beyond them in some."""
    rows, columns = film.shape
    left, right = (round(part * columns) for part in rng.uniform(0.02, 0.14, 2))
    top, bottom = (round(part * rows) for part in rng.uniform(0.02, 0.1, 2))
    value = WHITE if rng.random() < 0.25 else 0
    film[:top] = film[rows - bottom :] = value
    film[:, :left] = film[:, columns - right :] = value


def _stored(film: Map) -> Picture:
    np.clip(film, 0, WHITE, out=film)
    film += np.float32(0.5)
    return film.astype(np.uint16)
