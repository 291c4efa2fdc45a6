"""Single stages on one core: `make bench` times them; the test suite runs each once."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pytest_benchmark.fixture import BenchmarkFixture

from cspine.dicom.read import read_image
from cspine.image import Image
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Classify, Levels, PipelineSpec, Segment
from cspine.stages.classify import classify_feeds, crop_map
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.levels import Spine, find_spine
from cspine.stages.segment import label_map
from cspine.transform import sample_labels, zoom
from cspine_phantom.study import Phantom, phantom


@pytest.fixture(scope="module")
def spec() -> PipelineSpec:
    return load_spec(shipped_spec("xray-compression"))


@pytest.fixture(scope="module")
def study() -> Phantom:
    return phantom(seed=900, number=0)


@pytest.fixture(scope="module")
def image(study: Phantom) -> Image:
    return read_image(study.dataset)


@pytest.fixture(scope="module")
def spine(spec: PipelineSpec, study: Phantom, image: Image) -> Spine:
    return _spine(spec, study, image)


def _spine(spec: PipelineSpec, study: Phantom, image: Image) -> Spine:
    segment: Segment = spec.only(Segment)
    labels = sample_labels(study.mask, frame_map(image, segment), size_px=segment.size_px)
    return find_spine(
        labels,
        names=segment.labels,
        spacing_mm=segment.spacing_mm,
        stage=spec.only(Levels),
        facing=image.facing,
    )


def test_parse(benchmark: BenchmarkFixture, study: Phantom) -> None:
    buffer = io.BytesIO()
    dcmwrite(buffer, study.dataset, enforce_file_format=True)
    read = benchmark(lambda: dcmread(io.BytesIO(buffer.getvalue())))
    assert read.Rows == study.mask.shape[0]


def test_decode(benchmark: BenchmarkFixture, study: Phantom) -> None:
    assert benchmark(read_image, study.dataset).pixels.shape == study.mask.shape


def test_localiser_input(benchmark: BenchmarkFixture, spec: PipelineSpec, image: Image) -> None:
    segment: Segment = spec.only(Segment)
    to_image = frame_map(image, segment)
    feeds = benchmark(frame_feeds, image, to_image, segment)
    assert feeds["image"].shape == (1, 1, *segment.size_px)


def test_label_map(benchmark: BenchmarkFixture, spec: PipelineSpec) -> None:
    segment: Segment = spec.only(Segment)
    logits = np.zeros((1, len(segment.labels), *segment.size_px), np.float32)
    assert benchmark(label_map, {"logits": logits}).shape == segment.size_px


def test_levels(
    benchmark: BenchmarkFixture, spec: PipelineSpec, study: Phantom, image: Image
) -> None:
    assert len(benchmark(_spine, spec, study, image).discs) == 6


def test_crops(benchmark: BenchmarkFixture, spec: PipelineSpec, image: Image, spine: Spine) -> None:
    segment, classify = spec.only(Segment), spec.only(Classify)
    from_mm = frame_map(image, segment) @ zoom(1 / segment.spacing_mm)
    maps = [from_mm @ crop_map(disc, facing=spine.facing, stage=classify) for disc in spine.discs]
    feeds = benchmark(classify_feeds, image, maps, classify)
    assert feeds["image"].shape == (6, 1, *classify.size_px)
