"""What a bundle says of itself: its name, its files, and how they were made.

The manifest is canonical JSON. Its digest, of itself with ``digest`` left empty, names the bundle
and is what keys sign. A manifest of an earlier format keeps its bytes, its digest and so its
signatures; only what is read from it takes the form of this version, one step a format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from cspine.errors import BundleError
from cspine.files import sha256
from cspine.signature import is_signature

FORMAT = 2
MANIFEST = "manifest.json"
LARGEST_FILE = (1 << 31) - 1  # bytes: protobuf, and so ONNX, holds no more
LARGEST_MANIFEST = 1 << 26
LONGEST_NAME = 255

# Names that every file system and archive holds alike, and that lead nowhere else.
_PART = r"(?!\.\.?(?:/|\Z))[A-Za-z0-9._-]+"
_NAME = re.compile(f"{_PART}(?:/{_PART})*")

Fields = dict[str, Any]
Sizes = Mapping[str, int]


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The SHA-256 of a file and its size in bytes, which is compared before it is read."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle holds and how it came to be.

    ``digest`` is the SHA-256 of the rest of the manifest and so names the bundle. ``files`` is by
    path; ``provenance`` maps a path to facts of its making (checkpoint digest, tool versions,
    parity, what an emission quantized). ``digest`` and ``format`` are those of the bytes that were
    read, which are of an earlier format where ``format`` is below :data:`FORMAT`.
    """

    digest: str
    format: int
    files: dict[str, File]
    provenance: dict[str, dict[str, Any]]

    def to_json(self) -> bytes:
        """Return canonical bytes: the same content, the same bytes."""
        return _canonical(msgspec.to_builtins(self))

    def sealed(self) -> Manifest:
        """Return the manifest with the digest of its own content."""
        digest = _digest(msgspec.to_builtins(self))
        return msgspec.structs.replace(self, digest=digest)


class _Version(msgspec.Struct):
    """All that is asked of a manifest before its format is known."""

    format: int


def make_manifest(
    files: Mapping[str, bytes], provenance: Mapping[str, dict[str, Any]], *, where: Path
) -> Manifest:
    """Return the sealed manifest of a new bundle.

    Raises
    ------
    BundleError
        If these files cannot be a bundle.
    """
    made = Manifest(
        digest="",
        format=FORMAT,
        files={name: File(sha256=sha256(data), bytes=len(data)) for name, data in files.items()},
        provenance=dict(provenance),
    )
    return _checked(made.sealed(), where=where)


def read_manifest(data: bytes, *, sizes: Sizes, where: Path) -> Manifest:
    """Read a manifest of this format or an earlier one, and check it.

    Parameters
    ----------
    sizes
        Of the files that were found; a format that states none takes them from here.
    where
        Names the bundle in messages.

    Raises
    ------
    BundleError
        If it has changed, is of another format, or names what no bundle may hold.
    """
    try:
        found = msgspec.json.decode(data, type=_Version).format
        if found > FORMAT:
            raise BundleError(
                f"{where}: bundle format {found}, made by a later version; cspine "
                f"{version('cspine')} reads 1 to {FORMAT}; run: pip install --upgrade cspine"
            )
        if found < 1:
            raise BundleError(
                f"{where}: bundle format {found}, expected 1 to {FORMAT}; "
                "restore the bundle from its source"
            )
        fields: Fields = msgspec.json.decode(data)
        if _canonical({**fields, "digest": _digest(fields)}) != data:
            raise BundleError(
                f"{where}: {MANIFEST} has changed since it was written; "
                "restore the bundle from its source"
            )
        for step in range(found, FORMAT):
            fields = _UPGRADES[step](fields, sizes)
        manifest = msgspec.convert(fields, Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{where}: {MANIFEST} has changed: {error}") from error
    return _checked(manifest, where=where)


def _with_sizes(fields: Fields, sizes: Sizes) -> Fields:
    """From format 1, where ``files`` maps a path to its digest; a missing file is told later."""
    digests = msgspec.convert(fields.get("files"), dict[str, str])
    files = {
        name: {"sha256": digest, "bytes": sizes.get(name, 0)} for name, digest in digests.items()
    }
    return {**fields, "files": files}


# By format: what makes the fields of the next one of them. `format` and `digest` stay.
_UPGRADES: dict[int, Callable[[Fields, Sizes], Fields]] = {1: _with_sizes}


def _checked(manifest: Manifest, *, where: Path) -> Manifest:
    for name, file in manifest.files.items():
        if name == MANIFEST or is_signature(name) or not _is_plain(name):
            raise BundleError(
                f"{where}: {MANIFEST} names {name!r}, where none of its files may lie"
            )
        if not 0 <= file.bytes <= LARGEST_FILE:
            raise BundleError(
                f"{where}: {name} has {file.bytes} bytes, and no file of a bundle has more than "
                f"{LARGEST_FILE}; restore the bundle from its source"
            )
    return manifest


def _is_plain(name: str) -> bool:
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def _digest(fields: Fields) -> str:
    return sha256(_canonical({**fields, "digest": ""}))


def _canonical(fields: Fields) -> bytes:
    return msgspec.json.format(msgspec.json.encode(fields, order="sorted"), indent=2) + b"\n"
