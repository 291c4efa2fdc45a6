"""Who vouches for a bundle: detached Ed25519 signatures of its digest.

A signature lies in the bundle as ``signatures/FINGERPRINT.json`` and is no part of the manifest:
the digest names the bundle, evidence refers to it, and signing must not change it. What is signed
is the digest, which covers the manifest's format, its files and their provenance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from cspine.errors import BundleError
from cspine.files import sha256

SCHEMA = "cspine-signature/1"
ALGORITHM = "ed25519"
LARGEST_SIGNATURE = 1 << 10  # bytes of its file

_PATH = re.compile(r"signatures/([0-9a-f]{64})\.json")
_KEY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")  # capitals would be other bytes for the same signature


@dataclass(frozen=True)
class PublicKey:
    """A key that checks signatures.

    ``key`` is its 32 bytes in hexadecimal, ``name`` what its file calls it. A signature carries
    no name: whoever signs could write any.
    """

    key: str
    name: str

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the key's 32 bytes, in hexadecimal."""
        return fingerprint(self.key)

    def to_line(self) -> str:
        """Return the content of the key's file: algorithm, key, name."""
        return f"{ALGORITHM} {self.key} {self.name}\n"


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a signature file says.

    ``bundle`` is the digest that was signed, ``key`` the public key and ``signature`` the 64 bytes
    of RFC 8032, all in hexadecimal.
    """

    schema: str
    bundle: str
    key: str
    signature: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key."""
        return fingerprint(self.key)

    @property
    def path(self) -> str:
        """Where in the bundle the file lies: one signature a key."""
        return f"signatures/{self.fingerprint}.json"

    def signed(self) -> bytes:
        """Return what the key signed: all of the file but the signature itself."""
        return msgspec.structs.replace(self, signature="").to_json()

    def to_json(self) -> bytes:
        """Return canonical bytes: the same content, the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2) + b"\n"


def fingerprint(key: str) -> str:
    """Return what people compare keys by."""
    return sha256(bytes.fromhex(key))


def is_signature(name: str) -> bool:
    """Return whether a path of a bundle is where a signature lies."""
    return _PATH.fullmatch(name) is not None


def parse_public_key(text: str, *, where: str) -> PublicKey:
    """Read the line of a public key's file.

    Raises
    ------
    BundleError
        If it is not ``ed25519 KEY NAME``, the key in 64 hexadecimal digits.
    """
    algorithm, _, rest = text.removesuffix("\n").partition(" ")
    key, _, name = rest.partition(" ")
    if algorithm != ALGORITHM or not _KEY.fullmatch(key) or not is_name(name):
        raise BundleError(
            f"{where}: expected one line, {ALGORITHM} KEY NAME, as `cspine keys` writes it"
        )
    return PublicKey(key, name)


def is_name(name: str) -> bool:
    """Return whether a key may be called so: 1 to 80 printable characters, no space around."""
    return name == name.strip() and name.isprintable() and 1 <= len(name) <= 80


def read_signature(data: bytes, *, name: str, bundle: str, where: str) -> Signature:
    """Read a signature file and check that it holds for a bundle; it says nothing of trust.

    Parameters
    ----------
    name
        The file's path in the bundle.
    bundle
        The digest of the bundle that it lies in.
    where
        Names the bundle in messages.

    Raises
    ------
    BundleError
        Naming the file: it is malformed, of another bundle, or not made by the key it names.
    """
    changed = BundleError(
        f"{where}: {name} has changed since it was written; restore the bundle from its source"
    )
    try:
        found = msgspec.json.decode(data, type=Signature)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise changed from error
    if not _KEY.fullmatch(found.key) or found.path != name or found.to_json() != data:
        raise changed
    if found.schema != SCHEMA:
        raise BundleError(f"{where}: {name} is {found.schema!r}, this version reads {SCHEMA!r}")
    if not _holds(found):
        raise changed
    if found.bundle != bundle:
        raise BundleError(
            f"{where}: {name} signs bundle {found.bundle[:12]}, and manifest.json names "
            f"{bundle[:12]}: it is not the one that was signed; restore the bundle from its source"
        )
    return found


def _holds(found: Signature) -> bool:
    if not _SIGNATURE.fullmatch(found.signature):
        return False
    # Only a signed bundle needs it: it takes as long to load as all the rest of this module.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.key))
        key.verify(bytes.fromhex(found.signature), found.signed())
    except (InvalidSignature, ValueError):  # the second: the key is no point of the curve
        return False
    return True
