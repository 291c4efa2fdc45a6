"""Case sets of CT phantoms on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cspine.files import write_atomic
from cspine_phantom.ct.disease import LABEL, POSITIVE, generator
from cspine_phantom.ct.faults import FAULTS, Fault
from cspine_phantom.ct.study import CtPhantom, ct_phantom
from cspine_phantom.plan import csv_of, planned
from cspine_phantom.pool import spread

COLUMNS = (
    "study", "patient", "site", "device", "sex", "age", "posture", "split", "boxes", "fault",
    LABEL, f"severity {LABEL}", f"second {LABEL}", f"grade {LABEL}", f"second grade {LABEL}",
)  # fmt: skip
"""The header of ``cases.csv``: the severity of `LABEL` is the evidence that its grade is read from
(:mod:`~cspine_phantom.ct.disease`), the label whether that grade counts as positive."""

BOX_COLUMNS = ("slice", "left", "top", "right", "bottom", "class")
"""The header of a file of boxes: a line a slice of the axial series, the lowest slice is 0."""


def write_cases(
    folder: Path,
    *,
    patients: int,
    seed: int,
    split: str,
    faults: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a case set of one split, see :func:`write_splits`; two seeds share no patient."""
    return write_splits(
        folder, splits={split: patients}, seed=seed, faults=faults, progress=progress
    )


def write_splits(
    folder: Path,
    *,
    splits: Mapping[str, int],
    seed: int,
    faults: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a case set on all cores and return the path of its ``cases.csv``.

    A study is the folder ``studies/<case>`` of DICOM files in no order; the boxes of its slices are
    ``boxes/<case>.csv``. Paths in the table are relative to `folder` and use ``/``. The table is
    written last and in one step: a folder that has one is complete.

    Parameters
    ----------
    splits
        Number of studies without a fault by what they are for, such as ``{"train": 200}``. Every
        study is of a patient of its own, so no two splits share one.
    seed
        Two seeds share no patient.
    faults
        Every entry adds one study with that fault to every split, after its others, with no truth.
    progress
        Called after every study with the number written and the number to write.

    Raises
    ------
    ModelError
        If a fault is unknown or the set would be empty.
    ValueError
        If `seed` is negative.
    OSError
        If the folder cannot be written.
    """
    plan = planned(splits, faults, known=FAULTS)
    for name in ("studies", "boxes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    table = folder / "cases.csv"
    table.unlink(missing_ok=True)  # what is there is not complete until the new one is
    jobs = [_Job(folder, seed, number, split, fault) for number, (split, fault) in enumerate(plan)]
    rows = list(spread(_write_case, jobs, progress=progress))
    write_atomic(table, csv_of(COLUMNS, ([row.get(name, "") for name in COLUMNS] for row in rows)))
    return table


@dataclass(frozen=True)
class _Job:
    folder: Path
    seed: int
    number: int
    split: str
    fault: Fault | None


def _write_case(job: _Job) -> dict[str, object]:
    """Simulate one study, write its files and return its row."""
    case = ct_phantom(seed=job.seed, number=job.number, fault=job.fault)
    patient, disease = case.patient, case.disease
    name = patient.identifier.lower()
    _save(case, job.folder / "studies" / name)
    row: dict[str, object] = {
        "study": f"studies/{name}",
        "patient": patient.identifier,
        "site": patient.site,
        "device": case.scanner.name,
        "sex": patient.sex,
        "age": patient.age,
        "posture": patient.stance.posture,
        "split": job.split,
    }
    if job.fault:
        return {**row, "fault": job.fault}
    boxes = f"boxes/{name}.csv"
    lines = (
        [number, *(f"{side:.3f}" for side in each.box), each.grade]
        for number, each in enumerate(case.slices)
    )
    (job.folder / boxes).write_bytes(csv_of(BOX_COLUMNS, lines))
    return {
        **row,
        "boxes": boxes,
        LABEL: int(disease.grade in POSITIVE),
        f"severity {LABEL}": f"{disease.evidence:.6f}",
        f"second {LABEL}": int(disease.second in POSITIVE),
        f"grade {LABEL}": disease.grade,
        f"second grade {LABEL}": disease.second,
    }


def _save(case: CtPhantom, folder: Path) -> None:
    """Write the objects of a study under names that say nothing of their order."""
    folder.mkdir(exist_ok=True)
    patient = case.patient
    rng = generator(patient.seed, patient.number, stream="files")
    places = rng.permutation(len(case.datasets)).tolist()
    for place, ds in zip(places, case.datasets, strict=True):
        ds.save_as(folder / f"{place:04d}.dcm", enforce_file_format=True)
