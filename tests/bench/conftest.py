"""What a record of single stages says of the machine: everything but its name."""

from __future__ import annotations

from typing import Any


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info.pop("node", None)


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    # The branch and project of whoever measured say nothing of the code.
    for name in ("project", "branch"):
        commit_info.pop(name, None)
