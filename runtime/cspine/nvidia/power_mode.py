"""The power mode of a Jetson: which clocks, cores and rails ``nvpmodel`` allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cspine import sysfs
from cspine.nvidia.program import NoAnswer, ask

_STATUS = re.compile(r"\bpmode:(\d{1,4})\b")
_MODEL = re.compile(r"<\s*POWER_MODEL\s+ID=(\d{1,4})\s+NAME=(\S+)\s*>")
_NAME = re.compile(r"^NV Power Mode:\s*(\S.*?)\s*$", re.MULTILINE)
_ID = re.compile(r"^(\d{1,4})\s*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class PowerMode:
    """One mode: its number, which ``nvpmodel -m`` takes, and its name, such as ``MAXN``."""

    id: int
    name: str | None


def read_power_mode(root: Path, *, path: str) -> PowerMode:
    """Read the mode that ``nvpmodel`` last set, or ask it where its files do not say.

    The files are read first: any user may, and they can be read of a copied tree.

    Raises
    ------
    NoAnswer
        If neither says.
    """
    status = sysfs.text(root / "var/lib/nvpmodel/status") or ""
    last = _STATUS.search(status)
    if last is None:
        return parse_answer(ask("nvpmodel", "-q", path=path))
    names = dict(_MODEL.findall(sysfs.text(root / "etc/nvpmodel.conf") or ""))
    by_id = {int(number): name for number, name in names.items()}
    return PowerMode(id=int(last[1]), name=by_id.get(int(last[1])))


def parse_answer(answer: str) -> PowerMode:
    """Read what ``nvpmodel -q`` prints: the name on one line, the number alone on the next.

    Raises
    ------
    NoAnswer
        If there is no number.
    """
    number, name = _ID.search(answer), _NAME.search(answer)
    if number is None:
        raise NoAnswer("nvpmodel -q named no power mode; it may need root")
    return PowerMode(id=int(number[1]), name=name[1] if name else None)
