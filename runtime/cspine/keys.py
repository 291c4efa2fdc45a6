"""Key pairs: made once, used to sign on a workstation; a device never sees the private half."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cspine.bundle import Bundle
from cspine.errors import BundleError
from cspine.files import write_atomic
from cspine.signature import SCHEMA, PublicKey, Signature, is_name


def make_keys(path: Path, *, name: str, password: bytes | None) -> PublicKey:
    """Make a key pair: the private key at ``path``, the public one at ``path`` with ``.pub``.

    Parameters
    ----------
    name
        What the trust folders of devices call the key.
    password
        Encrypts the private file; ``None`` leaves it in the clear, readable by its owner alone.

    Raises
    ------
    BundleError
        If a file is in the way, which is never replaced, or the name cannot stand in a line.
    """
    if not is_name(name):
        raise BundleError("a key's name is 1 to 80 printable characters, no space around it")
    beside = public_path(path)
    for each in (path, beside):
        if each.exists():
            raise BundleError(f"{each}: exists, and a key is never replaced; choose another place")
    private = Ed25519PrivateKey.generate()
    guard = BestAvailableEncryption(password) if password else NoEncryption()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Private from the first byte on, and no link is followed.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, guard))
        file.flush()
        os.fsync(file.fileno())
    public = PublicKey(_public(private), name)
    write_atomic(beside, public.to_line().encode())
    return public


def public_path(path: Path) -> Path:
    """Return where the public half of a private key lies."""
    return path.with_name(path.name + ".pub")


def is_encrypted(path: Path) -> bool:
    """Return whether a private key asks for a password."""
    return _pem(path).startswith(b"-----BEGIN ENCRYPTED")


def read_private(path: Path, *, password: bytes | None) -> Ed25519PrivateKey:
    """Read a private key.

    Raises
    ------
    BundleError
        If it is no Ed25519 key in PEM, or the password is wrong or missing.
    """
    try:
        key = load_pem_private_key(_pem(path), password)
    except (ValueError, TypeError) as error:
        raise BundleError(
            f"{path}: no private key, or its password is wrong or missing; "
            "give the file that `cspine keys` made"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(f"{path}: is no Ed25519 key; make one with: cspine keys FILE")
    return key


def sign(bundle: Bundle, private: Ed25519PrivateKey) -> Bundle:
    """Put a signature of the digest into a bundle, beside those it has.

    The same key and bundle give the same bytes.
    """
    blank = Signature(schema=SCHEMA, bundle=bundle.digest, key=_public(private), signature="")
    made = private.sign(blank.signed()).hex()
    return bundle.signed_by(msgspec.structs.replace(blank, signature=made))


def _public(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes_raw().hex()


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
