"""How well admission tells faults: films of every kind, with headers that say nothing or lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from io import BytesIO

import msgspec
import pydicom

from cspine.bundle import Bundle
from cspine.codes import Code
from cspine.device import installed, this_device
from cspine.dicom.select import Study
from cspine.findings import Findings
from cspine.pipeline import Pipeline
from cspine.precision import Choice
from cspine_bench.metrics.proportion import wilson
from cspine_phantom.faults.film import Fault
from cspine_phantom.imaging.aim import Header
from cspine_phantom.pool import spread
from cspine_phantom.study import phantom

EXPECTED: dict[Fault, Code] = {
    "other part": "WRONG_ANATOMY",
    "unseen part": "WRONG_ANATOMY",
    "ap": "WRONG_VIEW",
    "oblique": "WRONG_VIEW",
    "rotated": "NOT_TRUE_LATERAL",
    "inverted": "ORIENTATION_CONFLICT",
    "mirrored": "ORIENTATION_CONFLICT",
    "upside down": "ORIENTATION_CONFLICT",
    "blank": "LOW_QUALITY",
    "clipped": "LOW_QUALITY",
    "low contrast": "LOW_QUALITY",
    "motion": "LOW_QUALITY",
    "grid lines": "LOW_QUALITY",
    "stitched": "LOW_QUALITY",
    "pasted text": "LOW_QUALITY",
    "hardware": "HARDWARE",
    "jewellery": "HARDWARE",
    "c7 hidden": "NOT_VISIBLE",
}
"""The code that each fault must be refused with, or its levels withheld."""

HEADERS: tuple[Header, ...] = ("stripped", "lying")

Job = tuple[int, int, Fault | None, Header]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What admission made of the films of one kind.

    ``right`` counts films refused or withheld with the code expected, of clean ones those that
    were answered; ``low`` and ``high`` bound its share (Wilson, 95 %). ``missed`` counts films
    with a fault that got an answer which the fault forbids.
    """

    fault: str
    header: str
    films: int
    right: int
    low: float
    high: float
    missed: int
    codes: dict[str, int]


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one run."""

    bundle: str
    backend: str
    target: str
    seed: int
    rows: tuple[Row, ...]
    device: dict[str, object]
    versions: dict[str, str | None]


def measure_admission(
    bundle: Bundle,
    choice: Choice,
    *,
    seed: int,
    of_each: int,
    clean: int,
    progress: Callable[[int, int], None],
) -> Admission:
    """Send films with every fault, and clean ones, through a pipeline.

    Every film is of a patient of its own, and none of ``seed`` was trained or tuned on.
    """
    jobs = _plan(seed, of_each, clean)
    found: dict[tuple[str, str], list[tuple[bool, bool, str]]] = {}
    pipeline = Pipeline.open(bundle, choice)
    try:
        for (_, _, fault, header), (data, hidden) in zip(
            jobs, spread(_film, jobs, progress=progress), strict=True
        ):
            findings = pipeline.run(Study((pydicom.dcmread(BytesIO(data)),))).findings
            judged = _judge(findings, fault, hidden)
            found.setdefault((fault or "none", header), []).append(judged)
    finally:
        pipeline.close()
    return Admission(
        bundle=bundle.digest,
        backend=choice.backend,
        target=choice.graph,
        seed=seed,
        rows=tuple(_row(fault, header, judged) for (fault, header), judged in found.items()),
        device=dict(this_device().facts()),
        versions={name: installed(name) for name in ("cspine", "onnxruntime", "openvino")},
    )


def _plan(seed: int, of_each: int, clean: int) -> list[Job]:
    kinds: list[tuple[Fault | None, int]] = [(None, clean), *((each, of_each) for each in EXPECTED)]
    wanted = [(fault, header) for fault, count in kinds for header in HEADERS for _ in range(count)]
    return [(seed, number, fault, header) for number, (fault, header) in enumerate(wanted)]


def _film(job: Job) -> tuple[bytes, tuple[str, ...]]:
    seed, number, fault, header = job
    film = phantom(seed=seed, number=number, fault=fault, header=header)
    file = BytesIO()
    film.dataset.save_as(file, enforce_file_format=True)
    return file.getvalue(), film.hidden


def _judge(
    findings: Findings, fault: Fault | None, hidden: tuple[str, ...]
) -> tuple[bool, bool, str]:
    """Return whether the answer is right, whether the fault was missed, and what was said."""
    withheld = {item.label: item.code for item in findings.withheld}
    said = findings.refusal.code if findings.refusal else "+".join(sorted(set(withheld.values())))
    if fault is None:
        return findings.status == "answered", False, said or "answered"
    expected = EXPECTED[fault]
    if fault == "c7 hidden" and findings.refusal is None:
        spoken = {level.label for level in findings.levels}
        missed = bool(spoken & set(hidden))
        return not missed and expected in withheld.values(), missed, said or "answered"
    return said == expected, findings.refusal is None, said or "answered"


def _row(fault: str, header: str, judged: list[tuple[bool, bool, str]]) -> Row:
    right = sum(each[0] for each in judged)
    share = wilson(right, len(judged))
    return Row(
        fault=fault,
        header=header,
        films=len(judged),
        right=right,
        low=round(share.low, 4),
        high=round(share.high, 4),
        missed=sum(each[1] for each in judged),
        codes=dict(Counter(each[2] for each in judged).most_common()),
    )
