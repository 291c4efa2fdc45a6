"""C7 out of sight: behind the shoulders, behind a shutter, or below the film."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from cspine_phantom.imaging.attenuation import SHIFT, Map, Projection, project
from cspine_phantom.imaging.devices import Device
from cspine_phantom.imaging.grain import grain
from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.imaging.radiograph import Disturb, Exposure, LabelMap, radiograph
from cspine_phantom.patients import LEVELS, VERTEBRAE, Patient, generator
from cspine_phantom.scene.shapes import Points, Scene, Shape, ellipse, rounded, shaft


def without_c7(
    scene: Scene,
    patient: Patient,
    device: Device,
    *,
    disturb: Disturb,
    rng: np.random.Generator,
) -> tuple[Exposure, tuple[str, ...]]:
    """Return picture, truth and the levels of the lateral `scene` that it does not show.

    The lower half of C7 at least is hidden, sometimes that of C6 too; the mask is that of a clean
    film, cut where the film ends, and no point is left of a body that is hidden, nor of any below.
    """
    top = VERTEBRAE.index("C6" if rng.random() < 0.35 else "C7")
    way = rng.random()
    if way < 0.65:
        shot = _shoulders(scene, patient, device, top, disturb=disturb, rng=rng)
    elif way < 0.83:
        shot = radiograph(scene, patient, device, disturb=disturb)
        shot.picture[_cut(shot.mask, top, rng) :] = 0
    else:
        # Imaged on a longer detector, of which the upper end is kept.
        longer = replace(device, rows=device.rows + 16 * round(140 / 16 / device.spacing_mm))
        shot = radiograph(scene, patient, longer, disturb=disturb)
        end = _cut(shot.mask, top, rng)
        start = max(end - device.rows, 0)
        shot = Exposure(
            np.ascontiguousarray(shot.picture[start:end]),
            np.ascontiguousarray(shot.mask[start:end]),
            {name: at - (0, start) for name, at in shot.points.items()},
        )
    lost = VERTEBRAE[top:]
    seen = {name: at for name, at in shot.points.items() if not name.startswith(lost)}
    return replace(shot, points=seen), LEVELS[top - 1 :]


def _cut(mask: LabelMap, top: int, rng: np.random.Generator) -> int:
    """Return a row between the upper end and the middle of body `top`."""
    rows = np.nonzero((mask == top + 1).any(axis=1))[0]
    return round(rng.uniform(float(rows[0]), float(rows.mean())))


def _shoulders(
    scene: Scene,
    patient: Patient,
    device: Device,
    top: int,
    *,
    disturb: Disturb,
    rng: np.random.Generator,
) -> Exposure:
    body = next(shape.outline for shape in scene.shapes if shape.label == top + 1)
    crest = np.array([body[:, 0].mean(), rng.uniform(body[:, 1].min() - 4, body[:, 1].mean() - 4)])
    trunk = crest + _trunk(rng)
    heads = [
        crest + ellipse(rng.uniform((-30, 24), (30, 46)), radii=(24.0, 23.0)) for _ in range(2)
    ]
    veils = (Shape(trunk, rng.uniform(0.5, 1.6), soft_mm=3.0, material="tissue"),
             *(Shape(head, rng.uniform(0.2, 0.5), soft_mm=2.0) for head in heads))  # fmt: skip
    denser = replace(scene, veils=(*scene.veils, *veils))
    shot = radiograph(denser, patient, device, disturb=disturb)
    aimed = project(
        scene, patient, device, rng=generator(patient.seed, patient.number, stream="picture")
    )
    collar = crest + shaft((rng.uniform(-30, 10), rng.uniform(6, 14)), (-100, rng.uniform(0, 40)),
                           (0, 6), (0.5, 4.5), (1, 6))  # fmt: skip
    return replace(shot, picture=_drowned(shot.picture, aimed, trunk, [*heads, collar], rng))


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
    outline = aimed.pixels(trunk)
    # Nothing changes above the shoulders but a fringe.
    first = int(np.clip(outline[:, 1].min() - 6 / pixel_mm, 0, len(picture) - 8))
    below = picture[first:]
    outlines = [aimed.drawn(each) - (0, first << SHIFT) for each in (trunk, *rims)]
    rows, columns = below.shape
    behind = np.zeros(below.shape, np.uint8)
    cv2.fillPoly(behind, [outlines[0]], 255, cv2.LINE_AA, SHIFT)
    part = _wide(behind, 1.6 / pixel_mm)
    part *= np.float32(rng.uniform(0.93, 1.0) / 255)
    haze = _wide(below, 11.0 / pixel_mm)
    haze += np.float32(rng.uniform(-0.075, 0.22) * WHITE)
    line = np.zeros((rows // 2, columns // 2), np.uint8)
    for rim in outlines[1:]:
        bright = rng.uniform(0.4, 1.6) * 255 * WHITE / 4095
        line[:] = 0
        cv2.polylines(line, [rim // 2], True, 255, round(0.9 / pixel_mm), cv2.LINE_AA, SHIFT)
        soft = cv2.GaussianBlur(line.astype(np.float32), (0, 0), 0.25 / pixel_mm)
        soft *= np.float32(bright / 255)
        haze += cv2.resize(soft, (columns, rows), interpolation=cv2.INTER_LINEAR)
    quanta = grain(below.shape, pitch_mm=pixel_mm, blur_mm=0.2, rng=rng)
    quanta *= np.float32(0.7)
    quanta += 1.05 * grain(below.shape, pitch_mm=pixel_mm, blur_mm=0.6, rng=rng)
    haze += quanta * np.float32(rng.uniform(0.0075, 0.018) * WHITE)
    shown = below + part * (haze - below)
    np.clip(shown, 0, WHITE, out=shown)
    shown[below == 0] = 0  # the shutters
    return np.concatenate([picture[:first], shown.astype(np.uint16)])


def _wide(picture: Map, sigma: float) -> Map:
    """Return a picture blurred by `sigma` pixels, through a grid as coarse as that allows."""
    rows, columns = picture.shape
    step = max(1, min(16, int(sigma / 2)))
    small = cv2.resize(
        picture.astype(np.float32), (columns // step, rows // step), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
