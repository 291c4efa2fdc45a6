"""Figures as text for people."""

from __future__ import annotations

from cspine_bench.accuracy.figure import Figure, Limits
from cspine_bench.accuracy.noninferiority import Criterion
from cspine_bench.accuracy.subgroup import Subgroup


def shown(value: Figure | float | int | None, *, signed: bool = False, digits: int = 4) -> str:
    """Return a figure with its interval, where it has one; a dash for what is unknown."""
    form = f"{'+' if signed else ''}.{digits}f"
    if isinstance(value, Figure):
        if value.value is None:
            return "-"
        if value.low is None or value.high is None:
            return f"{value.value:{form}}"
        return f"{value.value:{form}} [{value.low:{form}}, {value.high:{form}}]"
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:{form}}"


def shown_limits(limits: Limits, *, digits: int) -> str:
    """Return limits of agreement."""
    if limits.lower is None or limits.upper is None:
        return "-"
    return f"{limits.lower:+.{digits}f} to {limits.upper:+.{digits}f}"


def difference(of: Criterion | Subgroup) -> str:
    """Return a difference with its interval."""
    found = of.value if isinstance(of, Criterion) else of.difference
    return shown(Figure(found, of.low, of.high), signed=True)
