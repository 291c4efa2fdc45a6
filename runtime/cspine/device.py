"""What this device is: the facts that decide which emission fits and that records carry."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cspine import sysfs


@dataclass(frozen=True)
class Device:
    """Facts of this machine, read once."""

    machine: str
    system: str
    python: str
    cpu: str
    cores: int
    memory_mib: int
    flags: tuple[str, ...]
    jetson: str | None

    @property
    def has_vnni(self) -> bool:
        """Whether int8 products are summed in 32 bits, so that nothing saturates (O5)."""
        return bool({"avx512_vnni", "avx_vnni"} & set(self.flags))

    @property
    def onnxruntime_target(self) -> str | None:
        """The INT8 emission whose integer kernels are exact here; none on an unknown CPU."""
        if self.has_vnni:
            return "ort-x64-vnni"
        if "avx2" in self.flags:
            return "ort-x64-avx2"
        return "ort-arm" if "asimd" in self.flags else None

    def facts(self) -> dict[str, object]:
        """Return the facts for a record, with only the CPU flags that kernels look at."""
        return {**asdict(self), "flags": sorted(set(self.flags) & _TELLING)}


_TELLING = frozenset(
    "avx2 fma avx512f avx512bw avx512_vnni avx_vnni avx512_bf16 amx_int8 amx_bf16 "
    "asimd asimddp i8mm bf16 sve".split()
)


def this_device() -> Device:
    """Read the facts of this machine."""
    cpu = _fields(Path("/proc/cpuinfo"))
    memory = _fields(Path("/proc/meminfo")).get("MemTotal", "0 kB")
    release = sysfs.text(sysfs.ROOT / "etc/nv_tegra_release")
    return Device(
        machine=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        python=sys.version.split()[0],
        cpu=cpu.get("model name") or cpu.get("CPU part") or platform.processor() or "unknown",
        cores=len(os.sched_getaffinity(0)),
        memory_mib=int(memory.split()[0]) // 1024,
        flags=tuple((cpu.get("flags") or cpu.get("Features") or "").split()),
        jetson=release.splitlines()[0].strip("# ") if release else None,
    )


def installed(package: str) -> str | None:
    """Return the installed version of a distribution without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def tools(*names: str) -> dict[str, str]:
    """Return the versions of the distributions among these that are installed, by name."""
    versions = {name: installed(name) for name in sorted(names)}
    return {name: version for name, version in versions.items() if version}


def _fields(path: Path) -> dict[str, str]:
    """Return the first value of each ``key : value`` line."""
    found: dict[str, str] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    return found
