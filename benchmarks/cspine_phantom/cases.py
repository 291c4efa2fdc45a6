"""Case sets of phantoms on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from cspine.files import write_atomic
from cspine.geometry import Parameters
from cspine_phantom.faults.film import FAULTS, Fault
from cspine_phantom.imaging.aim import Header
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.patients import LEVELS
from cspine_phantom.plan import csv_of, planned
from cspine_phantom.pool import spread
from cspine_phantom.study import phantom

COLUMNS = (
    "study", "patient", "site", "device", "sex", "age", "posture", "split", "mask", "points",
    "boxes", "fault", "face", *LEVELS, *(f"severity {level}" for level in LEVELS),
    *(f"second {level}" for level in LEVELS), *Parameters._fields,
)  # fmt: skip
"""The header of ``cases.csv``."""


def write_cases(
    folder: Path,
    *,
    patients: int,
    seed: int,
    split: str,
    faults: Sequence[str] = (),
    header: Header = "true",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a case set of one split, see :func:`write_splits`; two seeds share no patient."""
    return write_splits(
        folder,
        splits={split: patients},
        seed=seed,
        faults=faults,
        header=header,
        progress=progress,
    )


def write_splits(
    folder: Path,
    *,
    splits: Mapping[str, int],
    seed: int,
    faults: Sequence[str] = (),
    header: Header = "true",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a case set on all cores and return the path of its ``cases.csv``.

    A study is the folder ``studies/<case>`` with one ``image.dcm``; its label map is
    ``masks/<case>.png``, its landmarks are ``points/<case>.csv`` and its levels
    ``boxes/<case>.csv``. Paths in the table are relative to `folder` and use ``/``. The table
    is written last and in one step: a folder that has one is complete.

    Parameters
    ----------
    splits
        Number of lateral studies by what they are for, such as ``{"train": 200, "test": 300}``.
        Every study is of a patient of its own, so no two splits share one.
    seed
        Two seeds share no patient.
    faults
        Every entry adds one study with that fault to every split, after its lateral ones. Its
        truth is empty in the table, but of ``"c7 hidden"`` only where nothing can be said.
    header
        What all headers state.
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
    for name in ("studies", "masks", "points", "boxes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    table = folder / "cases.csv"
    table.unlink(missing_ok=True)  # what is there is not complete until the new one is
    jobs = [
        _Job(folder, seed, number, split, fault, header)
        for number, (split, fault) in enumerate(plan)
    ]
    rows = list(spread(_write_case, jobs, progress=progress))
    cells = ([row.get(column, "") for column in COLUMNS] for row in rows)
    write_atomic(table, csv_of(COLUMNS, cells))
    return table


@dataclass(frozen=True)
class _Job:
    folder: Path
    seed: int
    number: int
    split: str
    fault: Fault | None
    header: Header


def _write_case(job: _Job) -> dict[str, object]:
    """Simulate one study, write its files and return its row."""
    case = phantom(seed=job.seed, number=job.number, fault=job.fault, header=job.header)
    patient = case.patient
    name = patient.identifier.lower()
    study = job.folder / "studies" / name
    study.mkdir(exist_ok=True)
    case.dataset.save_as(study / "image.dcm", enforce_file_format=True)
    mask = f"masks/{name}.png" if case.labels else ""
    # The fastest level: a film's label map is small at any.
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if mask and not cv2.imwrite(str(job.folder / mask), case.mask, fast):
        raise OSError(f"cannot write {job.folder / mask}")
    points = f"points/{name}.csv" if case.points else ""
    boxes = f"boxes/{name}.csv" if case.boxes else ""
    if points:
        places = ([landmark, *map(_pixels, point)] for landmark, point in case.points.items())
        (job.folder / points).write_bytes(csv_of(("name", "column", "row"), places))
    if boxes:
        sides = ([level, *map(_pixels, box)] for level, box in case.boxes.items())
        (job.folder / boxes).write_bytes(csv_of(("level", "left", "top", "right", "bottom"), sides))
    measured = case.parameters._asdict() if case.parameters else {}
    return {
        "study": f"studies/{name}",
        "patient": patient.identifier,
        "site": patient.site,
        "device": DEVICES[patient.site].name,
        "sex": patient.sex,
        "age": patient.age,
        "posture": patient.stance.posture,
        "split": job.split,
        "mask": mask,
        "points": points,
        "boxes": boxes,
        "fault": case.fault or "",
        "face": case.face or "",
        **{level: int(positive) for level, positive in case.labels.items()},
        **{f"severity {level}": f"{value:.6f}" for level, value in case.severity.items()},
        **{f"second {level}": int(positive) for level, positive in case.second.items()},
        **{parameter: f"{value:.4f}" for parameter, value in measured.items()},
    }


def _pixels(position: float) -> str:
    return f"{position:.3f}"
