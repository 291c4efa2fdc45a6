"""Case sets of MR phantoms on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.files import write_atomic
from cspine_phantom.cases import _csv
from cspine_phantom.mr.disease import LABEL, generator
from cspine_phantom.mr.scanners import SCANNERS
from cspine_phantom.mr.study import MrPhantom, mr_phantom
from cspine_phantom.pool import spread

COLUMNS = (
    "study", "patient", "site", "device", "sex", "age", "posture", "split", "fault", "pattern",
    LABEL, f"severity {LABEL}", f"second {LABEL}",
)  # fmt: skip


def write_cases(
    folder: Path,
    *,
    patients: int,
    seed: int,
    split: str,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a case set."""
    table = folder / "cases.csv"
    table.unlink(missing_ok=True)
    jobs = [_Job(folder, seed, number, split) for number in range(patients)]
    rows = list(spread(_write_case, jobs, progress=progress))
    cells = ([row.get(column, "") for column in COLUMNS] for row in rows)
    write_atomic(table, _csv(COLUMNS, cells))
    return table


@dataclass(frozen=True)
class _Job:
    folder: Path
    seed: int
    number: int
    split: str


def _write_case(job: _Job) -> dict[str, object]:
    case = mr_phantom(seed=job.seed, number=job.number)
    patient, disease = case.patient, case.disease
    name = patient.identifier.lower()
    _save(case, job.folder / "studies" / name)
    return {
        "study": f"studies/{name}",
        "patient": patient.identifier,
        "site": patient.site,
        "device": SCANNERS[patient.site].name,
        "sex": patient.sex,
        "age": patient.age,
        "posture": patient.posture,
        "split": job.split,
        "pattern": disease.pattern,
        LABEL: int(disease.label),
        f"severity {LABEL}": f"{disease.evidence:.6f}",
        f"second {LABEL}": int(disease.second),
    }


def _save(case: MrPhantom, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    patient = case.patient
    order = generator(patient.seed, patient.number, stream="study").permutation(len(case.datasets))
    for place, ds in zip(np.asarray(order).tolist(), case.datasets, strict=True):
        ds.save_as(folder / f"im{place:04d}.dcm", enforce_file_format=True)
