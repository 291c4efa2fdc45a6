"""Every candidate that was judged on a locked set is on its record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cspine.errors import ModelError
from cspine_bench.accuracy.looks import FILE, Look, check_looks, put_on_record


def look(bundle: str = "a", backend: str = "onnxruntime", set_digest: str = "s") -> Look:
    return Look(bundle=bundle, backend=backend, target="x", set_digest=set_digest)


def test_looks_are_counted(tmp_path: Path) -> None:
    others = [look("b"), look(backend="openvino"), look(set_digest="after cases were added")]
    assert [put_on_record(tmp_path, each) for each in (look(), *others)] == [1, 2, 3, 4]


def test_each_precision_is_a_look_and_a_line_without_one_is_of_int8(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        '{"bundle":"a","backend":"onnxruntime","target":"x","set_digest":"s"}\n'
    )
    assert put_on_record(tmp_path, look()) == 1
    assert put_on_record(tmp_path, msgspec.structs.replace(look(), precision="fp16")) == 2


def test_the_same_candidate_again_is_the_same_look(tmp_path: Path) -> None:
    put_on_record(tmp_path, look())
    put_on_record(tmp_path, look("b"))
    before = (tmp_path / FILE).read_bytes()
    assert put_on_record(tmp_path, look()) == 1
    assert (tmp_path / FILE).read_bytes() == before


def test_the_record_is_only_added_to(tmp_path: Path) -> None:
    put_on_record(tmp_path, look())
    before = (tmp_path / FILE).read_bytes()
    put_on_record(tmp_path, look("b"))
    assert (tmp_path / FILE).read_bytes().startswith(before)


def test_a_damaged_record_is_no_empty_one(tmp_path: Path) -> None:
    put_on_record(tmp_path, look())
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"bundle"')
    with pytest.raises(ModelError, match="cannot be read as the looks at this set"):
        check_looks(tmp_path)
    with pytest.raises(ModelError, match="cannot be read as the looks at this set"):
        put_on_record(tmp_path, look())
