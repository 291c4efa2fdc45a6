"""The record of ``make bench-int8``: every network on every runtime, with its samples."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

FORMAT: Literal[1] = 1

Kernels = dict[str, tuple[int, float]]
"""How many kernels of each kind, and their milliseconds together in one run."""


class Share(NamedTuple):
    """A ratio of speeds and its 95 % interval; above 1 is faster."""

    ratio: float
    low: float
    high: float


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One INT8 file.

    Attributes
    ----------
    speed
        How many times as fast as FP32 on the same runtime.
    over_ours
        How many times as fast as ours; ``None`` of ours.
    decibels
        Signal-to-quantisation-noise ratio of the worst output against FP32, over the test images.
    integer
        Share of the FP32 graph's FLOPs that the runtime computes in integers.
    seconds
        To make it, on this machine.
    megabytes
        Size of the file.
    """

    speed: Share
    over_ours: Share | None
    decibels: float
    integer: float
    seconds: float
    megabytes: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One network on one runtime.

    Attributes
    ----------
    batch
        Images, or regions, of one run.
    milliseconds
        Median of an FP32 run.
    failed
        By name, why a peer's file is not in the comparison.
    void
        Why the times say nothing; empty if they do.
    nanoseconds
        By arm, (blocks, batches).
    kernels
        By arm, where the runtime spends its time; older records have none.
    """

    network: str
    runtime: str
    batch: int
    milliseconds: float
    arms: dict[str, Arm]
    failed: dict[str, str]
    void: list[str]
    nanoseconds: dict[str, list[list[int]]]
    kernels: dict[str, Kernels] = msgspec.field(default_factory=dict)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured, and on what."""

    format: Literal[1]
    device: dict[str, object]
    versions: dict[str, str]
    threads: int
    results: list[Result]
