"""The published sizes, with the real timm and torchvision: ``make zoo``, in its own environment."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cspine.device import this_device, tools

TOOLS = ("monai", "onnx", "onnxruntime", "onnxscript", "timm", "torch", "torchvision")
Facts = dict[str, dict[str, Any]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--zoo-record", type=Path, help="Where the figures go, as JSON.")


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[Facts]:
    """What the tests measure, by section and name.

    Some of the tests alone renew their part of a record, if it was made with the same tools on such
    a machine; the page that shows it fails as long as a part is missing.
    """
    path: Path | None = request.config.getoption("--zoo-record")
    about: dict[str, Any] = {
        "format": 1,
        "device": this_device().facts(),
        "python": platform.python_version(),
        "tools": tools(*TOOLS),
    }
    found: Facts = {}
    if path is not None and path.exists():
        earlier = json.loads(path.read_text())
        if {name: earlier.pop(name, None) for name in about} == about:
            found = earlier
    yield found
    if path is not None:
        path.write_text(json.dumps({**about, **found}, indent=1) + "\n")
