"""NVIDIA's driver and the GPUs that the system sees, whether or not the driver works."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cspine import sysfs

_VERSION = re.compile(r"Kernel Module .*?\b(\d{1,4}\.\d{1,4}(?:\.\d{1,4})?)\b")
_NVIDIA = "0x10de"
_DISPLAYS = ("0x0300", "0x0302")  # a display controller: VGA, 3D


@dataclass(frozen=True, kw_only=True)
class PciGpu:
    """A GPU on the PCI bus.

    Attributes
    ----------
    address
        Such as ``0000:01:00.0``.
    driver
        The kernel module that has it, such as ``nvidia`` or ``nouveau``; ``None`` if none has.
    """

    address: str
    driver: str | None


def driver_version(root: Path) -> str | None:
    """Return the version of the driver that is loaded; ``None`` if none is."""
    found = _VERSION.search(sysfs.text(root / "proc/driver/nvidia/version") or "")
    return found[1] if found else sysfs.text(root / "sys/module/nvidia/version")


def pci_gpus(root: Path) -> tuple[PciGpu, ...]:
    """Return NVIDIA's GPUs on the PCI bus, in the order of their addresses."""
    return tuple(
        PciGpu(address=folder.name, driver=_module(folder / "driver"))
        for folder in sorted((root / "sys/bus/pci/devices").glob("*"))
        if sysfs.text(folder / "vendor") == _NVIDIA
        and (sysfs.text(folder / "class") or "").startswith(_DISPLAYS)
    )


def _module(link: Path) -> str | None:
    return link.readlink().name if link.is_symlink() else None
