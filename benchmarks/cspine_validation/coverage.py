"""How often an interval holds the truth, and on which side it misses."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from cspine.errors import ModelError
from cspine_validation.catalogue import CATALOGUE, EACH, Entry
from cspine_validation.rate import Rate, rate, seed_of

PATIENTS = (30, 100, 300)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated: an interval of the catalogue, of so many patients of ``each`` cases."""

    interval: str
    patients: int
    each: int
    runs: int


class CoverageCell(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the runs at nominal 95 %.

    ``above`` and ``below`` count the runs whose interval lies wholly above or below the truth, of
    which each should be 2.5 %; ``undefined`` those that gave none, which are in no other count.
    """

    sample: Sample
    seed: int
    truth: float
    covered: Rate
    above: Rate
    below: Rate
    undefined: int


def samples() -> Iterator[Sample]:
    """Give every sample of the record."""
    for name, entry in CATALOGUE.items():
        for each in (1, EACH) if entry.clustered else (1,):
            for patients in PATIENTS:
                yield Sample(interval=name, patients=patients, each=each, runs=entry.runs)


def simulate(sample: Sample) -> CoverageCell:
    """Compute the interval of as many samples as asked for, all drawn from one seed."""
    entry: Entry = CATALOGUE[sample.interval]
    seed = seed_of(*msgspec.structs.astuple(sample))
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(sample.patients), sample.each)
    truth = entry.truth(patient)
    above = below = undefined = 0
    for _ in range(sample.runs):
        try:
            found = entry.draw(rng, patient)
        except ModelError:
            found = None
        if found is None:
            undefined += 1
        else:
            above += found.low > truth
            below += found.high < truth
    runs = sample.runs - undefined
    return CoverageCell(
        sample=sample,
        seed=seed,
        truth=truth,
        covered=rate(runs - above - below, runs),
        above=rate(above, runs),
        below=rate(below, runs),
        undefined=undefined,
    )
