"""A Jetson: which board, chip and release it is, from its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cspine import sysfs
from cspine.nvidia.packages import newest

_RELEASE = re.compile(r"# R(\d{1,3}) \(release\), REVISION: (\d{1,3}(?:\.\d{1,3})*)")
_VERSION = re.compile(r"\d{1,3}(\.\d{1,3})*")
_CHIP = re.compile(r"\bnvidia,(tegra\d{3})\b")

# Which JetPack brought which Jetson Linux, by NVIDIA's JetPack archive; 36.4.7 came as an update of
# the packages alone.
_JETPACK = {
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5.0": "6.2.2",
    "36.5.2": "6.2.3",
    "38.2.0": "7.0",
    "38.2.1": "7.0",
    "38.4.0": "7.1",
    "39.2.0": "7.2",
    "39.2.1": "7.2.1",
}
_COMPUTE_CAPABILITY = {"tegra194": "7.2", "tegra234": "8.7", "tegra264": "11.0"}
_GENERATION = {"tegra194": "Xavier", "tegra234": "Orin", "tegra264": "Thor"}


@dataclass(frozen=True, kw_only=True)
class Jetson:
    """One board; ``None`` where its files do not say.

    Attributes
    ----------
    model
        As its device tree names it.
    chip
        Such as ``tegra234``.
    l4t
        Release of Jetson Linux, such as ``36.4.3``.
    jetpack
        Of the package, or the one that brought this Jetson Linux.
    dla_cores
        Deep learning accelerators that the system runs; 0 on an Orin Nano and on Thor.
    """

    model: str | None
    chip: str | None
    generation: str | None
    l4t: str | None
    jetpack: str | None
    compute_capability: str | None
    dla_cores: int | None


def read_jetson(root: Path, packages: Mapping[str, str]) -> Jetson | None:
    """Read what board this is; ``None`` if it is none."""
    tree = root / "proc/device-tree"
    chip = _CHIP.search(sysfs.text(tree / "compatible") or "")
    release = sysfs.text(root / "etc/nv_tegra_release")
    if chip is None and release is None:
        return None
    name = chip[1] if chip else ""
    l4t = _l4t(release or "")
    package = _VERSION.match(newest(packages, r"nvidia-jetpack(-runtime)?") or "")
    platform = root / "sys/bus/platform/devices"
    return Jetson(
        model=sysfs.text(tree / "model"),
        chip=name or None,
        generation=_GENERATION.get(name),
        l4t=l4t,
        jetpack=package[0] if package else _JETPACK.get(l4t or ""),
        compute_capability=_COMPUTE_CAPABILITY.get(name),
        dla_cores=len([*platform.glob("*.nvdla[0-9]*")]) if platform.is_dir() else None,
    )


def _l4t(release: str) -> str | None:
    found = _RELEASE.search(release)
    if found is None:
        return None
    major, minor, *patch = f"{found[1]}.{found[2]}".split(".")
    return ".".join([major, minor, *(patch or ["0"])])
