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


class FasterRcnn:
    """A detector, ready to run.

    Parameters
    ----------
    spec
        What the two graphs do not hold.
    features
        ``image`` (N, channels, rows, columns) to the maps by name, ``objectness`` (N, anchors)
        and ``deltas`` (N, anchors, 4). Whoever opened the sessions closes them.
    head
        ``regions`` (R, channels, rows, columns) to ``class_logits`` (R, labels) and
        ``box_deltas`` (R, 4 labels). One call has the regions of one image, of which there are
        at most ``spec.proposals.after_nms``.
    """

    def __init__(self, spec: DetectorSpec, *, features: Session, head: Session) -> None:
        self._spec = spec
        self._features = features
        self._head = head
        self._anchors = all_anchors(spec)

    def run(self, images: Floats) -> tuple[Detections, ...]:
        """Return the detections of each image.

        Parameters
        ----------
        images
            Shape (N, channels, rows, columns), C-contiguous, in 0..1.

        Raises
        ------
        BackendError
            If the images do not fit the network, a runtime fails, or a network returns what it
            should not: another shape, or what is no number.
        """
        spec, stage = self._spec, self._features.stage
        _check_finite(images, f"stage {stage!r}, input 'image'")
        made = self._features.run({"image": images})
        count = len(images)
        objectness = _output(made, "objectness", (count, spec.anchor_count), stage)
        deltas = _output(made, "deltas", (count, spec.anchor_count, 4), stage)
        grids = {anchors.map: anchors.grid for anchors in spec.anchors}
        maps = [
            _output(made, name, (count, spec.regions.channels, *grids[name]), stage)
            for name in spec.regions.maps
        ]
        return tuple(
            self._detect(objectness[at], deltas[at], [cells[at] for cells in maps])
            for at in range(count)
        )

    def _detect(self, objectness: Floats, deltas: Floats, maps: list[Floats]) -> Detections:
        """Return the detections of one image, from its maps (channels, rows, columns)."""
        spec = self._spec
        proposals = propose(objectness, deltas, self._anchors, spec)
        if not len(proposals):  # a network cannot be asked about nothing
            return select(
                proposals,
                np.empty((0, spec.predictions.labels), np.float32),
                np.empty((0, 4 * spec.predictions.labels), np.float32),
                spec,
            )
        cells = [np.ascontiguousarray(channels.transpose(1, 2, 0)) for channels in maps]
        made = self._head.run({"regions": roi_align(cells, proposals, spec.regions)})
        shape = (len(proposals), spec.predictions.labels)
        logits = _output(made, "class_logits", shape, self._head.stage)
        deltas = _output(made, "box_deltas", (shape[0], 4 * shape[1]), self._head.stage)
        return select(proposals, logits, deltas, spec)


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
