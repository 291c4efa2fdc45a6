"""Calibrate a bundle's models on a case set, and emit from the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from cspine.bundle import Bundle, emission_of, emission_path, fp32_path, table_path
from cspine.device import this_device, tools
from cspine.errors import BundleError, CspineError, ModelError
from cspine.files import sha256
from cspine.spec import Detect, Features, Network, PipelineSpec
from cspine_bench.cases import CaseSet, study_digest
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.progress import Progress, State
from cspine_calibration.smoke import FLOOR_DB, SmokeTest
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import Precision, find_target
from cspine_calibration.tuning import fp32_pipeline, tune

# What turned files into the pixels that the networks saw.
_READING = ("imagecodecs", "opencv-python-headless", "pydicom")


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def calibrate(
    bundle: Bundle,
    cases: CaseSet,
    *,
    tuning: CaseSet | None = None,
    threads: int | None,
    progress: Callable[[int, int], None],
    trials: Callable[[int, int], None] = _silent,
) -> Bundle:
    """Observe every network of a bundle on real studies and add the tables to it.

    Studies go through the pipeline itself in FP32, so each network sees exactly what it will see
    on a device: the classifier the crops that the localiser gave. After a kill, the studies that
    were done are not read again; the tables are the same bytes.

    Parameters
    ----------
    tuning
        Cases on which the estimator of each tensor is chosen; ``None`` chooses none.
    progress, trials
        Called with the studies observed, or the ranges tried for one network, and their number.

    Returns
    -------
    Bundle
        The bundle on disk, replaced. Emissions from older tables are no longer in it.

    Raises
    ------
    ModelError
        If every study is refused, each image is constant, or a network is broken. Nothing is
        written.
    """
    observers = {
        stage.id: Observer(bundle.model(stage.id), threads=threads)
        for stage in bundle.spec.networks
    }
    journal = Progress(
        bundle.path.with_name(bundle.path.name + ".calibration"),
        key={
            "bundle": bundle.digest,
            "set": cases.digest,
            "cases": len(cases.cases),
            "threads": threads,
            "device": this_device().facts(),
            "tools": tools("cspine", *_READING, "numpy", "onnx", "onnxruntime"),
        },
    )
    state = _observe(bundle, observers, cases, journal=journal, progress=progress)
    try:
        _check_answered(state)
        tables = {
            stage.id: observers[stage.id].table(
                set_digest=cases.digest,
                preprocessing_digest=preprocessing_digest(bundle.spec, stage),
            )
            for stage in bundle.spec.networks
        }
        tuned_on: tuple[str, ...] = ()
        if tuning:
            tables, tuned_on = tune(bundle, tables, tuning, threads=threads, progress=trials)
    except CspineError:
        journal.remove()
        raise
    refused = sum(state.refusals.values())
    provenance: dict[str, dict[str, Any]] = {
        table_path(name): {
            "cases": state.done - refused,
            "refused": refused,
            "samples": table.samples,
            "set_digest": cases.digest,
            "studies": sorted(state.studies),
            "tensors": len(table.tensors),
            "tools": tools("cspine", *_READING, "numpy", "onnx", "onnxruntime"),
            "tuned_on": sorted(tuned_on),
        }
        for name, table in tables.items()
    }
    files = {table_path(name): table.to_bytes() for name, table in tables.items()}
    stale = [name for name in bundle.manifest.files if emission_of(name)]
    calibrated = bundle.extended(files, provenance, drop=stale)
    journal.remove()
    return calibrated


def _observe(
    bundle: Bundle,
    observers: Mapping[str, Observer],
    cases: CaseSet,
    *,
    journal: Progress,
    progress: Callable[[int, int], None],
) -> State:
    """Run the cases that the journal does not hold yet, and return what became of all."""
    state = journal.read() or State(done=0, studies=(), refusals={}, networks={})
    for name, seen in state.networks.items():
        observers[name].resume(seen)
    pipeline = fp32_pipeline(bundle, observers)
    # A network may have seen what a later one refused.
    studies, refusals = list(state.studies), Counter(state.refusals)

    def reached(done: int) -> State:
        networks = {name: observer.seen() for name, observer in observers.items()}
        return State(done, tuple(studies), dict(refusals), networks)

    for number, case in enumerate(cases.cases[state.done :], state.done + 1):
        study = case.read()
        refusal = pipeline.run(study).findings.refusal
        refusals.update([refusal.code] if refusal else [])
        studies.append(study_digest(study))
        progress(number, len(cases.cases))
        if journal.due():
            journal.write(reached(number))
    pipeline.close()
    return reached(len(cases.cases))


def _check_answered(state: State) -> None:
    if sum(state.refusals.values()) == state.done:
        codes = ", ".join(f"{code} {count}" for code, count in sorted(state.refusals.items()))
        raise ModelError(
            f"every study of the set is refused ({codes}), so there is nothing to calibrate on; "
            "is it a set for this pipeline?"
        )


def emit_targets(
    bundle: Bundle, targets: Sequence[str], *, estimator: str, precision: Precision | None = None
) -> Bundle:
    """Add the models of every network for some targets.

    Parameters
    ----------
    precision
        ``None`` emits every precision of each target.

    Raises
    ------
    BundleError
        If a network has no calibration table.
    ModelError
        If a table belongs to another model or was taken with another preprocessing, a target has
        no such precision, or an emission computes something else than its network.
    """
    files: dict[str, bytes] = {}
    provenance: dict[str, dict[str, Any]] = {}
    device = this_device()
    for stage in bundle.spec.networks:
        table = read_table(bundle, stage)
        test = SmokeTest(bundle.model(stage.id), table)
        facts = bundle.manifest.provenance[table_path(stage.id)]
        wanted = [
            (target, each)
            for target in targets
            for each in ((precision,) if precision else find_target(target).precisions)
        ]
        for target, chosen in wanted:
            emission = emit(
                bundle.model(stage.id),
                table,
                target=target,
                precision=chosen,
                estimator=estimator,
                keep_float=bundle.spec.keep_float.get(stage.id, ()),
            )
            seen = test.check(emission.model, target=target, device=device)
            name = emission_path(stage.id, target, precision=chosen)
            files[name] = emission.model
            provenance[name] = {
                **asdict(emission.summary),
                # The decibels differ in their last digit from CPU to CPU, and a bundle's digest
                # must not; that they are above the floor does not.
                "checked": {"backend": seen.backend, "least_db": FLOOR_DB},
                "tools": tools("cspine", "numpy", "onnx"),
                "studies": facts["studies"],
                "tuned_on": facts.get("tuned_on", []),  # older tables were never tuned
                "from": sha256(bundle.read(fp32_path(stage.id))),
            }
    return bundle.extended(files, provenance)


def read_table(bundle: Bundle, stage: Network) -> CalibrationTable:
    """Read the calibration table of a network and check that it was made for it."""
    name = table_path(stage.id)
    if name not in bundle.manifest.files:
        raise BundleError(
            f"{bundle.path}: stage {stage.id!r} has no calibration table; "
            f"run: cspine calibrate {bundle.path} --set DIR"
        )
    table = CalibrationTable.from_bytes(bundle.read(name))
    if table.preprocessing_digest != preprocessing_digest(bundle.spec, stage):
        raise BundleError(
            f"{bundle.path}: stage {stage.id!r} was calibrated with another preprocessing than "
            f"the pipeline file has now; run: cspine calibrate {bundle.path} --set DIR"
        )
    return table


def preprocessing_digest(spec: PipelineSpec, stage: Network) -> str:
    """Digest what shapes a network's input: size, spacing and grey levels.

    Of the second network of a detector it is these of the first, and how regions are cut.
    """
    if not isinstance(stage, Detect):
        return sha256(msgspec.json.encode([stage.size_px, stage.spacing_mm, stage.grey]))
    first: Features = spec.only(Features)
    cut = [first.anchors, stage.proposals, stage.regions]
    return sha256(msgspec.json.encode([preprocessing_digest(spec, first), *cut]))
