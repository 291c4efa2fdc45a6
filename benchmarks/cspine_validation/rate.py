"""How often something happened in so many simulated runs."""

from __future__ import annotations

import zlib

import msgspec

from cspine_bench.metrics.proportion import wilson


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A count of runs, its share, and Wilson's 95 % interval: the Monte-Carlo error."""

    count: int
    share: float
    low: float
    high: float


def rate(count: int, runs: int) -> Rate:
    """Return the rate of a count."""
    found = wilson(count, runs)
    return Rate(count=count, share=count / runs, low=found.low, high=found.high)


def seed_of(*names: object) -> int:
    """Return the seed of a cell: its own, whatever other cells there are."""
    return zlib.crc32(" ".join(map(str, names)).encode())
