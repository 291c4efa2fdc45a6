"""The fastest admissible backend, precision and thread count, measured on this device.

Admissible is FP32 on every backend that is installed, and INT8 where its verdict is pass. The
winner is remembered in the cache under every fact that shaped it, and `run` uses it until one of
them changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from cspine.bundle import Bundle
from cspine.cache import cache_folder, cache_key
from cspine.device import Device, installed
from cspine.dicom.select import Study
from cspine.errors import CspineError, StudyError
from cspine.files import write_atomic
from cspine.pipeline import Pipeline
from cspine.precision import Choice, Precision, choose, fp32

ROUNDS = 15
WARM_UP = 3


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate and the median of the milliseconds that its networks took for a study."""

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

    Raises
    ------
    StudyError
        If a study is refused, for it would not reach the networks.
    """
    choices, left_out = admissible(bundle, device)
    counts = sorted({1, device.cores})
    arms = [(choice, threads) for choice in choices for threads in counts]
    times: dict[int, list[float]] = {number: [] for number in range(len(arms))}
    networks = [stage.id for stage in bundle.spec.networks]
    order = random.Random(0)  # noqa: S311 - an order of measurement, no secret
    for done in range(ROUNDS):
        for number in order.sample(range(len(arms)), len(arms)):
            choice, threads = arms[number]
            # One pipeline at a time: another runtime's idle threads would take the cores.
            pipeline = Pipeline.open(bundle, choice, threads=threads)
            for study in [*studies] * (WARM_UP + 1):
                outcome = pipeline.run(study)
                if outcome.findings.refusal is not None:
                    raise StudyError("a study is refused, so it tunes nothing; give another")
                taken = sum(outcome.nanoseconds[name] for name in networks) / 1e6
            times[number].append(taken)
            pipeline.close()
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
    text = msgspec.json.format(msgspec.json.encode(tuning), indent=2) + b"\n"
    write_atomic(_path(bundle, device), text)
    return tuning


def admissible(bundle: Bundle, device: Device) -> tuple[list[Choice], tuple[str, ...]]:
    """Return what may answer on this device, and what may not with the reason."""
    choices: list[Choice] = []
    left_out: list[str] = []
    for backend in ("onnxruntime", "openvino"):
        if installed(backend) is None:
            left_out.append(f"{backend}: not installed")
            continue
        choices.append(fp32(backend))
        best = choose(bundle, device, backend=backend, precision=None)
        if best.precision == "int8":
            choices.append(best)
        else:
            left_out.append(f"{backend} int8: {best.reason}")
    return choices, tuple(left_out)


def tuned(bundle: Bundle, device: Device) -> Tuned | None:
    """Return the remembered winner, if every fact that shaped it still holds."""
    path = _path(bundle, device)
    if not path.is_file():
        return None
    try:
        best = msgspec.json.decode(path.read_bytes(), type=Tuning).best
        # Evidence may have been withdrawn since.
        choice = choose(bundle, device, backend=best.backend, precision=best.precision)
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError, CspineError):
        return None
    reason = f"the fastest of those that may answer here, {best.milliseconds:.1f} ms a study"
    return Tuned(Choice(choice.backend, choice.precision, choice.target, reason), best.threads)


def _path(bundle: Bundle, device: Device) -> Path:
    """Name the entry by everything that shapes the result."""
    versions = [f"{name} {installed(name)}" for name in ("cspine", "onnxruntime", "openvino")]
    key = cache_key(bundle.digest, *versions, *device.facts().items())
    return cache_folder() / "tuning" / f"{key}.json"
