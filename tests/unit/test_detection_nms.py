"""Suppression: as torchvision's, as a naive one, and what must hold of any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.detection.boxes import Floats, overlaps
from cspine.detection.nms import suppress

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "faster_rcnn" / "golden.npz")
Crowd = tuple[Floats, Floats, npt.NDArray[np.int64]]


@st.composite
def crowds(draw: st.DrawFn) -> Crowd:
    """Draw boxes on a coarse grid, where many overlap and some are the same, and scores."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 300))  # more than a block
    starts = rng.integers(0, 20, (count, 2))
    boxes = np.concatenate([starts, starts + rng.integers(1, 12, (count, 2))], 1)
    scores = rng.permutation(count) if draw(st.booleans()) else rng.integers(0, 9, count)
    return boxes.astype(np.float32), scores.astype(np.float32), rng.integers(0, 3, count)


def naive(crowd: Crowd, threshold: float) -> list[int]:
    boxes, scores, groups = crowd
    over = overlaps(boxes, boxes)
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: (-scores[index], index)):
        same = (other for other in kept if groups[other] == groups[index])
        if not any(over[index, other] > threshold for other in same):
            kept.append(index)
    return kept


@pytest.mark.parametrize("percent", [10, 30, 50, 70])
def test_what_torchvision_keeps_is_kept(percent: int) -> None:
    kept = suppress(
        GOLDEN["nms_boxes"],
        GOLDEN["nms_scores"],
        GOLDEN["nms_groups"],
        threshold=percent / 100,
    )
    assert kept.tolist() == GOLDEN[f"nms_kept{percent}"].tolist()


@given(crowds(), st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]))
def test_what_a_naive_one_keeps_is_kept(crowd: Crowd, threshold: float) -> None:
    assert suppress(*crowd, threshold=threshold).tolist() == naive(crowd, threshold)


@given(crowds(), st.floats(0, 1))
def test_what_is_kept_hardly_overlaps_and_what_is_not_does(crowd: Crowd, threshold: float) -> None:
    boxes, scores, groups = crowd
    kept = suppress(*crowd, threshold=threshold)
    assert (np.diff(scores[kept]) <= 0).all()
    for group in np.unique(groups):
        members, stays = np.flatnonzero(groups == group), kept[groups[kept] == group]
        assert stays[0] == members[scores[members].argmax()]
        among = overlaps(boxes[stays], boxes[stays])
        assert (among[~np.eye(len(stays), dtype=bool)] <= threshold).all()
        gone = np.setdiff1d(members, stays)
        better = scores[stays][:, None] >= scores[gone]
        assert ((overlaps(boxes[stays], boxes[gone]) > threshold) & better).any(axis=0).all()


@given(crowds(), st.integers(0, 2**32 - 1))
def test_the_order_of_boxes_does_not_matter(crowd: Crowd, seed: int) -> None:
    boxes, _, groups = crowd
    scores = np.random.default_rng(seed).permutation(len(boxes)).astype(np.float32)  # no ties
    order = np.random.default_rng(seed + 1).permutation(len(boxes))
    kept = suppress(boxes, scores, groups, threshold=0.5)
    again = suppress(boxes[order], scores[order], groups[order], threshold=0.5)
    assert order[again].tolist() == kept.tolist()


def test_an_overlap_of_just_the_threshold_is_allowed() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1]], np.float32)
    for threshold, left in ((0.5, [1, 0]), (0.49, [1])):
        kept = suppress(
            boxes, np.array([0.1, 0.9], np.float32), np.zeros(2, int), threshold=threshold
        )
        assert kept.tolist() == left
