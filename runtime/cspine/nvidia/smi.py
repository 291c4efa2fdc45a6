"""``nvidia-smi``: what the driver says of every GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cspine import sysfs
from cspine.nvidia.program import NoAnswer, ask

# What is asked, by the names that drivers have had for it, the present one first. One unknown
# name fails the whole question.
FIELDS = {
    "name": ("name",),
    "driver": ("driver_version",),
    "compute_capability": ("compute_cap",),
    "memory_mib": ("memory.total",),
    "memory_free_mib": ("memory.free",),
    "mhz": ("clocks.current.sm", "clocks.sm"),
    "maximum_mhz": ("clocks.max.sm",),
    "memory_mhz": ("clocks.current.memory", "clocks.mem"),
    "maximum_memory_mhz": ("clocks.max.memory", "clocks.max.mem"),
    "performance_state": ("pstate",),
    "persistence": ("persistence_mode",),
    "celsius": ("temperature.gpu",),
    "watts": ("power.draw",),
    "limit_watts": ("power.limit",),
    "held_back_by": ("clocks_event_reasons.active", "clocks_throttle_reasons.active"),
}
_FIELD = re.compile(r'"([a-z0-9_.]+)"')
_MASK = re.compile(r"0x[0-9a-fA-F]{1,16}")
_NOTHING = ("N/A", "Not Supported")
_NO_FIELD = "this nvidia-smi does not know it"

# Bits of nvmlClocksEventReasons in NVIDIA's nvml.h.
REASONS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "power limit",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "heat, by the driver",
    0x040: "heat, by the hardware",
    0x080: "power brake",
    0x100: "display clocks",
}


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU; ``None`` where ``unknown`` says why.

    Attributes
    ----------
    mhz
        Clock of the multiprocessors, now.
    persistence
        Whether the driver keeps the GPU awake between programs.
    held_back_by
        Why its clocks are below their highest: values of :data:`REASONS`, or bits as they are.
    unknown
        What the driver said instead of a value, by attribute.
    """

    name: str | None
    driver: str | None
    compute_capability: str | None
    memory_mib: float | None
    memory_free_mib: float | None
    mhz: float | None
    maximum_mhz: float | None
    memory_mhz: float | None
    maximum_memory_mhz: float | None
    performance_state: str | None
    persistence: bool | None
    celsius: float | None
    watts: float | None
    limit_watts: float | None
    held_back_by: tuple[str, ...] | None
    unknown: dict[str, str]


def read_gpus(path: str) -> tuple[Gpu, ...]:
    """Ask ``nvidia-smi``, found on a path, for every GPU.

    Raises
    ------
    NoAnswer
        If it gives none.
    """
    named = known_fields(ask("nvidia-smi", "--help-query-gpu", path=path))
    if not named:
        raise NoAnswer("nvidia-smi --help-query-gpu lists no field that is asked for")
    asked = f"--query-gpu={','.join(named.values())}"
    answer = ask("nvidia-smi", asked, "--format=csv,noheader,nounits", path=path)
    return parse_gpus(answer, named)


def known_fields(page: str) -> dict[str, str]:
    """Return the names that this ``nvidia-smi`` has for :data:`FIELDS`, by attribute.

    Parameters
    ----------
    page
        What ``nvidia-smi --help-query-gpu`` prints.
    """
    known = set(_FIELD.findall(page))
    named = {
        attribute: [name for name in names if name in known] for attribute, names in FIELDS.items()
    }
    return {attribute: names[0] for attribute, names in named.items() if names}


def parse_gpus(answer: str, named: Mapping[str, str]) -> tuple[Gpu, ...]:
    """Read one GPU a line.

    Parameters
    ----------
    answer
        Without header and units.
    named
        Field of every column, by attribute, in the order of the columns.

    Raises
    ------
    NoAnswer
        If a line has another number of columns.
    """
    rows = [line.split(",") for line in answer.splitlines() if line.strip()]
    if not rows or any(len(row) != len(named) for row in rows):
        raise NoAnswer(f"nvidia-smi printed another table than asked for: {answer[:80]!r}")
    return tuple(_gpu(dict(zip(named, map(str.strip, row), strict=True))) for row in rows)


def _gpu(said: Mapping[str, str]) -> Gpu:
    def number(attribute: str) -> float | None:
        return sysfs.decimal(said.get(attribute))

    gpu = Gpu(
        name=_word(said.get("name")),
        driver=_word(said.get("driver")),
        compute_capability=_word(said.get("compute_capability")),
        memory_mib=number("memory_mib"),
        memory_free_mib=number("memory_free_mib"),
        mhz=number("mhz"),
        maximum_mhz=number("maximum_mhz"),
        memory_mhz=number("memory_mhz"),
        maximum_memory_mhz=number("maximum_memory_mhz"),
        performance_state=_word(said.get("performance_state")),
        persistence={"Enabled": True, "Disabled": False}.get(said.get("persistence", "")),
        celsius=number("celsius"),
        watts=number("watts"),
        limit_watts=number("limit_watts"),
        held_back_by=_reasons(said.get("held_back_by", "")),
        unknown={},
    )
    lacks = [attribute for attribute in FIELDS if getattr(gpu, attribute) is None]
    return replace(gpu, unknown={name: said.get(name) or _NO_FIELD for name in lacks})


def _word(cell: str | None) -> str | None:
    """Return a cell's text; what stands in brackets, or says N/A, is a reason and no value."""
    return None if not cell or cell.startswith("[") or cell in _NOTHING else cell


def _reasons(mask: str) -> tuple[str, ...] | None:
    if not _MASK.fullmatch(mask):
        return None
    bits = int(mask, 16)
    return tuple(
        REASONS.get(1 << place, f"reason {1 << place:#x}")
        for place in range(bits.bit_length())
        if bits >> place & 1
    )
