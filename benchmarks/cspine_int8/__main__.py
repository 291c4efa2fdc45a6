"""``python -m cspine_int8``: quantise every network in every way, run them, write the record.

A network that the record has already is not measured again, so that a run that was interrupted goes
on where it stopped; delete the record to begin anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from cspine.device import this_device, tools
from cspine.files import write_atomic
from cspine_int8.measure import Made, measure
from cspine_int8.networks import subjects
from cspine_int8.peers import TARGETS
from cspine_int8.record import FORMAT, Record, Result

_TOOLS = ("cspine", "nncf", "numpy", "onnx", "onnxruntime", "openvino", "timm", "torch")


def main() -> None:
    """Measure, and write the record network by network."""
    parser = argparse.ArgumentParser(prog="python -m cspine_int8", description=__doc__)
    parser.add_argument("--record", type=Path, required=True, help="the file to write")
    parser.add_argument("--files", type=Path, required=True, help="folder for the INT8 files")
    parser.add_argument("--network", action="append", help="only this one; may be repeated")
    parser.add_argument("--runtime", action="append", choices=TARGETS, help="only this one")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="all processors")
    chosen = parser.parse_args()
    results = _read(chosen.record)
    done = {(each.network, each.runtime) for each in results}
    makers = subjects()
    order = {name: number for number, name in enumerate(makers)}
    wanted = [
        (name, runtime)
        for name in chosen.network or makers
        for runtime in chosen.runtime or TARGETS
        if (name, runtime) not in done
    ]
    for number, name in enumerate(dict.fromkeys(name for name, _ in wanted), 1):
        subject = makers[name]()
        kept: dict[str, Made] = {}
        for runtime in (each for other, each in wanted if other == name):
            print(f"{number}: {name} on {runtime}", file=sys.stderr, flush=True)
            folder = chosen.files / name / runtime
            folder.mkdir(parents=True, exist_ok=True)
            results.append(measure(subject, runtime, folder, kept=kept, threads=chosen.threads))
            results.sort(key=lambda each: order[each.network])
            write_atomic(chosen.record, _lines(results, chosen.threads))


def _read(path: Path) -> list[Result]:
    if not path.exists():
        return []
    return msgspec.json.decode(path.read_bytes(), type=Record).results


def _lines(results: list[Result], threads: int) -> bytes:
    """Return the file: a line a network and runtime."""
    record = Record(
        format=FORMAT,
        device=this_device().facts(),
        versions=tools(*_TOOLS),
        threads=threads,
        results=results,
    )
    return msgspec.json.encode(record).replace(b'{"network"', b'\n{"network"') + b"\n"


if __name__ == "__main__":
    main()
