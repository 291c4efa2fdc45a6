"""The pins of a board are the locked versions, and all that cspine needs there."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path
from platform import python_version_tuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def lines(name: str) -> list[str]:
    return (REQUIREMENTS / name).read_text().splitlines()


def board(version: str) -> dict[str, str]:
    return {
        "platform_machine": "aarch64",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }


def pins(name: str, version: str) -> dict[str, str]:
    """What a file pins on a board; two pins of one package would be a fault of the file."""
    found: dict[str, str] = {}
    for pin in map(Requirement, lines(name)):
        if pin.marker is None or pin.marker.evaluate(board(version)):
            assert pin.name not in found, f"{name}: {pin.name} is pinned twice on {version}"
            found[pin.name] = str(pin.specifier)
    return found


def needed(package: str, version: str) -> set[str]:
    """What a distribution that is installed here needs on a board, directly or not."""
    found: set[str] = set()
    waiting = [package]
    while waiting:
        for requirement in map(Requirement, requires(waiting.pop()) or []):
            name = canonicalize_name(requirement.name)
            environment = {**board(version), "extra": ""}
            wanted = not requirement.marker or requirement.marker.evaluate(environment)
            if wanted and name not in found:
                found.add(name)
                waiting.append(name)
    return found


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_a_board_gets_the_locked_versions(version: str) -> None:
    device, locked = (pins(name, version) for name in ("device.txt", "locked.txt"))
    shared = device.keys() & locked.keys()
    assert {"numpy", "onnxruntime", "imagecodecs", "pydicom"} <= shared
    assert {name: device[name] for name in shared} == {name: locked[name] for name in shared}
    assert {"pycuda", "pytools", "setuptools", "wheel"} <= device.keys()


def test_everything_that_cspine_needs_is_pinned() -> None:
    version = ".".join(python_version_tuple()[:2])
    assert needed("cspine", version) <= pins("device.txt", version).keys()


def test_python_3_10_gets_what_only_it_needs() -> None:
    assert {"tomli", "coloredlogs"} <= pins("device.txt", "3.10").keys()
    assert not {"tomli", "coloredlogs"} & pins("device.txt", "3.12").keys()
