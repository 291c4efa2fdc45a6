"""The fastest admissible backend, precision and thread count, measured on this device.

Admissible is FP32 on ONNX Runtime and OpenVINO where they are installed and on TensorRT where this
device has built the engines, and on each of them INT8, and on TensorRT FP16, where the verdict is
pass. On the CPU each is measured with one thread and with every core. A DLA is chosen for its power
and not for its speed, and is not among them.

The winner is remembered in the cache under every fact that shaped it, and `run` uses it until one
of them changes or something else is admissible.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from cspine.bundle import Bundle
from cspine.cache import cache_folder, cache_key, write_cached
from cspine.choose import admitted
from cspine.device import Device, installed
from cspine.dicom.select import Study
from cspine.engines.store import find_engine
from cspine.errors import CspineError, StudyError
from cspine.files import check_writable
from cspine.pipeline import Pipeline
from cspine.precision import Choice, Precision, fp32

ROUNDS = 15
WARM_UP = 3


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate, and the milliseconds that its networks took for a study.

    They are the median over the rounds, of the mean over the studies. TensorRT has no use for
    ``threads``; it is 1.
    """

    backend: str
    precision: Precision
    target: str | None
    threads: int
    milliseconds: float


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """Every candidate, the fastest first, and why others were none."""

    bundle: str
    candidates: tuple[Measured, ...]
    left_out: tuple[str, ...]

    @property
    def best(self) -> Measured:
        """The fastest."""
        return self.candidates[0]


@dataclass(frozen=True)
class Tuned:
    """What `run` takes from a tuning."""

    choice: Choice
    threads: int


def tune(
    bundle: Bundle,
    device: Device,
    studies: Sequence[Study],
    *,
    progress: Callable[[int, int], None],
) -> Tuning:
    """Measure every candidate on the same studies, interleaved in random order, and remember.

    The candidates are what :func:`admissible` returns; those on the CPU come twice, with one
    thread and with every core.

    Raises
    ------
    StudyError
        If there is no study, or one is refused, for it would not reach the networks.
    OSError
        If the cache cannot be written; found out before anything is measured.
    """
    if not studies:
        raise StudyError("there is no study to measure on; give one that the pipeline answers")
    place = _path(bundle, device)
    check_writable(place)
    choices, left_out = admissible(bundle, device)
    arms = [(choice, threads) for choice in choices for threads in _threads(choice, device)]
    times: dict[int, list[float]] = {number: [] for number in range(len(arms))}
    order = random.Random(0)  # noqa: S311 - an order of measurement, no secret
    for done in range(ROUNDS):
        for number in order.sample(range(len(arms)), len(arms)):
            choice, threads = arms[number]
            # One pipeline at a time: another runtime's idle threads would take the cores.
            pipeline = Pipeline.open(bundle, choice, threads=threads)
            try:
                for _ in range(WARM_UP + 1):
                    taken = sum(_nanoseconds(pipeline, study) for study in studies)
            finally:
                pipeline.close()
            times[number].append(taken / len(studies) / 1e6)
        progress(done + 1, ROUNDS)
    measured = [
        Measured(
            backend=choice.backend,
            precision=choice.precision,
            target=choice.target,
            threads=threads,
            milliseconds=round(median(times[number]), 3),
        )
        for number, (choice, threads) in enumerate(arms)
    ]
    measured.sort(key=lambda each: each.milliseconds)
    tuning = Tuning(bundle=bundle.digest, candidates=tuple(measured), left_out=left_out)
    write_cached(place, msgspec.json.format(msgspec.json.encode(tuning), indent=2) + b"\n")
    return tuning


def admissible(bundle: Bundle, device: Device) -> tuple[list[Choice], tuple[str, ...]]:
    """Return what may answer on this device, and what may not with the reason.

    Raises
    ------
    BundleError
        If evidence of the bundle cannot be read.
    """
    choices: list[Choice] = []
    left_out: list[str] = []
    for backend in ("onnxruntime", "openvino", "tensorrt"):
        if backend != "tensorrt" and installed(backend) is None:
            left_out.append(f"{backend}: not installed")
            continue
        allowed, withheld = admitted(bundle, device, backend=backend)
        left_out += [f"{backend} {precision}: {why}" for precision, why in withheld.items()]
        for choice in (fp32(backend), *allowed):
            lacking = _lacking(bundle, choice)
            if lacking is None:
                choices.append(choice)
            else:
                left_out.append(f"{backend} {choice.precision}: {lacking}")
    return choices, tuple(left_out)


def tuned(bundle: Bundle, device: Device) -> Tuned | None:
    """Return the remembered winner, if every fact that shaped it still holds.

    It does not if something else than the candidates is admissible by now: evidence or engines
    came, went or changed. A cache that cannot be read remembers nothing.
    """
    try:
        measured = msgspec.json.decode(_path(bundle, device).read_bytes(), type=Tuning)
        choices, _ = admissible(bundle, device)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, CspineError):
        return None
    known = {(each.backend, each.precision, each.target) for each in measured.candidates}
    if not known or known != {(each.backend, each.precision, each.target) for each in choices}:
        return None
    best = measured.best
    reason = f"the fastest of those that may answer here, {best.milliseconds:.1f} ms a study"
    return Tuned(Choice(best.backend, best.precision, best.target, reason), best.threads)


def _threads(choice: Choice, device: Device) -> list[int]:
    return [1] if choice.backend == "tensorrt" else sorted({1, device.cores})


def _nanoseconds(pipeline: Pipeline, study: Study) -> int:
    """Return what the networks took for a study."""
    outcome = pipeline.run(study)
    if outcome.findings.refusal is not None:
        raise StudyError("a study is refused, so it tunes nothing; give another")
    # A network that the study gives no cause for was not run.
    return sum(outcome.nanoseconds.get(stage.id, 0) for stage in pipeline.spec.networks)


def _lacking(bundle: Bundle, choice: Choice) -> str | None:
    """Say what a choice cannot be opened without: TensorRT answers only from built engines."""
    if choice.backend != "tensorrt":
        return None
    try:
        for stage in bundle.spec.networks:
            find_engine(bundle=bundle.digest, stage=stage.id, precision=choice.precision)
    except CspineError as error:
        return str(error)
    return None


def _path(bundle: Bundle, device: Device) -> Path:
    """Name the entry by everything that shapes the result."""
    packages = ("cspine", "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx-cu13-bindings")
    versions = [f"{name} {installed(name)}" for name in packages]
    key = cache_key(bundle.digest, *versions, *device.facts().items())
    return cache_folder() / "tuning" / f"{key}.json"
