"""What is installed, by the status file of Debian's package manager; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_FIELD = re.compile(r"^(Package|Status|Version): *(.*?) *$", re.MULTILINE)


def installed_packages(root: Path) -> dict[str, str]:
    """Return the version of every installed package by name; none where dpkg is not used."""
    try:
        status = (root / "var/lib/dpkg/status").read_text("utf-8", "replace")
    except OSError:
        return {}
    found = {}
    for paragraph in status.split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if fields.get("Status", "").endswith(" installed") and fields.get("Package"):
            found[fields["Package"]] = fields.get("Version", "")
    return found


def newest(packages: Mapping[str, str], pattern: str) -> str | None:
    """Return the version of the last package, by number, whose whole name matches a pattern.

    As in ``libnvinfer10``; Debian's revision and epoch stay on it.
    """

    def numbers(name: str) -> list[int]:
        return [int(digits) for digits in re.findall(r"\d{1,9}", name)]

    names = [name for name in packages if re.fullmatch(pattern, name)]
    return packages[max(names, key=numbers)] if names else None
