"""Clocks that Linux shows: of every core, and of the GPU and other units that scale theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cspine import sysfs


@dataclass(frozen=True, kw_only=True)
class Clock:
    """One clock and the range that it may move in; ``None`` where it is not shown.

    Attributes
    ----------
    name
        Of the core or unit, such as ``cpu0`` or ``17000000.gpu``.
    governor
        What sets it, such as ``schedutil``.
    """

    name: str
    governor: str | None
    mhz: float | None
    minimum_mhz: float | None
    maximum_mhz: float | None

    @property
    def fixed(self) -> bool:
        """Whether its lowest is its highest, which is what ``jetson_clocks`` sets."""
        return self.minimum_mhz is not None and self.minimum_mhz == self.maximum_mhz


def cpu_clocks(root: Path) -> tuple[Clock, ...]:
    """Read the cores' clocks, in the order of the cores; none on most virtual machines."""
    found = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")
    folders = sorted(found, key=lambda path: (len(path.parent.name), path))
    return tuple(_clock(folder, folder.parent.name, _CPUFREQ, 1e3) for folder in folders)


def device_clocks(root: Path) -> tuple[Clock, ...]:
    """Read the clocks of units under ``devfreq``: on a Jetson the GPU, codecs and memory."""
    folders = sorted((root / "sys/class/devfreq").glob("*"))
    return tuple(_clock(folder, folder.name, _DEVFREQ, 1e6) for folder in folders)


_CPUFREQ = ("scaling_governor", "scaling_cur_freq", "scaling_min_freq", "scaling_max_freq")
_DEVFREQ = ("governor", "cur_freq", "min_freq", "max_freq")


def _clock(folder: Path, name: str, files: tuple[str, ...], per_mhz: float) -> Clock:
    governor, *frequencies = files
    now, lowest, highest = (sysfs.number(folder / file) for file in frequencies)
    return Clock(
        name=name,
        governor=sysfs.text(folder / governor),
        mhz=None if now is None else now / per_mhz,
        minimum_mhz=None if lowest is None else lowest / per_mhz,
        maximum_mhz=None if highest is None else highest / per_mhz,
    )
