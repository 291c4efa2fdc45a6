from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.cache import cache_folder, cache_key, write_cached


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"CSPINE_CACHE": "own", "XDG_CACHE_HOME": "xdg"}, "own"),
        ({"CSPINE_CACHE": "", "XDG_CACHE_HOME": "xdg"}, "xdg/cspine"),
        ({"CSPINE_CACHE": "", "XDG_CACHE_HOME": ""}, ".cache/cspine"),
    ],
)
def test_the_cache_is_where_it_was_moved_to_and_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, str(tmp_path / value) if value else "")
    folder = cache_folder()
    assert folder == tmp_path / place
    assert not folder.exists()  # asking for it makes nothing
    write_cached(folder / "tuning" / "entry", b"data")
    assert (folder / "tuning" / "entry").read_bytes() == b"data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_user_without_a_home_is_told_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CSPINE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 2)  # in no password file
    with pytest.raises(OSError, match="set CSPINE_CACHE"):
        cache_folder()


def test_a_key_is_a_file_name_that_every_fact_shapes() -> None:
    key = cache_key("engine", "8.9", ("a", "b"))
    assert key == cache_key("engine", "8.9", ("a", "b"))
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert key != cache_key("engine", "8.6", ("a", "b"))


facts = st.lists(st.text(alphabet="ab\n", max_size=3), max_size=3)


@given(one=facts, other=facts)
def test_other_facts_have_another_key(one: list[str], other: list[str]) -> None:
    assert (cache_key(*one) == cache_key(*other)) == (one == other)
