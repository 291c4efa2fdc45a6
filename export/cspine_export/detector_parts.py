"""The two networks of a Faster R-CNN, as a graph holds them: of any parts of the right shapes."""

from __future__ import annotations

from cspine.errors import ModelError, missing_extra

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error


class FeaturesNetwork(nn.Module):
    """Backbone and proposal head; anchors run over map, row, column, shape.

    Parameters
    ----------
    backbone
        Images (N, channels, rows, columns) to maps by name.
    head
        A list of maps to a list of logits (N, shapes, rows, columns) and one of deltas
        (N, 4 shapes, rows, columns).
    anchors
        How many there are on all maps.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, *, anchors: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self._anchors = anchors

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the maps, objectness (N, anchors) and deltas (N, anchors, 4)."""
        maps = list(self.backbone(image).values())
        logits, deltas = self.head(maps)
        objectness = torch.cat([_cell_by_cell(part) for part in logits], 1)
        boxes = torch.cat([_cell_by_cell(part) for part in deltas], 1)
        return *maps, objectness, boxes.reshape(-1, self._anchors, 4)


class HeadNetwork(nn.Module):
    """The box head and its predictor."""

    def __init__(self, box_head: nn.Module, box_predictor: nn.Module) -> None:
        super().__init__()
        self.box_head = box_head
        self.box_predictor = box_predictor

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (R, labels) and box deltas (R, 4 labels)."""
        logits, deltas = self.box_predictor(self.box_head(regions))
        return logits, deltas


def _cell_by_cell(values: Tensor) -> Tensor:
    """Return (N, shapes, rows, columns) as (N, rows x columns x shapes)."""
    return values.permute(0, 2, 3, 1).flatten(1)
