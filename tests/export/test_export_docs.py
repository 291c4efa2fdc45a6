"""The page of architectures is the table of the published ones, and what the zoo measured.

Run this file to write it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkpoint_forms import FORMS
from cspine_export.parity import LARGEST_CHANGE, LARGEST_RELATIVE_ERROR
from cspine_export.published import DETECTOR, PUBLISHED, Published

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architectures.md"

TEXT = """\
# Architectures

Written by `python tests/export/test_export_docs.py` from `cspine_export.published` and the newest
record of `make zoo`.

What `[stage.architecture]` of a [pipeline file](formats.md#architecture) can name. The network is
built with fresh weights, the [checkpoint](checkpoints.md) is put into it, and the graph is proven
against it.

| `factory` | what it is | comes with |
|---|---|---|
| `cspine_export.detectors:faster_rcnn` | a Faster R-CNN of one grey channel on a ResNet of \
MONAI, for the stages `features` and `detect`; `block`, `layers`, `block_inplanes` and \
`representation` say how wide it is, and the two stages the rest | `pip install 'cspine[export]'` |
| `monai.networks.nets:NAME` | a class of MONAI's networks | `pip install 'cspine[export]'` |
| `timm.models:NAME` | a model that `timm.list_models()` lists | `pip install 'cspine[zoo]'` |
| `torchvision.models:NAME`, also `.detection`, `.segmentation` | a model that torchvision lists | \
`pip install 'cspine[zoo]'` |
| `package.module:NAME` | code of your own | `--allow-factory package.module:NAME` |

A factory is code and runs when it is called. Code of your own runs only if the person who exports
allows it by its full name; its file's digest stands in the provenance. Of the libraries only
networks by name are built: their other functions load files, or fetch them. No factory brings
weights of its own: `pretrained`, `weights`, `weights_backbone` and their like are turned off where
a factory has them, and refused where the pipeline file asks for them.

torchvision, and timm with it, needs the torch that it was built beside. `pip install torch
torchvision timm` from one index gives that.

A network made for colour takes three channels. `[stage.architecture.normalise]` feeds it:

```toml
[stage.architecture]
factory = "torchvision.models:resnet34"
arguments = {{ num_classes = 1 }}
normalise = {{ mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }}
```

The graph still takes one grey channel.

A detector of torchvision is named as any network, with the numbers that the two stages have for its
arguments; where they differ, `export` says which. Its checkpoint, and that of ours, is given once,
for the stage of kind `detect`.

A classifier must end in global average pooling and one linear layer, or it is refused: of others
the [class activation map](decisions/0004-class-activation-map-in-the-graph.md) is no weighted sum.
ConvNeXt and MobileNetV3 are such.

## The published systems

{published}

Every one is exported and proven in `make zoo` with each of these forms of checkpoint: {forms}.
Weights are random, with the statistics of BatchNorm over a few batches: what is proven is the
chain, not an answer.

{measured}

Operators are counted in the graph of each exporter. Parity is the largest difference from PyTorch,
as a share of the output's range.
"""


def reference() -> str:
    """Return the page."""
    return TEXT.format(
        published=table(
            ["architecture", "pipelines", "`factory`", "`arguments`", "input"],
            [*map(described, PUBLISHED), detector()],
        ),
        forms=", ".join(FORMS),
        measured="\n\n".join(map(measured, records()[-1:])),
    )


def records() -> list[dict[str, Any]]:
    """Return what the zoo measured, the newest last."""
    paths = sorted((ROOT / "benchmarks" / "records").glob("*-zoo.json"))
    return [json.loads(path.read_bytes()) for path in paths]


def described(each: Published) -> list[str]:
    arguments = {**each.architecture.arguments}
    return [
        each.name,
        ", ".join(f"`{system}`" for system in each.systems),
        f"`{each.architecture.factory}`",
        ", ".join(f"`{key} = {json.dumps(value)}`" for key, value in arguments.items()),
        " x ".join(map(str, each.interface.shape[1:])),
    ]


def detector() -> list[str]:
    arguments = ", ".join(f"`{key} = {value}`" for key, value in DETECTOR.arguments.items())
    size = DETECTOR.arguments["min_size"]
    return ["Faster R-CNN", "`ct-stenosis`", f"`{DETECTOR.factory}`", arguments, f"{size} x {size}"]


def measured(record: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{each['parameters'] / 1e6:.1f} M",
            " / ".join(
                str(each["operators"].get(exporter, "none"))
                for exporter in ("torchscript", "dynamo")
            ),
            each["exporter"],
            f"{each['relative']:.0e}",
            f"{len(each['forms'])} of {len(FORMS)}",
        ]
        for name, each in record["networks"].items()
    ]
    header = ["architecture", "weights", "operators, torchscript / dynamo", "taken", "parity",
              "forms"]  # fmt: skip
    tools = ", ".join(f"{name} {version}" for name, version in record["tools"].items())
    (export,) = record["export"].values()
    return "\n\n".join([
        table(header, rows),
        f"`cspine export` of ResNet-50 and the U-Net with BatchNorm took {export['seconds']:.0f} s "
        f"and {export['peak_gib']:.1f} GiB at its peak on {record['device']['cores']} cores.",
        *(detected(each) for each in record.get("detector", {}).values()),
        f"Versions: {tools}.",
    ])  # fmt: skip


def detected(found: dict[str, Any]) -> str:
    return (
        f"Faster R-CNN, trained for minutes on drawn shapes, held against {found['against']}, "
        f"{found['images']} images: of {found['detections']:,} detections above 0.05 all but "
        f"{found['differ']} are found within half a pixel and 0.001 of the score. Where a box "
        "overlaps a better one by just the threshold, rounding decides, and "
        f"{found['not settled']} detections change for torchvision itself in float64 or with "
        f"thresholds moved by 0.0001; of the others the largest difference is "
        f"{found['largest difference, pixels']:.2g} pixels and "
        f"{found['largest difference, score']:.1g} of the score."
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), f"run: python {Path(__file__).relative_to(ROOT)}"


def test_every_published_network_was_proven_in_every_form() -> None:
    for record in records():
        for each in PUBLISHED:
            found = record["networks"][each.name]
            assert set(found["forms"]) == set(FORMS)
            assert found["relative"] <= LARGEST_RELATIVE_ERROR
            assert found["change"] <= LARGEST_CHANGE[each.interface.meaning]


if __name__ == "__main__":
    PAGE.write_text(reference())
