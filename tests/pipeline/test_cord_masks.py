"""Compression ratios of real cords, from masks that were drawn by hand.

``CSPINE_TEST_DATA`` names the folder that holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cspine.cord import cord_diameters
from mr_series import reformatted

Find = Callable[[str], Path]
Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float]

UNF = "ivadomed_data-testing/derivatives/labels/sub-unf01/anat/sub-unf01"
MASKS = {
    "T2*": ("sct_testing_data/t2s/t2s_seg.nii.gz", 9),
    "MT": ("sct_testing_data/mt/mt1_seg.nii.gz", 5),
    "T2": ("sct_testing_data/t2/t2_seg-manual.nii.gz", 55),
    "T1": ("sct_testing_data/t1/t1w_seg-manual.nii.gz", 77),
    "another neck": (f"{UNF}_T2star_seg-manual.nii.gz", 16),
}
LEAST_PIXELS = 20
FINE = 8  # parts of a pixel that outlines are drawn in
ROUNDED, EDGE = 0.8, 3  # pixels
AGREES = 0.02


def masks(path: Path) -> tuple[list[Mask], Spacing]:
    """Read the axial slices of a volume that hold a cord, columns to the left, rows to the back."""
    values, (column_mm, _, row_mm) = reformatted(path)
    slices = values.transpose(1, 2, 0) > 0.5
    return [each for each in slices if each.sum() >= LEAST_PIXELS], (row_mm, column_mm)


def ends(mask: Mask, spacing_mm: Spacing) -> dict[str, Any]:
    """Return the ends of the axes of the ellipse that fits the outline, in pixels.

    The steps that whole pixels leave in it are rounded first.
    """
    scale = np.array([spacing_mm[1], spacing_mm[0]])
    fine = np.pad(mask, EDGE).repeat(FINE, 0).repeat(FINE, 1).astype(np.float32)
    smooth = (cv2.GaussianBlur(fine, (0, 0), ROUNDED * FINE) >= 0.5).astype(np.uint8)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = (max(outlines, key=len)[:, 0] + 0.5) / FINE - 0.5 - EDGE
    centre, sizes, turn = cv2.fitEllipse((points * scale).astype(np.float32))
    # The outline runs through the outermost parts of pixels, whose edges are the cord's.
    sizes = np.array(sizes) + np.mean(scale) / FINE
    first = np.radians(turn) + np.array([0, np.pi / 2])
    axes = np.column_stack([np.cos(first), np.sin(first)]) * sizes[:, None] / 2
    transverse, ap = axes[np.argsort(-np.abs(axes[:, 0] / np.linalg.norm(axes, axis=1)))]
    left, back = transverse * np.sign(transverse[0]), ap * np.sign(ap[1])
    named = {"front": -back, "back": back, "left": left, "right": -left}
    return {name: (end + centre) / scale for name, end in named.items()}


def of_moments(mask: Mask, spacing_mm: Spacing) -> float:
    """Return the ratio of the roots of the principal second moments of whole pixels."""
    rows, columns = np.nonzero(mask)
    covariance = np.cov([columns * spacing_mm[1], rows * spacing_mm[0]], bias=True)
    covariance += np.diag([spacing_mm[1] ** 2, spacing_mm[0] ** 2]) / 12
    smallest, largest = np.linalg.eigvalsh(covariance)
    return float(np.sqrt(smallest / largest))


def of_callipers(mask: Mask, spacing_mm: Spacing) -> float:
    """Return the smallest width over the largest, of all directions."""
    rows, columns = np.nonzero(mask)
    corners = [
        ((columns + x) * spacing_mm[1], (rows + y) * spacing_mm[0])
        for x in (-0.5, 0.5)
        for y in (-0.5, 0.5)
    ]
    turns = np.radians(np.arange(180))
    along = np.column_stack([np.cos(turns), np.sin(turns)]) @ np.hstack(corners)
    widths = np.ptp(along, axis=1)
    return float(widths.min() / widths.max())


def ratios(found: list[Mask], spacing: Spacing, of: Callable[[Mask, Spacing], float]) -> Any:
    return np.array([of(each, spacing) for each in found])


def of_ends(mask: Mask, spacing_mm: Spacing) -> float:
    return cord_diameters(ends(mask, spacing_mm), spacing_mm).ratio


@pytest.mark.parametrize("name", MASKS)
def test_ends_of_a_fitted_ellipse_agree_with_second_moments(corpora: Find, name: str) -> None:
    file, count = MASKS[name]
    found, spacing = masks(corpora(file))
    assert len(found) == count
    seen = ratios(found, spacing, of_ends)
    off = np.abs(seen - ratios(found, spacing, of_moments))
    wide = np.abs(seen - ratios(found, spacing, of_callipers))
    print(
        f"\n{name}, {count} slices of {spacing[0]:.2f} mm: ratio {seen.min():.2f} to "
        f"{seen.max():.2f}; off moments by {off.max():.3f}, off callipers by {wide.max():.3f}"
    )
    assert off.max() <= AGREES
    assert seen.min() > 0.4
    assert seen.max() < 0.9


@pytest.mark.parametrize("turn", [-40, -20, 20, 40])
def test_a_turned_cord_keeps_its_ratio_and_not_its_extent(corpora: Find, turn: int) -> None:
    found, spacing = masks(corpora(MASKS["T2*"][0]))
    plain = ratios(found, spacing, of_ends)
    turned = [_turned(each, turn) for each in found]
    assert np.abs(ratios(turned, spacing, of_ends) - plain).max() <= AGREES
    extents = [np.ptp(np.nonzero(each), axis=1) + 1 for each in turned]
    assert min(rows / columns for rows, columns in extents) - plain.min() > AGREES


def _turned(mask: Mask, degrees: float) -> Mask:
    """Turn a mask about its middle."""
    rows, columns = mask.shape
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, 1)
    smooth = cv2.warpAffine(mask.astype(np.float32), matrix, (columns, rows), flags=cv2.INTER_CUBIC)
    return np.asarray(smooth > 0.5)
