"""The pipeline file: what a pipeline accepts, its stages in order, and its release gate.

TOML, schema-versioned and strict: an unknown key fails, units stand in key names, a stage refers
only to stages before it, and there is neither code nor environment in it.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from cspine.errors import SpecError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:  # Python 3.10, which JetPack 6 brings
    import tomli as tomllib

SCHEMA = 1
SHIPPED = Path(__file__).parent / "pipelines"

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Pixels = Annotated[int, msgspec.Meta(ge=8, le=8192)]
Size = tuple[Pixels, Pixels]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, and strict about the keys of its table."""


class Percentile(Struct, frozen=True, kw_only=True, tag="percentile", tag_field="kind"):
    """Map the grey levels between two percentiles of the tensor to 0..1 and clip the rest."""

    low: Percent
    high: Percent


class Standardise(Struct, frozen=True, kw_only=True, tag="standardise", tag_field="kind"):
    """Subtract the mean of each crop and divide by its standard deviation."""


Grey = Percentile | Standardise


class Architecture(Struct, frozen=True, kw_only=True):
    """The network a checkpoint belongs to; only export reads it."""

    factory: Annotated[str, msgspec.Meta(pattern=r"^[\w.]+:\w+$")]
    arguments: dict[str, Any] = {}


class Segment(Struct, frozen=True, kw_only=True, tag="segment", tag_field="kind"):
    """A network that labels every pixel of the whole image."""

    id: Identifier
    size_px: Size
    spacing_mm: Positive
    grey: Grey
    labels: list[str]
    architecture: Architecture


class Levels(Struct, frozen=True, kw_only=True, tag="levels", tag_field="kind"):
    """Disc levels between adjacent vertebrae of a label map, or the reason there are none."""

    id: Identifier
    masks_from: Identifier
    vertebrae: list[str]
    posterior: str
    minimum_area_mm2: Positive
    minimum_pitch_mm: Positive
    maximum_pitch_mm: Positive


class Classify(Struct, frozen=True, kw_only=True, tag="classify", tag_field="kind"):
    """A network that judges one spine-aligned crop per level, all levels in one batch."""

    id: Identifier
    crops_from: Identifier
    size_px: Size
    spacing_mm: Positive
    posterior_shift_mm: float
    grey: Grey
    positive: str
    negative: str
    threshold: Probability
    architecture: Architecture


class Explain(Struct, frozen=True, kw_only=True, tag="explain", tag_field="kind"):
    """Where a classifier looked, drawn back onto the image."""

    id: Identifier
    map_from: Identifier


Stage = Segment | Levels | Classify | Explain
Network = Segment | Classify

_REFERENCES: dict[type, tuple[str, type]] = {
    Levels: ("masks_from", Segment),
    Classify: ("crops_from", Levels),
    Explain: ("map_from", Classify),
}


class Accept(Struct, frozen=True, kw_only=True):
    """What a study must be before any network sees it."""

    modality: list[str]
    body_part: list[str]
    view: Literal["lateral"]


class Gate(Struct, frozen=True, kw_only=True):
    """Margins that a candidate must keep against FP32, declared before calibration."""

    auc_margin: Positive


class PipelineSpec(Struct, frozen=True, kw_only=True):
    """One pipeline file."""

    schema: int
    name: Identifier
    title: str
    intended_use: str
    accept: Accept
    stage: list[Stage]
    gate: Gate

    @property
    def networks(self) -> tuple[Network, ...]:
        """The stages that run a model, in order."""
        return tuple(stage for stage in self.stage if isinstance(stage, (Segment, Classify)))

    @property
    def level_count(self) -> int:
        """How many disc levels lie between the vertebrae, which is the largest batch."""
        stage: Levels = self.only(Levels)
        return len(stage.vertebrae) - 1

    def only(self, kind: type[Any]) -> Any:
        """Return the single stage of a kind."""
        (found,) = (stage for stage in self.stage if isinstance(stage, kind))
        return found


def load_spec(path: Path) -> PipelineSpec:
    """Read a pipeline file.

    Raises
    ------
    SpecError
        If the file cannot be read, is not TOML, or breaks a rule of the format.
    """
    try:
        return parse_spec(path.read_bytes(), where=path.name)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error


def shipped_spec(name: str) -> Path:
    """Return the file of a pipeline by its shipped name, or the path that was given."""
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}
    if name in shipped:
        return shipped[name]
    if Path(name).suffix == ".toml":
        return Path(name)
    raise SpecError(
        f"no pipeline {name!r}{did_you_mean(name, shipped)}; shipped are {', '.join(shipped)}; "
        "your own is given as a path that ends in .toml"
    )


def parse_spec(data: bytes, *, where: str) -> PipelineSpec:
    """Parse the bytes of a pipeline file; ``where`` names it in messages."""
    try:
        table = tomllib.loads(data.decode())
    except RecursionError as error:
        raise SpecError(f"{where}: not TOML: nested too deeply") from error
    except ValueError as error:  # bytes, syntax, or a number that Python refuses to read
        raise SpecError(f"{where}: not TOML: {error}") from error
    if table.get("schema") != SCHEMA:
        raise SpecError(
            f"{where}: schema is {table.get('schema')!r}, this version reads schema {SCHEMA}"
        )
    try:
        spec = msgspec.convert(table, PipelineSpec)
    except msgspec.ValidationError as error:
        raise SpecError(f"{where}: {_explained(str(error), table)}") from error
    for fault in _faults(spec):
        raise SpecError(f"{where}: {fault}")
    return spec


def _explained(message: str, table: dict[str, Any]) -> str:
    """Name the stage instead of its index and suggest the key that was probably meant."""
    message = re.sub(
        r"\$\.stage\[(\d+)\]",
        lambda match: f"stage {_stage_name(table['stage'][int(match[1])], match[1])!r}",
        message,
    ).replace("`$.", "`")
    unknown = re.search(r"unknown field `([^`]+)`", message)
    return message + (did_you_mean(unknown[1], _known_keys()) if unknown else "")


def _stage_name(stage: object, index: str) -> str:
    return str(stage.get("id", index)) if isinstance(stage, dict) else index


def _known_keys() -> set[str]:
    structs = (PipelineSpec, Accept, Gate, Architecture, Percentile, *get_args(Stage))
    return {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)}


def _faults(spec: PipelineSpec) -> Iterator[str]:
    """Yield what the types alone cannot say."""
    seen: dict[str, Stage] = {}
    for stage in spec.stage:
        if stage.id in seen:
            yield f"stage {stage.id!r} stands twice"
        yield from (f"stage {stage.id!r}: {fault}" for fault in _stage_faults(stage, seen))
        seen[stage.id] = stage
    for kind in get_args(Stage):
        count = sum(isinstance(stage, kind) for stage in spec.stage)
        if count != 1:
            yield f"{count} stages of kind {kind.__name__.lower()!r}, expected exactly one"


def _stage_faults(stage: Stage, seen: dict[str, Stage]) -> Iterator[str]:
    """Yield what is wrong with one stage, given those before it."""
    for field in msgspec.structs.fields(stage):
        value = getattr(stage, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{field.name} = {value} is no finite number"
    if type(stage) in _REFERENCES:
        key, kind = _REFERENCES[type(stage)]
        target = getattr(stage, key)
        if not isinstance(seen.get(target), kind):
            yield (
                f"{key} = {target!r} is no {kind.__name__.lower()} stage before it"
                f"{did_you_mean(target, _of_kind(seen, kind))}"
            )
    if isinstance(stage, Levels):
        yield from _level_faults(stage, getattr(seen.get(stage.masks_from), "labels", []))
    grey = getattr(stage, "grey", None)
    if isinstance(grey, Percentile) and grey.low >= grey.high:
        yield f"grey.low = {grey.low} is not below grey.high = {grey.high}"


def _level_faults(stage: Levels, labels: Sequence[str]) -> Iterator[str]:
    for label in [*stage.vertebrae, stage.posterior]:
        if label not in labels:
            yield (
                f"label {label!r} is not in stage {stage.masks_from!r}{did_you_mean(label, labels)}"
            )
    if len(stage.vertebrae) < 2 or len(set(stage.vertebrae)) < len(stage.vertebrae):
        yield "vertebrae must be two or more, each once"
    if stage.minimum_pitch_mm >= stage.maximum_pitch_mm:
        yield "minimum_pitch_mm is not below maximum_pitch_mm"


def _of_kind(seen: dict[str, Stage], kind: type) -> list[str]:
    return [name for name, stage in seen.items() if isinstance(stage, kind)]
