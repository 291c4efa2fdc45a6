"""NVIDIA's software: what the system has installed, and what this Python sees of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cspine import sysfs
from cspine.device import installed
from cspine.nvidia.packages import newest

_VERSION = re.compile(r"(?:\d{1,3}:)?(\d[\d.]*)")
_TOOLKIT = re.compile(r'"cuda"\s*:\s*\{[^{}]*"version"\s*:\s*"(\d[\d.]*)"')
_BUILT_FOR = re.compile(r"\+cuda(\d{1,3}(?:\.\d{1,3})?)")


@dataclass(frozen=True, kw_only=True)
class Software:
    """Versions; ``None`` for what is not there.

    Attributes
    ----------
    cuda
        Of the toolkit, or of its runtime library.
    tensorrt
        Of the system's package.
    tensorrt_cuda
        The CUDA that the found TensorRT was built for, ``X.Y`` or ``X``.
    tensorrt_binding
        Of the system's package that holds the module for the system's Python.
    tensorrt_module, tensorrt_rtx, pycuda
        What this Python sees; ``found`` for a module without a version.
    """

    cuda: str | None
    tensorrt: str | None
    tensorrt_cuda: str | None
    tensorrt_binding: str | None
    tensorrt_module: str | None
    tensorrt_rtx: str | None
    pycuda: str | None


def read_software(root: Path, packages: Mapping[str, str]) -> Software:
    """Read what is installed, without importing any of it.

    Parameters
    ----------
    root
        Where the system's files are. What Python sees is always of the Python that runs this.
    packages
        As :func:`cspine.nvidia.packages.installed_packages` returns them.
    """
    library = newest(packages, r"libnvinfer\d{1,3}")
    built_for = _BUILT_FOR.search(library or "")
    wheels = [number for number in (13, 12, 11) if installed(f"tensorrt-cu{number}")]
    found = "found" if find_spec("tensorrt") else None
    return Software(
        cuda=_cuda(root) or _number(newest(packages, r"cuda-cudart-\d{1,3}-\d{1,3}")),
        tensorrt=_number(library),
        tensorrt_cuda=str(wheels[0]) if wheels else built_for and built_for[1],
        tensorrt_binding=_number(packages.get("python3-libnvinfer")),
        tensorrt_module=found and (installed("tensorrt") or found),
        tensorrt_rtx=installed("tensorrt-rtx-cu13-bindings"),
        pycuda=installed("pycuda"),
    )


def _number(version: str | None) -> str | None:
    """Return a package's version without Debian's epoch and revision."""
    found = _VERSION.match(version or "")
    return found[1] if found else None


def _cuda(root: Path) -> str | None:
    """Return the toolkit's version, of the file that it brings."""
    found = _TOOLKIT.search(sysfs.text(root / "usr/local/cuda/version.json") or "")
    return found[1] if found else None
