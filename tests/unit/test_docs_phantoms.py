"""docs/phantoms.md says what the code does, and shows pictures that are there."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest

from cspine_phantom.faults.film import FAULTS
from cspine_phantom.imaging.devices import DEVICES, Device
from cspine_phantom.measure.ideal import ideal_auc, prevalence
from cspine_phantom.patients import READER_NOISE, SHARED, SITES, THRESHOLD
from cspine_phantom.training.recipe import Recipe

PAGE = Path(__file__).parents[2] / "docs" / "phantoms.md"
TEXT = PAGE.read_text()
ROOMS = Path(__file__).parents[2] / "benchmarks" / "cspine_phantom"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its header."""
    section = TEXT.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def row(site: str, device: Device) -> list[str]:
    return [
        site,
        device.detector.material,
        f"{device.spacing_mm:.3f}",
        f"{device.rows} x {device.columns}",
        f"{device.kvp:.0f}",
        str(device.bits),
        f"{device.grid.ratio}:1" if device.grid else "none",
        f"{device.photometric}, {device.voi}",
        device.spacing_tags,
    ]


def test_sites_are_those_of_the_code() -> None:
    assert rows("Sites") == [row(site, DEVICES[site]) for site in SITES]
    sizes = [device.rows * device.columns / 1e6 for device in DEVICES.values()]
    assert f"Films have {min(sizes):.1f} to {max(sizes):.1f} megapixels" in TEXT


def test_faults_are_those_of_the_code() -> None:
    assert [name.strip("`") for name, *_ in rows("Faults")] == list(FAULTS)


def test_figures_of_the_label_are_those_of_the_code() -> None:
    flat = " ".join(TEXT.split())
    assert f"read with an error of {READER_NOISE}: positive above {THRESHOLD}, which " in flat
    assert f"which {prevalence():.1%} of the levels are".replace("%", " %") in flat
    assert f"has an AUC of {ideal_auc():.3f} (`ideal.py`)" in flat
    assert f"a correlation of {SHARED} between" in flat


def test_training_seeds_are_those_of_the_recipe() -> None:
    seed = Recipe().seed
    found = [cell for cell, _ in rows("Seeds and splits")]
    assert found == [f"{seed}", f"{seed + 1}", f"{seed + 2}, {seed + 3}"]


@pytest.mark.parametrize("name", re.findall(r"\((images/[^)]+)\)", TEXT))
def test_pictures_are_there_and_small(name: str) -> None:
    path = PAGE.parent / name
    assert path.stat().st_size <= 400_000
    assert cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).shape[1] >= 1000


def test_modules_are_there() -> None:
    names = set(re.findall(r"`(\w+\.py)`", TEXT))
    assert "detector.py" in names
    assert names - {path.name for path in ROOMS.rglob("*.py")} == set()
