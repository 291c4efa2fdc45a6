"""What the machine did while it was measured: clocks, heat, load; and whether the run is void.

Where Linux shows a clock, it is read; a virtual machine shows none, and then the time of fixed
work tells it. Other work on the machine only ever adds to that time, so the fastest of many short
tries counts. A clock that rises and falls by the moment, as boosted ones do, is told from one that
moved by the middle half of all looks.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import msgspec

from cspine.clocks import cpu_clocks, device_clocks
from cspine.sysfs import ROOT, number, text
from cspine.thermal import zones

ALLOWED_SHIFT = 0.02

_WORK = bytes(20_000)  # 15 microseconds of SHA-256, and it stays in the first cache
_TRIES = 100
_THROTTLED = "cpu[0-9]*/thermal_throttle/core_throttle_count"


class MachineState(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the machine; ``None`` where the system does not show it.

    Attributes
    ----------
    seconds
        Since the first look.
    spin_ns
        The fastest of 100 tries of fixed work.
    cpu_mhz
        The fastest core's clock, right after that work.
    load
        Load average of the last minute.
    celsius
        The hottest zone.
    throttled
        How often any core was throttled since the machine started.
    governor
        Of the clocks, ``performance`` or another; sorted and joined if the cores differ.
    fixed
        Whether every core's lowest clock is its highest, which is what ``jetson_clocks`` sets.
    power_mode
        Of a Jetson: what ``nvpmodel`` last set.
    device_mhz
        Clocks of the GPU and other units that scale theirs, by name.
    """

    seconds: float
    spin_ns: int
    cpu_mhz: float | None
    load: float
    celsius: float | None
    throttled: int | None
    governor: str | None
    fixed: bool | None
    power_mode: str | None
    device_mhz: dict[str, float]


class Machine:
    """Looks at the machine, from now on.

    Parameters
    ----------
    root
        Where ``proc``, ``sys`` and ``var`` are.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._start = time.perf_counter_ns()

    def look(self) -> MachineState:
        """Read everything; takes about 2 ms."""
        spin = min(_spin() for _ in range(_TRIES))
        cores = cpu_clocks(self._root)
        units = device_clocks(self._root)
        degrees = [zone.celsius for zone in zones(self._root) if zone.celsius is not None]
        counters = (self._root / "sys/devices/system/cpu").glob(_THROTTLED)
        throttled = [count for count in map(number, counters) if count is not None]
        return MachineState(
            seconds=round((time.perf_counter_ns() - self._start) / 1e9, 3),
            spin_ns=spin,
            cpu_mhz=max((core.mhz for core in cores if core.mhz is not None), default=None),
            load=float((self._root / "proc/loadavg").read_text().split()[0]),
            celsius=max(degrees, default=None),
            throttled=sum(throttled) if throttled else None,
            governor=" ".join(sorted({core.governor for core in cores if core.governor})) or None,
            fixed=all(core.fixed for core in cores) if cores else None,
            power_mode=text(self._root / "var/lib/nvpmodel/status"),
            device_mhz={unit.name: unit.mhz for unit in units if unit.mhz is not None},
        )


def peak_memory_mib() -> float:
    """Return the largest resident memory of this process so far.

    Of ``/proc``, because ``getrusage`` counts what the process that started this one held then.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return round(int(status["VmHWM"].split()[0]) / 1024, 1)


def clock_shift(states: Sequence[MachineState]) -> float:
    """Return how much faster the clock of one half of a run was than that of the other.

    Each half stands for the mean of the middle half of its looks.

    Returns
    -------
    float
        A fraction, 0 or more; 0 of fewer than two states, which have no halves.
    """
    read = [state.cpu_mhz for state in states if state.cpu_mhz is not None]
    speeds = read if len(read) == len(states) else [1e6 / state.spin_ns for state in states]
    if len(speeds) < 2:
        return 0.0
    first, second = (
        _middle(half) for half in (speeds[: len(speeds) // 2], speeds[len(speeds) // 2 :])
    )
    return max(first, second) / min(first, second) - 1.0


def void_reasons(states: Sequence[MachineState]) -> list[str]:
    """Return why times that were measured between these states say nothing; none if they do."""
    reasons = []
    shift = clock_shift(states)
    if shift > ALLOWED_SHIFT:
        reasons.append(
            f"the clocks moved by {shift:.1%} between the halves of the run, expected at most "
            f"{ALLOWED_SHIFT:.0%}: fix them, or wait until the machine is warm and idle"
        )
    throttled = [state.throttled for state in states if state.throttled is not None]
    if throttled and throttled[-1] > throttled[0]:
        reasons.append(f"cores were throttled {throttled[-1] - throttled[0]} times: cool them")
    for what, values in (
        ("power mode", {state.power_mode for state in states}),
        ("governor", {state.governor for state in states}),
        ("clocks' range", {state.fixed for state in states}),
    ):
        if len(values) > 1:
            reasons.append(f"the {what} changed during the run: set it before")
    return reasons


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    outside = len(ordered) // 4
    return mean(ordered[outside : len(ordered) - outside])


def _spin() -> int:
    start = time.perf_counter_ns()
    hashlib.sha256(_WORK)
    return time.perf_counter_ns() - start
