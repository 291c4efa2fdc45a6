"""Phantoms with their truth, one at a time for training, or as a case set on disk."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

import cv2
from pydicom.dataset import Dataset

from cspine.errors import ModelError, did_you_mean
from cspine_phantom.anatomy import lateral
from cspine_phantom.devices import DEVICES
from cspine_phantom.dicom import dataset
from cspine_phantom.frontal import frontal
from cspine_phantom.patients import LEVELS, Face, Patient, draw_patient
from cspine_phantom.radiograph import LabelMap, radiograph

Fault = Literal["ap"]
"""What can be wrong with a study: ``"ap"`` is a frontal film."""

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
        8 posterior elements. All 0 for a fault.
    labels, severity
        By level name. Empty for a fault: on a wrong view there is nothing to be right about.
    face
        The side of the picture that the face is on; None on a frontal film.
    """

    patient: Patient
    dataset: Dataset
    mask: LabelMap
    labels: Mapping[str, bool]
    severity: Mapping[str, float]
    face: Face | None
    fault: Fault | None


def phantom(*, seed: int, number: int, fault: Fault | None = None) -> Phantom:
    """Return patient `number` of `seed`, newly imaged.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    patient = draw_patient(seed, number)
    device = DEVICES[patient.site]
    scene = frontal(patient) if fault == "ap" else lateral(patient)
    picture, mask = radiograph(scene, patient, device)
    levels = () if fault else LEVELS
    return Phantom(
        patient=patient,
        dataset=dataset(patient, device, picture, view=scene.view),
        mask=mask,
        labels=MappingProxyType(dict(zip(levels, patient.labels, strict=False))),
        severity=MappingProxyType(dict(zip(levels, patient.severity, strict=False))),
        face=None if fault else patient.face,
        fault=fault,
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
        Its levels, mask and face are empty in the table.
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
    unknown = [name for name in faults if name not in get_args(Fault)]
    if unknown:
        known = ", ".join(get_args(Fault))
        hint = did_you_mean(unknown[0], get_args(Fault))
        raise ModelError(f"case set: unknown fault {unknown[0]!r}, expected one of {known}{hint}")
    plan: list[Fault | None] = [None] * patients
    plan += cast(Sequence[Fault], faults)
    if not plan:
        raise ModelError("case set: got 0 patients and no faults, expected at least one study")
    (folder / "studies").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    rows = []
    for number, fault in enumerate(plan):
        case = phantom(seed=seed, number=number, fault=fault)
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
    mask = "" if case.fault else f"masks/{name}.png"
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
