"""The cells of one row of ``cases.csv``: what is true of a study, and what subgroups are told by.

An empty cell is unknown, and so is a column that the set does not have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cspine.errors import ModelError

FILE = "cases.csv"
AGE_BANDS = ((65, "65 and over"), (40, "40 to 64"), (0, "under 40"))

Cells = Mapping[str, str]


def decisions(row: Cells, line: int, levels: Sequence[str], *, prefix: str = "") -> dict[str, bool]:
    """Read the columns of 0 and 1, one a level.

    Parameters
    ----------
    prefix
        What stands before the level in the column's name.

    Raises
    ------
    ModelError
        Naming line and column of another value.
    """
    found = _stated(row, levels, prefix)
    for level, cell in found.items():
        if cell not in ("0", "1"):
            raise _unexpected(line, prefix + level, cell, "0, 1")
    return {level: cell == "1" for level, cell in found.items()}


def labels(row: Cells, levels: Sequence[str], *, prefix: str) -> dict[str, str]:
    """Read the columns of a class, one a level; which classes there are is the pipeline's."""
    return _stated(row, levels, prefix)


def numbers(row: Cells, line: int, levels: Sequence[str], *, prefix: str) -> dict[str, float]:
    """Read the columns of a finite number, one a level.

    Raises
    ------
    ModelError
        Naming line and column of another value.
    """
    return {level: _finite(row, line, prefix + level) for level in _stated(row, levels, prefix)}


def number(row: Cells, line: int, column: str) -> float | None:
    """Read a column of a finite number.

    Raises
    ------
    ModelError
        Naming line and column of another value.
    """
    return _finite(row, line, column) if row.get(column) else None


def groups(row: Cells, line: int) -> dict[str, str]:
    """Read what subgroups are told by, where it is known; of the age, its band.

    Raises
    ------
    ModelError
        If the age is none.
    """
    found = {name: row[name] for name in ("site", "device", "sex") if row.get(name)}
    if row.get("age"):
        age = _number(row["age"])
        if not 0 <= age <= 150:
            raise ModelError(f"{FILE}, line {line}, age: expected years, a number of 0 to 150")
        found["age"] = next(band for least, band in AGE_BANDS if age >= least)
    return found


def _stated(row: Cells, levels: Sequence[str], prefix: str) -> dict[str, str]:
    return {level: row[prefix + level] for level in levels if row.get(prefix + level)}


def _finite(row: Cells, line: int, column: str) -> float:
    value = _number(row[column])
    if not math.isfinite(value):
        raise _unexpected(line, column, row[column], "a number")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _unexpected(line: int, column: str, got: str, expected: str) -> ModelError:
    return ModelError(f"{FILE}, line {line}, {column}: got {got!r}, expected {expected}")
