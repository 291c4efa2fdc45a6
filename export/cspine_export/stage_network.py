"""A network as its stage of the pipeline runs it: a grey image in, the right channels out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cspine.errors import ModelError
from cspine.fields import Normalise
from cspine.spec import (
    Classify,
    Cord,
    Detect,
    Features,
    Grade,
    Landmarks,
    PipelineSpec,
    Placing,
    Screen,
    Segment,
    Slices,
    Trained,
)
from cspine_export.detector_networks import detector_networks
from cspine_export.graph.interface import Interface

OneNetwork = Screen | Segment | Classify | Landmarks | Slices | Grade | Cord


class GreyInput(nn.Module):
    """A network made for colour, fed one grey channel.

    Parameters
    ----------
    network
        Takes images (N, channels, rows, columns).
    normalise
        Mean and standard deviation of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalise: Normalise) -> None:
        super().__init__()
        self.network = network
        self.channels = len(normalise.mean)
        self.register_buffer("mean", torch.tensor(normalise.mean)[None, :, None, None])
        self.register_buffer("std", torch.tensor(normalise.std)[None, :, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Return what the network makes of images (N, 1, rows, columns)."""
        # Subtracting from one channel broadcasts it: no copy that the runtimes would have to make.
        return torch.as_tensor(self.network((image - self.mean) / self.std))


def networks_of(network: nn.Module, stage: Trained, spec: PipelineSpec) -> dict[str, nn.Module]:
    """Return what a checkpoint's network runs, by stage id: itself, or the two of a detector.

    Raises
    ------
    ModelError
        If it is not what the stages say.
    """
    if isinstance(stage, Detect):
        return detector_networks(network, spec.only(Features), stage)
    return {stage.id: stage_network(network, stage)}


def stage_network(network: nn.Module, stage: OneNetwork) -> nn.Module:
    """Return a network in evaluation mode, as the stage feeds it.

    Raises
    ------
    ModelError
        If it does not take the stage's image, or returns other channels: a sign or a label would
        be without its channel, or read from another's.
    """
    network = network.eval()
    if stage.architecture.normalise:
        network = GreyInput(network, stage.architecture.normalise).eval()
    example = Interface.of(stage).example()
    try:
        with torch.inference_mode():
            logits = network(example)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(
            f"stage {stage.id!r}: the network does not take an image of shape "
            f"{tuple(example.shape)}: {str(error).splitlines()[0]}; mend size_px or "
            "[stage.architecture]; one made for colour needs [stage.architecture.normalise]"
        ) from error
    what, wanted = _wanted(stage, len(example))
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != wanted:
        raise ModelError(
            f"stage {stage.id!r}: the network returns {shape}, expected {wanted} for its "
            f"{wanted[1]} {what}; mend [stage.architecture] or the {what}"
        )
    return network


def _wanted(stage: OneNetwork, batch: int) -> tuple[str, tuple[int, ...]]:
    if isinstance(stage, Screen):
        return "signs", (batch, len(stage.sign))
    if isinstance(stage, Segment):
        return "labels", (batch, len(stage.labels), *stage.size_px)
    if isinstance(stage, Placing):
        return "points", (batch, len(stage.points), *stage.size_px)
    if isinstance(stage, Grade):
        return "classes", (batch, len(stage.classes))
    return "logit of the positive class", (batch, 1)
