"""The record of the simulations: every cell with its seed, its runs and its counts."""

from __future__ import annotations

from typing import Literal

import msgspec

from cspine_validation.coverage import CoverageCell
from cspine_validation.gate import GateCell
from cspine_validation.latency import Simulation

FORMAT: Literal[1] = 1


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What ``make validate-statistics`` found: a cell can be simulated again from its seed."""

    format: Literal[1]
    versions: dict[str, str]
    gate: list[GateCell]
    coverage: list[CoverageCell]
    latency: list[Simulation]
