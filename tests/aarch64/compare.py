"""Hold the findings of two machines against each other: compare.py EXPECTED FOUND TOLERANCE PIXELS.

Both are folders that `cspine run -o` wrote. Every word must be the same, and the digest of the
pixels that were read; probabilities may differ by the tolerance, positions by so many pixels of the
film and areas by as many square millimetres. A decision must be the same, but where both
probabilities lie nearer to the threshold than the tolerance. Exit status: 0 the same, 1 not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a document holds, by its path such as ``levels/0/probability``."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{path}/{key}")
    elif isinstance(value, list):
        yield f"{path}/length", len(value)
        for place, each in enumerate(value):
            yield from leaves(each, f"{path}/{place}")
    else:
        yield path, value


def allowed(path: str, tolerance: float, pixels: float) -> float:
    """Return by how much a number may differ."""
    if path.endswith("/probability"):
        return tolerance
    is_place = "_px/" in path and not path.endswith("/length")
    return pixels if is_place or path.endswith("/area_mm2") else 0.0


def undecided(expected: Any, found: Any, *, tolerance: float) -> set[str]:
    """Return the decisions that may differ: of levels that are near the threshold on both sides."""
    threshold = expected["threshold"]
    pairs = zip(expected["levels"], found["levels"], strict=False)
    near = [
        max(abs(each["probability"] - threshold) for each in pair) < tolerance for pair in pairs
    ]
    keys = ("positive", "decision")
    return {
        f"/levels/{place}/{key}" for place, is_near in enumerate(near) if is_near for key in keys
    }


def differences(expected: Any, found: Any, *, tolerance: float, pixels: float) -> list[str]:
    """Return what differs by more than it may, a line each."""
    were, are = dict(leaves(expected)), dict(leaves(found))
    for path in undecided(expected, found, tolerance=tolerance):
        were.pop(path), are.pop(path)
    told = [f"{path}: only on one side" for path in sorted(were.keys() ^ are.keys())]
    for path in were.keys() & are.keys():
        was, now = were[path], are[path]
        number = isinstance(was, float) and isinstance(now, float)
        if was != now and not (number and abs(was - now) <= allowed(path, tolerance, pixels)):
            told.append(f"{path}: {was} expected, {now} found")
    return sorted(told)


def probabilities(document: Any) -> list[float]:
    return [level["probability"] for level in document["levels"]]


def main(expected: Path, found: Path, tolerance: float, pixels: float) -> int:
    names = [
        {file.parent.name: file for file in folder.glob("*/findings.json")}
        for folder in (expected, found)
    ]
    if not names[0] or names[0].keys() != names[1].keys():
        print(f"aarch64: {sorted(names[0])} expected, {sorted(names[1])} found", file=sys.stderr)
        return 1
    furthest, same, told = 0.0, 0, []
    for name, file in names[0].items():
        texts = [file.read_bytes(), names[1][name].read_bytes()]
        was, now = map(json.loads, texts)
        same += texts[0] == texts[1]
        lines = differences(was, now, tolerance=tolerance, pixels=pixels)
        told += [f"{name}{line}" for line in lines]
        steps = [abs(a - b) for a, b in zip(probabilities(was), probabilities(now), strict=False)]
        furthest = max([furthest, *steps])
    print("\n".join(told))
    print(
        f"{len(names[0])} studies, {same} the same to the byte; probabilities differ by "
        f"{furthest:.4f} at most, {tolerance} allowed"
    )
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:])))
