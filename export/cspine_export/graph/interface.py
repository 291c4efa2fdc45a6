"""What goes into a network and comes out of it, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cspine.errors import ModelError, missing_extra
from cspine.spec import (
    Classifier,
    Cord,
    Detect,
    Features,
    Grade,
    Landmarks,
    Network,
    Segment,
    input_of,
)

try:
    import torch
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error

BATCH = "batch"  # the first axis of every input and output, and the only one that is free
CAM = "cam"

Meaning = Literal["labels", "probabilities", "positions", "classes"]


_MEANINGS: dict[type[Network], Meaning | None] = {
    Segment: "labels",
    Landmarks: "positions",
    Features: None,
    Detect: "classes",
    Grade: "classes",
    Cord: "positions",
}


@dataclass(frozen=True)
class Interface:
    """One input and one or more outputs.

    Attributes
    ----------
    input
        Name of the input.
    shape
        Of one item of the batch: (channels, rows, columns) for an image.
    outputs
        Names of what the network returns, in order.
    meaning
        What the first output decides: ``labels``, one a pixel, by the largest of the channels;
        ``probabilities``, each by its own logit; ``positions``, each by the softmax of its own
        map; ``classes``, by the softmax of all logits of an item; or nothing that is looked at.
    map
        Whether the graph also gets ``cam``, the class activation map of its last layer.
    """

    input: str
    shape: tuple[int, ...]
    outputs: tuple[str, ...]
    meaning: Meaning | None = None
    map: bool = False

    @classmethod
    def of(cls, stage: Network) -> Interface:
        """Return that of a stage: a grey image in, logits out, a classifier's with their map.

        Of a detector the first network gives maps, and the second is fed regions of them.
        """
        outputs: tuple[str, ...] = ("logits",)
        if isinstance(stage, Features):
            outputs = (*(anchors.map for anchors in stage.anchors), "objectness", "deltas")
        if isinstance(stage, Detect):
            outputs = ("class_logits", "box_deltas")
        return cls(
            *input_of(stage),
            outputs,
            meaning=_MEANINGS.get(type(stage), "probabilities"),
            map=isinstance(stage, Classifier),
        )

    @property
    def all_outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return (*self.outputs, CAM) if self.map else self.outputs

    def example(self) -> torch.Tensor:
        """Return a batch of noise in 0..1; of two, so that one is not taken for a constant."""
        generator = torch.Generator().manual_seed(0)
        return torch.rand((2, *self.shape), generator=generator)
