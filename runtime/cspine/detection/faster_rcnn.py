"""Faster R-CNN: two networks, with proposals and RoIAlign between them on the host.

Ren et al. 2015, with the pyramid of Lin et al. 2017; what a graph does not hold is done as
torchvision does it, in float32 where it uses float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine.backends import Array
from cspine.detection.anchors import all_anchors
from cspine.detection.boxes import Floats, at_least, clip, decode
from cspine.detection.nms import suppress
from cspine.detection.proposals import propose
from cspine.detection.roi_align import roi_align
from cspine.detection.spec import DetectorSpec
from cspine.errors import BackendError, did_you_mean
from cspine.session import Session


@dataclass(frozen=True)
class Detections:
    """What was found in one image, the highest score first.

    Attributes
    ----------
    boxes
        Shape (detections, 4), float32: x0, y0, x1, y1 in pixels of the network's input, whose
        origin is the corner of the first pixel.
    labels
        Shape (detections,), int64; never 0, which is the background.
    scores
        Shape (detections,), float32, probabilities.
    """

    boxes: Floats
    labels: npt.NDArray[np.int64]
    scores: Floats


NONE = Detections(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True)
class Proposed:
    """What of one image is likely to hold something.

    Attributes
    ----------
    boxes
        Shape (proposals, 4), the best first; there may be none.
    regions
        What the second network is fed of them: shape (proposals, channels, rows, columns).
    """

    boxes: Floats
    regions: Floats


def proposed(
    made: Mapping[str, Array], spec: DetectorSpec, *, images: int, stage: str
) -> tuple[Proposed, ...]:
    """Return the proposals of each image.

    Parameters
    ----------
    made
        What the first network returned: the maps by name, ``objectness`` (N, anchors) and
        ``deltas`` (N, anchors, 4).
    images
        N.
    stage
        Names that network in messages.

    Raises
    ------
    BackendError
        If it returned what it should not: another shape, or what is no number.
    """
    objectness = _output(made, "objectness", (images, spec.anchor_count), stage)
    deltas = _output(made, "deltas", (images, spec.anchor_count, 4), stage)
    grids = {anchors.map: anchors.grid for anchors in spec.anchors}
    maps = [
        _output(made, name, (images, spec.regions.channels, *grids[name]), stage)
        for name in spec.regions.maps
    ]
    anchors = all_anchors(spec)
    found = []
    for at in range(images):
        boxes = propose(objectness[at], deltas[at], anchors, spec)
        cells = [np.ascontiguousarray(each[at].transpose(1, 2, 0)) for each in maps]
        found.append(Proposed(boxes, roi_align(cells, boxes, spec.regions)))
    return tuple(found)


def detected(
    boxes: Floats, made: Mapping[str, Array], spec: DetectorSpec, *, stage: str
) -> Detections:
    """Return the detections among the proposals of one image.

    Parameters
    ----------
    boxes
        Shape (R, 4), R at least 1.
    made
        What the second network returned: ``class_logits`` (R, labels) and ``box_deltas``
        (R, 4 labels).
    stage
        Names that network in messages.

    Raises
    ------
    BackendError
        As :func:`proposed`.
    """
    shape = (len(boxes), spec.predictions.labels)
    logits = _output(made, "class_logits", shape, stage)
    deltas = _output(made, "box_deltas", (shape[0], 4 * shape[1]), stage)
    return select(boxes, logits, deltas, spec)


class FasterRcnn:
    """A detector, ready to run.

    Parameters
    ----------
    spec
        What the two graphs do not hold.
    features, head
        The two networks; see :func:`proposed` and :func:`detected`. Whoever opened the sessions
        closes them.
    """

    def __init__(self, spec: DetectorSpec, *, features: Session, head: Session) -> None:
        self._spec = spec
        self._features = features
        self._head = head

    def run(self, images: Floats) -> tuple[Detections, ...]:
        """Return the detections of each image.

        One call of the second network has the regions of one image, of which there are at most
        ``spec.proposals.after_nms``.

        Parameters
        ----------
        images
            Shape (N, channels, rows, columns), C-contiguous, in 0..1.

        Raises
        ------
        BackendError
            If the images do not fit the network, a runtime fails, or a network returns what it
            should not.
        """
        stage = self._features.stage
        _check_finite(images, f"stage {stage!r}, input 'image'")
        made = self._features.run({"image": images})
        found = proposed(made, self._spec, images=len(images), stage=stage)
        return tuple(self._detections(each) for each in found)

    def _detections(self, found: Proposed) -> Detections:
        if not len(found.boxes):  # a network cannot be asked about nothing
            return NONE
        made = self._head.run({"regions": found.regions})
        return detected(found.boxes, made, self._spec, stage=self._head.stage)


def select(
    proposals: Floats, class_logits: Floats, box_deltas: Floats, spec: DetectorSpec
) -> Detections:
    """Return the detections among the head's answers for one image.

    Parameters
    ----------
    proposals
        Shape (R, 4).
    class_logits
        Shape (R, labels).
    box_deltas
        Shape (R, 4 labels): every label has a box of its own.
    """
    limits = spec.predictions
    deltas = box_deltas.reshape(len(proposals), limits.labels, 4)
    boxes = clip(decode(deltas, proposals, weights=limits.weights), spec.size_px)
    scores = _softmax(class_logits)
    fit = (scores > limits.score_threshold) & at_least(boxes, limits.minimum_side_px)
    fit[:, 0] = False  # the background
    boxes, scores, labels = boxes[fit], scores[fit], np.nonzero(fit)[1]
    kept = suppress(boxes, scores, labels, threshold=limits.nms_threshold)[: limits.per_image]
    return Detections(boxes[kept], labels[kept].astype(np.int64), scores[kept])


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _output(outputs: Mapping[str, Array], name: str, shape: tuple[int, ...], stage: str) -> Array:
    """Return one output of a network if it is what the spec says."""
    if name not in outputs:
        raise BackendError(
            f"stage {stage!r}: the model has no output {name!r}{did_you_mean(name, outputs)}; "
            "export it again"
        )
    value = outputs[name]
    if value.shape != shape or value.dtype != np.float32:
        raise BackendError(
            f"stage {stage!r}, output {name!r}: got {value.dtype.name} {value.shape}, expected "
            f"float32 {shape}; the model and its description do not belong together"
        )
    _check_finite(value, f"stage {stage!r}, output {name!r}")
    return value


def _check_finite(value: Array, where: str) -> None:
    """Refuse what is no number: behind the next ReLU it would be a zero, and nobody would know."""
    if not np.isfinite(value).all():
        raise BackendError(
            f"{where}: got values that are no finite numbers; expected finite ones; see whether "
            "the FP32 model gives them, too"
        )
