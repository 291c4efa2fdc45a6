"""``verify``: a candidate against FP32 on the same cases, as pass, fail or inconclusive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from cspine.accept import Accept
from cspine.bundle import Bundle
from cspine.device import installed, this_device
from cspine.errors import ModelError
from cspine.evidence import evidence_path
from cspine.files import write_atomic
from cspine.findings import Refused
from cspine.pipeline import Pipeline
from cspine.precision import Choice, fp32
from cspine.spec import Levels, Slices, Worst
from cspine.stages.levels import level_names
from cspine_bench.accuracy.answers import CaseAnswers, answer, patient_numbers
from cspine_bench.accuracy.decoded import Decoded
from cspine_bench.accuracy.evidence import Report, evidence_bytes
from cspine_bench.accuracy.journal import Journal
from cspine_bench.accuracy.judge import judge
from cspine_bench.accuracy.looks import Look, check_looks, look_number, put_on_record
from cspine_bench.accuracy.trial import Trial
from cspine_bench.accuracy.truth import graded_classes, measured_lines
from cspine_bench.cases import Case, CaseSet
from cspine_bench.columns import FILE

# Keys of a file's provenance that hold digests of studies, and what was done on those.
_SHAPED = {"studies": "calibrated", "tuned_on": "tuned"}


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def verify(
    bundle: Bundle,
    candidate: Choice,
    cases: CaseSet,
    *,
    threads: int | None,
    progress: Callable[[int, int], None] = _silent,
) -> Report:
    """Run both precisions over a locked set, judge the candidate and keep the evidence.

    The reference is FP32 on ONNX Runtime's CPU provider, whatever the candidate's backend. What was
    answered before a kill is not asked again. The set's record of looks counts this candidate.

    Parameters
    ----------
    threads
        CPU threads for one inference.
    progress
        Called with the cases answered and their number.

    Raises
    ------
    ModelError
        If the bundle was calibrated or tuned on a study of the set, the set is too one-sided to
        judge, or its looks cannot be put on record.
    """
    check_looks(cases.folder)
    kept = evidence_path(bundle, candidate, set_digest=cases.digest)
    device = this_device().facts()
    versions = {name: installed(name) for name in ("cspine", "onnxruntime", "openvino", "tensorrt")}
    look = Look(
        bundle=bundle.digest,
        backend=candidate.backend,
        target=candidate.graph,
        precision=candidate.precision,
        set_digest=cases.digest,
    )
    key = {"look": look, "threads": threads, "device": device, "versions": versions}
    with Journal(kept.with_suffix(".journal"), key=key) as journal:
        _answer(bundle, candidate, cases, journal, threads=threads, progress=progress)
        report = judge(
            Trial(
                bundle=look.bundle,
                backend=look.backend,
                target=look.target,
                precision=look.precision,
                gate=bundle.spec.gate,
                threshold=bundle.spec.threshold,
                lines=measured_lines(bundle.spec),
                classes=graded_classes(bundle.spec),
                set_digest=look.set_digest,
                look=look_number(cases.folder, look),
                device=device,
                versions=versions,
                answers=tuple(journal.answers),
            )
        )
        # On record once there is a verdict; another candidate may have been, in between.
        report = msgspec.structs.replace(report, look=put_on_record(cases.folder, look))
        write_atomic(kept, evidence_bytes(report))
        journal.remove()
    return report


def answered_levels(bundle: Bundle) -> tuple[str, ...]:
    """Return the columns of truth that a case set for this bundle must have: levels, questions."""
    names: list[str] = []
    for stage in bundle.spec.stage:
        if isinstance(stage, Levels):
            names += level_names(stage.vertebrae)
        if isinstance(stage, (Slices, Worst)):
            names.append(stage.question)
    return tuple(names)


def _answer(
    bundle: Bundle,
    candidate: Choice,
    cases: CaseSet,
    journal: Journal,
    *,
    threads: int | None,
    progress: Callable[[int, int], None],
) -> None:
    """Answer the cases that the journal does not hold yet."""
    done, total = len(journal.answers), len(cases.cases)
    if done == total:
        return
    patients = patient_numbers(cases.cases)
    known = _known_studies(bundle)
    reference = Pipeline.open(bundle, fp32("onnxruntime"), threads=threads)
    tested = Pipeline.open(bundle, candidate, threads=threads)
    try:
        for number, (case, decoded) in enumerate(
            _decoded(cases.cases[done:], bundle.spec.accept), done
        ):
            _check_locked(case, decoded, known)
            found = answer(case, decoded, (reference, tested), patient=patients[number])
            _check_new(found, journal.answers)
            journal.append(found)
            progress(number + 1, total)
    finally:
        reference.close()
        tested.close()


def _decoded(cases: Sequence[Case], accept: Accept) -> Iterator[tuple[Case, Decoded]]:
    """Yield the cases with their studies, decoding the next one while one is answered."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        upcoming = reader.submit(_decode, cases[0], accept)
        for case, following in zip(cases, [*cases[1:], None], strict=True):
            decoded = upcoming.result()
            if following:
                upcoming = reader.submit(_decode, following, accept)
            yield case, decoded


def _decode(case: Case, accept: Accept) -> Decoded:
    decoded = Decoded(case.read())
    with suppress(Refused):  # which each pipeline meets again
        decoded.images(accept)
    return decoded


def _known_studies(bundle: Bundle) -> dict[str, str]:
    """Return the digests of the studies that shaped the bundle, with what was done on them."""
    return {
        digest: f"{name} was {done}"
        for name, facts in bundle.manifest.provenance.items()
        for key, done in _SHAPED.items()
        for digest in facts.get(key, ())
    }


def _check_new(found: CaseAnswers, others: Sequence[CaseAnswers]) -> None:
    """Refuse pixels that stand under another patient, too: one patient would count as two.

    Of films that must be refused, blank ones may be alike.
    """
    for other in () if found.unfit else others:
        if other.study == found.study and other.patient != found.patient:
            raise ModelError(
                f"{FILE}, lines {other.line} and {found.line}: the same pixels under two patients; "
                "a study is of one patient"
            )


def _check_locked(case: Case, decoded: Decoded, known: dict[str, str]) -> None:
    """Refuse a study that shaped the candidate, whatever has become of its header."""
    if shaped := known.get(decoded.digest):
        raise ModelError(
            f"{FILE}, line {case.row}: {shaped} on this study, so it proves nothing about it; use "
            "a locked set that shares no patient"
        )
