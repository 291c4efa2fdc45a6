"""Trees of files as boards and workstations show them, and stand-ins for NVIDIA's programs."""

from __future__ import annotations

from pathlib import Path


def write(root: Path, name: str, text: object) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
    return path


def program(folder: Path, name: str, body: str) -> str:
    """Write a shell script of a program's name; return the path that it is found on."""
    path = write(folder, name, f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    return str(folder)
