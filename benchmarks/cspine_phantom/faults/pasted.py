"""Text and drawings that somebody put over the neck."""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.imaging.lettering import Cover, lettered, stamp
from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.imaging.radiograph import LabelMap
from cspine_phantom.scene.shapes import Points

_WORDS = (
    "CERVICAL SPINE",
    "LATERAL",
    "NEUTRAL",
    "ERECT",
    "SAMPLE",
    "COPY",
    "TEST IMAGE",
    "NOT FOR DIAGNOSIS",
    "ROOM 2",
    "PORTABLE",
    "PRE OP",
    "FOLLOW-UP",
    "IMAGE 1 OF 3",
)
_NOTES = ("C5/6 ?", "C4", "SPUR", "SEE NOTE", "12.4 mm", "27 deg", "ADI 2 mm", "?", "LEVEL C6/7")
_STAMPS = ("COPY", "SAMPLE", "DRAFT", "VOID", "DEMO")


def pasted(
    picture: Picture, mask: LabelMap, *, pitch_mm: float, rng: np.random.Generator
) -> Picture:
    """Return the picture with a block of text, a note with its arrow, or a stamp over the neck."""
    shown: Picture = picture.copy()
    bodies = np.argwhere((mask[::8, ::8] > 0) & (mask[::8, ::8] < 8))
    row, column = (8 * bodies[int(rng.integers(len(bodies)))]).tolist()
    # Dark letters are for where it is bright.
    light = rng.random() < 0.7 or picture[row, column] < 0.4 * WHITE
    level = WHITE if light else WHITE * rng.uniform(0, 0.15)
    middle = np.array([column, row]) + rng.normal(0, 5, 2) / pitch_mm
    kind = rng.random()
    if kind < 0.55:
        lines = [_line(rng) for _ in range(int(rng.integers(2, 7)))]
        height = rng.uniform(3.5, 9.0)
        cover = lettered(lines, height_mm=height, pitch_mm=pitch_mm, stroke=rng.uniform(0.13, 0.2))
        if kind < 0.2:  # on a ground of its own
            _paint(shown, np.full_like(cover, 255), middle, WHITE - level)
    elif kind < 0.8:
        cover = _note(pitch_mm, rng)
    else:
        word = _STAMPS[int(rng.integers(len(_STAMPS)))]
        height = rng.uniform(12, 26)
        cover = lettered([word], height_mm=height, pitch_mm=pitch_mm, stroke=rng.uniform(0.12, 0.3))
        cover = _slanted(cover, rng.normal(-35, 25))
        cover = np.asarray(cover * rng.uniform(0.45, 1.0), np.uint8)
    _paint(shown, cover, middle, level)
    return shown


def _line(rng: np.random.Generator) -> str:
    number = int(rng.integers(10, 100))
    words = _WORDS[int(rng.integers(len(_WORDS)))]
    return f"{words} {number}" if rng.random() < 0.4 else words


def _paint(picture: Picture, cover: Cover, middle: Points, level: float) -> None:
    left, top = (int(at - size / 2) for at, size in zip(middle, cover.shape[::-1], strict=True))
    stamp(picture, cover, at=(left, top), level=level)


def _note(pitch_mm: float, rng: np.random.Generator) -> Cover:
    """Return an arrow or a measured line, some with a ring, and a word beside it."""
    side = round(rng.uniform(50, 95) / pitch_mm)
    thick = round(rng.uniform(1.0, 2.4) / pitch_mm)
    cover = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        start, end = np.rint(rng.uniform(0.1, 0.9, (2, 2)) * side).astype(int).tolist()
        if rng.random() < 0.6:
            cv2.arrowedLine(cover, start, end, 255, thick, cv2.LINE_AA, tipLength=0.2)
        else:
            cv2.line(cover, start, end, 255, thick, cv2.LINE_AA)
    if rng.random() < 0.5:
        radii = tuple(round(part * side) for part in rng.uniform(0.12, 0.4, 2))
        cv2.ellipse(cover, (side // 2, side // 2), radii, 0, 0, 360, 255, thick, cv2.LINE_AA)
    text = _NOTES[int(rng.integers(len(_NOTES)))]
    word = lettered([text], height_mm=rng.uniform(5, 10), pitch_mm=pitch_mm, stroke=0.16)
    rows, columns = min(word.shape[0], side), min(word.shape[1], side)
    top = int(rng.integers(0, side - rows + 1))
    box = cover[top : top + rows, :columns]
    np.maximum(box, word[:rows, :columns], out=box)
    return cover


def _slanted(cover: Cover, degrees: float) -> Cover:
    """Return a patch turned about its middle, large enough to hold it."""
    rows, columns = cover.shape
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0)
    wide = int(np.abs(turn[0, :2]) @ (columns, rows)) + 2
    high = int(np.abs(turn[1, :2]) @ (columns, rows)) + 2
    turn[:, 2] += (wide - columns) / 2, (high - rows) / 2
    return np.asarray(cv2.warpAffine(cover, turn, (wide, high)), np.uint8)
