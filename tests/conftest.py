"""What some tests need and not every machine has; without it they are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

pytest_plugins = ["trt.install"]

# One of several processes has one core: threads of OpenMP that wait for a core which another
# process has took ten times as long to train a small network. Read when torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests write what broken writers write.
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE

# Public DICOM files that are not part of this repository, one folder a source.
CORPORA = Path(os.environ.get("CSPINE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, so that no process waits for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


@pytest.fixture(scope="session")
def corpora() -> Callable[[str], Path]:
    """Return the function that finds a public file or folder, or skips the test."""

    def find(name: str) -> Path:
        path = CORPORA / name
        if not path.exists():
            pytest.skip(f"{name} is not in {CORPORA}; CSPINE_TEST_DATA names another folder")
        return path

    return find


@pytest.fixture(scope="session")
def dcmtk() -> Callable[..., str]:
    """Return the function that runs one of DCMTK's tools and returns what it said."""

    def run(tool: str, *arguments: object) -> str:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"{tool} is not installed; on Debian it is part of dcmtk")
        words = [found, *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{tool}: {done.stderr}")
        return done.stdout

    return run
