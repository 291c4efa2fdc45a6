"""What docs/phantoms.md says of MR phantoms is what the code does."""

from __future__ import annotations

from pathlib import Path

from cspine_phantom.mr.disease import READER_NOISE, ideal_auc
from cspine_phantom.mr.faults import REFUSED
from cspine_phantom.mr.grades import (
    LEAN,
    THRESHOLDS,
    ideal_kappa,
    readers_kappa,
)
from cspine_phantom.mr.grades import (
    READER_NOISE as GRADE_NOISE,
)
from cspine_phantom.mr.scanners import SCANNERS, Scanner

TEXT = (Path(__file__).parents[2] / "docs" / "phantoms.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its header."""
    section = TEXT.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def row(site: str, scanner: Scanner) -> list[str]:
    t2 = scanner.t2
    shares = (scanner.stir, scanner.axial, scanner.localiser)
    return [
        site,
        f"{scanner.field_t:g}",
        f"{t2.pixel_mm:g}",
        f"{t2.rows} x {t2.columns}",
        f"{t2.thickness_mm:g} + {t2.gap_mm:g}",
        f"{t2.slices}",
        "Enhanced MR" if scanner.enhanced else "MR Image",
        *(f"{share:.0%}".replace("%", " %") for share in shares),
    ]


def test_scanners_are_those_of_the_code() -> None:
    assert rows("MR scanners") == [row(site, scanner) for site, scanner in SCANNERS.items()]


def test_faults_and_codes_are_those_of_the_code() -> None:
    found = {fault.strip("`"): code.strip("`") for fault, _, code in rows("MR faults")}
    assert found == REFUSED


def test_figures_of_the_label_are_those_of_the_code() -> None:
    flat = " ".join(TEXT.split())
    assert f"evidence read with an error of {READER_NOISE}: positive above 0" in flat
    assert f"has an AUC of {ideal_auc():.3f}, which no reader of the images exceeds" in flat


def test_thresholds_and_kappas_of_grades_are_those_of_the_code() -> None:
    assert [row[1] for row in rows("MR grades")] == ["", *(f"{each:g}" for each in THRESHOLDS)]
    flat = " ".join(TEXT.split())
    assert f"from {max(LEAN):g} at C5/6 to {min(LEAN):g} at both ends" in flat
    assert f"the narrowness read with an error of {GRADE_NOISE}" in flat
    assert f"has a quadratic kappa of {ideal_kappa():.3f}, and a second reader" in flat
    assert f"a second reader one of {readers_kappa():.3f}" in flat
