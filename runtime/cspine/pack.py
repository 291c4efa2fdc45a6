"""A bundle put elsewhere, as one file or as a folder, and with it its evidence."""

from __future__ import annotations

from dataclasses import dataclass

from cspine.bundle import Bundle
from cspine.evidence import evidence_files
from cspine.files import write_atomic
from cspine.store import Store


@dataclass(frozen=True)
class Copy:
    """A bundle in another place; by file name, what evidence went along and what was there."""

    bundle: Bundle
    copied: tuple[str, ...]
    kept: tuple[str, ...]


def put(bundle: Bundle, to: Store) -> Copy:
    """Put a bundle into a place; its digest and signatures stay.

    Evidence of exactly this digest goes along. A verdict that lies there already is kept: it may
    be a later one.

    Raises
    ------
    BundleError
        If something other than a bundle of that kind stands there, or evidence cannot be read.
    """
    found = evidence_files(bundle)
    made = bundle.copied(to)
    there = {path.name for path in found if (made.evidence / path.name).exists()}
    # A `pass` comes last: cut off before it, no `fail` is missing beside it.
    for path in sorted(found, key=lambda path: found[path].verdict == "pass"):
        if path.name not in there:
            write_atomic(made.evidence / path.name, path.read_bytes())
    names = {path.name for path in found}
    return Copy(made, copied=tuple(sorted(names - there)), kept=tuple(sorted(there)))
