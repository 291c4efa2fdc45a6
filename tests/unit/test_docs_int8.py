"""docs/int8.md, generated from the latest record of ``make bench-int8``."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cspine_int8.record import Arm, Record, Result, Share

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "int8.md"
OURS = "ours"
NEAR_DB = 1.0
LEAST = 0.98
NOISE_DB = 0.5
AIMS = [
    ("trt", "int8"), ("trt-rtx", "int8"), ("trt", "fp16"), ("trt-rtx", "fp16"),
]  # fmt: skip

TEXT = """# INT8 against other tools

Generated from a record by `python tests/unit/test_docs_int8.py`; `make bench-int8` makes the record
anew, in the environment of `make zoo`, on the machine it is called on.

Each network is quantised four times with the same images: by `cspine`, by
`onnxruntime.quantization.quantize_static` at its defaults, by the same at the best settings that we
know of for x86-64 (its preprocessing, UINT8 activations, weights per channel), and by
`nncf.quantize` at its defaults, as ONNX for ONNX Runtime and as an OpenVINO model for OpenVINO.
FP32 and all four run in turn, in blocks of random order; the speed is FP32's time over theirs,
paired by block and image, with its 95 % interval. Networks may have run on different days: compare
ratios, and milliseconds within a row only. dB is the signal-to-noise ratio of the worst output
against FP32 on images that calibrated nothing. The share in integers is of the FP32 graph's FLOPs,
read from the graph that the runtime has optimised.

Weights are seeded, with the statistics of BatchNorm that training leaves: the ratio tells which
tool loses less, and no clinical accuracy. What INT8 does to answers is for
[verify](statistics.md) to say. Where INT8 is slower than FP32, `cspine tune` keeps FP32, and
compared is that. A peer whose noise is as strong as the signal is compared with nothing.

This is the newest record; those of other machines lie in `benchmarks/records`.

{body}
"""


BUILDER = """\
Every emission for TensorRT and TensorRT-RTX, INT8 and FP16, through the parser and builder of
TensorRT-RTX for compute capability 8.9, with no GPU (`make zoo`). Kernels are those of the built
engine's convolutions, read from its layer list, merged ones once. No convolution is left in FP32;
transposed ones have no integer kernel there, and TensorRT gets matrix products in FP16.
"""


def records() -> list[Path]:
    return sorted((ROOT / "benchmarks" / "records").glob("*-int8.json"))


def page() -> str:
    found = records()
    if not found:
        return TEXT.format(body="No run has ended on this version yet.")
    record = msgspec.json.decode(found[-1].read_bytes(), type=Record)
    return TEXT.format(body="\n\n".join([about(record), *map(section, runtimes(record)), built()]))


def about(record: Record) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    device = record.device
    return f"Measured on {device['cpu']}, {record.threads} threads. Versions: {versions}."


def runtimes(record: Record) -> list[tuple[str, list[Result]]]:
    names = dict.fromkeys(each.runtime for each in record.results)
    return [(name, [each for each in record.results if each.runtime == name]) for name in names]


def section(found: tuple[str, list[Result]]) -> str:
    runtime, results = found
    header = ["network", "batch", "FP32 ms", *results[0].arms]
    rows = [
        [each.network + ("" if not each.void else " *"), str(each.batch), f"{each.milliseconds:g}",
         *(cell(each, name) for name in results[0].arms)]
        for each in results
    ]  # fmt: skip
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    marked = any(each.void for each in results)
    return "\n\n".join(
        [
            f"## {runtime}",
            "Speed against FP32 and its interval, dB, share in integers.",
            table,
            *(["`*`: the machine's clock moved during this network's run."] if marked else []),
            summary(results),
            *map(where_time_goes, filter(told, results)),
        ]
    )


def kept_float(result: Result) -> bool:
    """Whether INT8 is slower than FP32, which is then what runs."""
    return result.arms[OURS].speed.ratio < 1


def peers(result: Result) -> dict[str, Arm]:
    """Return the other tools' files that compute something."""
    return {
        name: arm for name, arm in result.arms.items() if name != OURS and arm.decibels > NOISE_DB
    }


def ahead(result: Result) -> dict[str, Share]:
    """Return the peers that are faster than what runs of ours, and how many times."""
    against = {
        name: arm.speed if kept_float(result) else arm.over_ours
        for name, arm in peers(result).items()
    }
    return {name: share for name, share in against.items() if share and share.ratio > 1 / LEAST}


def told(result: Result) -> bool:
    """Whether it is to be said where the time goes: beyond the interval slower than another."""
    behind = any(share.low > 1 / LEAST for share in ahead(result).values())
    return bool(result.kernels) and (kept_float(result) or behind)


def where_time_goes(result: Result) -> str:
    """Return the kernels of FP32, of ours and of the fastest peer."""
    others = peers(result)
    peer = max(others, key=lambda name: others[name].speed.ratio)
    why = "slower than FP32, which is kept" if kept_float(result) else f"slower than {peer}"
    columns = ["fp32", OURS, peer]
    lines = [columns, ["---"] * len(columns)]
    kinds = [list(result.kernels[name].items()) for name in columns]
    lines += [
        [f"{each[1][0]} {each[0]}, {each[1][1]:.2f} ms" if each else "" for each in row]
        for row in zip_longest(*kinds)
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{result.network}, {why}. Its kernels, in a profiled run:\n\n{table}"


def built() -> str:
    """Return what NVIDIA's builder made of the emissions of the same networks."""
    (*_, path) = sorted((ROOT / "benchmarks" / "records").glob("*-zoo.json"))
    engines: dict[str, dict[str, Any]] = json.loads(path.read_bytes())["rtx"]
    header = [
        "network",
        "weighted operators",
        *(f"{target} {precision}" for target, precision in AIMS),
    ]
    names = dict.fromkeys(name.rsplit(", ", 2)[0] for name in engines)
    lines = [header, ["---"] * len(header)]
    for name in names:
        found = [engines[f"{name}, {target}, {precision}"] for target, precision in AIMS]
        lines.append([name, str(found[0]["convolutions"]), *map(kernels, found)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## Through NVIDIA's builder\n\n{BUILDER}\n{table}"


def kernels(engine: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in engine["kernels"].items())
    return f"{counts or 'no convolution'}; {engine['engine_megabytes']} MB"


def cell(result: Result, name: str) -> str:
    if name not in result.arms:
        return result.failed.get(name, "")
    arm = result.arms[name]
    speed, low, high = arm.speed
    return (
        f"{speed:.2f} ({low:.2f} to {high:.2f}), {arm.decibels:.1f} dB, {int(100 * arm.integer)} %"
    )


def summary(results: list[Result]) -> str:
    fastest = sum(
        all(arm.speed.ratio <= max(each.arms[OURS].speed.ratio, 1) for arm in each.arms.values())
        for each in results
    )
    closest = sum(
        all(arm.decibels <= each.arms[OURS].decibels for arm in each.arms.values())
        for each in results
    )
    behind = [
        (f"{each.network} ({name}, {1 / share.ratio:.2f})", share)
        for each in results
        for name, share in ahead(each).items()
    ]
    kept = [each.network for each in results if kept_float(each)]
    noisier = [
        f"{each.network} ({name}, {arm.decibels - each.arms[OURS].decibels:.1f} dB)"
        for each in results
        if not kept_float(each)
        for name, arm in each.arms.items()
        if arm.decibels > each.arms[OURS].decibels + NEAR_DB
    ]
    near = [text for text, share in behind if share.low <= 1 / LEAST]
    far = [text for text, share in behind if share.low > 1 / LEAST]
    return (
        f"Of {len(results)} networks ours is the fastest on {fastest} and the most accurate on "
        f"{closest}. Below {LEAST} of a peer's speed, beyond the 95 % interval: "
        f"{', '.join(far) or 'none'}; within it: {', '.join(near) or 'none'}. More than a decibel "
        f"less accurate than a peer: {', '.join(noisier) or 'none'}. Kept in FP32: "
        f"{', '.join(kept) or 'none'}."
    )


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python tests/unit/test_docs_int8.py"


@pytest.mark.parametrize("path", records(), ids=lambda path: path.name)
def test_a_record_s_figures_follow_from_its_samples(path: Path) -> None:
    record = msgspec.json.decode(path.read_bytes(), type=Record)
    for result in record.results:
        reference = result.nanoseconds["fp32"]
        for name, arm in result.arms.items():
            found = result.nanoseconds[name]
            ratios = sorted(
                a / b for row, other in zip(reference, found, strict=True)
                for a, b in zip(row, other, strict=True)
            )  # fmt: skip
            assert ratios[0] <= arm.speed.ratio <= ratios[-1]
            assert arm.speed.low <= arm.speed.ratio <= arm.speed.high


if __name__ == "__main__":
    PAGE.write_text(page())
