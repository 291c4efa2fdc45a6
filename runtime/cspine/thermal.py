"""Heat that Linux shows: temperatures, and what holds the machine back because of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cspine import sysfs


@dataclass(frozen=True, kw_only=True)
class Zone:
    """One sensor; ``None`` for one whose unit is switched off."""

    name: str
    celsius: float | None


@dataclass(frozen=True, kw_only=True)
class Cooler:
    """One means of cooling: 0 is off, ``maximum`` is all that it can do."""

    name: str
    state: int | None
    maximum: int | None


def zones(root: Path) -> tuple[Zone, ...]:
    """Read the temperatures."""
    return tuple(
        Zone(name=sysfs.text(folder / "type") or folder.name, celsius=_celsius(folder / "temp"))
        for folder in _folders(root, "thermal_zone")
    )


def coolers(root: Path) -> tuple[Cooler, ...]:
    """Read the cooling devices: fans, and limits of clocks."""
    return tuple(
        Cooler(
            name=sysfs.text(folder / "type") or folder.name,
            state=sysfs.number(folder / "cur_state"),
            maximum=sysfs.number(folder / "max_state"),
        )
        for folder in _folders(root, "cooling_device")
    )


def _folders(root: Path, kind: str) -> list[Path]:
    found = (root / "sys/class/thermal").glob(f"{kind}[0-9]*")
    return sorted(found, key=lambda path: (len(path.name), path))


def _celsius(path: Path) -> float | None:
    millidegrees = sysfs.number(path)
    return None if millidegrees is None else millidegrees / 1e3
