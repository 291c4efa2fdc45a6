"""An NVIDIA device in the rows of a table, for the operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cspine.clocks import Clock
from cspine.nvidia.device import NvidiaDevice
from cspine.nvidia.jetson import Jetson
from cspine.nvidia.smi import Gpu
from cspine.nvidia.software import Software

Row = tuple[str, str]


def rows(device: NvidiaDevice, software: Software) -> Iterator[Row]:
    """Say every fact in a few words, or why it is unknown."""
    if device.jetson:
        yield from _board(device.jetson)
    for gpu in device.gpus:
        yield from _gpu(gpu)
    if device.driver:
        yield "driver", device.driver
    yield "CUDA", software.cuda or "no toolkit found"
    yield "TensorRT", _tensorrt(software)
    yield from _now(device)
    for fact, why in device.unknown.items():
        yield fact.replace("_", " "), f"unknown: {why}"


def _now(device: NvidiaDevice) -> Iterator[Row]:
    if device.power_mode:
        yield "power mode", f"{device.power_mode.id} ({device.power_mode.name or 'no name'})"
    if device.cpu_clocks:
        yield "CPU clocks", f"{_range(device.cpu_clocks)}, {len(device.cpu_clocks)} cores"
    for clock in device.device_clocks:
        yield clock.name, _range([clock])
    degrees = [(zone.celsius, zone.name) for zone in device.temperatures if zone.celsius]
    if degrees:
        yield "hottest", "{:.1f} °C ({})".format(*max(degrees))
    if device.memory_available_mib is not None:
        yield "memory available", f"{device.memory_available_mib} MiB"
    if device.tegrastats:
        for rail, milliwatts in device.tegrastats.milliwatts.items():
            yield rail, f"{milliwatts} mW"


def _board(jetson: Jetson) -> Iterator[Row]:
    yield "board", jetson.model or "unknown"
    yield "chip", f"{jetson.chip or 'unknown'} ({jetson.generation or 'of no known generation'})"
    yield "JetPack", jetson.jetpack or "unknown"
    yield "Jetson Linux", jetson.l4t or "unknown"
    yield "compute capability", jetson.compute_capability or "unknown"
    yield "DLA cores", "unknown" if jetson.dla_cores is None else str(jetson.dla_cores)


def _gpu(gpu: Gpu) -> Iterator[Row]:
    yield "GPU", gpu.name or "unknown"
    known = {
        "compute capability": gpu.compute_capability,
        "memory": _of(gpu.memory_free_mib, gpu.memory_mib, "MiB free"),
        "clock": _of(gpu.mhz, gpu.maximum_mhz, "MHz"),
        "memory clock": _of(gpu.memory_mhz, gpu.maximum_memory_mhz, "MHz"),
        "performance state": gpu.performance_state,
        "held back by": _listed(gpu.held_back_by),
        "temperature": None if gpu.celsius is None else f"{gpu.celsius:.0f} °C",
        "power": _of(gpu.watts, gpu.limit_watts, "W"),
    }
    yield from ((f"  {label}", value) for label, value in known.items() if value)
    for why in sorted(set(gpu.unknown.values())):
        lacks = [fact for fact, reason in gpu.unknown.items() if reason == why]
        yield f"  {why}", ", ".join(lacks).replace("_", " ")


def _of(value: float | None, whole: float | None, unit: str) -> str | None:
    if value is None:
        return None
    return f"{value:.0f} {unit}" if whole is None else f"{value:.0f} of {whole:.0f} {unit}"


def _listed(reasons: Sequence[str] | None) -> str | None:
    return None if reasons is None else ", ".join(reasons) or "nothing"


def _tensorrt(software: Software) -> str:
    if software.tensorrt is None:
        return software.tensorrt_module or "not installed"
    built_for = f" for CUDA {software.tensorrt_cuda}" if software.tensorrt_cuda else ""
    return f"{software.tensorrt}{built_for}"


def _range(clocks: Sequence[Clock]) -> str:
    """Say what clocks do now, what they may do, and what sets them."""
    shown = []
    for name, values in (
        ("now", {clock.mhz for clock in clocks}),
        ("least", {clock.minimum_mhz for clock in clocks}),
        ("most", {clock.maximum_mhz for clock in clocks}),
    ):
        known = sorted({round(value) for value in values if value is not None})
        if known:
            shown.append(f"{name} {' to '.join(map(str, sorted({known[0], known[-1]})))}")
    governors = sorted({clock.governor for clock in clocks if clock.governor})
    return " ".join([", ".join(shown), "MHz", *governors]) if shown else "unknown"
