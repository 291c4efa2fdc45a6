"""Phantoms with their truth, one at a time for training, or as a case set on disk."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

import cv2
from pydicom.dataset import Dataset

from cspine.errors import ModelError, did_you_mean
from cspine_phantom.aim import Header, lateral_aim
from cspine_phantom.devices import DEVICES
from cspine_phantom.dicom import dataset, strip
from cspine_phantom.faults import FAULTS, Fault, expose
from cspine_phantom.patients import LEVELS, Face, Patient, draw_patient
from cspine_phantom.radiograph import LabelMap

COLUMNS = (
    "study", "patient", "site", "device", "sex", "age", "split", "mask", "fault", "face",
    *LEVELS, *(f"severity {level}" for level in LEVELS),
)  # fmt: skip
"""The header of ``cases.csv``."""


@dataclass(frozen=True)
class Phantom:
    """One study and its truth.

    Attributes
    ----------
    patient
        Whom it shows: sex, age, site, posture.
    dataset
        The complete DICOM object, file meta information and pixel data included.
    mask
        (rows, columns) uint8 on the stored grid: 0 background, 1 to 7 the bodies of C2 to T1,
        8 posterior elements. All 0 for a fault, but not where only C7 is hidden.
    labels, severity
        By level name. Empty for a fault: there is nothing to be right about. Where only C7 is
        hidden, those of all levels.
    face
        The side of the picture that the face is on; None for a fault, as above.
    hidden
        Names of the levels that cannot be judged because C7 is hidden.
    """

    patient: Patient
    dataset: Dataset
    mask: LabelMap
    labels: Mapping[str, bool]
    severity: Mapping[str, float]
    face: Face | None
    fault: Fault | None
    hidden: tuple[str, ...] = ()


def phantom(
    *, seed: int, number: int, fault: Fault | None = None, header: Header = "true"
) -> Phantom:
    """Return patient `number` of `seed`, newly imaged.

    A stripped header keeps its orientation where that is what the fault contradicts.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    patient = draw_patient(seed, number)
    film = expose(patient, fault)
    aim = lateral_aim(patient.face) if header == "lying" else film.aim
    kind = fault or "lateral"
    ds = dataset(
        patient,
        film.device,
        film.picture,
        aim=aim,
        kind=kind if header == "true" else f"{kind}/{header}",
    )
    if header == "stripped":
        strip(ds, orientation=fault != "mirrored")
    answerable = fault in (None, "c7 hidden")
    levels = LEVELS if answerable else ()
    return Phantom(
        patient=patient,
        dataset=ds,
        mask=film.mask,
        labels=MappingProxyType(dict(zip(levels, patient.labels, strict=False))),
        severity=MappingProxyType(dict(zip(levels, patient.severity, strict=False))),
        face=patient.face if answerable else None,
        fault=fault,
        hidden=film.hidden,
    )


def phantoms(*, patients: int, seed: int) -> Iterator[Phantom]:
    """Yield the lateral films of patients 0 to ``patients - 1`` of `seed`, one at a time.

    Raises
    ------
    ValueError
        If `seed` is negative.
    """
    for number in range(patients):
        yield phantom(seed=seed, number=number)


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
    """Write a case set and return the path of its ``cases.csv``.

    A study is the folder ``studies/<case>`` with one ``image.dcm``; its label map is
    ``masks/<case>.png``. Paths in the table are relative to `folder` and use ``/``. The table
    is written last and in one step: a folder that has one is complete.

    Parameters
    ----------
    patients
        Number of lateral studies, one a patient.
    seed
        Two seeds share no patient; take another for every split.
    split
        What the studies are for, such as ``"train"`` or ``"test"``; written to the table.
    faults
        Every entry adds one study with that fault, of a patient of its own, after the others.
        Its levels, mask and face are empty in the table, but not those of ``"c7 hidden"``.
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
    unknown = [name for name in faults if name not in FAULTS]
    if unknown:
        known = ", ".join(FAULTS)
        hint = did_you_mean(unknown[0], FAULTS)
        raise ModelError(f"case set: unknown fault {unknown[0]!r}, expected one of {known}{hint}")
    plan: list[Fault | None] = [None] * patients
    plan += cast(Sequence[Fault], faults)
    if not plan:
        raise ModelError("case set: got 0 patients and no faults, expected at least one study")
    (folder / "studies").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    rows = []
    for number, fault in enumerate(plan):
        case = phantom(seed=seed, number=number, fault=fault, header=header)
        rows.append(_write_case(folder, case, split))
        if progress:
            progress(number + 1, len(plan))
    return _write_table(folder / "cases.csv", rows)


def _write_case(folder: Path, case: Phantom, split: str) -> dict[str, object]:
    patient = case.patient
    name = patient.identifier.lower()
    study = folder / "studies" / name
    study.mkdir(exist_ok=True)
    case.dataset.save_as(study / "image.dcm", enforce_file_format=True)
    mask = f"masks/{name}.png" if case.labels else ""
    if mask and not cv2.imwrite(str(folder / mask), case.mask):
        raise OSError(f"cannot write {folder / mask}")
    return {
        "study": f"studies/{name}",
        "patient": patient.identifier,
        "site": patient.site,
        "device": DEVICES[patient.site].name,
        "sex": patient.sex,
        "age": patient.age,
        "split": split,
        "mask": mask,
        "fault": case.fault or "",
        "face": case.face or "",
        **{level: int(positive) for level, positive in case.labels.items()},
        **{f"severity {level}": f"{value:.6f}" for level, value in case.severity.items()},
    }


def _write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    return path
