"""What the landmarks are trained on is where they are, and the loss is 0 there alone."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
import torch

from cspine.dicom.read import read_image
from cspine.fields import Architecture, Percentile
from cspine.geometry import LANDMARKS
from cspine.spec import Landmarks
from cspine.stages.frame import frame_map
from cspine.transform import sample_labels
from cspine_phantom.patients import VERTEBRAE
from cspine_phantom.study import phantom
from cspine_phantom.training.landmarks import Frames, gather_frames, place_loss, wanted

STAGE = Landmarks(
    id="landmarks",
    size_px=(256, 224),
    spacing_mm=1.1,
    grey=Percentile(low=1.0, high=99.0),
    points=list(LANDMARKS),
    reach_mm=5.0,
    minimum_confidence=0.5,
    architecture=Architecture(factory="monai.networks.nets:DynUNet"),
)
SEED = 13
HIDDEN = range(1, 4)
SIZE = 48, 40


@cache
def frames() -> Frames:
    return gather_frames(STAGE, seed=SEED, faults=[None, *["c7 hidden"] * len(HIDDEN), "ap"])


def loss(logits: np.ndarray, points: np.ndarray, *, sigma_px: float = 1.5) -> float:
    across, down = wanted(points, size_px=SIZE, sigma_px=sigma_px)
    return float(place_loss(*map(torch.from_numpy, (logits.astype(np.float32), across, down))))


def bump(x: float, y: float, *, sigma_px: float = 1.5) -> np.ndarray:
    """The logits, up to a constant, of a Gaussian about a point."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / sigma_px**2)[None, None]


def test_points_of_a_frame_are_the_truth_of_the_film() -> None:
    data = frames()
    assert data.images.shape == (5, *STAGE.size_px)
    assert data.images.dtype == np.float16
    study = phantom(seed=SEED, number=0)
    image = read_image(study.dataset)
    again = frame_map(image, STAGE)(data.points[0])
    assert np.allclose(again, [study.points[name] for name in LANDMARKS], atol=1e-6)


@pytest.mark.parametrize("number", [0, *HIDDEN])
def test_corners_lie_on_their_bodies_in_the_frame(number: int) -> None:
    """The label map comes to the frame by the picture's own way, not through the inverse."""
    study = phantom(seed=SEED, number=number, fault="c7 hidden" if number else None)
    to_image = frame_map(read_image(study.dataset), STAGE)
    mask = sample_labels(study.mask, to_image, size_px=STAGE.size_px)
    told = dict(zip(LANDMARKS, frames().points[number], strict=True))
    first = VERTEBRAE.index(study.hidden[0][:2]) + 1 if study.hidden else len(VERTEBRAE)
    for name in LANDMARKS:
        index = VERTEBRAE.index(name[:2]) if name[:2] in VERTEBRAE else 0
        assert np.isfinite(told[name]).all() == (index < first), name
        if index < first and name[2:] in ("AS", "PS", "AI", "PI"):
            body = (mask == index + 1).astype(np.uint8)
            off = [cv2.distanceTransform(each, cv2.DIST_L2, 5) for each in (body, 1 - body)]
            x, y = np.rint(told[name]).astype(int)
            assert max(each[y, x] for each in off) < 2.2, name


def test_on_a_frontal_film_there_is_nothing_to_be_found() -> None:
    assert np.isnan(frames().points[-1]).all()


def test_what_is_wanted_is_a_gaussian_about_the_point_to_a_part_of_a_pixel() -> None:
    points = np.array([[[11.3, 20.8], [np.nan, np.nan], [-0.6, 5.0], [39.4, 47.4]]])
    across, down = wanted(points, size_px=SIZE, sigma_px=1.5)
    assert np.allclose([across.sum(-1), down.sum(-1)], 1)
    assert across[0, 0] @ np.arange(40) == pytest.approx(11.3, abs=1e-4)
    assert down[0, 0] @ np.arange(48) == pytest.approx(20.8, abs=1e-4)
    assert down[0, 0] @ (np.arange(48) - 20.8) ** 2 == pytest.approx(1.5**2, rel=1e-3)
    for unseen in (1, 2):  # hidden, and just beyond the first column
        assert np.allclose(across[0, unseen], 1 / 40)
        assert np.allclose(down[0, unseen], 1 / 48)
    assert across[0, 3].argmax() == 39  # on the last column still


def test_the_loss_is_nothing_where_the_map_is_what_is_wanted() -> None:
    point = np.array([[[15.25, 22.5]]])
    assert loss(bump(15.25, 22.5) + 7, point) == pytest.approx(0, abs=1e-5)
    assert loss(np.full((1, 1, *SIZE), -3.0), np.full((1, 1, 2), np.nan)) == pytest.approx(
        0, abs=1e-5
    )


def test_the_loss_of_a_displaced_gaussian_is_that_of_the_formula() -> None:
    """Half of the squared distance, in standard deviations."""
    point = np.array([[[18.0, 22.0]]])
    for x, y in ((1.0, 0.0), (0.0, 0.3), (-2.0, 1.5)):
        expected = 0.5 * (x**2 + y**2) / 1.5**2
        assert loss(bump(18 + x, 22 + y), point) == pytest.approx(expected, rel=1e-3)


def test_the_loss_of_not_knowing_is_what_a_point_tells() -> None:
    """A point on one pixel alone, and a map that is flat: the logarithm of all pixels."""
    point = np.array([[[18.0, 22.0]]])
    flat = np.zeros((1, 1, *SIZE))
    assert loss(flat, point, sigma_px=0.05) == pytest.approx(np.log(SIZE[0] * SIZE[1]), rel=1e-5)


def test_the_loss_is_the_mean_of_all_maps() -> None:
    points = np.array([[[18.0, 22.0], [np.nan, np.nan]]])
    both = np.concatenate([bump(19, 22), np.zeros((1, 1, *SIZE))], axis=1)
    assert loss(both, points) == pytest.approx(loss(bump(19, 22), points[:, :1]) / 2, rel=1e-4)
