"""Which backend and precision may answer: INT8 only on evidence, FP32 otherwise.

Evidence is a verdict of ``cspine verify``, kept beside the bundle, that names the bundle's digest,
the backend, the emission and the case set. Without it a lower precision is not used, and one
verdict of ``fail`` outweighs every pass; nothing falls back silently, the choice always comes with
its reason. Evidence of a format before :data:`OLDEST` does not count, and the reason says that it
is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from cspine.backends.capability import capability
from cspine.bundle import Bundle
from cspine.device import Device
from cspine.errors import BackendError, BundleError
from cspine.gate import Gate

Precision = Literal["fp32", "fp16", "int8"]
Verdict = Literal["pass", "fail", "inconclusive"]

FORMAT = 4
OLDEST = 3
"""The first format that counts: format 4 less what it has on grades, ratios and regions."""


@dataclass(frozen=True)
class Choice:
    """A backend, a precision and the emission that serves it.

    ``target`` is ``None`` for FP32, whose graph is the same for every backend.
    """

    backend: str
    precision: Precision
    target: str | None
    reason: str


class Bounds(msgspec.Struct, frozen=True):
    """The 95 % interval of a figure of INT8 less that of FP32, and the margin it was judged by."""

    name: str
    low: float
    high: float
    margin: float


class Evidence(msgspec.Struct, frozen=True):
    """The part of a verdict that decides what may run; the file holds all the rest."""

    format: Literal[3, 4]
    bundle: str
    backend: str
    target: str
    verdict: Verdict
    criteria: tuple[Bounds, ...]


class _Dated(msgspec.Struct, frozen=True):
    """The part of a file of evidence, of whatever format, that says whether it can be read."""

    format: int
    bundle: str
    backend: str
    target: str


def fp32(backend: str, *, reason: str = "asked for") -> Choice:
    """Return the choice of the FP32 models."""
    return Choice(backend, "fp32", None, reason)


def int8(backend: str, device: Device, *, reason: str = "asked for") -> Choice:
    """Return the choice of the INT8 emission for a backend on this device, on any evidence.

    Raises
    ------
    BundleError
        If no emission is exact on this device.
    """
    match backend:
        case "tensorrt":
            target: str | None = _tensorrt_emission()
        case "openvino":
            target = "openvino"
        case _:
            target = device.onnxruntime_target
    if target is None:
        raise BundleError(
            f"backend {backend!r}: no INT8 emission is known to be exact on this CPU "
            f"({device.cpu}); use --precision fp32"
        )
    return Choice(backend, "int8", target, reason)


def choose(bundle: Bundle, device: Device, *, backend: str, precision: Precision | None) -> Choice:
    """Choose what answers: what was asked for if it is allowed, else the best that is.

    Raises
    ------
    BundleError
        If INT8 was asked for and no passing evidence allows it.
    """
    if precision == "fp32":
        return fp32(backend)
    if backend == "onnxruntime" and device.onnxruntime_target is None:
        if precision == "int8":
            return int8(backend, device)
        return fp32(backend, reason="no INT8 emission is known to be exact on this CPU")
    candidate = int8(backend, device, reason="its verdict on the locked set is pass")
    if candidate.target not in bundle.targets:
        why = f"the bundle has no INT8 emission for {candidate.target}"
        remedy = f"cspine emit {bundle.path} --target {candidate.target}"
    else:
        verdict = verdict_of(bundle, candidate)
        if verdict == "pass":
            return candidate
        why = f"the verdict of INT8 is {verdict or 'missing'} for {backend}"
        if verdict is None and _outdated(bundle, candidate):
            why += "; there is one of an older format, which does not count"
        remedy = f"cspine verify {bundle.path} --set DIR --backend {backend}"
    if precision == "int8":
        raise BundleError(f"{bundle.path}: INT8 may not answer: {why}; run: {remedy}")
    return fp32(backend, reason=why)


def evidence_path(bundle: Bundle, choice: Choice, *, set_digest: str) -> Path:
    """Return where the verdict on a choice lies: each case set has its own."""
    name = f"{bundle.digest[:12]}.{choice.backend}.{choice.target}.{set_digest[:12]}.json"
    return bundle.evidence / name


def evidence_of(bundle: Bundle) -> list[Evidence]:
    """Return all that is on record for exactly this bundle, in the order of file names.

    Raises
    ------
    BundleError
        If a file of this bundle's cannot be read: it might hold a ``fail``.
    """
    return list(evidence_files(bundle).values())


def evidence_files(bundle: Bundle) -> dict[Path, Evidence]:
    """Return the files of :func:`evidence_of`."""
    found = {path: _read(path) for path in _paths(bundle)}
    return {path: each for path, each in found.items() if each and each.bundle == bundle.digest}


def believed(evidence: Evidence, *, gate: Gate) -> Verdict:
    """Return the verdict as far as its own intervals bear it out.

    Parameters
    ----------
    gate
        Of the bundle's pipeline file. Everything that it declares a margin for must have been
        judged, and the stricter of its margin and of that on record counts, so that no file talks
        INT8 past the gate with a wider one.
    """
    found = {bounds.name: bounds for bounds in evidence.criteria}
    margins = {
        name: min(margin, found[name].margin)
        for name, margin in gate.margins.items()
        if name in found
    }
    if evidence.verdict == "fail" or any(found[name].high < -margins[name] for name in margins):
        return "fail"
    holds = all(found[name].low > -margins[name] for name in margins)
    if evidence.verdict == "pass" and margins.keys() == gate.margins.keys() and holds:
        return "pass"
    return "inconclusive"


def verdict_of(bundle: Bundle, choice: Choice) -> Verdict | None:
    """Return the verdict of all evidence for exactly this bundle, backend and emission.

    One ``fail`` on any case set is a ``fail``; else one ``pass`` is a ``pass``; else what there is
    is ``inconclusive``. ``None`` if there is none.

    Raises
    ------
    BundleError
        If evidence of this bundle cannot be read.
    """
    verdicts = {
        believed(evidence, gate=bundle.spec.gate)
        for evidence in evidence_of(bundle)
        if (evidence.backend, evidence.target) == (choice.backend, choice.target)
    }
    order: tuple[Verdict, ...] = ("fail", "pass", "inconclusive")
    return next((verdict for verdict in order if verdict in verdicts), None)


def _tensorrt_emission() -> str:
    """Return the emission for the installed TensorRT; where there is none, the usual one."""
    try:
        return capability().emission
    except BackendError:
        return "trt"


def _paths(bundle: Bundle) -> list[Path]:
    return sorted(bundle.evidence.glob(f"{bundle.digest[:12]}.*.json"))


def _outdated(bundle: Bundle, choice: Choice) -> bool:
    """Return whether there is a verdict on a choice that was written in an older format."""
    named = (bundle.digest, choice.backend, choice.target)
    found = (_dated(path.read_bytes()) for path in _paths(bundle))
    return any(
        each.format < OLDEST and (each.bundle, each.backend, each.target) == named for each in found
    )


def _read(path: Path) -> Evidence | None:
    """Read a file of evidence; ``None`` if it is of an older format."""
    try:
        data = path.read_bytes()
        if _dated(data).format < OLDEST:
            return None
        return msgspec.json.decode(data, type=Evidence)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read as evidence; remove it and verify") from error


def _dated(data: bytes) -> _Dated:
    return msgspec.json.decode(data, type=_Dated)
