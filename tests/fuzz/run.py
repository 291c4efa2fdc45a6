"""Run a campaign and write what came of it: ``python tests/fuzz/run.py --count 10000``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

from fuzz_campaign import Campaign, Mutant, mutants

from cspine.device import installed, this_device
from cspine.dicom.isolate import SECONDS, IsolatedReader

MEMORY_BYTES = 1 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one mutant, by its number")
    parser.add_argument("--keep", type=Path, help="folder for mutants that stopped the reader")
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    outcomes: dict[str, dict[str, Counter[str]]] = {"by syntax": {}, "by mutation": {}}
    total: Counter[str] = Counter()
    slowest: list[tuple[float, int, str, str]] = []
    failed: list[str] = []
    start = time.time()
    with tempfile.TemporaryDirectory() as folder, IsolatedReader() as reader:
        campaign = Campaign(Path(folder), reader)
        for mutant in mutants(given.count, seed=given.seed):
            if given.only not in (None, mutant.number):
                continue
            outcome = campaign.judged(mutant)
            total[outcome.kind] += 1
            for group, key in (("by syntax", mutant.base.name), ("by mutation", mutant.mutation)):
                outcomes[group].setdefault(key, Counter())[outcome.kind] += 1
            named = mutant.number, mutant.base.name, mutant.mutation
            slowest = sorted([*slowest, (round(outcome.seconds, 3), *named)], reverse=True)[:10]
            if outcome.kind == "stopped" or given.only is not None:
                print(mutant.number, mutant.base.name, mutant.mutation, outcome.kind, outcome.told)
            if outcome.kind == "stopped":
                failed.append(str(mutant.number))
                keep(given.keep, mutant)
        peak = campaign.peak_bytes
    record = {
        "date": date.today().isoformat(),
        "seed": given.seed,
        "count": given.count,
        "seconds": round(time.time() - start, 1),
        "outcomes": dict(sorted(total.items())),
        **{group: {key: dict(sorted(counts.items())) for key, counts in sorted(found.items())}
           for group, found in outcomes.items()},
        "slowest": [dict(zip(("seconds", "number", "syntax", "mutation"), each, strict=True))
                    for each in slowest],
        "peak_mib": peak >> 20,
        "limits": {"seconds": SECONDS, "mib": MEMORY_BYTES >> 20},
        "device": dict(this_device().facts()),
        "versions": {name: installed(name) for name in ("pydicom", "imagecodecs", "numpy")},
    }  # fmt: skip
    text = json.dumps(record, indent=2)
    if given.record:
        given.record.write_text(text + "\n")
    print(json.dumps(record["outcomes"]), f"slowest {slowest[0][0]} s, peak {peak >> 20} MiB")
    if failed or slowest[0][0] > SECONDS or peak > MEMORY_BYTES:
        sys.exit(f"fuzz: over the limits, or the reader was stopped by: {', '.join(failed)}")


def keep(folder: Path | None, mutant: Mutant) -> None:
    if folder:
        folder.mkdir(exist_ok=True)
        (folder / f"{mutant.number}.dcm").write_bytes(mutant.data)


if __name__ == "__main__":
    main()
