"""Training at the published size: a classifier as deep as those of the published systems.

The reference checkpoints are small enough to train on a laptop and to ship. The network below is
a ResNet-50; everything else of the pipeline stays. Its stem is not pooled, for its crops have half
the side of the images that the network was designed for: the activation map has 7 x 7 cells again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cspine.errors import SpecError
from cspine.files import write_atomic
from cspine.pipeline_file import load_spec, parse_spec
from cspine.spec import Classify, PipelineSpec
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.train import train

RESNET50: dict[str, object] = {
    "block": "bottleneck",
    "layers": [3, 4, 6, 3],
    "block_inplanes": [64, 128, 256, 512],
    "spatial_dims": 2,
    "n_input_channels": 1,
    "conv1_t_size": 7,
    "conv1_t_stride": 2,
    "no_max_pool": True,
    "num_classes": 1,
}
"""Arguments of ``monai.networks.nets:ResNet``."""

_ARGUMENTS = (
    r'(factory = "monai\.networks\.nets:ResNet"\n\n\[stage\.architecture\.arguments\]\n)(?:.+\n)*'
)
_THRESHOLD = r"(?m)(^threshold = ).*$"


def train_published(
    pipeline: Path, recipe: Recipe, folder: Path, *, stages: Sequence[str] = ()
) -> dict[str, Any]:
    """Train as :func:`~cspine_phantom.training.train.train` does, the classifier as published.

    The pipeline file that goes with the checkpoints is written beside them, ``pipeline.toml``,
    with the threshold that the tuning patients chose.

    Raises
    ------
    SpecError
        If the file cannot be read, or its classifier is written another way than the shipped one.
    ModelError, OSError
        As ``train``.
    """
    spec = load_spec(pipeline)
    text = _in_classifier(
        pipeline.read_text(encoding="utf-8"),
        spec,
        _ARGUMENTS,
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in RESNET50.items()),
    )
    spec = parse_spec(text.encode(), where=pipeline.name)
    log = train(spec, recipe, folder, stages=stages)
    name = spec.only(Classify).id
    if name in log:
        text = _in_classifier(text, spec, _THRESHOLD, f"{log[name]['tuning_threshold']:.4g}")
    write_atomic(folder / "pipeline.toml", text.encode())
    return log


def _in_classifier(text: str, spec: PipelineSpec, old: str, new: str) -> str:
    """Replace in the classifier's table what follows the first group of a pattern."""
    stage: Classify = spec.only(Classify)
    head, *tables = text.split("[[stage]]\n")
    number = spec.stage.index(stage)
    tables[number], count = re.subn(old, lambda found: found[1] + new, tables[number], count=1)
    if count != 1:
        raise SpecError(f"stage {stage.id!r}: is written another way than the shipped pipeline's")
    return "[[stage]]\n".join([head, *tables])
