"""Case sets: a folder of DICOM studies and ``cases.csv``, which says what is true of them.

Columns that every set has: ``study`` (a DICOM file or folder, relative to the set), ``patient``,
``split`` (``train``, ``calibration``, ``tuning`` or ``test``; a patient is in one of them only) and
one column of 0, 1 or nothing per level. A ``test`` that a release rests on is locked, which means
that nothing was fitted or chosen on it, and has 300 patients or more.

Columns that a set may have:

======================  ============================================================================
``mask``                PNG label map on the pixel grid of the image
``points``              CSV of the landmarks: ``name`` (:data:`cspine.geometry.LANDMARKS`),
                        ``column``, ``row``; the centre of the first pixel is (0, 0)
``boxes``               CSV of upright boxes: ``left``, ``top``, ``right``, ``bottom`` in columns
                        and rows of the image as it hangs, which they may reach beyond. On slices of
                        a region, one at most, after ``slice``: the number of the slice in its
                        series from the feet, from 0. On films, after ``level``, about the disc and
                        the facing halves of its neighbours
``borden_mm`` and the   the six sagittal parameters, :class:`cspine.geometry.Parameters`, of the
other parameters        points, with the lines that are the default; Borden's in millimetres of the
                        patient, not of the detector
``severity C5/6``       what the label of a simulated level came from: normal, of deviation 1
``grade C5/6``          the class of a level or of the question about the study, by its name in the
                        pipeline file
``second C5/6``,        what a second reader says: 0 or 1, and a class
``second grade C5/6``
``ratio C5/6``          the compression ratio of the cord at a level: its diameter from front to
                        back over that across
``symptom``             a score of the patient's symptoms, a number
``site``, ``device``,   what subgroups are told by
``sex``, ``age``,
``posture``, ``face``
``fault``               what is wrong with the study; if no level of it is labelled and it has no
                        points, it must be refused
======================  ============================================================================

What is said of C5/6 is said of every level or question that the pipeline answers. An empty cell is
unknown. :func:`read_cases` reads all of these columns but the sagittal parameters, posture and
face, which are for whoever wants them, and ``boxes`` only where regions are asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cspine.dicom.dataset import source_of
from cspine.dicom.media import dicom_files
from cspine.dicom.select import Study, read_studies
from cspine.errors import ModelError, did_you_mean
from cspine.files import sha256
from cspine_bench import columns
from cspine_bench.columns import FILE
from cspine_bench.leaks import check_patients, check_studies
from cspine_bench.marks import Edges, Position, read_boxes, read_points

SPLITS = ("train", "calibration", "tuning", "test")


@dataclass(frozen=True)
class Case:
    """One row: a study and what is true of it.

    Attributes
    ----------
    row
        Line of ``cases.csv``, the header being line 1; results name a case by it and by nothing
        else.
    labels, grades, ratios, severity
        Truth by level, of the levels that have one.
    second, second_grades
        What a second reader says, by level.
    symptom
        A score of the patient's symptoms.
    groups
        What tells the subgroups, by column, where it is known; of the age, its band.
    unfit
        Why it must be refused; ``None`` if it need not be.
    """

    row: int
    study: Path
    patient: str
    labels: Mapping[str, bool]
    severity: Mapping[str, float]
    groups: Mapping[str, str]
    unfit: str | None
    mask: Path | None
    points: Path | None
    boxes: Path | None
    grades: Mapping[str, str]
    ratios: Mapping[str, float]
    second: Mapping[str, bool]
    second_grades: Mapping[str, str]
    symptom: float | None

    def read(self) -> Study:
        """Read the study.

        Raises
        ------
        ModelError
            If it cannot be read or is not one study.
        """
        studies, unreadable = read_studies(dicom_files(self.study))
        for error in unreadable:
            raise ModelError(f"{FILE}, line {self.row}: {error}")
        if len(studies) != 1:
            raise ModelError(f"{FILE}, line {self.row}: {len(studies)} studies, expected one")
        return studies[0]

    def read_mask(self) -> npt.NDArray[np.uint8] | None:
        """Read the label map, shape (rows, columns) of the image; ``None`` if there is none."""
        if self.mask is None:
            return None
        mask = cv2.imread(str(self.mask), cv2.IMREAD_UNCHANGED)
        if mask is None or mask.ndim != 2 or mask.dtype != np.uint8:
            raise ModelError(f"{FILE}, line {self.row}: the mask is no 8-bit grey PNG")
        return np.asarray(mask)

    def read_points(self) -> dict[str, Position]:
        """Read the landmarks, (column, row) by name; none if there is no file of them.

        Raises
        ------
        ModelError
            If the file is none of landmarks, or a position is no finite number.
        """
        return read_points(self.points, line=self.row) if self.points else {}

    def read_boxes(self) -> dict[int, Edges]:
        """Read the boxes, (left, top, right, bottom) by slice; none if there is no file of them.

        Raises
        ------
        ModelError
            If the file is none of boxes, a slice has two, or a box has no area.
        """
        return read_boxes(self.boxes, line=self.row) if self.boxes else {}


@dataclass(frozen=True)
class CaseSet:
    """The cases of one split, a digest of everything in them, and the folder of the set."""

    cases: tuple[Case, ...]
    digest: str
    folder: Path


def read_cases(
    folder: Path, *, split: str, levels: Sequence[str], regions: bool = False
) -> CaseSet:
    """Read one split of a case set and check it.

    Parameters
    ----------
    folder
        Holds ``cases.csv``.
    split
        One of :data:`SPLITS`.
    levels
        The level columns that the pipeline answers; none of one that only measures.
    regions
        Whether the pipeline finds a region on slices, which ``boxes`` are then of.

    Raises
    ------
    ModelError
        If the file is missing or malformed, a patient is in two splits, a study is of two patients,
        a study is missing, or the split is empty.
    """
    rows = _rows(folder / FILE, levels)
    check_patients(rows)
    chosen = [(line, row) for line, row in rows if row["split"] == split]
    if not chosen:
        raise ModelError(f"{folder / FILE}: no case of split {split!r}")
    cases = tuple(_case(folder, line, row, levels, regions) for line, row in chosen)
    check_studies(folder, rows)
    return CaseSet(cases, _digest(folder / FILE, cases), folder)


def study_digest(study: Study) -> str:
    """Return what tells a study again by its pixels, whatever has become of its headers."""
    pixels = sorted(source_of(instance).pixels for instance in study.instances)
    return sha256("".join(pixels).encode())


def _rows(path: Path, levels: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{path}: cannot be read as a case set: {error}") from error
    for column in ("study", "patient", "split", *levels):
        if column not in header:
            raise ModelError(f"{path}: no column {column!r}{did_you_mean(column, header)}")
    for line, row in rows:
        if None in row or None in row.values():
            raise ModelError(f"{path}, line {line}: {len(row)} fields, expected {len(header)}")
        if row["split"] not in SPLITS:
            raise ModelError(
                f"{path}, line {line}: split {row['split']!r}, expected {', '.join(SPLITS)}"
            )
    return rows


def _case(
    folder: Path, line: int, row: dict[str, str], levels: Sequence[str], regions: bool
) -> Case:
    labels = columns.decisions(row, line, levels)
    file = {
        name: _inside(folder, row[name], line) if row.get(name) else None
        for name in ("mask", "points", *(("boxes",) if regions else ()))
    }
    return Case(
        row=line,
        study=_inside(folder, row["study"], line),
        patient=row["patient"],
        labels=labels,
        severity=columns.numbers(row, line, levels, prefix="severity "),
        groups=columns.groups(row, line),
        # Of a film that hides a level or two, the others are labelled or have their points, and
        # may be answered.
        unfit=None if labels or row.get("points") else row.get("fault") or None,
        mask=file["mask"],
        points=file["points"],
        boxes=file.get("boxes"),
        grades=columns.labels(row, levels, prefix="grade "),
        ratios=columns.numbers(row, line, levels, prefix="ratio "),
        second=columns.decisions(row, line, levels, prefix="second "),
        second_grades=columns.labels(row, levels, prefix="second grade "),
        symptom=columns.number(row, line, "symptom"),
    )


def _inside(folder: Path, name: str, line: int) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{FILE}, line {line}: a path leads out of the case set")
    if not path.exists():
        raise ModelError(f"{FILE}, line {line}: a file that it names is missing")
    return path


def _digest(table: Path, cases: Sequence[Case]) -> str:
    """Digest the table and every file of a case, in order."""
    files = [table]
    for case in cases:
        files += [*dicom_files(case.study), *filter(None, (case.mask, case.points, case.boxes))]
    return sha256("".join(sha256(path.read_bytes()) for path in files).encode())
