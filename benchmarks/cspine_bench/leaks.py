"""Whether the splits of a case set share a patient or a study, over all its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cspine.errors import ModelError
from cspine.files import sha256

FILE = "cases.csv"

Row = tuple[int, dict[str, str]]  # line, and its cells by column


def check_patients(rows: Sequence[Row]) -> None:
    """Check that each patient is in one split.

    Raises
    ------
    ModelError
        Naming the lines.
    """
    first: dict[str, tuple[int, str]] = {}
    for line, row in rows:
        seen_line, seen_split = first.setdefault(row["patient"], (line, row["split"]))
        if seen_split != row["split"]:
            raise ModelError(
                f"{FILE}, lines {seen_line} and {line}: one patient in splits {seen_split} and "
                f"{row['split']}; splits are by patient"
            )


def check_studies(folder: Path, rows: Sequence[Row]) -> None:
    """Check that no study stands under two patients, by the bytes of its files.

    Splits are by patient, so this keeps a study from two of them, too, and patients from being
    counted twice. A file is read only if another one is as long. A study of another split that was
    saved again under another name is not seen here; one that a bundle was calibrated on is, by its
    pixels, when the bundle is judged.

    Raises
    ------
    ModelError
        Naming the lines.
    """
    alike: dict[tuple[int, ...], list[tuple[int, str, list[Path]]]] = defaultdict(list)
    for line, row in rows:
        files = _files(folder, row["study"])
        if files:
            sizes = tuple(sorted(path.stat().st_size for path in files))
            alike[sizes].append((line, row["patient"], files))
    for members in alike.values():
        if len({patient for _, patient, _ in members}) < 2:
            continue
        first: dict[str, tuple[int, str]] = {}
        for line, patient, files in members:
            digests = sorted(sha256(path.read_bytes()) for path in files)
            seen_line, seen_patient = first.setdefault("".join(digests), (line, patient))
            if seen_patient != patient:
                raise ModelError(
                    f"{FILE}, lines {seen_line} and {line}: one study under two patients; a study "
                    "is of one patient, and in one split"
                )


def _files(folder: Path, study: str) -> list[Path]:
    """Return a study's files; none if it is not there, as those of a split kept elsewhere."""
    path = (folder / study).resolve()
    if not path.is_relative_to(folder.resolve()):
        return []
    return [file for file in (path, *path.rglob("*")) if file.is_file()]
