"""Which precision may answer: INT8 and FP16 only on evidence, FP32 otherwise.

Without a passing verdict a lower precision is not used; nothing falls back silently, the choice
always comes with its reason. That evidence is there, of a format too old to count, is part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cspine.bundle import Bundle, EmittedPrecision
from cspine.device import Device
from cspine.errors import BundleError
from cspine.evidence import outdated, verdict_of
from cspine.precision import LOWER, UNKNOWN_CPU, Choice, Precision, fp32, lower

_PASSED = "its verdict on the locked set is pass"


def choose(bundle: Bundle, device: Device, *, backend: str, precision: Precision | None) -> Choice:
    """Choose what answers: what was asked for if it is allowed, else the best that is.

    Raises
    ------
    BundleError
        If a precision below FP32 was asked for and no passing evidence allows it, or evidence of
        the bundle cannot be read.
    """
    if precision == "fp32":
        return fp32(backend)
    if precision is None:
        allowed, withheld = admitted(bundle, device, backend=backend)
        return allowed[0] if allowed else fp32(backend, reason="; ".join(withheld.values()))
    candidate = lower(backend, device, precision, reason=_PASSED)
    if doubt := _doubt(bundle, candidate, precision):
        raise BundleError(
            f"{bundle.path}: {precision.upper()} may not answer: {doubt.why}; run: {doubt.remedy}"
        )
    return candidate


def admitted(
    bundle: Bundle, device: Device, *, backend: str
) -> tuple[list[Choice], dict[EmittedPrecision, str]]:
    """Return what may answer for FP32, the lowest precision first, and why another may not.

    Raises
    ------
    BundleError
        If evidence of the bundle cannot be read.
    """
    allowed: list[Choice] = []
    withheld: dict[EmittedPrecision, str] = {}
    for precision in LOWER[backend]:
        if backend == "onnxruntime" and device.onnxruntime_target is None:
            withheld[precision] = UNKNOWN_CPU  # no verdict changes that
            continue
        candidate = lower(backend, device, precision, reason=_PASSED)
        if doubt := _doubt(bundle, candidate, precision):
            withheld[precision] = doubt.why
        else:
            allowed.append(candidate)
    return allowed, withheld


@dataclass(frozen=True)
class _Doubt:
    """Why a choice may not answer, and the command that may change it."""

    why: str
    remedy: str


def _doubt(bundle: Bundle, candidate: Choice, precision: EmittedPrecision) -> _Doubt | None:
    """Return what stands against a candidate of that precision; ``None`` if its verdict is pass."""
    name, target = precision.upper(), candidate.target
    option = "" if precision == "int8" else f" --precision {precision}"
    if target and target not in bundle.emitted(precision):
        return _Doubt(
            f"the bundle has no {name} emission for {target}",
            f"cspine emit {bundle.path} --target {target}{option}",
        )
    verdict = verdict_of(bundle, candidate)
    if verdict == "pass":
        return None
    why = f"the verdict of {name} is {verdict or 'missing'} for {candidate.backend}"
    if verdict is None and outdated(bundle, candidate):
        why += "; there is one of an older format, which does not count"
    return _Doubt(
        why, f"cspine verify {bundle.path} --set DIR --backend {candidate.backend}{option}"
    )
