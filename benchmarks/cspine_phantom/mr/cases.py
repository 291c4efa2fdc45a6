"""Case sets of MR phantoms on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
from pydicom.dataset import Dataset

from cspine.files import write_atomic
from cspine_phantom.mr.disease import LABEL, generator
from cspine_phantom.mr.faults import FAULTS, Fault
from cspine_phantom.mr.graded import GradedPhantom, graded_phantom
from cspine_phantom.mr.grades import POSITIVE
from cspine_phantom.mr.scanners import Scanner
from cspine_phantom.mr.study import mr_phantom
from cspine_phantom.patients import LEVELS, Patient
from cspine_phantom.plan import csv_of, planned
from cspine_phantom.pool import spread

Kind = Literal["OPLL", "stenosis"]
"""What a set is about: one answer a patient, or a grade a level."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_WHO = ("study", "patient", "site", "device", "sex", "age", "posture", "split")

COLUMNS: dict[Kind, tuple[str, ...]] = {
    "OPLL": (*_WHO, "pattern", "fault", LABEL, f"severity {LABEL}", f"second {LABEL}"),
    "stenosis": (
        *_WHO, "mask", "cord", "axials", "symptom", "fault", *LEVELS,
        *(f"{what} {level}"
          for what in ("severity", "second", "grade", "second grade", "ratio", "tilt")
          for level in LEVELS),
    ),
}  # fmt: skip
"""The header of ``cases.csv``, see ``docs/formats.md``."""


def write_cases(
    folder: Path,
    *,
    patients: int,
    seed: int,
    split: str,
    kind: Kind = "OPLL",
    faults: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a case set of one split, see :func:`write_splits`; two seeds share no patient."""
    return write_splits(
        folder, splits={split: patients}, seed=seed, kind=kind, faults=faults, progress=progress
    )


def write_splits(
    folder: Path,
    *,
    splits: Mapping[str, int],
    seed: int,
    kind: Kind = "OPLL",
    faults: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a case set on all cores and return the path of its ``cases.csv``.

    A study is the folder ``studies/<case>`` of DICOM files in no order. One that is to be graded
    has a label map ``masks/<case>.png`` and its discs and cord in ``cord/<case>.csv``. Paths in the
    table are relative to `folder` and use ``/``. The table is written last and in one step: a
    folder that has one is complete.

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
    for name in ("studies", *(("masks", "cord") if kind == "stenosis" else ())):
        (folder / name).mkdir(parents=True, exist_ok=True)
    table = folder / "cases.csv"
    table.unlink(missing_ok=True)  # what is there is not complete until the new one is
    jobs = [_Job(folder, seed, number, split, fault) for number, (split, fault) in enumerate(plan)]
    rows = spread(_write_graded if kind == "stenosis" else _write_case, jobs, progress=progress)
    header = COLUMNS[kind]
    write_atomic(table, csv_of(header, ([row.get(name, "") for name in header] for row in rows)))
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
    case = mr_phantom(seed=job.seed, number=job.number, fault=job.fault)
    row = _begin(job, case.patient, case.scanner, case.datasets)
    if job.fault:
        return row
    disease = case.disease
    return {
        **row,
        "pattern": disease.pattern,
        LABEL: int(disease.label),
        f"severity {LABEL}": f"{disease.evidence:.6f}",
        f"second {LABEL}": int(disease.second),
    }


def _write_graded(job: _Job) -> dict[str, object]:
    """Simulate one study that is to be graded, write its files and return its row."""
    case = graded_phantom(seed=job.seed, number=job.number, fault=job.fault)
    row = _begin(job, case.patient, case.scanner, case.datasets)
    if job.fault:
        return row
    name = case.patient.identifier.lower()
    mask, cord = f"masks/{name}.png", f"cord/{name}.csv"
    # The fastest level: a label map is small at any.
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if not cv2.imwrite(str(job.folder / mask), case.mask, fast):
        raise OSError(f"cannot write {job.folder / mask}")
    (job.folder / cord).write_bytes(
        csv_of(("level", "point", "x_mm", "y_mm", "z_mm"), _places(case))
    )
    found = case.narrowing
    columns: dict[str, Iterable[object]] = {
        "": (int(grade >= POSITIVE) for grade in found.grades),
        "severity ": (f"{value:.6f}" for value in found.narrowness),
        "second ": (int(grade >= POSITIVE) for grade in found.second),
        "grade ": found.grades,
        "second grade ": found.second,
    }
    row |= {
        f"{what}{level}": value
        for what, values in columns.items()
        for level, value in zip(LEVELS, values, strict=True)
    }
    for level, each in case.cords.items():
        row |= {f"ratio {level}": f"{each.ratio:.4f}", f"tilt {level}": f"{each.tilt_deg:.2f}"}
    return {**row, "mask": mask, "cord": cord, "axials": case.axials.way, "symptom": found.symptom}


def _places(case: GradedPhantom) -> Iterable[tuple[object, ...]]:
    """Yield level, name and patient coordinates of the middle of every disc and of its cord."""
    cords = case.cords
    for level, centre in case.discs.items():
        points = {"disc": centre, **(cords[level].points_mm if level in cords else {})}
        for name, point in points.items():
            yield level, name, *(f"{value:.3f}" for value in point)


def _begin(
    job: _Job, patient: Patient, scanner: Scanner, datasets: Sequence[Dataset]
) -> dict[str, object]:
    """Write the objects of a study and return what its row says of who was scanned, and where."""
    name = patient.identifier.lower()
    _save(patient, datasets, job.folder / "studies" / name)
    return {
        "study": f"studies/{name}",
        "patient": patient.identifier,
        "site": patient.site,
        "device": scanner.name,
        "sex": patient.sex,
        "age": patient.age,
        "posture": patient.stance.posture,
        "split": job.split,
        "fault": job.fault or "",
    }


def _save(patient: Patient, datasets: Sequence[Dataset], folder: Path) -> None:
    """Write the objects of a study under names that say nothing of their order."""
    folder.mkdir(exist_ok=True)
    rng = generator(patient.seed, patient.number, stream="files")
    places = rng.permutation(len(datasets)).tolist()
    for place, ds in zip(places, datasets, strict=True):
        ds.save_as(folder / f"{place:04d}.dcm", enforce_file_format=True)
