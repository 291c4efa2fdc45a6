"""The shape of the house: small modules, imports one way, no cycle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
ROOMS = {
    "cspine": ROOT / "runtime",
    "cspine_bench": ROOT / "benchmarks",
    "cspine_calibration": ROOT / "calibration",
    "cspine_export": ROOT / "export",
    "cspine_int8": ROOT / "benchmarks",
    "cspine_phantom": ROOT / "benchmarks",
    "cspine_validation": ROOT / "benchmarks",
}
MAY_KNOW = {
    "cspine": {"cspine"},
    "cspine_bench": {"cspine", "cspine_bench"},
    "cspine_calibration": {"cspine", "cspine_bench", "cspine_calibration"},
    "cspine_export": {"cspine", "cspine_export"},
    "cspine_int8": set(ROOMS) - {"cspine_phantom", "cspine_validation"},
    "cspine_phantom": set(ROOMS) - {"cspine_int8", "cspine_validation"},
    "cspine_validation": {"cspine", "cspine_bench", "cspine_validation"},
}


def modules() -> dict[str, Path]:
    found = {}
    for room, folder in ROOMS.items():
        for path in sorted((folder / room).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules of ours that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if name in known} or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


def test_modules_are_small() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert median(lines.values()) <= 160
    assert max(lines.values()) <= 400, max(lines, key=lambda name: lines[name])


def test_no_import_goes_round() -> None:
    found = modules()
    graph = {name: imports(path, set(found)) - {name} for name, path in found.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, naming the cycle


def test_rooms_know_only_what_they_may() -> None:
    found = modules()
    for name, path in found.items():
        room = name.partition(".")[0]
        for other in imports(path, set(found)):
            assert other.partition(".")[0] in MAY_KNOW[room], f"{name} imports {other}"
