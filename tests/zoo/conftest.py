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
    """What the tests measure, by section and name; written when all have run."""
    found: Facts = {}
    yield found
    path: Path | None = request.config.getoption("--zoo-record")
    if path is not None and request.session.testsfailed == 0:
        versions = tools(*TOOLS)
        about = {"device": this_device().facts(), "python": platform.python_version()}
        text = json.dumps({"format": 1, **about, "tools": versions, **found}, indent=1)
        path.write_text(text + "\n")
