"""The Python of the pages names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / "jetson").glob("*.md"),
]
BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
]


def test_there_is_some() -> None:
    assert ROOT / "README.md" in {page for page, _ in BLOCKS}


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_what_is_imported_is_there(page: Path, block: str) -> None:
    compile(block, str(page), "exec")
    exec("\n".join(re.findall(r"^(?:from|import) .*", block, re.M)), {})
