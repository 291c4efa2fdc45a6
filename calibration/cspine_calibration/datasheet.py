"""The data sheet of a model: its input contract, operators, parameters, FLOPs and size.

Read without onnx, so that a device can show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from textwrap import fill
from typing import Any

from cspine.bundle import Bundle, fp32_path
from cspine.complexity import Complexity, complexity
from cspine.console import table
from cspine.fields import Grey, Percentile, Window
from cspine.onnxfile import read_onnx
from cspine.onnxtensor import ValueInfo
from cspine.spec import Classify, Cord, Detect, Features, Grade, Network, Pictured, Slices

_WIDTH = 100
_GAPS = 3  # reasons that are shown; the JSON has all


@dataclass(frozen=True)
class Datasheet:
    """One ONNX file; ``model`` is ``fp32`` or the target of an emission."""

    model: str
    file: str
    bytes: int
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    cost: Complexity

    def facts(self) -> dict[str, Any]:
        """Return everything for programs."""
        cost = asdict(self.cost)
        return {
            "model": self.model,
            "file": self.file,
            "bytes": self.bytes,
            "inputs": [_value(each) for each in self.inputs],
            "outputs": [_value(each) for each in self.outputs],
            **cost,
            "integer_share": self.cost.integer_share,
        }


@dataclass(frozen=True)
class Pixels:
    """What a pixel of a network's input means; sizes are rows, columns."""

    size_px: tuple[int, int]
    size_mm: tuple[float, float]
    spacing_mm: float
    place: str
    grey: Grey

    def __str__(self) -> str:
        rows, columns = self.size_mm
        if isinstance(self.grey, Percentile):
            low, high = f"{self.grey.low:g}", f"{self.grey.high:g}"
            grey = f"grey levels of percentiles {low} to {high} become 0 to 1, the rest is clipped"
        elif isinstance(self.grey, Window):
            half = self.grey.width_hu / 2
            low, high = f"{self.grey.center_hu - half:g}", f"{self.grey.center_hu + half:g}"
            grey = f"{low} to {high} HU become 0 to 1, the rest is clipped"
        else:
            grey = "grey levels less their mean, over their standard deviation"
        return f"{rows:g} × {columns:g} mm, {self.place}, {self.spacing_mm:g} mm a pixel; {grey}"


@dataclass(frozen=True)
class StageSheet:
    """The models of one stage, FP32 first, and what they are fed.

    ``pixels`` is ``None`` of a network that is fed what another one made.
    """

    stage: str
    kind: str
    pixels: Pixels | None
    models: tuple[Datasheet, ...]

    def facts(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "stage": self.stage,
            "kind": self.kind,
            "pixels": asdict(self.pixels) if self.pixels else None,
            "models": [each.facts() for each in self.models],
        }


def read_datasheet(data: bytes, *, model: str, file: str, where: str) -> Datasheet:
    """Read the data sheet of a serialised ONNX model.

    Raises
    ------
    ModelError
        Naming ``where``, if the bytes are no ONNX model.
    """
    read = read_onnx(data, where=where)
    return Datasheet(model, file, len(data), read.inputs, read.outputs, complexity(read))


_PLACES: dict[type[Network], str] = {
    Classify: "one crop a level along the spine",
    Slices: "in the middle of each slice",
    Cord: "about the canal on an axial slice of each level",
    Features: "in the middle of each slice",
    Grade: "one crop a level along the spine, or a region of a slice",
}


def stage_sheets(bundle: Bundle) -> list[StageSheet]:
    """Read the data sheets of every network's models in a bundle.

    Raises
    ------
    ModelError
        If a file is no ONNX model.
    """
    return [
        StageSheet(
            stage.id,
            _kind(stage),
            None if isinstance(stage, Detect) else pixels(stage),
            tuple(_models(bundle, stage.id)),
        )
        for stage in bundle.spec.networks
    ]


def pixels(stage: Pictured) -> Pixels:
    """Return what a pixel of a stage's input means, from the pipeline file."""
    rows, columns = stage.size_px
    return Pixels(
        size_px=stage.size_px,
        size_mm=(rows * stage.spacing_mm, columns * stage.spacing_mm),
        spacing_mm=stage.spacing_mm,
        place=_PLACES.get(type(stage), "in the middle of the image"),
        grey=stage.grey,
    )


def sheets_text(sheets: Sequence[Datasheet], *, pixels: Pixels | None) -> str:
    """Lay out the data sheets of models that share inputs and outputs."""
    first = sheets[0]
    values = [
        *(f"{_said(each)}{f': {pixels}' if pixels else ''}" for each in first.inputs),
        *(f"-> {_said(each)}" for each in first.outputs),
    ]
    header = ["model", "MB", "weights in MB", "operators", "parameters", "GFLOPs", "in integers"]
    parts = [
        "\n".join(wrapped(line, indent=4) for line in values),
        table(header, map(_row, sheets)),
        "\n".join(wrapped(line) for line in (*_operators(sheets), *_remarks(sheets))),
    ]
    return "\n\n".join(parts)


def percentage(share: float) -> str:
    """Return a share as a percentage rounded down: only all of it is 100."""
    return f"{int(share * 10_000) / 100:.2f} %"


def wrapped(line: str, *, indent: int = 2) -> str:
    """Return a line broken at plain spaces; those that do not break become plain."""
    return fill(
        line, _WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    ).replace("\xa0", " ")


def _models(bundle: Bundle, stage: str) -> Iterator[Datasheet]:
    full = fp32_path(stage)
    folder = full.rpartition("/")[0]
    for name in sorted(bundle.manifest.files, key=lambda name: (name != full, name)):
        above, _, file = name.rpartition("/")
        if above == folder and file.endswith(".onnx"):
            model = file.removesuffix(".onnx").removesuffix(".int8")
            yield read_datasheet(
                bundle.read(name), model=model, file=name, where=f"{bundle.path}: {name}"
            )


def _kind(stage: Network) -> str:
    return str(stage.__struct_config__.tag)


def _value(value: ValueInfo) -> dict[str, Any]:
    return {"name": value.name, "dtype": value.dtype, "shape": value.shape}


def _said(value: ValueInfo) -> str:
    if value.shape is None:
        return f"{value.name}: {value.dtype}, shape not stated"
    sizes = ", ".join("?" if size is None else str(size) for size in value.shape)
    return f"{value.name}: {value.dtype} ({sizes})"


def _row(sheet: Datasheet) -> list[object]:
    cost = sheet.cost
    weights = ", ".join(f"{dtype} {size / 1e6:.2f}" for dtype, size in cost.weights.items())
    return [
        sheet.model,
        f"{sheet.bytes / 1e6:.2f}",
        weights or "none",
        sum(cost.operators.values()),
        f"{cost.parameters:,}",
        "unknown" if cost.flops is None else f"{cost.flops / 1e9:.3f}",
        "unknown" if cost.integer_share is None else percentage(cost.integer_share),
    ]


def _operators(sheets: Iterable[Datasheet]) -> Iterator[str]:
    """Yield the operators by type, once for models that have the same."""
    groups: dict[str, list[str]] = {}
    for sheet in sheets:
        counts = ", ".join(f"{name}\xa0{count}" for name, count in sheet.cost.operators.items())
        groups.setdefault(counts, []).append(sheet.model)
    for counts, models in groups.items():
        yield f"{', '.join(models)}: {counts}"


def _remarks(sheets: Iterable[Datasheet]) -> Iterator[str]:
    for sheet in sheets:
        gaps = sheet.cost.gaps
        if gaps:
            more = f"; and {len(gaps) - _GAPS} more" if len(gaps) > _GAPS else ""
            yield f"{sheet.model}: FLOPs unknown: {'; '.join(gaps[:_GAPS])}{more}"
        elif sheet.cost.batch != 1:
            yield f"{sheet.model}: the file fixes a batch of {sheet.cost.batch}; FLOPs are of all"
