"""Calibrate a bundle's models on a case set, and emit from the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from cspine.bundle import Bundle, emission_path, fp32_path, table_path
from cspine.device import tools
from cspine.errors import BundleError, ModelError
from cspine.files import sha256
from cspine.findings import Identity
from cspine.pipeline import Pipeline
from cspine.session import Session
from cspine.spec import Network
from cspine_bench.cases import CaseSet, study_digest
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable

# What turned files into the pixels that the networks saw.
_READING = ("imagecodecs", "opencv-python-headless", "pydicom")


def calibrate(
    bundle: Bundle,
    cases: CaseSet,
    *,
    threads: int | None,
    progress: Callable[[int, int], None],
) -> Bundle:
    """Observe every network of a bundle on real studies and add the tables to it.

    Studies go through the pipeline itself in FP32, so each network sees exactly what it will see
    on a device: the classifier the crops that the localiser gave.

    Returns
    -------
    Bundle
        The bundle on disk, replaced. Emissions from older tables are no longer in it.

    Raises
    ------
    ModelError
        If every study is refused.
    """
    observers = {
        stage.id: Observer(bundle.model(stage.id), threads=threads)
        for stage in bundle.spec.networks
    }
    identity = Identity(
        pipeline=bundle.spec.name,
        bundle=bundle.digest,
        backend="onnxruntime",
        precision="fp32",
        target=None,
    )
    sessions = {name: Session(name, observer) for name, observer in observers.items()}
    pipeline = Pipeline(bundle.spec, sessions=sessions, identity=identity)
    seen: list[str] = []
    answered = 0
    for number, case in enumerate(cases.cases, 1):
        study = case.read()
        answered += pipeline.run(study).findings.refusal is None
        # A network may have seen what a later one refused.
        seen.append(study_digest(study))
        progress(number, len(cases.cases))
    if not answered:
        raise ModelError("every study of the set is refused, so there is nothing to calibrate on")
    files: dict[str, bytes] = {}
    provenance: dict[str, dict[str, Any]] = {}
    for stage in bundle.spec.networks:
        table = observers[stage.id].table(
            set_digest=cases.digest, preprocessing_digest=preprocessing_digest(stage)
        )
        files[table_path(stage.id)] = table.to_bytes()
        provenance[table_path(stage.id)] = {
            "cases": answered,
            "refused": len(cases.cases) - answered,
            "samples": table.samples,
            "set_digest": cases.digest,
            "studies": sorted(seen),
            "tensors": len(table.tensors),
            "tools": tools("cspine", *_READING, "numpy", "onnx", "onnxruntime"),
        }
    pipeline.close()
    stale = [name for name in bundle.manifest.files if name.endswith(".int8.onnx")]
    return bundle.extended(files, provenance, drop=stale)


def emit_targets(bundle: Bundle, targets: Sequence[str], *, estimator: str) -> Bundle:
    """Add the INT8 models of every network for some targets.

    Raises
    ------
    BundleError
        If a network has no calibration table.
    ModelError
        If a table belongs to another model or was taken with another preprocessing.
    """
    files: dict[str, bytes] = {}
    provenance: dict[str, dict[str, Any]] = {}
    for stage in bundle.spec.networks:
        table = read_table(bundle, stage)
        for target in targets:
            emission = emit(bundle.model(stage.id), table, target=target, estimator=estimator)
            files[emission_path(stage.id, target)] = emission.model
            provenance[emission_path(stage.id, target)] = {
                **asdict(emission.summary),
                "tools": tools("cspine", "numpy", "onnx"),
                "studies": bundle.manifest.provenance[table_path(stage.id)]["studies"],
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
    if table.preprocessing_digest != preprocessing_digest(stage):
        raise BundleError(
            f"{bundle.path}: stage {stage.id!r} was calibrated with another preprocessing than "
            f"the pipeline file has now; run: cspine calibrate {bundle.path} --set DIR"
        )
    return table


def preprocessing_digest(stage: Network) -> str:
    """Digest what shapes a network's input: size, spacing and grey levels."""
    return sha256(msgspec.json.encode([stage.size_px, stage.spacing_mm, stage.grey]))
