"""What an MR frame is weighted by, from its times and from what it says of itself.

==============  ==========================================================================
STIR            inversion time of 50 to 350 ms
T1              inversion time beyond, echo time of at most 30 ms: T1 FLAIR, MPRAGE
T2              no inversion time, echo time of at least 80 ms, and repetition time of at
                least 2000 ms, or 1200 ms in 3D, whose long echo trains keep the weighting
T1              no inversion time, echo time of at most 30 ms, repetition time of at most
                1200 ms; not a gradient echo whose echo time is beyond 8 ms, which is T2*
==============  ==========================================================================

An enhanced object may state its Acquisition Contrast, which then decides; but a short inversion
time is STIR whatever is stated, for writers call it T2. All else has no weighting here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pydicom

from cspine.dicom.element import number, numbers, text
from cspine.dicom.stacks.wanted import Weighting

NULLING_FAT_MS = (50.0, 350.0)
LONG_ECHO_MS, SHORT_ECHO_MS, SHORT_GRADIENT_ECHO_MS = 80.0, 30.0, 8.0
LONG_REPETITION_MS = {"3D": 1200.0}
LONG_REPETITION_2D_MS, SHORT_REPETITION_MS = 2000.0, 1200.0

_STATED: dict[str, Weighting] = {"T1": "T1", "T2": "T2", "STIR": "STIR"}
_LEFT_OPEN = frozenset({"", "UNKNOWN", "MIXED"})


@dataclass(frozen=True)
class Times:
    """Echo, repetition and inversion time in milliseconds; ``None`` where none is stated."""

    echo_ms: float | None
    repetition_ms: float | None
    inversion_ms: float | None


def times_of(header: pydicom.Dataset) -> Times:
    """Return the times of one frame, stated as classic or as enhanced objects do.

    A time of zero or less counts as not stated.
    """
    stated = [*numbers(header, "InversionTimes")] if "InversionTimes" in header else []
    return Times(
        echo_ms=_time(header.get("EffectiveEchoTime")) or _time(header.get("EchoTime")),
        repetition_ms=_time(header.get("RepetitionTime")),
        inversion_ms=_time(stated[0]) if stated else _time(header.get("InversionTime")),
    )


def weighting_of(header: pydicom.Dataset) -> Weighting | None:
    """Return what one frame is weighted by; ``None`` if by nothing of these, or nothing tells."""
    times = times_of(header)
    shortest, longest = NULLING_FAT_MS
    if times.inversion_ms is not None and shortest <= times.inversion_ms <= longest:
        return "STIR"
    stated = text(header, "AcquisitionContrast")
    if stated not in _LEFT_OPEN:
        return _STATED.get(stated)
    return _by_times(times, header)


def _by_times(times: Times, header: pydicom.Dataset) -> Weighting | None:
    echo, repetition = times.echo_ms, times.repetition_ms
    if echo is None or repetition is None:
        return None
    if times.inversion_ms is not None:
        return "T1" if times.inversion_ms > NULLING_FAT_MS[1] and echo <= SHORT_ECHO_MS else None
    long = LONG_REPETITION_MS.get(text(header, "MRAcquisitionType"), LONG_REPETITION_2D_MS)
    if echo >= LONG_ECHO_MS and repetition >= long:
        return "T2"
    short = SHORT_GRADIENT_ECHO_MS if _is_gradient_echo(header) else SHORT_ECHO_MS
    return "T1" if echo <= short and repetition <= SHORT_REPETITION_MS else None


def _is_gradient_echo(header: pydicom.Dataset) -> bool:
    sequence = text(header, "ScanningSequence")
    return text(header, "EchoPulseSequence") == "GRADIENT" or (
        "GR" in sequence and "SE" not in sequence
    )


def _time(value: object) -> float | None:
    found = number(value)
    return found if found is not None and found > 0 else None
