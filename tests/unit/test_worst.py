"""The worst place of a stack, against a search written out, whatever order its slices come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.findings import Refused, Spacing
from cspine.image import Image
from cspine.pipeline_file import load_spec
from cspine.plane import Plane
from cspine.spec import Grade, Worst
from cspine.stages.grade import Crop, Graded, probability
from cspine.stages.worst import find_worst
from cspine.transform import Affine

SPEC = load_spec(Path(__file__).parents[1] / "data" / "pipelines" / "graded-stack.toml")
GRADE: Grade = SPEC.only(Grade)
STAGE: Worst = SPEC.only(Worst)
AXES = np.eye(3)


def slice_at(height_mm: float, *, tilt: float = 0.0, upside_down: bool = False) -> Image:
    """Return an axial slice whose plane is tilted by an angle in radians about the x axis."""
    down = np.array([0, np.cos(tilt), np.sin(tilt)])
    plane = Plane(
        origin_mm=np.array([-50.0, -50.0, height_mm]),
        across=-AXES[0] if upside_down else AXES[0],
        down=down,
        spacing_mm=(1.0, 1.0),
        frame_of_reference="1.2",
    )
    spacing = Spacing(row_mm=1.0, column_mm=1.0, flag="calibrated")
    return Image(np.zeros((8, 8), np.float32), spacing, plane=plane)


def graded(logits: Sequence[Sequence[float]], images: Sequence[int]) -> Graded:
    crops = tuple(Crop(at, Affine(np.eye(2, 3)), np.zeros((4, 2))) for at in images)
    return Graded(crops, (), {"logits": np.array(logits, np.float32)}, GRADE)


def searched(logits: np.ndarray, heights: Sequence[float], adjacent: int) -> tuple[float, int]:
    """Return the largest mean probability of neighbours, and the worst crop among them."""
    odds = np.exp(logits.astype(float))
    chance = odds / odds.sum(axis=1, keepdims=True)
    positive = chance[:, 1:].sum(axis=1)
    order = sorted(range(len(heights)), key=lambda at: heights[at])
    runs = [order[start : start + adjacent] for start in range(len(order) - adjacent + 1)]
    best = max(runs, key=lambda run: positive[run].mean())
    return float(positive[best].mean()), max(best, key=lambda at: positive[at])


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(3, 12),
    adjacent=st.integers(1, 3),
    tilt=st.floats(-0.4, 0.4),
    upside_down=st.booleans(),
)
def test_the_worst_neighbours_are_found(
    seed: int, count: int, adjacent: int, tilt: float, upside_down: bool
) -> None:
    rng = np.random.default_rng(seed)
    heights = rng.permutation(count + 3)[:count] * 2.5  # in no order, and with gaps
    images = [slice_at(height, tilt=tilt, upside_down=upside_down) for height in heights]
    logits = rng.normal(0, 2, (count, 3)).astype(np.float32)
    stage = msgspec.structs.replace(STAGE, adjacent=adjacent)
    found = find_worst(graded(logits, range(count)), images, stage)
    mean, worst = searched(logits, heights.tolist(), adjacent)
    assert probability(np.array(list(found.logits.values())))[0] == pytest.approx(mean, abs=1e-9)
    assert found.worst == worst
    assert heights[list(found.order)].tolist() == sorted(heights)
    assert np.exp(found.log_probabilities).sum() == pytest.approx(1)


def test_of_equal_neighbours_the_first_from_the_feet_are_taken() -> None:
    images = [slice_at(height) for height in (30, 10, 20, 0)]
    found = find_worst(graded([[0, 1, 2]] * 4, range(4)), images, STAGE)
    assert found.worst == 3


def test_slices_on_which_nothing_was_found_are_passed_over() -> None:
    images = [slice_at(3.0 * at) for at in range(6)]
    found = find_worst(graded([[0, 0, 0], [0, 5, 0], [0, 4, 0]], (0, 2, 5)), images, STAGE)
    assert found.order == (0, 1, 2)
    assert found.worst == 1


def test_too_few_graded_slices_are_no_answer() -> None:
    images = [slice_at(3.0 * at) for at in range(6)]
    with pytest.raises(Refused, match="found on 2 of 6 slices, 3 are needed") as caught:
        find_worst(graded([[0, 0, 0]] * 2, (0, 1)), images, STAGE)
    assert caught.value.refusal.code == "MODEL_UNSURE"


def test_slices_that_lie_nowhere_have_no_neighbours() -> None:
    images = [placeless(slice_at(3.0 * at)) for at in range(3)]
    with pytest.raises(Refused, match="does not say where it lies") as caught:
        find_worst(graded([[0, 0, 0]] * 3, range(3)), images, STAGE)
    assert caught.value.refusal.code == "INCOMPLETE_SET"


def placeless(image: Image) -> Image:
    return Image(image.pixels, image.spacing)
