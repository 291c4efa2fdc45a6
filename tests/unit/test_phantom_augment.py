"""What training does to its images changes the picture and not the truth."""

from __future__ import annotations

import numpy as np
import pytest

from cspine_phantom.training.augment import draw_move, rescanned

ROWS, COLUMNS = 128, 96


@pytest.fixture
def disc() -> tuple[np.ndarray, np.ndarray]:
    """A bright disc off the middle on a ramp, and its label."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = (y - 70) ** 2 + (x - 40) ** 2 < 15**2
    image = 0.1 + 0.3 * y / ROWS + 0.5 * inside
    return image.astype(np.float32), inside.astype(np.uint8)


def test_image_and_label_move_together(disc: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(3)
    places = set()
    for _ in range(20):
        move = draw_move((ROWS, COLUMNS), rng, upside_down=0)
        image, label = move.image(disc[0]), move.labels(disc[1])
        assert not move.turned_over
        assert image.shape == label.shape == (ROWS, COLUMNS)
        assert (image.dtype, label.dtype) == (np.float32, np.uint8)
        assert 0.6 * disc[1].sum() < label.sum() < 1.5 * disc[1].sum()
        assert ((image > 0.5) == (label > 0)).mean() > 0.98
        places.add(tuple(np.argwhere(label).mean(axis=0).round().astype(int)))
    assert len(places) > 15


def test_points_move_with_the_image(disc: tuple[np.ndarray, np.ndarray]) -> None:
    kinds = set()
    rng = np.random.default_rng(5)
    for _ in range(20):
        move = draw_move((ROWS, COLUMNS), rng, upside_down=0.5)
        y, x = np.argwhere(move.image(disc[1].astype(np.float32)) > 0.5).mean(axis=0)
        assert move.points(np.array([40.0, 70.0])) == pytest.approx([x, y], abs=0.3)
        kinds.add((move.mirrored, move.turned_over))
    assert len(kinds) == 4


def test_devices_keep_the_range_and_the_order_of_greys(
    disc: tuple[np.ndarray, np.ndarray],
) -> None:
    rng = np.random.default_rng(4)
    before = disc[0].copy()
    seen = [rescanned(disc[0], rng, pixel_mm=1.0, noise=0.04) for _ in range(40)]
    np.testing.assert_array_equal(disc[0], before)
    for image in seen:
        assert image.dtype == np.float32
        assert 0 <= image.min() <= image.max() <= 1
        assert image[70, 40] > image[70, 80]  # bone stays brighter than what is beside it
    contrast = [float(image[60:80, 30:50].mean() - image[60:80, 70:90].mean()) for image in seen]
    grain = [float(np.diff(image[100:120, 70:90]).std()) for image in seen]
    assert max(contrast) > 1.5 * min(contrast)
    assert max(grain) > 4 * min(grain)


def test_what_is_changed_is_measured_in_millimetres() -> None:
    """An edge is as wide in the patient on a fine grid as on a coarse one."""
    widths = {}
    for pixel_mm in (1.0, 0.25):
        step = np.zeros((64, round(64 / pixel_mm)), np.float32)
        step[:, step.shape[1] // 2 :] = 0.8
        rng = np.random.default_rng(0)
        edges = [rescanned(step, rng, pixel_mm=pixel_mm, noise=0.0) for _ in range(30)]
        slopes = [np.abs(np.diff(edge[0])).max() / np.ptp(edge[0]) for edge in edges]
        widths[pixel_mm] = pixel_mm / np.array(slopes)
    assert np.median(widths[0.25]) < 1.0
    assert widths[0.25].max() == pytest.approx(widths[1.0].max(), rel=0.5)


def test_one_seed_gives_one_image(disc: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = (
        rescanned(disc[0], np.random.default_rng(9), pixel_mm=0.5, noise=0.04) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
