from __future__ import annotations

import numpy as np

from cspine.stages.explain import activation_maps


def test_one_map_per_level_with_only_evidence_for_the_positive_class() -> None:
    cam = np.array([[[[-2.0, 0.5], [3.0, -0.1]]], [[[1.0, 1.0], [-1.0, 0.0]]]], np.float32)
    maps = activation_maps({"cam": cam, "logits": np.zeros((2, 1), np.float32)})
    assert maps.dtype == np.float32
    assert maps.tolist() == [[[0, 0.5], [3, 0]], [[1, 1], [0, 0]]]
    assert not np.shares_memory(maps, cam)


def test_the_map_is_in_logits_whatever_the_precision() -> None:
    cam = np.full((1, 1, 2, 2), 7.5, np.float16)
    maps = activation_maps({"cam": cam, "logits": np.zeros((1, 1), np.float16)})
    assert maps.dtype == np.float32
    assert (maps == 7.5).all()


def test_of_several_classes_the_map_is_of_the_most_probable() -> None:
    cam = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    logits = np.array([[0, 5, 1], [2, -1, 1]], np.float32)
    maps = activation_maps({"cam": cam, "logits": logits})
    np.testing.assert_array_equal(maps, [cam[0, 1], cam[1, 0]])
