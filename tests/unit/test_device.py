from __future__ import annotations

import os
import platform
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest
from msgspec import json

from cspine.device import Device, installed, this_device

PLAIN = Device(
    machine="x86_64",
    system="Linux 6.1",
    python="3.12.0",
    cpu="a CPU",
    cores=4,
    memory_mib=8192,
    flags=(),
    jetson=None,
)


@pytest.mark.parametrize(
    ("flags", "target"),
    [
        ("sse4_2", None),
        ("", None),
        ("avx2 fma", "ort-x64-avx2"),
        ("avx2 avx512f avx512bw", "ort-x64-avx2"),
        ("avx2 avx_vnni", "ort-x64-vnni"),
        ("avx2 avx512f avx512_vnni", "ort-x64-vnni"),
        ("fp asimd", "ort-arm"),
        ("fp asimd asimddp i8mm", "ort-arm"),
    ],
)
def test_the_emission_whose_kernels_are_exact_here(flags: str, target: str | None) -> None:
    device = replace(PLAIN, flags=tuple(flags.split()))
    assert device.onnxruntime_target == target
    assert device.has_vnni == (target == "ort-x64-vnni")


def test_a_record_keeps_only_the_flags_that_kernels_look_at() -> None:
    device = replace(PLAIN, flags=("sse", "avx2", "hypervisor", "amx_int8"))
    facts = device.facts()
    assert facts["flags"] == ["amx_int8", "avx2"]
    assert facts["cpu"] == "a CPU"
    assert json.decode(json.encode(facts)) == facts


@pytest.mark.skipif(sys.platform != "linux", reason="devices run Linux")
def test_this_device_is_the_one_that_runs_the_test() -> None:
    device = this_device()
    assert device == this_device()
    assert device.machine == platform.machine()
    assert device.python == platform.python_version()
    assert device.cores == len(os.sched_getaffinity(0))
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert device.memory_mib == pytest.approx(pages / 2**20, rel=0.02)
    assert device.flags
    assert device.cpu


def test_installed_reads_versions_without_importing() -> None:
    assert installed("numpy") == version("numpy")
    assert installed("cspine-of-another-world") is None
