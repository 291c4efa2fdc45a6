"""The record of ``make device``: what an NVIDIA GPU showed, written at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cspine.device import this_device, tools
from cspine.engines.store import device_facts
from cspine.files import write_atomic


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device-record", type=Path, help="write the figures of the GPU's tests there"
    )


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What the tests found, by test."""
    found: dict[str, Any] = {}
    yield found
    path = request.config.getoption("--device-record", default=None)
    if path and found:
        here = device_facts()
        facts = {
            "device": this_device().facts(),
            "gpu": {**here._asdict(), "built_on": repr(here.built_on)},
            "versions": tools("cspine", "numpy", "onnxruntime", "pycuda"),
            "found": found,
        }
        write_atomic(path, json.dumps(facts, indent=1).encode() + b"\n")
