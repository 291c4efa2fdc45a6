"""Files that would run code, or take all memory, run nothing and are refused."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from cspine.errors import ModelError
from cspine_export.checkpoint import load_state
from cspine_export.checkpoint.limits import MAXIMUM_DEPTH, MAXIMUM_OPERATIONS
from cspine_export.checkpoint.pickled import read_pickle

RUN = "unpickling it could run code; save the weights alone where they were trained: torch.save"
PROTOCOL = b"\x80\x02"


class Reduced:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.canary,)


def reduced(canary: Path) -> bytes:
    return pickle.dumps(Reduced(canary), protocol=2)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def built(canary: Path) -> bytes:
    """Give an object a way to set its state, then a state: no call is written down."""
    method = b"}" + text("__setstate__") + b"cos\nmkdir\nsb"
    return PROTOCOL + b"cargparse\nNamespace\n)\x81" + method + text(str(canary)) + b"b."


def as_zip(pickled: bytes, **members: bytes) -> bytes:
    """What torch.save writes, around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return stream.getvalue()


def legacy(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def saved(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def traced() -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(nn.Linear(2, 1), torch.zeros(1, 2)), stream)
    return stream.getvalue()


def changed(archive: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return zipped(**{name: change(name, source.read(name)) for name in source.namelist()})


def in_script(pickled: bytes, *, tail: str) -> bytes:
    """A TorchScript archive, one of whose members is replaced."""
    return changed(traced(), lambda name, data: pickled if name.endswith(tail) else data)


def in_code(line: str) -> bytes:
    return changed(
        traced(), lambda name, data: data + line.encode() if name.endswith(".py") else data
    )


MALICIOUS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "reduce, plain": (reduced, RUN),
    "reduce, zipped": (lambda c: as_zip(reduced(c)), RUN),
    "reduce, legacy": (lambda c: legacy({"w": Reduced(c)}), RUN),
    "build, plain": (built, RUN),
    "build, zipped": (lambda c: as_zip(built(c)), RUN),
    "nested in a training dict": (
        lambda c: saved({"model": {"w": torch.ones(1)}, "hooks": [{"a": Reduced(c)}]}), RUN,
    ),
    "nested in a bundle": (
        lambda c: zipped(**{"configs/metadata.json": b"{}", "models/model.pt": as_zip(reduced(c))}),
        RUN,
    ),
    "nested in a pt2": (lambda c: zipped(**{"serialized_state_dict.pt": as_zip(reduced(c))}), RUN),
    "TorchScript data": (lambda c: in_script(reduced(c), tail="data.pkl"), RUN),
    "TorchScript constants": (lambda c: in_script(reduced(c), tail="constants.pkl"), RUN),
    "TorchScript code, its pickle": (lambda c: in_script(reduced(c), tail=".debug_pkl"), RUN),
    "TorchScript code, a statement": (
        lambda c: in_code(f"\nimport os; os.mkdir({str(c)!r})\n"), "holds .import os; os.mkdir",
    ),
    "TorchScript code, in a function": (
        lambda c: in_code(f"\n  def f(self):\n    open({str(c)!r}, 'w')\n"), r"holds 'open\('",
    ),
    "TorchScript code, at loading": (
        lambda c: in_code("\n  def __setstate__(self, state: Tensor) -> None:\n    pass\n"),
        "holds 'def __setstate__', as no network's code does",
    ),
    "zip slip": (
        lambda c: zipped(**{"archive/data.pkl": b"", f"../../../../../..{c}/x": b""}),
        "would be unpacked outside of it",
    ),
    "zip slip, absolute": (
        lambda c: zipped(**{"archive/data.pkl": b"", f"{c}/x": b""}), "outside of it",
    ),
    "zip slip, of Windows": (
        lambda c: zipped(**{"archive/data.pkl": b"", "a\\..\\..\\x": b""}), "outside of it",
    ),
    "symlink": (lambda c: linked(c), "is a symbolic link; put the file itself there"),
}  # fmt: skip


def linked(canary: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo("archive/data.pkl")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, str(canary))
    return stream.getvalue()


@pytest.mark.parametrize("kind", MALICIOUS)
def test_malice_runs_nothing_and_is_refused(kind: str, tmp_path: Path) -> None:
    make, message = MALICIOUS[kind]
    path, canary = tmp_path / "x.pt", tmp_path / "canary"
    path.write_bytes(make(canary))
    with pytest.raises(ModelError, match=message):
        load_state(path)
    assert os.listdir(tmp_path) == ["x.pt"]


@pytest.mark.parametrize("make", [reduced, built])
def test_the_pickles_are_malicious(make: Callable[[Path], bytes], tmp_path: Path) -> None:
    pickle.loads(make(tmp_path / "canary"))
    assert (tmp_path / "canary").is_dir()


def test_weights_that_link_out_of_a_bundle_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "elsewhere.pt")
    bundle = tmp_path / "bundle"
    for name in ("configs", "models"):
        (bundle / name).mkdir(parents=True)
    (bundle / "configs" / "metadata.json").write_text("{}")
    (bundle / "models" / "model.pt").symlink_to(tmp_path / "elsewhere.pt")
    with pytest.raises(ModelError, match="a symbolic link to outside of it; give that file"):
        load_state(bundle)
    assert load_state(tmp_path / "elsewhere.pt").keys() == {"w"}


def entry(name: str, *, count: int, shape: str, stride: str) -> bytes:
    """A state of one tensor whose storage is named 0."""
    key = b"X" + struct.pack("<I", len(name)) + name.encode()
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    )
    storage += b"\x8a\x08" + struct.pack("<q", count) + b"tQ"
    numbers = b"".join(
        b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", int(n)) for n in each.split()) + b"t"
        for each in (shape, stride)
    )
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + numbers
    return PROTOCOL + b"}" + key + rebuilt + b"\x89ccollections\nOrderedDict\n)RtRs."


def deflated(name: str, size: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", entry("w", count=size // 4, shape="1", stride="1"))
        archive.writestr(name, bytes(size))
    return stream.getvalue()


def declaring(archive: bytes, size: int) -> bytes:
    """An archive whose list declares another unpacked size for its last file."""
    place = archive.rindex(b"PK\x01\x02") + 24
    return archive[:place] + struct.pack("<I", size) + archive[place + 4 :]


def overlapping() -> bytes:
    """An archive whose list names one file many times over, by many names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", random.Random(1).randbytes(1 << 16))
        (first,) = archive.infolist()
        for number in range(50):
            other = zipfile.ZipInfo(f"archive/data/{number}")
            for name in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(other, name, getattr(first, name))
            archive.filelist.append(other)
        archive._didModify = True
    return stream.getvalue()


def doubling(levels: int) -> bytes:
    """A module that holds one module twice, that one another twice, and so on."""
    pickled = PROTOCOL + b"c__torch__\nM\nq\x00)\x81}X\x01\x00\x00\x00aK\x01sb"
    for _ in range(levels):
        pickled += b"q\x010h\x00)\x81}(X\x01\x00\x00\x00ah\x01X\x01\x00\x00\x00bh\x01ub"
    return as_zip(pickled + b".", **{"constants.pkl": PROTOCOL + b")."})


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "ratio": (
        lambda: deflated("archive/data/0", 4 << 20),
        "unpacks to 4 MiB, more than 200 times its size, as no weights do",
    ),
    "declared": (
        lambda: declaring(deflated("archive/data/0", 1 << 10), (4 << 30) - 2),
        "4095 MiB, more than",
    ),
    "understated": (
        lambda: declaring(deflated("archive/data/0", 1 << 19), 16),
        "has 16 bytes, its tensors need",
    ),
    "overlap": (overlapping, "overlap, as only a decompression bomb's do"),
    "zero stride": (
        lambda: as_zip(
            entry("w", count=1, shape="1000000 1000000", stride="0 0"), **{"data/0": bytes(4)}
        ),
        "'w' reaches beyond the 1 numbers it is made of",
    ),
    "beyond its storage": (
        lambda: as_zip(entry("w", count=4, shape="2", stride="4"), **{"data/0": bytes(16)}),
        "'w' reaches beyond the 4 numbers",
    ),
    "negative": (
        lambda: as_zip(entry("w", count=4, shape="-2", stride="1"), **{"data/0": bytes(16)}),
        "'w' has a shape or stride that no tensor has",
    ),
    "storage": (
        lambda: as_zip(entry("w", count=1 << 40, shape="1", stride="1"), **{"data/0": bytes(4)}),
        "weights of 4194304 MiB, at most 2048 are read",
    ),
    "absent": (
        lambda: as_zip(entry("w", count=1, shape="1", stride="1")), "lacks 'archive/data/0'",
    ),
    "modules": (lambda: doubling(40), "modules with more than 1000000 attributes"),
    "depth": (lambda: doubling(MAXIMUM_DEPTH + 2), "modules nested deeper|more than 1000000"),
    "key": (
        lambda: as_zip(PROTOCOL + b"}\x8a\x09" + bytes(8) + b"\x01K\x01s."), "has a key of a dict",
    ),
    "deep key": (lambda: as_zip(PROTOCOL + b"})" + b"\x85" * 100_000 + b"K\x01s."), "is a tuple"),
    "two pickles": (
        lambda: zipped(**{"a/data.pkl": b"", "b/data.pkl": b""}), "2 files 'data.pkl'; give one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_a_file_cannot_ask_for_more_than_it_is(kind: str, tmp_path: Path) -> None:
    make, message = BOMBS[kind]
    (tmp_path / "x.pt").write_bytes(make())
    with pytest.raises(ModelError, match=message):
        load_state(tmp_path / "x.pt")


def test_what_is_declared_in_all_is_bounded(tmp_path: Path) -> None:
    with (tmp_path / "x.pt").open("wb") as file:
        file.truncate(9 << 30)  # sparse
    with pytest.raises(ModelError, match="a file of 9216 MiB, at most 8192 are read"):
        load_state(tmp_path / "x.pt")


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(2):
            archive.writestr("archive/data.pkl", b"")
    with pytest.raises(ModelError, match=r"holds 'archive/data\.pkl' 2 times"):
        load_state(tmp_path / "x.pt")


def test_a_pickle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAXIMUM_OPERATIONS >= 1_000_000
    monkeypatch.setattr("cspine_export.checkpoint.pickled.MAXIMUM_OPERATIONS", 100)
    with pytest.raises(Exception, match="a pickle of more than 100 instructions"):
        read_pickle(io.BytesIO(PROTOCOL + b")0" * 200 + b"."))


SOUND: dict[str, Callable[[], bytes]] = {
    "torch": lambda: saved({"model": nn.Linear(3, 2).state_dict(), "epoch": 3, "x": (1.5, None)}),
    "legacy": lambda: legacy(nn.Linear(3, 2).state_dict()),
    "torchscript": traced,
    "bundle": lambda: zipped(
        **{"configs/metadata.json": b"{}", "models/model.pt": saved(nn.Linear(3, 2).state_dict())}
    ),
}


CUTS = 60


def damaged(data: bytes) -> Iterator[bytes]:
    chance = random.Random(7)
    for _ in range(CUTS):
        yield data[: chance.randrange(len(data))]
    for _ in range(150):
        place = chance.randrange(len(data))
        yield data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


@pytest.mark.parametrize("form", SOUND)
def test_damage_is_an_error_of_ours_or_none(form: str, tmp_path: Path) -> None:
    data, path = SOUND[form](), tmp_path / "x.pt"
    path.write_bytes(data)
    names = load_state(path).keys()
    refused = []
    for number, each in enumerate(damaged(data)):
        path.write_bytes(each)
        try:
            read = load_state(path)
        except ModelError as error:
            refused.append((number, str(error)))
        else:
            assert all(isinstance(value, torch.Tensor) for value in read.values())
            assert len(read) <= len(names)
    assert [number for number, _ in refused][:CUTS] == list(range(CUTS))
    assert all(message.startswith(f"{path}: ") for _, message in refused)
