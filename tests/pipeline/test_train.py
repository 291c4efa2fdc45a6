"""The recipe runs from films to checkpoints that export takes, at both sizes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cspine.errors import ModelError, SpecError
from cspine.geometry import LANDMARKS
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Classify, Landmarks
from cspine_export.architecture import build_network
from cspine_export.export import export
from cspine_phantom.training.published import RESNET50, train_published
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.tensors import gather
from cspine_phantom.training.train import TRAINERS, train

PIPELINE = shipped_spec("xray-compression")
SPEC = load_spec(PIPELINE)
SAGITTAL = load_spec(shipped_spec("xray-sagittal"))
TINY = Recipe(
    train_patients=3,
    frontal_films=1,
    hidden_films=1,
    tuning_patients=4,
    variants=2,
    segment_steps=2,
    segment_batch=2,
    classify_epochs=1,
    classify_batch=12,
    other_films=0,
    landmark_steps=2,
    landmark_batch=2,
)


def test_a_recipe_leaves_checkpoints_and_a_log(
    tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    (tmp_path / "train.json").write_text('{"screen": {"minutes": 1.5}}')
    train(SPEC, TINY, tmp_path, stages=["localise", "classify"])
    log = json.loads((tmp_path / "train.json").read_bytes())
    assert log["screen"] == {"minutes": 1.5}  # was trained another time
    assert log["recipe"]["seed"] == TINY.seed
    assert set(log["localise"]["tuning_dice"]) == {"C2", "C3", "C4", "C5", "C6", "C7", "T1"} | {
        "posterior elements"
    }
    assert log["classify"]["tuning_levels"] == 24
    assert 0 < log["classify"]["tuning_threshold"] < 1
    weights = {name: tmp_path / f"{name}.safetensors" for name in ("localise", "classify")}
    for name, path in weights.items():
        assert log[name]["megabytes"] == pytest.approx(path.stat().st_size / 1e6, abs=0.01)
        assert log[name]["parameters"] * 2 < path.stat().st_size  # two bytes each, and the names
    bundle = export(
        PIPELINE,
        checkpoints | weights,
        studies=[],
        to=tmp_path / "x.cspine",
        exporters=["torchscript"],
    )
    assert bundle.spec == SPEC


@pytest.mark.parametrize("name", ["xray-compression", "xray-sagittal", "mr-opll", "mr-stenosis"])
def test_every_network_has_a_trainer(name: str) -> None:
    spec = load_spec(shipped_spec(name))
    assert spec.trainings
    assert {(type(spec.accept), type(stage)) for stage in spec.trainings} <= set(TRAINERS)


def test_landmarks_are_trained_by_the_same_command(tmp_path: Path) -> None:
    recipe = replace(TINY, hidden_films=4, frontal_films=0)  # a quarter of them for tuning
    train(SAGITTAL, recipe, tmp_path, stages=["landmarks"])
    log = json.loads((tmp_path / "train.json").read_bytes())
    assert log["pipeline"] == "xray-sagittal"
    assert set(log["landmarks"]["tuning"]["of_each_mm"]) == set(LANDMARKS)
    hidden = (
        log["landmarks"]["tuning"]["films"] * len(LANDMARKS) - log["landmarks"]["tuning"]["seen"]
    )
    assert hidden >= 6  # C7 and T1 of one film
    network = build_network(SAGITTAL.only(Landmarks).architecture)
    size = SAGITTAL.only(Landmarks).size_px
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 1, *size)).shape == (1, len(LANDMARKS), *size)
    given = load_file(tmp_path / "landmarks.safetensors")
    assert given.keys() <= network.state_dict().keys()
    assert {value.dtype for value in given.values()} <= {torch.float16, torch.int64}


def test_a_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no network stage 'clasify' in .*; did you mean 'classi"):
        train(SPEC, TINY, tmp_path, stages=["clasify"])
    assert not list(tmp_path.iterdir())


def test_the_published_size_trains_and_exports(
    tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    log = train_published(PIPELINE, TINY, tmp_path, stages=["classify"])
    assert log["classify"]["parameters"] > 23e6
    pipeline = tmp_path / "pipeline.toml"
    found, shipped = load_spec(pipeline).only(Classify), SPEC.only(Classify)
    assert found.architecture.arguments == RESNET50
    assert found.architecture.factory == shipped.architecture.factory
    assert found.threshold == pytest.approx(log["classify"]["tuning_threshold"], rel=1e-3)
    changed = {"architecture", "threshold"}
    for field in set(shipped.__struct_fields__) - changed:
        assert getattr(found, field) == getattr(shipped, field)
    own = checkpoints | {"classify": tmp_path / "classify.safetensors"}
    bundle = export(pipeline, own, studies=[], to=tmp_path / "x.cspine", exporters=["torchscript"])
    assert bundle.spec.only(Classify) == found


def test_another_classifier_has_no_published_size(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    head, classify = PIPELINE.read_text().split('kind = "classify"')
    own.write_text(head + 'kind = "classify"' + classify.replace(":ResNet", ":DenseNet121"))
    with pytest.raises(SpecError, match="stage 'classify': is written another way"):
        train_published(own, TINY, tmp_path / "out")


def test_samples_do_not_depend_on_the_number_of_processes() -> None:
    few = gather(SPEC, patients=2, seed=9, variants=2)  # in this process
    many = gather(SPEC, patients=6, seed=9, variants=2)
    np.testing.assert_array_equal(few.images, many.images[:2])
    np.testing.assert_array_equal(few.masks, many.masks[:2])
    np.testing.assert_array_equal(few.crops, many.crops[: len(few.crops)])
    assert (few.crops[:, 0] != few.crops[:, 1]).any()
