"""Files of a case that say where something lies on its images: landmarks, and boxes of regions."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cspine.errors import ModelError
from cspine_bench.columns import FILE

Position = tuple[float, float]
Edges = tuple[float, float, float, float]


def read_points(path: Path, *, line: int) -> dict[str, Position]:
    """Read landmarks, (column, row) by name.

    Parameters
    ----------
    line
        Of ``cases.csv``, for a message.

    Raises
    ------
    ModelError
        If the file is none of landmarks, or a position is no finite number.
    """
    with _read(path, "points are no CSV of name, column, row", line=line) as rows:
        found = {row["name"]: (float(row["column"]), float(row["row"])) for row in rows}
    for name, position in found.items():
        if not all(map(math.isfinite, position)):
            raise ModelError(
                f"{FILE}, line {line}: point {name!r} lies at {position}, expected finite "
                "numbers; leave out what cannot be seen"
            )
    return found


def read_boxes(path: Path, *, line: int) -> dict[int, Edges]:
    """Read the boxes of a region, (left, top, right, bottom) by the number of their slice.

    Parameters
    ----------
    line
        Of ``cases.csv``, for a message.

    Raises
    ------
    ModelError
        If the file is none of boxes, a slice has two, or a box has no area.
    """
    with _read(path, "boxes are no CSV of slice, left, top, right, bottom", line=line) as rows:
        boxes = [(int(row["slice"]), _edges(row)) for row in rows]
    for number, (left, top, right, bottom) in boxes:
        if not (-math.inf < left < right < math.inf and -math.inf < top < bottom < math.inf):
            raise ModelError(
                f"{FILE}, line {line}: slice {number} has a box without an area, expected finite "
                "edges, left < right, top < bottom; leave out what is not there"
            )
    found = dict(boxes)
    if len(found) < len(boxes):
        raise ModelError(f"{FILE}, line {line}: a slice has two boxes, expected one at most")
    return found


def _edges(row: dict[str, str]) -> Edges:
    return float(row["left"]), float(row["top"]), float(row["right"]), float(row["bottom"])


@contextmanager
def _read(path: Path, fault: str, *, line: int) -> Iterator[csv.DictReader[str]]:
    """Open a table, and say what is at fault where it cannot be understood."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield csv.DictReader(file)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ModelError(f"{FILE}, line {line}: the {fault}") from error
