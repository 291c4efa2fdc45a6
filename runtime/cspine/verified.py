"""The files of a bundle, read and held against its manifest.

Nothing is read before its size is known to be right, so what was put in a file's place costs no
memory, however large it is.
"""

from __future__ import annotations

from pathlib import Path

from cspine.errors import BundleError
from cspine.files import sha256
from cspine.manifest import LARGEST_MANIFEST, MANIFEST, Manifest, read_manifest
from cspine.signature import LARGEST_SIGNATURE, Signature, is_signature, read_signature
from cspine.store import Contents

Verified = tuple[Manifest, dict[str, bytes], tuple[Signature, ...]]


def read_verified(there: Contents, *, where: Path) -> Verified:
    """Read a bundle, whoever made it.

    Returns
    -------
    manifest
        Upgraded to the present format.
    contents
        Every file by path, the manifest as it lies there included; no signatures.
    signatures
        Which hold for this bundle; whose they are is not asked.

    Raises
    ------
    BundleError
        Naming the first file that is changed, missing, foreign or unreadable.
    """
    contents = {MANIFEST: _bounded(there, MANIFEST, at_most=LARGEST_MANIFEST, where=where)}
    manifest = read_manifest(contents[MANIFEST], sizes=there.sizes, where=where)
    signed = _accounted(there, manifest, where=where)
    for name in manifest.files:
        contents[name] = _verified(there, name, manifest, where=where)
    signatures = []
    for name in signed:
        data = _bounded(there, name, at_most=LARGEST_SIGNATURE, where=where)
        found = read_signature(data, name=name, bundle=manifest.digest, where=str(where))
        signatures.append(found)
    return manifest, contents, tuple(signatures)


def _accounted(there: Contents, manifest: Manifest, *, where: Path) -> list[str]:
    """Check that every file is there and no other; return where the signatures lie."""
    present = there.sizes.keys() - {MANIFEST}
    for name in sorted(manifest.files.keys() - present):
        raise BundleError(f"{where}: {name} is missing; restore the bundle from its source")
    signed = sorted(filter(is_signature, present))
    for name in sorted(present - manifest.files.keys() - set(signed)):
        raise BundleError(f"{where}: {name} is foreign: the manifest does not name it; remove it")
    return signed


def _verified(there: Contents, name: str, manifest: Manifest, *, where: Path) -> bytes:
    """Read a file, if it has the right size, and check its digest."""
    expected = manifest.files[name]
    told = f"{there.sizes[name]} bytes, expected {expected.bytes}"
    if there.sizes[name] == expected.bytes:
        data = there.read(name)
        got = sha256(data)
        if got == expected.sha256:
            return data
        told = f"digest {got[:12]}, expected {expected.sha256[:12]}"
    raise BundleError(
        f"{where}: {name} has changed: got {told}; restore the bundle from its source"
    )


def _bounded(there: Contents, name: str, *, at_most: int, where: Path) -> bytes:
    """Read a file whose size nothing states."""
    if there.sizes[name] > at_most:
        raise BundleError(
            f"{where}: {name} has changed: got {there.sizes[name]} bytes, expected {at_most} at "
            "most; restore the bundle from its source"
        )
    return there.read(name)
