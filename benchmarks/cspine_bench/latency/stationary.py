"""Warm-up until the times no longer change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter_ns

import msgspec

WITHIN = 0.05
WINDOWS = 3
CAP = 20
_RUNS = 5


class WarmUp(msgspec.Struct, frozen=True, kw_only=True):
    """The medians of a warm-up's windows, in milliseconds, and whether they settled."""

    windows_ms: list[float]
    stationary: bool


def stationary(windows: Sequence[float], *, within: float = WITHIN) -> bool:
    """Return whether the last three windows agree.

    Parameters
    ----------
    windows
        One time a window, above zero, in the order that they were measured.
    within
        How far the slowest of the three may lie above the fastest, a fraction.
    """
    last = windows[-WINDOWS:]
    return len(last) == WINDOWS and max(last) <= (1.0 + within) * min(last)


def warm_up(
    runs: Sequence[Callable[[], object]], *, clock: Callable[[], int] = perf_counter_ns
) -> WarmUp:
    """Run until stationary: first shapes, caches, page faults and clocks that rise.

    Parameters
    ----------
    runs
        What a window runs, in order: all of it, as often as it takes for five runs.
    clock
        Tells nanoseconds.

    Returns
    -------
    WarmUp
        Of at most :data:`CAP` windows; it says so if the last three still differed.
    """
    windows: list[float] = []
    while len(windows) < CAP and not stationary(windows):
        times = [_timed(run, clock) for _ in range(-(-_RUNS // len(runs))) for run in runs]
        windows.append(median(times) / 1e6)
    return WarmUp(windows_ms=[round(each, 3) for each in windows], stationary=stationary(windows))


def _timed(run: Callable[[], object], clock: Callable[[], int]) -> int:
    start = clock()
    run()
    return clock() - start
