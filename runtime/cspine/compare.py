"""What changed from one bundle to another, in a reviewer's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cspine.bundle import PIPELINE, Bundle, emission_of, fp32_path, table_path
from cspine.evidence import Verdict, evidence_of, verdict_of
from cspine.outline import outline
from cspine.precision import Choice, Precision

_NAMES = ("id", "label", "output")  # what tells the tables of a list apart

Facts = Mapping[str, Mapping[str, Any]]


class Change(msgspec.Struct, frozen=True):
    """A value of both bundles; ``None`` stands for a key that one of them lacks."""

    key: str
    old: Any
    new: Any


class Network(msgspec.Struct, frozen=True):
    """What became of the models of one stage, a sentence each."""

    stage: str
    changes: tuple[str, ...]


class Proof(msgspec.Struct, frozen=True):
    """The verdicts on record beside each bundle, of one backend, emission and precision."""

    backend: str
    target: str
    precision: Precision
    old: Verdict | None
    new: Verdict | None


class Comparison(msgspec.Struct, frozen=True):
    """What changed between two bundles; an empty list says that nothing did.

    ``old`` and ``new`` are their digests, ``format`` is of their manifests. ``files`` are changes
    by digest in files that are neither the pipeline's nor a network's. ``evidence`` and
    ``signatures``, by fingerprint, are all there is on either, changed or not.
    """

    old: str
    new: str
    format: Change
    pipeline: tuple[Change, ...]
    networks: tuple[Network, ...]
    files: tuple[Change, ...]
    provenance: tuple[Change, ...]
    evidence: tuple[Proof, ...]
    signatures: Change


def compare(old: Bundle, new: Bundle) -> Comparison:
    """Compare two bundles."""
    stages = dict.fromkeys(stage.id for each in (old, new) for stage in each.spec.networks)
    parts = {stage: _parts(old, new, stage) for stage in stages}
    spoken = {PIPELINE, *(name for names in parts.values() for name in names)}
    networks = [Network(stage, tuple(_told(old, new, names))) for stage, names in parts.items()]
    return Comparison(
        old=old.digest,
        new=new.digest,
        format=Change("format", old.manifest.format, new.manifest.format),
        pipeline=tuple(_pipeline(old, new)),
        networks=tuple(network for network in networks if network.changes),
        files=tuple(
            change for change in _changes(_digests(old), _digests(new)) if change.key not in spoken
        ),
        provenance=tuple(_provenance(old.manifest.provenance, new.manifest.provenance)),
        evidence=tuple(_proofs(old, new)),
        signatures=Change(
            "signed by", *([each.fingerprint for each in one.signatures] for one in (old, new))
        ),
    )


def flattened(value: Any, above: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables by their path, such as ``gate.auc_margin``.

    The tables of a list are named by what tells them apart, so that one more moves no others.
    """
    if isinstance(value, Mapping):
        items = {str(key): each for key, each in value.items()}
    elif isinstance(value, Sequence) and value and all(isinstance(each, Mapping) for each in value):
        items = {_name(each, place): each for place, each in enumerate(value)}
    else:
        return {above: value}
    found: dict[str, Any] = {}
    for key, each in items.items():
        found |= flattened(each, f"{above}.{key}" if above else key)
    return found


def _name(table: Mapping[str, Any], place: int) -> str:
    return next((str(table[name]) for name in _NAMES if name in table), str(place))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    return [
        Change(key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _digests(bundle: Bundle) -> dict[str, str]:
    return {name: file.sha256 for name, file in bundle.manifest.files.items()}


def _pipeline(old: Bundle, new: Bundle) -> list[Change]:
    was, now = _digests(old)[PIPELINE], _digests(new)[PIPELINE]
    if was == now:
        return []
    keys = [flattened(msgspec.to_builtins(bundle.spec)) for bundle in (old, new)]
    return _changes(*keys) or [Change("comments or layout", was, now)]


def _provenance(old: Facts, new: Facts) -> Iterator[Change]:
    for path in sorted({*old, *new}):
        if path in old and path in new:
            for change in _changes(flattened(old[path]), flattened(new[path])):
                yield Change(f"{path}: {change.key}", change.old, change.new)
        else:
            yield Change(path, old.get(path), new.get(path))


def _parts(old: Bundle, new: Bundle, stage: str) -> dict[str, str]:
    """Return the files of a stage's network, and what each is to a reviewer."""
    emissions = {
        name: f"{found.precision.upper()} emission for {found.target}"
        for name in sorted({*old.manifest.files, *new.manifest.files})
        if (found := emission_of(name)) and found.stage == stage
    }
    return {fp32_path(stage): "FP32 model", table_path(stage): "calibration table", **emissions}


def _told(old: Bundle, new: Bundle, parts: Mapping[str, str]) -> Iterator[str]:
    """Yield what became of each part, and of a changed model what of it has changed."""
    changed = _changes(*({name: _digests(each).get(name) for name in parts} for each in (old, new)))
    if changed and all(emission_of(change.key) for change in changed):
        yield "only emissions changed: the FP32 model and the calibration table are the same"
    for change in changed:
        if change.old is None:
            yield f"{parts[change.key]} added"
        elif change.new is None:
            yield f"{parts[change.key]} removed"
        elif change.key.endswith(".onnx"):
            difference = "; ".join(_models(old.read(change.key), new.read(change.key)))
            yield f"{parts[change.key]} changed: {difference}"
        else:
            yield f"{parts[change.key]} changed"


def _models(old: bytes, new: bytes) -> Iterator[str]:
    was, now = outline(old), outline(new)
    if was is None or now is None:
        yield "one of the two cannot be read as ONNX"
        return
    shared = was.weights.keys() & now.weights.keys()
    other = sum(was.weights[name] != now.weights[name] for name in shared)
    gone, added = len(was.weights) - len(shared), len(now.weights) - len(shared)
    if other or gone or added:
        more = f", {gone} gone, {added} new" if gone or added else ""
        yield f"weights changed in {other} of {len(shared)} tensors{more}"
    else:
        yield "weights unchanged"
    if was.wiring == now.wiring:
        yield "graph unchanged"
    else:
        counts = _changes(was.operators, now.operators)
        told = ", ".join(f"{each.key} {each.old or 0} -> {each.new or 0}" for each in counts)
        yield f"graph changed: {told or 'the same operators, otherwise wired, named or set'}"
    if was.interface != now.interface:
        yield "inputs, outputs or operator sets changed"


def _proofs(old: Bundle, new: Bundle) -> Iterator[Proof]:
    named = {
        (each.backend, each.target, each.precision)
        for one in (old, new)
        for each in evidence_of(one)
    }
    for backend, target, precision in sorted(named):
        choice = Choice(backend, precision, target, "to be compared")
        was, now = (verdict_of(each, choice) for each in (old, new))
        yield Proof(backend, target, precision, was, now)
