"""The pipeline file: TOML, schema-versioned and strict.

An unknown key fails with a suggestion, a stage refers only to stages before it, and there is
neither code nor environment in it.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from cspine.accept import Accept, Film, Stack, Stacks
from cspine.detection.spec import Anchors, Predictions, Proposals, Regions
from cspine.dicom.stacks.wanted import WantedSeries
from cspine.errors import SpecError, did_you_mean
from cspine.fields import Architecture, Normalise, Percentile, Window
from cspine.gate import Gate
from cspine.geometry import needed_points
from cspine.spec import (
    Answering,
    Axial,
    Classify,
    Cord,
    Detect,
    Explain,
    Features,
    Grade,
    Landmarks,
    Levels,
    Measure,
    OfFilms,
    OfStacks,
    OfTwoStacks,
    PipelineSpec,
    Ratio,
    Segment,
    Sign,
    Slices,
    Stage,
    Worst,
)

if sys.version_info >= (3, 11):
    import tomllib
else:  # Python 3.10, which JetPack 6 brings
    import tomli as tomllib

SCHEMA = 1
SHIPPED = Path(__file__).parent / "pipelines"

_TAGGED: dict[str, Any] = {"view": Accept, "kind": Stage}
_REFERENCES: dict[type, tuple[str, tuple[type, ...]]] = {
    Levels: ("masks_from", (Segment,)),
    Classify: ("crops_from", (Levels,)),
    Explain: ("map_from", (Classify, Slices, Grade)),
    Measure: ("points_from", (Landmarks,)),
    Axial: ("levels_from", (Levels,)),
    Cord: ("slices_from", (Axial,)),
    Ratio: ("points_from", (Cord,)),
    Detect: ("features_from", (Features,)),
    Grade: ("crops_from", (Levels, Detect)),
    Worst: ("grades_from", (Grade,)),
}
_LOOKING: dict[type, Any] = {Film: OfFilms, Stack: OfStacks, Stacks: OfTwoStacks}


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
    if wrong := re.search(r"Invalid value '([^']+)' - at .*\.(view|kind)`$", message):
        known = [each.__struct_config__.tag for each in get_args(_TAGGED[wrong[2]])]
        return f"{message}, expected {', '.join(known)}{did_you_mean(wrong[1], known)}"
    unknown = re.search(r"unknown field `([^`]+)`", message)
    if not unknown:
        return message
    # The same key may be known elsewhere, and no help here.
    return message + did_you_mean(unknown[1], _known_keys() - {unknown[1]})


def _stage_name(stage: object, index: str) -> str:
    return str(stage.get("id", index)) if isinstance(stage, dict) else index


def _known_keys() -> set[str]:
    parts = (PipelineSpec, Gate, Architecture, Normalise, Percentile, Sign, WantedSeries, Window)
    detector = (Anchors, Proposals, Regions, Predictions)
    structs = (*parts, *detector, *get_args(Accept), *get_args(Stage))
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
        if count > 1:
            yield f"{count} stages of kind {kind.__name__.lower()!r}, expected at most one"
    if not any(isinstance(stage, Answering) for stage in spec.stage):
        kinds = "'classify', 'measure', 'slices', 'grade' or 'ratio'"
        yield f"no stage of kind {kinds}, so it answers nothing"
    yield from _accept_faults(spec)
    yield from _keep_float_faults(spec)
    if not spec.gate.margins:
        yield "gate: no margin, so every candidate would pass"
    yield from _screen_faults(spec)
    yield from _unused_faults(spec)


def _keep_float_faults(spec: PipelineSpec) -> Iterator[str]:
    networks = [stage.id for stage in spec.networks]
    for name in spec.keep_float:
        if name not in networks:
            yield f"keep_float: {name!r} is no stage with a network{did_you_mean(name, networks)}"


def _accept_faults(spec: PipelineSpec) -> Iterator[str]:
    """Yield what contradicts itself, or the kind of image that is let in."""
    accept = spec.accept
    youngest, oldest = accept.age_years
    if youngest > oldest:
        yield f"accept.age_years: {youngest} is above {oldest}"
    match accept:
        case Stack(series=series):
            yield from _series_faults("series", series, accept.modality)
        case Stacks(sagittal=sagittal, axial=axial):
            for key, series in (("sagittal", sagittal), ("axial", axial)):
                yield from _series_faults(key, series, accept.modality)
                if series.orientation != key:
                    yield f"accept.{key}.orientation = {series.orientation!r}, expected {key!r}"
    for stage in spec.stage:
        if not isinstance(stage, _LOOKING[type(accept)]):
            yield f"stage {stage.id!r} does not look at what [accept] lets in"
        if isinstance(getattr(stage, "grey", None), Window) and accept.modality != ["CT"]:
            yield f"stage {stage.id!r}: grey of kind 'window' takes Hounsfield units, so CT alone"


def _series_faults(key: str, series: WantedSeries, modality: Sequence[str]) -> Iterator[str]:
    if modality != [series.modality]:
        yield (
            f"accept.modality = {modality}, but a series with"
            f"{'' if series.weighting else 'out'} weighting is {series.modality}"
        )
    if series.weighting and series.kernel:
        yield f"accept.{key}.kernel is of CT, and a weighting of MR"


def _stage_faults(stage: Stage, seen: dict[str, Stage]) -> Iterator[str]:
    """Yield what is wrong with one stage, given those before it."""
    yield from _number_faults(stage)
    yield from _reference_faults(stage, seen)
    if type(stage) in _FAULTS:
        yield from _FAULTS[type(stage)](stage, seen)
    normalise = getattr(getattr(stage, "architecture", None), "normalise", None)
    if normalise and len(normalise.mean) != len(normalise.std):
        yield (
            f"architecture.normalise: {len(normalise.mean)} means, {len(normalise.std)} standard "
            "deviations; expected one of each for every channel"
        )
    grey = getattr(stage, "grey", None)
    if isinstance(grey, Percentile) and grey.low >= grey.high:
        yield f"grey.low = {grey.low} is not below grey.high = {grey.high}"


def _number_faults(stage: Stage) -> Iterator[str]:
    names = [field.name for field in msgspec.structs.fields(stage)]
    for name in names:
        value = getattr(stage, name)
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{name} = {value} is no finite number"
    for name in names:
        largest = name.replace("minimum_", "maximum_")
        if name != largest in names and getattr(stage, name) >= getattr(stage, largest):
            yield f"{name} is not below {largest}"


def _reference_faults(stage: Stage, seen: dict[str, Stage]) -> Iterator[str]:
    if type(stage) not in _REFERENCES:
        return
    key, kinds = _REFERENCES[type(stage)]
    target = getattr(stage, key)
    if not isinstance(seen.get(target), kinds):
        names = " or ".join(kind.__name__.lower() for kind in kinds)
        yield (
            f"{key} = {target!r} is no {names} stage before it"
            f"{did_you_mean(target, _of_kind(seen, kinds))}"
        )


def _level_faults(stage: Levels, seen: dict[str, Stage]) -> Iterator[str]:
    labels: Sequence[str] = getattr(seen.get(stage.masks_from), "labels", [])
    for label in [*stage.vertebrae, stage.posterior]:
        if label not in labels:
            yield (
                f"label {label!r} is not in stage {stage.masks_from!r}{did_you_mean(label, labels)}"
            )
    if len(stage.vertebrae) < 2 or len(set(stage.vertebrae)) < len(stage.vertebrae):
        yield "vertebrae must be two or more, each once"


def _measure_faults(stage: Measure, seen: dict[str, Stage]) -> Iterator[str]:
    points: Sequence[str] = getattr(seen.get(stage.points_from), "points", [])
    for name, needs in needed_points(stage.lines).items():
        for point in sorted(needs - set(points)):
            yield f"{name} needs the point {point!r}, which {stage.points_from!r} does not have"
    if len(set(points)) < len(points):
        yield f"a point of {stage.points_from!r} stands twice"


def _detect_faults(stage: Detect, seen: dict[str, Stage]) -> Iterator[str]:
    features = seen.get(stage.features_from)
    if isinstance(features, Features):
        try:
            stage.detector(features)
        except ValueError as error:
            yield str(error)
    if stage.predictions.labels != 2:
        yield (
            f"predictions.labels = {stage.predictions.labels}, expected 2: the background and the "
            "one region that is looked for"
        )
    if stage.architecture.normalise:
        yield "architecture.normalise: a detector has its own, which is in the network"


def _grade_faults(stage: Grade) -> Iterator[str]:
    if len(set(stage.classes)) < len(stage.classes):
        yield "classes must stand once each"
    for label in stage.positive:
        if label not in stage.classes:
            known = did_you_mean(label, stage.classes)
            yield f"positive: {label!r} is none of {', '.join(stage.classes)}{known}"
    if not stage.positive or not stage.negative:
        yield "positive must name some of the classes and not all"


def _worst_faults(stage: Worst, seen: dict[str, Stage]) -> Iterator[str]:
    grade = seen.get(stage.grades_from)
    if isinstance(grade, Grade) and isinstance(seen.get(grade.crops_from), Levels):
        yield f"grades_from = {stage.grades_from!r} grades levels, expected one that grades slices"
    if stage.adjacent > stage.minimum_slices:
        yield f"adjacent = {stage.adjacent} is above minimum_slices = {stage.minimum_slices}"


_FAULTS: Mapping[type[Stage], Callable[[Any, dict[str, Stage]], Iterator[str]]] = {
    Levels: _level_faults,
    Measure: _measure_faults,
    Detect: _detect_faults,
    Grade: lambda stage, _: _grade_faults(stage),
    Worst: _worst_faults,
}


def _unused_faults(spec: PipelineSpec) -> Iterator[str]:
    """Yield what would be computed and not be said."""
    if spec.has(Features) and not spec.has(Detect):
        yield "no stage of kind 'detect' takes what the stage of kind 'features' finds"
    if spec.has(Detect) and not spec.has(Worst):
        yield "no stage of kind 'worst' makes one answer of what is found on slices"


def _screen_faults(spec: PipelineSpec) -> Iterator[str]:
    # From the second on, nothing would be left.
    vertebrae = spec.vertebrae
    signs = spec.screen.sign if spec.screen else []
    labels = [sign.label for sign in signs]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        yield f"sign {label!r} stands twice"
    for sign in signs:
        if sign.withholds_from is not None and sign.withholds_from not in vertebrae[2:]:
            yield (
                f"sign {sign.label!r}: withholds_from = {sign.withholds_from!r} is none of "
                f"{', '.join(vertebrae[2:])}{did_you_mean(sign.withholds_from, vertebrae[2:])}"
            )


def _of_kind(seen: dict[str, Stage], kinds: tuple[type, ...]) -> list[str]:
    return [name for name, stage in seen.items() if isinstance(stage, kinds)]
