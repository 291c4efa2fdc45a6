"""What a bundle is held against: another bundle in the same run, or the record of an earlier run.

Between two runs clocks and machines differ, so a time of one is nothing to hold one of the other
against. What both runs share is FP32: how much the candidate takes of FP32's time now is held
against how much it took then.
"""

from __future__ import annotations

from dataclasses import dataclass

from cspine.bundle import Bundle, EmittedPrecision
from cspine.errors import ModelError
from cspine.files import sha256
from cspine.precision import Precision
from cspine_bench.latency.machine import MachineState, void_reasons
from cspine_bench.latency.record import Baseline, Gate, Record
from cspine_bench.latency.scenario import TOTAL

RUNTIMES = ("onnxruntime", "openvino", "tensorrt")


@dataclass(frozen=True)
class Comparison:
    """A verdict that is asked for, before the run.

    Attributes
    ----------
    against
        A bundle, whose model of the candidate's precision takes turns with the candidate: the
        strong form. Or a record, of which the candidate is judged and the reference, FP32, ties
        the two runs together.
    gate
        What may grow by how much.
    at_most
        Up to how many blocks to go on, where the first ones differ too much to decide; ``None``
        to stop after those in any case.
    """

    against: Bundle | Record
    gate: Gate
    at_most: int | None = None


def check_comparable(old: Record, new: Record, *, state: MachineState) -> None:
    """Check that all but the candidate's model is the same in two runs.

    Parameters
    ----------
    state
        Of the machine before the new run.

    Raises
    ------
    ModelError
        Naming the first thing that differs.
    """
    if void := void_reasons(old.machine):
        raise ModelError(f"the record is void: {void[0]}; measure it again")
    if old.arms[old.reference].precision != "fp32":
        raise ModelError(
            "the record holds one candidate against another, expected FP32 as its reference; give "
            "the bundle itself to --against"
        )
    facts: list[tuple[str, object, object]] = [
        ("FP32 models", old.arms[old.reference].models, new.arms[new.reference].models),
        ("backend", old.arms[old.candidate].backend, new.arms[new.candidate].backend),
        ("precision", old.arms[old.candidate].precision, new.arms[new.candidate].precision),
        ("runtimes", _runtimes(old), _runtimes(new)),
        ("studies", old.study_digests, new.study_digests),
        ("scenario", old.scenario, new.scenario),
        ("threads", old.threads, new.threads),
        *((f"device's {fact}", old.device.get(fact), new.device.get(fact)) for fact in _DEVICE),
        *((name, getattr(old.machine[0], name), getattr(state, name)) for name in _MODE),
    ]
    for what, then, now in facts:
        if then != now:
            raise ModelError(
                f"{what}: those of the record are others, and the ratio to FP32 may change with "
                "them; give the bundle that it was made of to --against, to measure both now"
            )


def baseline_of(old: Record) -> Baseline:
    """Return what a later run's verdict takes from a record."""
    return Baseline(
        bundle=old.bundle,
        reference=old.nanoseconds[old.reference][TOTAL],
        candidate=old.nanoseconds[old.candidate][TOTAL],
        peak_mib=[start.peak_mib for start in old.starts.get(old.candidate, [])],
    )


def check_digests(record: Record, bundle: Bundle) -> None:
    """Check that a record is of a bundle and of the models in it.

    Raises
    ------
    ModelError
        If a digest differs.
    """
    if record.bundle != bundle.digest:
        raise ModelError(
            f"{bundle.path}: digest {bundle.digest[:12]}, expected {record.bundle[:12]}, of which "
            "the record is; measure this bundle"
        )
    for name, arm in record.arms.items():
        if arm.bundle == bundle.digest and arm.models != model_digests(
            bundle, target=arm.target, precision=arm.precision
        ):
            raise ModelError(f"arm {name!r}: the record's models are not those of {bundle.path}")


def model_digests(bundle: Bundle, *, target: str | None, precision: Precision) -> dict[str, str]:
    """Return the digest of each network's ONNX graph, by stage."""
    emitted: EmittedPrecision = "fp16" if precision == "fp16" else "int8"
    return {
        stage.id: sha256(bundle.model(stage.id, target=target, precision=emitted))
        for stage in bundle.spec.networks
    }


def _runtimes(record: Record) -> dict[str, str | None]:
    return {name: record.versions.get(name) for name in RUNTIMES}


_DEVICE = ("machine", "cpu", "cores", "flags", "jetson")
_MODE = ("power_mode", "governor", "fixed")
