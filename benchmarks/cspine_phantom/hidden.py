"""C7 out of sight: behind the shoulders, behind a shutter, or below the film."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from cspine_phantom.anatomy import lateral
from cspine_phantom.attenuation import SHIFT, Projection, project
from cspine_phantom.devices import Device
from cspine_phantom.patients import LEVELS, VERTEBRAE, Patient, generator
from cspine_phantom.radiograph import WHITE, LabelMap, Picture, radiograph
from cspine_phantom.shapes import Points, Shape, ellipse, rounded, shaft


def without_c7(
    patient: Patient, device: Device, *, rng: np.random.Generator
) -> tuple[Picture, LabelMap, tuple[str, ...]]:
    """Return picture, truth and the levels that cannot be judged on the picture.

    The lower half of C7 at least is hidden, sometimes that of C6 too; the mask is that of a clean
    film, cut where the film ends.
    """
    top = VERTEBRAE.index("C6" if rng.random() < 0.35 else "C7")
    way = rng.random()
    if way < 0.65:
        picture, mask = _shoulders(patient, device, top, rng)
    elif way < 0.83:
        picture, mask = radiograph(lateral(patient), patient, device)
        picture[_cut(mask, top, rng) :] = 0
    else:
        # Imaged on a longer detector, of which the upper end is kept.
        longer = replace(device, rows=device.rows + 16 * round(140 / 16 / device.spacing_mm))
        picture, mask = radiograph(lateral(patient), patient, longer)
        end = _cut(mask, top, rng)
        start = max(end - device.rows, 0)
        picture = np.ascontiguousarray(picture[start : start + device.rows])
        mask = np.ascontiguousarray(mask[start : start + device.rows])
    return picture, mask, LEVELS[top - 1 :]


def _cut(mask: LabelMap, top: int, rng: np.random.Generator) -> int:
    """Return a row between the upper end and the middle of body `top`."""
    rows = np.nonzero(mask == top + 1)[0]
    return round(rng.uniform(float(rows.min()), float(rows.mean())))


def _shoulders(
    patient: Patient, device: Device, top: int, rng: np.random.Generator
) -> tuple[Picture, LabelMap]:
    scene = lateral(patient)
    body = next(shape.outline for shape in scene.shapes if shape.label == top + 1)
    crest = np.array([body[:, 0].mean(), rng.uniform(body[:, 1].min() - 4, body[:, 1].mean() - 4)])
    trunk = crest + _trunk(rng)
    heads = [
        crest + ellipse(rng.uniform((-30, 24), (30, 46)), radii=(24.0, 23.0)) for _ in range(2)
    ]
    veils = (Shape(trunk, rng.uniform(0.5, 1.6), soft_mm=3.0),
             *(Shape(head, rng.uniform(0.2, 0.5), soft_mm=2.0) for head in heads))  # fmt: skip
    denser = replace(scene, veils=(*scene.veils, *veils))
    picture, mask = radiograph(denser, patient, device)
    aimed = project(
        scene, patient, device, rng=generator(patient.seed, patient.number, stream="picture")
    )
    collar = crest + shaft((rng.uniform(-30, 10), rng.uniform(6, 14)), (-100, rng.uniform(0, 40)),
                           (0, 6), (0.5, 4.5), (1, 6))  # fmt: skip
    return _drowned(picture, aimed, trunk, [*heads, collar], rng), mask


def _trunk(rng: np.random.Generator) -> Points:
    """Return the outline of both shoulders about the place where the spine enters them."""
    front, back = rng.uniform(-4, 30), rng.uniform(-14, 12)
    outline = [(-170, 70 + front), (-90, 26 + front), (-44, 8 + 0.6 * front), (-20, 0), (20, -1),
               (48, back), (100, 14 + back), (190, 60), (190, 260), (-170, 260)]  # fmt: skip
    return rounded(outline)


def _drowned(
    picture: Picture,
    aimed: Projection,
    trunk: Points,
    rims: list[Points],
    rng: np.random.Generator,
) -> Picture:
    """Drown the detail behind `trunk` in scatter and quanta; the `rims` of its bones remain."""
    pixel_mm = 1 / aimed.pixels_per_mm
    shutter = picture == 0
    behind = np.zeros(picture.shape, np.uint8)
    cv2.fillPoly(behind, [aimed.drawn(trunk)], 255, cv2.LINE_AA, SHIFT)
    part = cv2.GaussianBlur(behind.astype(np.float32) / 255, (0, 0), 1.6 / pixel_mm)
    rows, columns = picture.shape
    small = cv2.resize(picture, (columns // 8, rows // 8), interpolation=cv2.INTER_AREA)
    haze = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 11.0 / (8 * pixel_mm))
    haze = cv2.resize(haze, (columns, rows), interpolation=cv2.INTER_LINEAR)
    haze += np.float32(rng.uniform(-300, 900))
    for rim in rims:
        line = np.zeros(picture.shape, np.uint8)
        cv2.polylines(
            line, [aimed.drawn(rim)], True, 255, round(1.8 / pixel_mm), cv2.LINE_AA, SHIFT
        )
        soft = cv2.GaussianBlur(line, (0, 0), 0.5 / pixel_mm).astype(np.float32)
        haze += soft * np.float32(rng.uniform(0.4, 1.6))
    quanta = rng.standard_normal((rows, columns), np.float32)
    grain = cv2.GaussianBlur(quanta, (0, 0), 0.6 / pixel_mm) / np.float32(0.3)
    haze += (quanta + grain) * np.float32(rng.uniform(70, 170))
    depth = np.float32(rng.uniform(0.93, 1.0))
    shown = picture + part * depth * (haze - picture)
    shown[shutter] = 0
    drowned: Picture = np.clip(shown, 0, WHITE).astype(np.uint16)
    return drowned
