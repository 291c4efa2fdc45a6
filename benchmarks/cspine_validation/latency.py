"""Error rates of the latency verdict, by simulation on recorded times.

What grows by the slowdown is the time of whole studies, which is what the tool judges. A stage
that is slowed by as much slows the study by its share of it only.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import get_args

import msgspec
import numpy as np

from cspine.evidence import Verdict
from cspine_bench.latency.equivalence import MEDIAN_MARGIN
from cspine_bench.latency.gate import judged_median, until_decided
from cspine_bench.latency.ratio import ratio_interval, run_length
from cspine_bench.latency.record import Gate, Record, Samples
from cspine_bench.latency.scenario import TOTAL
from cspine_validation.rate import Rate, rate

# The default of --blocks, and the --until-decided of the command's own example.
BLOCKS, AT_MOST = 40, 400
SLOWDOWNS = (1.0, 1.03, 1.06)


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cspine bench --against --until-decided`` makes of one true ratio.

    Attributes
    ----------
    backend
        Of the record whose times were drawn.
    slowdown
        The true ratio of the whole study, candidate over reference.
    margin, blocks, at_most
        What the tool was given.
    seed
        Of the simulation: run ``i`` depends on it and ``i`` alone.
    rates
        By verdict.
    median_blocks
        How many blocks the tool asked for.
    verdicts, measured
        Of each run: the first letter of what was said, and after how many blocks.
    """

    backend: str
    slowdown: float
    margin: float
    blocks: int
    at_most: int
    seed: int
    rates: dict[Verdict, Rate]
    median_blocks: float
    verdicts: str
    measured: list[int]


def simulate(record: Record, *, runs: int, seed: int, slowdown: float) -> Simulation:
    """Repeat a comparison on times drawn from a record, by the tool's own functions.

    The record's candidate is scaled until its ratio is the slowdown. Its blocks are then drawn in
    runs of neighbours, so that noise which lasts from block to block does so here too, and are
    measured, judged and measured on just as ``cspine bench`` does.

    Parameters
    ----------
    record
        Of two arms that took turns; a few dozen blocks at least.
    runs
        How often the comparison is repeated.
    seed
        Of the draws.
    slowdown
        The ratio of whole studies to simulate, candidate over reference.
    """
    slowed = _slowed(record, slowdown)
    ended = [_compared(slowed, np.random.default_rng((seed, number))) for number in range(runs)]
    verdicts = [verdict for verdict, _ in ended]
    measured = [blocks for _, blocks in ended]
    counts = Counter(verdicts)
    return Simulation(
        backend=record.arms[record.candidate].backend,
        slowdown=slowdown,
        margin=MEDIAN_MARGIN,
        blocks=BLOCKS,
        at_most=AT_MOST,
        seed=seed,
        rates={verdict: rate(counts[verdict], runs) for verdict in get_args(Verdict)},
        median_blocks=median(measured),
        verdicts="".join(verdict[0] for verdict in verdicts),
        measured=measured,
    )


def _slowed(record: Record, slowdown: float) -> Record:
    """Return a record of whole studies alone, of which the ratio is the slowdown."""
    reference, candidate = (
        np.array(record.nanoseconds[arm][TOTAL]) for arm in (record.reference, record.candidate)
    )
    scaled = candidate * (slowdown / ratio_interval(reference, candidate, seed=0).ratio)
    return msgspec.structs.replace(
        record,
        gate=Gate(median=MEDIAN_MARGIN, p99=None, memory=None),
        baseline=None,
        starts={},
        nanoseconds={
            record.reference: {TOTAL: reference.tolist()},
            record.candidate: {TOTAL: np.rint(scaled).astype(int).tolist()},
        },
    )


def _compared(record: Record, rng: np.random.Generator) -> tuple[Verdict, int]:
    """Return what is said of one run of blocks drawn from a record, and after how many."""
    length = run_length(record.blocks)

    def more(found: Record, count: int) -> Record:
        starts = rng.integers(record.blocks, size=(-(-count // length), 1))
        drawn = ((starts + np.arange(length)) % record.blocks).ravel()[:count].tolist()
        return msgspec.structs.replace(
            found,
            blocks=found.blocks + count,
            nanoseconds={
                arm: {TOTAL: [*found.nanoseconds[arm][TOTAL], *(parts[TOTAL][i] for i in drawn)]}
                for arm, parts in record.nanoseconds.items()
            },
        )

    empty: dict[str, Samples] = {arm: {TOTAL: []} for arm in record.nanoseconds}
    first = more(msgspec.structs.replace(record, blocks=0, nanoseconds=empty), BLOCKS)
    found = until_decided(first, more, batch=BLOCKS, at_most=AT_MOST)
    return judged_median(found, margin=MEDIAN_MARGIN).verdict, found.blocks
