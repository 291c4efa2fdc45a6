"""The NVIDIA device that this machine is or has: every fact, and why one is unknown."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cspine import sysfs
from cspine.clocks import Clock, cpu_clocks, device_clocks
from cspine.nvidia.driver import PciGpu, driver_version, pci_gpus
from cspine.nvidia.jetson import Jetson, read_jetson
from cspine.nvidia.power_mode import PowerMode, read_power_mode
from cspine.nvidia.program import NoAnswer
from cspine.nvidia.smi import Gpu, read_gpus
from cspine.nvidia.tegrastats import Sample, read_sample
from cspine.thermal import Cooler, Zone, coolers, zones

T = TypeVar("T")

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d{1,15}) kB", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class NvidiaDevice:
    """A Jetson, or a machine with GPUs of NVIDIA's; empty or ``None`` where ``unknown`` says why.

    Attributes
    ----------
    driver
        Version of the driver that is loaded, in a virtual machine that of its host.
    pci
        GPUs on the PCI bus, whether or not the driver works.
    gpus
        As ``nvidia-smi`` lists them.
    memory_available_mib
        Of the machine; on a Jetson it is the GPU's too.
    power_alarms
        How often a Jetson's supply held it back since it started, by alarm: on Orin ``oc1`` is
        too low a voltage, ``oc2`` and ``oc3`` too high a current, on average and for a moment.
    closed
        Device nodes that this user may not open.
    unknown
        Why a fact is missing, by name.
    """

    jetson: Jetson | None
    driver: str | None
    pci: tuple[PciGpu, ...]
    gpus: tuple[Gpu, ...]
    memory_available_mib: int | None
    power_mode: PowerMode | None
    cpu_clocks: tuple[Clock, ...]
    device_clocks: tuple[Clock, ...]
    temperatures: tuple[Zone, ...]
    cooling: tuple[Cooler, ...]
    power_alarms: dict[str, int]
    tegrastats: Sample | None
    closed: tuple[str, ...]
    unknown: dict[str, str]


def read_nvidia(root: Path, packages: Mapping[str, str], *, path: str) -> NvidiaDevice | None:
    """Read the facts; ``None`` where nothing of NVIDIA's is found.

    Parameters
    ----------
    root
        Where ``etc``, ``proc``, ``sys`` and ``var`` are.
    packages
        As :func:`cspine.nvidia.packages.installed_packages` returns them.
    path
        Folders that ``nvidia-smi``, ``nvpmodel`` and ``tegrastats`` are looked for in, separated
        by colons. Each is given ten seconds.
    """
    jetson, driver, pci = read_jetson(root, packages), driver_version(root), pci_gpus(root)
    if not (jetson or driver or pci or shutil.which("nvidia-smi", path=path)):
        return None
    unknown: dict[str, str] = {}

    def answer(fact: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except NoAnswer as why:
            unknown[fact] = str(why)
            return None

    on_a_jetson = jetson is not None
    gpus = answer("gpus", lambda: read_gpus(path)) or ()
    device = NvidiaDevice(
        jetson=jetson,
        driver=driver or next((gpu.driver for gpu in gpus), None),
        pci=pci,
        gpus=gpus,
        memory_available_mib=_available_mib(root),
        power_mode=answer("power_mode", lambda: read_power_mode(root, path=path))
        if on_a_jetson
        else None,
        cpu_clocks=cpu_clocks(root),
        device_clocks=device_clocks(root),
        temperatures=zones(root),
        cooling=coolers(root),
        power_alarms=_power_alarms(root),
        tegrastats=answer("tegrastats", lambda: read_sample(path)) if on_a_jetson else None,
        closed=tuple(f"/{node}" for node in _NODES if _closed(root / node)),
        unknown=unknown,
    )
    expected = _OF_A_JETSON if on_a_jetson else _OF_A_GPU
    unknown.update(
        {fact: why for fact, why in expected.items() if getattr(device, fact) in (None, (), {})}
    )
    return device


# Of a GPU by NVIDIA's desktop driver, of a Jetson's memory, of its GPU.
_NODES = ("dev/nvidia0", "dev/nvidiactl", "dev/nvmap", "dev/nvgpu/igpu0/ctrl")

_OF_ANY = {
    "memory_available_mib": "no MemAvailable in /proc/meminfo",
    "cpu_clocks": "no cpufreq under /sys",
    "temperatures": "no thermal zone under /sys",
}
_OF_A_GPU = {**_OF_ANY, "driver": "no driver of NVIDIA's is loaded"}
_OF_A_JETSON = {
    **_OF_ANY,
    "device_clocks": "no devfreq under /sys",
    "cooling": "no cooling device under /sys",
    "power_alarms": "no oc*_event_cnt under /sys/class/hwmon",
}


def _closed(node: Path) -> bool:
    return node.exists() and not os.access(node, os.R_OK | os.W_OK)


def _available_mib(root: Path) -> int | None:
    found = _AVAILABLE.search(sysfs.text(root / "proc/meminfo") or "")
    return int(found[1]) // 1024 if found else None


def _power_alarms(root: Path) -> dict[str, int]:
    """Read a Jetson's counters; the names are those of its kernel's driver, soctherm_oc."""
    counters = sorted((root / "sys/class/hwmon").glob("hwmon*/oc[0-9]*_event_cnt"))
    counted = {path.name.partition("_")[0]: sysfs.number(path) for path in counters}
    return {alarm: count for alarm, count in counted.items() if count is not None}
