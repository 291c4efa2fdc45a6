"""Two graphs and the host between them find what torchvision found, or say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cspine.backends import Array, TensorSpec, open_backend
from cspine.detection.anchors import all_anchors
from cspine.detection.boxes import Floats, clip, overlaps
from cspine.detection.faster_rcnn import Detections, FasterRcnn, select
from cspine.detection.proposals import propose
from cspine.detection.roi_align import levels, roi_align
from cspine.detection.spec import DetectorSpec
from cspine.errors import BackendError
from cspine.session import Session

DATA = Path(__file__).parents[1] / "data" / "faster_rcnn"
GOLDEN = np.load(DATA / "golden.npz")
IMAGES = GOLDEN["images"].astype(np.float32) / 255
SPEC = msgspec.json.decode((DATA / "spec.json").read_bytes(), type=DetectorSpec)
Change = Callable[[dict[str, Array]], object]


class Changed:
    """A graph in ONNX Runtime whose outputs a test changes."""

    def __init__(self, name: str, change: Change = lambda outputs: None) -> None:
        self._backend = open_backend("onnxruntime", (DATA / f"{name}.onnx").read_bytes())
        self._change = change
        self.inputs: tuple[TensorSpec, ...] = self._backend.inputs
        self.fed: list[Mapping[str, Array]] = []

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.fed.append(feeds)
        outputs = self._backend.run(feeds)
        self._change(outputs)
        return outputs

    def close(self) -> None:
        self._backend.close()


def detector(
    spec: DetectorSpec = SPEC, *, features: Changed | None = None, head: Changed | None = None
) -> FasterRcnn:
    return FasterRcnn(
        spec,
        features=Session("detect", features or Changed("features")),
        head=Session("detect-head", head or Changed("head")),
    )


def fault(made: FasterRcnn, images: Floats = IMAGES) -> str:
    with pytest.raises(BackendError) as caught:
        made.run(images)
    return str(caught.value)


def assert_same(found: Detections, wanted: Mapping[str, Array], at: int) -> None:
    assert found.labels.tolist() == wanted[f"labels{at}"].tolist()
    np.testing.assert_allclose(found.scores, wanted[f"scores{at}"], atol=1e-5)
    np.testing.assert_allclose(found.boxes, wanted[f"boxes{at}"], atol=2e-3)


def test_what_torchvision_found_is_found() -> None:
    found = detector().run(IMAGES)
    assert len(found) == 2
    for at, detections in enumerate(found):
        assert (detections.boxes.dtype, detections.scores.dtype) == (np.float32, np.float32)
        assert_same(detections, GOLDEN, at)
    assert set(GOLDEN["labels0"]) == {1, 2, 3}
    assert GOLDEN["scores0"].min() > 0.05


def test_an_image_alone_is_judged_as_in_a_batch() -> None:
    for at in (0, 1):
        (found,) = detector().run(IMAGES[at : at + 1])
        assert_same(found, GOLDEN, at)


def test_the_steps_are_those_of_torchvision() -> None:
    made = Changed("features").run({"image": IMAGES})
    proposals = propose(made["objectness"][0], made["deltas"][0], all_anchors(SPEC), SPEC)
    np.testing.assert_allclose(proposals, GOLDEN["proposals0"], atol=2e-3)
    assert set(levels(proposals, SPEC.regions)) == {0, 1, 2, 3}
    cells = [made[name][0].transpose(1, 2, 0) for name in SPEC.regions.maps]
    regions = roi_align(cells, GOLDEN["proposals0"], SPEC.regions)
    wanted = GOLDEN["regions"][: -(-len(proposals) // 7)]
    np.testing.assert_allclose(regions[::7], wanted, rtol=1e-3, atol=1e-3)
    answers = (GOLDEN["class_logits"][:50], GOLDEN["box_deltas"][:50])
    assert_same(select(GOLDEN["proposals0"], *answers, SPEC), GOLDEN, 0)


def limited(**limits: float) -> Floats:
    """Return the proposals that limits leave where every anchor is as good as every other."""
    proposals = msgspec.structs.replace(SPEC.proposals, nms_threshold=1, **limits)
    nothing = np.zeros((SPEC.anchor_count, 4), np.float32)
    spec = msgspec.structs.replace(SPEC, proposals=proposals)
    return propose(nothing[:, 0], nothing, all_anchors(SPEC), spec)


def test_the_best_of_every_map_are_proposed() -> None:
    found = limited(before_nms=3)
    starts = np.cumsum([0, *(anchors.count for anchors in SPEC.anchors)])[:-1]
    first = (starts[:, None] + np.arange(3)).ravel()  # equal scores leave the order as it is
    np.testing.assert_array_equal(found, clip(all_anchors(SPEC)[first], SPEC.size_px))


def test_a_score_of_just_the_threshold_is_proposed() -> None:
    assert len(limited(score_threshold=0.5)) == SPEC.proposals.after_nms
    assert len(limited(score_threshold=0.501)) == 0


def test_a_detection_without_a_side_is_none() -> None:
    proposals = np.array([[10, 10, 30, 30], [50, 50, 90, 90]], np.float32)
    logits = np.array([[0, 9, 0, 0]] * 2, np.float32)
    deltas = np.zeros((2, 16), np.float32)
    deltas[1, 6] = -50  # the width of label 1, divided by 5: e to the power of -10
    found = select(proposals, logits, deltas, SPEC)
    assert found.boxes.tolist() == [[10, 10, 30, 30]]


def test_the_head_is_asked_image_by_image() -> None:
    head = Changed("head")
    detector(head=head).run(IMAGES)
    assert [feeds["regions"].shape for feeds in head.fed] == [(50, 8, 7, 7)] * 2


def test_the_limits_hold() -> None:
    limits = msgspec.structs.replace(SPEC.predictions, per_image=5, score_threshold=0.3)
    found = detector(msgspec.structs.replace(SPEC, predictions=limits)).run(IMAGES)[0]
    np.testing.assert_allclose(found.scores, GOLDEN["scores0"][:5], atol=1e-5)
    limits = msgspec.structs.replace(limits, per_image=100, nms_threshold=0.1)
    found = detector(msgspec.structs.replace(SPEC, predictions=limits)).run(IMAGES)[0]
    assert (found.scores > 0.3).all()
    for label in set(found.labels):
        boxes = found.boxes[found.labels == label]
        assert (overlaps(boxes, boxes)[~np.eye(len(boxes), dtype=bool)] <= 0.1).all()


def test_without_proposals_nothing_is_found_and_the_head_is_not_asked() -> None:
    limits = msgspec.structs.replace(SPEC.proposals, minimum_side_px=1000)
    head = Changed("head")
    for found in detector(msgspec.structs.replace(SPEC, proposals=limits), head=head).run(IMAGES):
        assert found.boxes.shape == (0, 4)
        assert found.labels.shape == found.scores.shape == (0,)
    assert head.fed == []


def test_where_all_is_background_nothing_is_found() -> None:
    def background(outputs: dict[str, Array]) -> None:
        outputs["class_logits"][:] = [50, 0, 0, 0]

    assert not len(detector(head=Changed("head", background)).run(IMAGES)[0].boxes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("graph", "name"),
    [
        ("features", "p0"),
        ("features", "p3"),
        ("features", "objectness"),
        ("features", "deltas"),
        ("head", "class_logits"),
        ("head", "box_deltas"),
    ],
)
def test_what_is_no_number_is_refused(graph: str, name: str, value: float) -> None:
    def spoil(outputs: dict[str, Array]) -> None:
        outputs[name].flat[-1] = value

    stage = "detect" if graph == "features" else "detect-head"
    assert fault(detector(**{graph: Changed(graph, spoil)})) == (
        f"stage {stage!r}, output {name!r}: got values that are no finite numbers; expected "
        "finite ones; see whether the FP32 model gives them, too"
    )


def test_an_image_with_what_is_no_number_is_refused() -> None:
    image = IMAGES.copy()
    image[1, 0, 5, 5] = np.nan
    assert fault(detector(), image).startswith("stage 'detect', input 'image': got values that")


@pytest.mark.parametrize(
    ("graph", "name", "change", "told"),
    [
        ("features", "p1", lambda p: p[:, :, 1:], "got float32 (2, 8, 11, 16), expected float32 "
         "(2, 8, 12, 16)"),
        ("features", "deltas", lambda d: d[:, 3:], "got float32 (2, 3069, 4), expected float32 "
         "(2, 3072, 4)"),
        ("features", "objectness", lambda o: o[0], "got float32 (3072,), expected float32 "
         "(2, 3072)"),
        ("head", "class_logits", lambda c: c[:, 1:], "got float32 (50, 3), expected float32 "
         "(50, 4)"),
        ("head", "box_deltas", lambda d: d.astype(float), "got float64 (50, 16), expected float32 "
         "(50, 16)"),
    ],
)  # fmt: skip
def test_another_shape_is_refused(
    graph: str, name: str, change: Callable[[Array], Array], told: str
) -> None:
    made = Changed(graph, lambda outputs: outputs.update({name: change(outputs[name])}))
    message = fault(detector(**{graph: made}))
    assert f"output {name!r}: {told}; the model and its description" in message


def test_an_output_that_is_missing_is_named() -> None:
    made = Changed("features", lambda outputs: outputs.update(objectnes=outputs.pop("objectness")))
    assert fault(detector(features=made)) == (
        "stage 'detect': the model has no output 'objectness'; did you mean 'objectnes'?; "
        "export it again"
    )


def test_an_image_of_another_size_is_refused() -> None:
    assert fault(detector(), IMAGES[..., :96].copy()) == (
        "stage 'detect', input 'image': got float32 (2, 1, 96, 96), expected float32 "
        "(?, 1, 96, 128)"
    )
