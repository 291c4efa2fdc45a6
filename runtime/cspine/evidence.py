"""What is on record of a bundle's lower precisions: the verdicts of ``cspine verify``.

Evidence is kept beside the bundle and names its digest, the backend, the emission, its precision
and the case set. One verdict of ``fail`` outweighs every pass. Evidence of a format before
:data:`OLDEST` does not count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from cspine.bundle import Bundle
from cspine.errors import BundleError
from cspine.gate import Gate
from cspine.precision import Choice, Precision

Verdict = Literal["pass", "fail", "inconclusive"]

FORMAT: Final = 5
OLDEST = 3
"""The first format that counts: 4 knows of no precision but INT8, 3 of no grades and regions."""


class Bounds(msgspec.Struct, frozen=True):
    """The 95 % interval of a candidate's figure less FP32's, and the margin it was judged by."""

    name: str
    low: float
    high: float
    margin: float


class Evidence(msgspec.Struct, frozen=True):
    """The part of a verdict that decides what may run; the file holds all the rest.

    Formats 3 and 4 have no precision and are of INT8.
    """

    format: Literal[3, 4, 5]
    bundle: str
    backend: str
    target: str
    verdict: Verdict
    criteria: tuple[Bounds, ...]
    precision: Precision = "int8"

    def __post_init__(self) -> None:
        """Refuse a precision where the format has none."""
        if self.format < FORMAT and self.precision != "int8":
            raise ValueError(f"format {self.format} knows of no {self.precision}")

    def names(self, choice: Choice) -> bool:
        """Whether it is evidence on a choice."""
        named = (self.backend, self.precision, self.target)
        return named == (choice.backend, choice.precision, choice.graph)


class _Dated(msgspec.Struct, frozen=True):
    """The part of a file of evidence, of whatever format, that says whether it can be read."""

    format: int
    bundle: str
    backend: str
    target: str


def evidence_path(bundle: Bundle, choice: Choice, *, set_digest: str) -> Path:
    """Return where the verdict on a choice lies: each case set has its own.

    INT8 is not named: its files of older formats are to be replaced.
    """
    graph = f"{choice.graph}.fp16" if choice.precision == "fp16" else choice.graph
    parts = (bundle.digest[:12], choice.backend, graph, set_digest[:12])
    return bundle.evidence / f"{'.'.join(parts)}.json"


def evidence_of(bundle: Bundle) -> list[Evidence]:
    """Return all that is on record for exactly this bundle, in the order of file names.

    Raises
    ------
    BundleError
        If a file of this bundle's cannot be read: it might hold a ``fail``.
    """
    return list(evidence_files(bundle).values())


def evidence_files(bundle: Bundle) -> dict[Path, Evidence]:
    """Return the files of :func:`evidence_of`."""
    found = {path: _read(path) for path in _paths(bundle)}
    return {path: each for path, each in found.items() if each and each.bundle == bundle.digest}


def believed(evidence: Evidence, *, gate: Gate) -> Verdict:
    """Return the verdict as far as its own intervals bear it out.

    Parameters
    ----------
    gate
        Of the bundle's pipeline file. Everything that it declares a margin for must have been
        judged, and the stricter of its margin and of that on record counts, so that no file
        talks a candidate past the gate with a wider one.
    """
    found = {bounds.name: bounds for bounds in evidence.criteria}
    margins = {
        name: min(margin, found[name].margin)
        for name, margin in gate.margins.items()
        if name in found
    }
    if evidence.verdict == "fail" or any(found[name].high < -margins[name] for name in margins):
        return "fail"
    holds = all(found[name].low > -margins[name] for name in margins)
    if evidence.verdict == "pass" and margins.keys() == gate.margins.keys() and holds:
        return "pass"
    return "inconclusive"


def verdict_of(bundle: Bundle, choice: Choice) -> Verdict | None:
    """Return the verdict of all evidence for exactly this bundle and choice.

    One ``fail`` on any case set is a ``fail``; else one ``pass`` is a ``pass``; else what there is
    is ``inconclusive``. ``None`` if there is none.

    Raises
    ------
    BundleError
        If evidence of this bundle cannot be read.
    """
    verdicts = {
        believed(evidence, gate=bundle.spec.gate)
        for evidence in evidence_of(bundle)
        if evidence.names(choice)
    }
    order: tuple[Verdict, ...] = ("fail", "pass", "inconclusive")
    return next((verdict for verdict in order if verdict in verdicts), None)


def _paths(bundle: Bundle) -> list[Path]:
    return sorted(bundle.evidence.glob(f"{bundle.digest[:12]}.*.json"))


def outdated(bundle: Bundle, choice: Choice) -> bool:
    """Return whether there is a verdict on a choice in a format that is too old to count."""
    if choice.precision != "int8":
        return False  # of which older formats know nothing
    named = (bundle.digest, choice.backend, choice.graph)
    found = (_dated(path.read_bytes()) for path in _paths(bundle))
    return any(
        each.format < OLDEST and (each.bundle, each.backend, each.target) == named for each in found
    )


def _read(path: Path) -> Evidence | None:
    """Read a file of evidence; ``None`` if it is of an older format."""
    try:
        data = path.read_bytes()
        if _dated(data).format < OLDEST:
            return None
        return msgspec.json.decode(data, type=Evidence)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read as evidence; remove it and verify") from error


def _dated(data: bytes) -> _Dated:
    return msgspec.json.decode(data, type=_Dated)
