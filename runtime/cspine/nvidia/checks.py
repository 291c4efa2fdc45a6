"""What an NVIDIA device lacks, or does that spoils a measurement, each with its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cspine.nvidia.device import NvidiaDevice
from cspine.nvidia.jetson import Jetson
from cspine.nvidia.smi import Gpu
from cspine.nvidia.software import Software

NEEDED_MIB = 2048  # the builder's workspace, and what CUDA and TensorRT hold beside it
OLDEST_L4T = 36  # JetPack 6, the first with a Python that cspine runs on
# The oldest driver for each major version of CUDA: NVIDIA's "CUDA Compatibility", minor version.
OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
RTX_TARGETS = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")

_MAJOR = re.compile(r"\d{1,6}")
_OF_GPU = re.compile(r"gpu|ga10b|gv11b")  # as the releases of Jetson Linux name it

# What nvidia-smi says when it fails, and what helps.
_FAILURES = {
    "version mismatch": "the driver was upgraded while it ran: reboot",
    "couldn't communicate": "load the driver (sudo modprobe nvidia); if that fails, install it "
    "for this kernel: dmesg says why",
    "No devices were found": "the driver finds no GPU: look for 'NVRM' in dmesg; check the "
    "card's seat and power",
    "there is no nvidia-smi": "install the driver with its utilities; in a container, start it "
    "with --gpus all",
    "did not answer": "the driver hangs: look for 'Xid' in dmesg; reboot",
}
_LOWER_MODE = "take a lower mode (sudo nvpmodel -m ID)"
_ALARMS = {"oc1": "the voltage fell: take a stronger supply or cable"}
_HELD_BACK = {
    "power limit": "more power: sudo nvidia-smi --power-limit=WATTS",
    "hardware slowdown": "check its cooling and its power supply",
    "sync boost": "another GPU of its group holds it back: nvidia-smi boost-slider --help",
    "heat, by the driver": "cool it: fans, dust, the air around it",
    "heat, by the hardware": "cool it at once: fans, dust, the air around it",
    "power brake": "the power supply asks for less: check it and its cables",
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at; with a remedy where there is something to do."""

    part: str
    state: str
    remedy: str = ""


def software_checks(device: NvidiaDevice | None, software: Software) -> Iterator[Check]:
    """Check what builds and runs engines; where there is no device, all of it is optional."""
    optional = "" if device else "optional: "
    jetson = device.jetson if device else None
    seen = software.tensorrt_module
    remedy = "" if seen else optional + _without_tensorrt(jetson, software)
    yield Check(part="tensorrt", state=seen or "missing", remedy=remedy)
    yield _rtx(software.tensorrt_rtx, capabilities(device) if device else [])
    remedy = "pip install 'cspine[tensorrt]'"
    if jetson:
        remedy += ", with /usr/local/cuda/bin on the PATH"
    remedy = "" if software.pycuda else optional + remedy
    yield Check(part="pycuda", state=software.pycuda or "missing", remedy=remedy)


def device_checks(device: NvidiaDevice | None, software: Software) -> Iterator[Check]:
    """Check the device itself."""
    if device is None:
        remedy = "engines can be built ahead of time, not run"
        yield Check(part="NVIDIA GPU", state="missing", remedy=remedy)
    elif device.jetson:
        yield Check(part="NVIDIA GPU", state="found")
        yield from _jetson_checks(device, device.jetson)
    else:
        yield from _gpu_checks(device, software)
    for node in device.closed if device else ():
        remedy = "sudo usermod --append --groups video,render USER, then log in anew"
        yield Check(part=node, state="may not be opened", remedy=remedy)


def capabilities(device: NvidiaDevice) -> list[str]:
    """Return the compute capability of every GPU that is known."""
    if device.jetson:
        return [device.jetson.compute_capability] if device.jetson.compute_capability else []
    return [gpu.compute_capability for gpu in device.gpus if gpu.compute_capability]


def _without_tensorrt(jetson: Jetson | None, software: Software) -> str:
    if software.tensorrt_binding:
        return "make the venv with the system's python3 and --system-site-packages"
    if software.tensorrt:
        return "sudo apt-get install python3-libnvinfer"
    if jetson:
        return "sudo apt-get install nvidia-jetpack"
    return "JetPack brings it; elsewhere install NVIDIA's TensorRT for Python"


def _rtx(version: str | None, found: list[str]) -> Check:
    foreign = sorted(set(found) - {*RTX_TARGETS})
    if foreign:
        remedy = f"it cannot build for compute capability {foreign[0]}: use tensorrt"
        return Check(part="tensorrt-rtx", state=version or "missing", remedy=remedy)
    remedy = "" if version else "optional: pip install 'cspine[tensorrt-rtx]'"
    return Check(part="tensorrt-rtx", state=version or "missing", remedy=remedy)


def _jetson_checks(device: NvidiaDevice, jetson: Jetson) -> Iterator[Check]:
    if jetson.l4t is None:
        remedy = "in a container, mount /etc/nv_tegra_release of the board"
        yield Check(part="Jetson Linux", state="unknown", remedy=remedy)
    elif int(jetson.l4t.partition(".")[0]) < OLDEST_L4T:
        yield Check(part="Jetson Linux", state=jetson.l4t, remedy="flash JetPack 6 or newer")
    if device.power_mode is None:
        remedy = f"{device.unknown['power_mode']}: ask as root: sudo cspine doctor"
        yield Check(part="power mode", state="unknown", remedy=remedy)
    clocks = [
        *device.cpu_clocks,
        *(clock for clock in device.device_clocks if _OF_GPU.search(clock.name)),
    ]
    if clocks and not all(clock.fixed for clock in clocks):
        remedy = "before measuring: sudo jetson_clocks"
        yield Check(part="clocks", state="not locked", remedy=remedy)
    for cooler in device.cooling:
        # The states of the others, such as devfreq-gpu-gpc-0 and pwm-fan, are no alarms.
        if cooler.state and cooler.name.endswith("-alert"):
            remedy = f"heat holds it back: cool the board, or {_LOWER_MODE}"
            yield Check(part=cooler.name, state=f"{cooler.state}", remedy=remedy)
    for alarm, count in device.power_alarms.items():
        if count:
            remedy = _ALARMS.get(alarm, f"it drew more current than it may: {_LOWER_MODE}")
            state = f"{count} since the start"
            yield Check(part=f"power alarm {alarm}", state=state, remedy=remedy)
    yield from _memory("memory", device.memory_available_mib)


def _gpu_checks(device: NvidiaDevice, software: Software) -> Iterator[Check]:
    for card in device.pci:
        if card.driver != "nvidia":
            remedy = "install NVIDIA's driver, then reboot"
            yield Check(part=card.address, state=f"driver: {card.driver or 'none'}", remedy=remedy)
    if "gpus" in device.unknown:
        why = device.unknown["gpus"]
        known = [remedy for words, remedy in _FAILURES.items() if words in why]
        yield Check(part="NVIDIA GPU", state=why, remedy=known[0] if known else "run nvidia-smi")
    yield from _driver(device.driver, software.tensorrt_cuda)
    for gpu in device.gpus:
        yield from _one_gpu(gpu)


def _driver(version: str | None, cuda: str | None) -> Iterator[Check]:
    found, built_for = _MAJOR.match(version or ""), _MAJOR.match(cuda or "")
    if found and built_for:
        oldest = OLDEST_DRIVER.get(int(built_for[0]), 0)
        if int(found[0]) < oldest:
            remedy = f"TensorRT here is for CUDA {cuda}: install driver {oldest} or newer"
            yield Check(part="driver", state=f"{version}: too old", remedy=remedy)


def _one_gpu(gpu: Gpu) -> Iterator[Check]:
    part = gpu.name or "NVIDIA GPU"
    if "requires reset" in " ".join(gpu.unknown.values()):
        yield Check(part=part, state="requires reset", remedy="sudo nvidia-smi --gpu-reset")
        return
    yield Check(part="NVIDIA GPU", state=part)
    for reason in gpu.held_back_by or ():
        if reason in _HELD_BACK:
            yield Check(part=part, state=f"held back: {reason}", remedy=_HELD_BACK[reason])
    if gpu.persistence is False:
        remedy = "it sleeps between programs: sudo nvidia-smi --persistence-mode=1"
        yield Check(part="persistence", state="off", remedy=remedy)
    yield from _memory("GPU memory", gpu.memory_free_mib)


def _memory(part: str, mib: float | None) -> Iterator[Check]:
    if mib is not None and mib < NEEDED_MIB:
        remedy = f"building engines needs about {NEEDED_MIB} MiB: end other programs"
        yield Check(part=part, state=f"{mib:.0f} MiB free", remedy=remedy)
