"""What a case set is to hold, a study a line with the sound ones of a split first; its tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast

from cspine.errors import ModelError, did_you_mean

Fault = TypeVar("Fault", bound=str)


def planned(
    splits: Mapping[str, int], faults: Sequence[str], *, known: Sequence[Fault]
) -> list[tuple[str, Fault | None]]:
    """Return the split and the fault of every study, in their order.

    Raises
    ------
    ModelError
        If a fault is none of those ``known``, or the set would be empty.
    """
    unknown = [name for name in faults if name not in known]
    if unknown:
        told = ", ".join(known)
        hint = did_you_mean(unknown[0], known)
        raise ModelError(f"case set: unknown fault {unknown[0]!r}, expected one of {told}{hint}")
    spoilt = cast(Sequence[Fault], faults)
    plan = [
        (split, fault) for split, count in splits.items() for fault in [None] * count + [*spoilt]
    ]
    if not plan:
        raise ModelError("case set: got 0 patients and no faults, expected at least one study")
    return plan


def csv_of(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as it is written to disk."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()
