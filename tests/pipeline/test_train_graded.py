"""Training the three networks of graded MR: what they are shown, what they are told, and a run."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cspine.dicom.select import Study
from cspine.image import Image
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Cord, Grade, PipelineSpec, Segment
from cspine.stages.frame import frame_feeds, frame_map
from cspine_phantom.mr.graded import GradedPhantom, graded_phantom
from cspine_phantom.mr.grades import READER_NOISE, THRESHOLDS, readings
from cspine_phantom.mr.section import section
from cspine_phantom.training.graded import Seen, gather_studies, ratios
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.train import train

SPEC = load_spec(shipped_spec("mr-stenosis"))
SEED = 77


@pytest.fixture(scope="module")
def seen() -> Seen:
    return gather_studies(SPEC, patients=2, seed=SEED, variants=2)


@pytest.fixture(scope="module")
def studies() -> list[tuple[GradedPhantom, list[Image]]]:
    """The same two, whole, by the device's choice of images."""
    cases = [graded_phantom(seed=SEED, number=number) for number in range(2)]
    return [(case, list(Study(case.datasets).images(SPEC.accept))) for case in cases]


def test_bones_are_shown_as_on_the_device(
    seen: Seen, studies: list[tuple[GradedPhantom, list[Image]]]
) -> None:
    stage: Segment = SPEC.only(Segment)
    for frame, mask, (_, images) in zip(seen.images, seen.masks, studies, strict=True):
        feeds = frame_feeds(images[0], frame_map(images[0], stage), stage)["image"][0, 0]
        assert np.array_equal(frame, feeds.astype(np.float16))
        assert set(np.unique(mask)) == set(range(9))
        # Marrow is darker than the fluid behind it and brighter than its cortex and the discs.
        bodies = (mask > 0) & (mask < 8)
        assert frame[bodies].mean() < np.quantile(frame, 0.97)


def test_levels_are_told_what_readers_would_say(
    seen: Seen, studies: list[tuple[GradedPhantom, list[Image]]]
) -> None:
    grade: Grade = SPEC.only(Grade)
    assert seen.crops.shape == (12, 2, *grade.size_px)
    assert not np.array_equal(seen.crops[:, 0], seen.crops[:, 1])
    wanted = [case.narrowing for case, _ in studies]
    assert seen.grades.tolist() == [each for one in wanted for each in one.grades]
    assert seen.readings.sum(axis=1) == pytest.approx(1, abs=1e-6)
    narrowness = np.array([each for one in wanted for each in one.narrowness])
    noise = READER_NOISE * np.random.default_rng(3).standard_normal((40_000, 1))
    read = np.searchsorted(THRESHOLDS, narrowness + noise)
    shares = np.stack([(read == grade).mean(axis=0) for grade in range(4)], axis=1)
    assert seen.readings == pytest.approx(shares, abs=0.015)
    assert readings(np.array([-3.0, 4.0])) == pytest.approx(np.eye(4)[[0, 3]], abs=1e-6)


def test_ends_of_a_cord_are_those_of_its_slice(
    seen: Seen, studies: list[tuple[GradedPhantom, list[Image]]]
) -> None:
    stage: Cord = SPEC.only(Cord)
    assert seen.frames.shape == (len(seen.points), *stage.size_px)
    assert len(seen.points) > 6
    front, back, left, right = np.moveaxis(seen.points, 1, 0)
    assert (back[:, 1] > front[:, 1] + 5).all()
    assert (left[:, 0] > right[:, 0] + 20).all()
    assert (np.abs(seen.points.mean(axis=1) - 47.5) * stage.spacing_mm < 10).all()
    known = []
    for case, images in studies:
        for image in images[1:]:
            assert image.plane is not None
            points = section(case.anatomy, case.lying, image.plane).points()
            depth, width = (
                float(np.linalg.norm(points[one] - points[other]))
                for one, other in (("front", "back"), ("left", "right"))
            )
            known.append(depth / width)
    for ratio in ratios(seen.points):
        assert np.abs(np.array(known) - ratio).min() < 1e-6


def small() -> PipelineSpec:
    """The same pipeline with few channels."""

    def thin(stage: Segment | Grade | Cord, **changes: object) -> object:
        arguments = {**stage.architecture.arguments, **changes}
        architecture = msgspec.structs.replace(stage.architecture, arguments=arguments)
        return msgspec.structs.replace(stage, architecture=architecture)

    stages = []
    for stage in SPEC.stage:
        match stage:
            case Segment() | Cord():
                filters = [4] * len(stage.architecture.arguments["filters"])
                stages.append(thin(stage, filters=filters))
            case Grade():
                stages.append(thin(stage, layers=[1, 1, 1, 1], block_inplanes=[4, 4, 4, 4]))
            case _:
                stages.append(stage)
    return msgspec.structs.replace(SPEC, stage=stages)


def test_the_command_trains_all_three(tmp_path: Path) -> None:
    recipe = Recipe(
        seed=SEED, graded_patients=2, graded_tuning=2, variants=2, bone_steps=2, segment_batch=2,
        grade_steps=12, cord_steps=12, cord_batch=8,
    )  # fmt: skip
    train(small(), recipe, tmp_path)
    log = json.loads((tmp_path / "train.json").read_bytes())
    assert log["pipeline"] == "mr-stenosis"
    assert set(log["localise"]["tuning_dice"]) == set(SPEC.only(Segment).labels[1:])
    assert log["grade"]["tuning_levels"] == 12
    assert 0 < log["grade"]["tuning_threshold"] < 1
    assert log["grade"]["ideal_kappa"] > 0.9
    assert set(log["cord"]["error_mm"]) == {"front", "back", "left", "right"}
    assert {path.stem for path in tmp_path.glob("*.safetensors")} == {"localise", "grade", "cord"}
