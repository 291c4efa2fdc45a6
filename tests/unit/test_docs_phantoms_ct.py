"""What docs/phantoms.md says of CT phantoms is what the code does."""

from __future__ import annotations

from pathlib import Path

from cspine_phantom.ct.disease import (
    READER_NOISE,
    THRESHOLDS,
    ideal_accuracy,
    ideal_auc,
    room_mm,
)
from cspine_phantom.ct.faults import REFUSED
from cspine_phantom.ct.scanners import SCANNERS, Scanner

TEXT = (Path(__file__).parents[2] / "docs" / "phantoms.md").read_text()
FLAT = " ".join(TEXT.split())


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its header."""
    section = TEXT.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def row(site: str, scanner: Scanner) -> list[str]:
    axial = scanner.axial
    shares = (scanner.thick, scanner.reformat, scanner.scout)
    return [
        site,
        f"{axial.pixel_mm:g}",
        f"{axial.size} x {axial.size}",
        f"{axial.thickness_mm:g}",
        f"{axial.spacing_mm:g}",
        f"{axial.noise_hu:g}",
        f"{scanner.intercept}",
        "none" if scanner.padding_hu is None else f"{scanner.padding_hu}",
        "Enhanced CT" if scanner.enhanced else "CT Image",
        *(f"{share:.0%}".replace("%", " %") for share in shares),
    ]


def test_scanners_are_those_of_the_code() -> None:
    assert rows("CT scanners") == [row(site, scanner) for site, scanner in SCANNERS.items()]


def test_faults_and_codes_are_those_of_the_code() -> None:
    found = {fault.strip("`"): code.strip("`") for fault, _, code in rows("CT faults")}
    assert found == REFUSED


def test_figures_of_the_label_are_those_of_the_code() -> None:
    assert (
        f"{room_mm(0):g} mm where it is 0, {room_mm(0) - room_mm(1):g} mm less a deviation" in FLAT
    )
    assert f"from {room_mm(9):g} to {room_mm(-9):g} mm" in FLAT
    assert f"by the evidence with an error of {READER_NOISE}:" in FLAT
    two, three = 100 * ideal_accuracy(), 100 * ideal_accuracy(THRESHOLDS)
    assert f"right in {two:.1f} % where two answers are wanted, in {three:.1f} %" in FLAT
    assert f"has an AUC of {ideal_auc():.3f}; no reader" in FLAT
