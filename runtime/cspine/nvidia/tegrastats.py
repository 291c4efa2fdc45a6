"""One line of ``tegrastats``: what a Jetson's memory, clocks, sensors and rails do right now."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cspine.nvidia.program import NoAnswer, ask

_OFF = -256.0  # what it prints of a unit without power
_RAM = re.compile(r"\bRAM (\d{1,9})/(\d{1,9})MB")
_GPU = re.compile(r"\bGR3D_FREQ (?:(\d{1,3})%)?(?:@\[?(\d{1,9}(?:,\d{1,9}){0,9})\]?)?")
_MEMORY_CLOCK = re.compile(r"\bEMC_FREQ (?:\d{1,3}%)?@(\d{1,9})\b")
_CELSIUS = re.compile(r"\b(\w+)@(-?\d{1,4}(?:\.\d+)?)C\b")
_RAIL = re.compile(r"\b(\w+) (\d{1,9})mW/\d{1,9}mW")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one line says; ``None`` and empty where it does not.

    Attributes
    ----------
    gpu_mhz
        The fastest of the GPU's clusters.
    memory_mhz
        Of the memory controller; shown to root alone.
    celsius
        By sensor; those of units without power are left out.
    milliwatts
        By rail, at this moment.
    """

    ram_used_mib: int | None
    ram_mib: int | None
    gpu_busy_percent: int | None
    gpu_mhz: int | None
    memory_mhz: int | None
    celsius: dict[str, float]
    milliwatts: dict[str, int]


def read_sample(path: str) -> Sample:
    """Ask ``tegrastats``, found on a path, for one line.

    Raises
    ------
    NoAnswer
        If it gives none.
    """
    line = ask("tegrastats", "--interval", "200", path=path, first_line=True)
    sample = parse_sample(line)
    if sample.ram_mib is None:
        raise NoAnswer(f"tegrastats printed another line than expected: {line[:80]!r}")
    return sample


def parse_sample(line: str) -> Sample:
    """Read a line; what is not in it stays unknown."""
    ram, gpu, memory = (pattern.search(line) for pattern in (_RAM, _GPU, _MEMORY_CLOCK))
    clusters = gpu[2].split(",") if gpu and gpu[2] else []
    sensors = {name: float(celsius) for name, celsius in _CELSIUS.findall(line)}
    return Sample(
        ram_used_mib=int(ram[1]) if ram else None,
        ram_mib=int(ram[2]) if ram else None,
        gpu_busy_percent=int(gpu[1]) if gpu and gpu[1] else None,
        gpu_mhz=max(map(int, clusters), default=None),
        memory_mhz=int(memory[1]) if memory else None,
        celsius={name: celsius for name, celsius in sensors.items() if celsius > _OFF},
        milliwatts={name: int(milliwatts) for name, milliwatts in _RAIL.findall(line)},
    )
