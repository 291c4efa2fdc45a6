"""Training the judge of MR slices: what it is shown, what it is told, and that it learns."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from cspine.dicom.select import Study
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Slices
from cspine.stages.slices import slice_feeds, slice_maps
from cspine_phantom.mr.disease import Disease, draw_disease
from cspine_phantom.mr.study import mr_phantom
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.slices import (
    Stacks,
    gather_stacks,
    positive_readings,
    train_slices,
)

SPEC = load_spec(shipped_spec("mr-opll"))
STAGE: Slices = SPEC.only(Slices)


def test_it_is_shown_what_the_device_sees_of_the_whole_study() -> None:
    seen = gather_stacks(SPEC, patients=2, seed=531, variants=2)
    assert seen.frames.shape == (2, 2, 5, *STAGE.size_px)
    for number, (first, moved) in enumerate(seen.frames):
        study = Study(mr_phantom(seed=531, number=number).datasets)
        images = study.images(SPEC.accept)
        feeds = slice_feeds(images, slice_maps(images, STAGE), STAGE)["image"][:, 0]
        assert np.array_equal(first, feeds.astype(np.float16))
        # Elsewhere in the frame, but the same slices, each the most like itself.
        assert not np.array_equal(first, moved)
        assert seen.labels[number] == draw_disease(531, number).label


@pytest.mark.parametrize("evidence", [-0.6, -0.1, 0.0, 0.25])
def test_it_is_told_how_many_readers_would_say_so(evidence: float) -> None:
    read = evidence + 0.3 * np.random.default_rng(3).standard_normal(40_000)
    disease = Disease(evidence, True, True, 0.0, "mixed", 2)
    assert positive_readings(disease) == pytest.approx((read > 0).mean(), abs=0.01)


def test_it_learns_and_its_threshold_parts_the_tuning_patients() -> None:
    architecture = msgspec.structs.replace(
        STAGE.architecture,
        arguments={
            **STAGE.architecture.arguments,
            "layers": [1, 1, 1, 1],
            "block_inplanes": [4, 8, 8, 8],
        },
    )
    small = msgspec.structs.replace(STAGE, size_px=(48, 48), architecture=architecture)
    rng = np.random.default_rng(4)

    def stacks(patients: int) -> Stacks:
        frames = rng.normal(0, 0.3, (patients, 1, 3, 48, 48))
        labels = rng.random(patients) < 0.5
        frames[labels, ..., 10:38, 22:26] -= 3.0
        return Stacks(frames.astype(np.float16), labels, labels.astype(np.float32))

    recipe = Recipe(stack_steps=60, stack_batch=16)
    _, log = train_slices(small, stacks(40), stacks(20), recipe)
    assert log["tuning_auc"] == 1.0
    assert log["tuning_sensitivity"] == log["tuning_specificity"] == 1.0
    assert 0.05 < log["tuning_threshold"] < 0.95
