"""Whose bundles this machine opens: a folder of public keys, and what was taken back.

::

    TRUST/
    ├── NAME.pub      a trusted key, as ``cspine keys`` writes it; any number
    └── revoked       one a line: ``bundle DIGEST`` or ``key FINGERPRINT``; # starts a comment

Where there is no such folder every whole bundle is opened. Where there is one, a bundle needs a
signature by a key in it. A folder that cannot be read, or holds anything else, opens nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cspine.errors import BundleError
from cspine.signature import PublicKey, Signature, parse_public_key

SYSTEM = Path("/etc/cspine/trust")
REVOKED = "revoked"

_LINE = re.compile(r"(bundle|key) ([0-9a-f]{64})")


@dataclass(frozen=True)
class Trust:
    """The policy of a machine that opens signed bundles only.

    ``keys`` are by fingerprint. A key or bundle in ``revoked`` is refused whatever else holds.
    """

    folder: Path
    keys: dict[str, PublicKey]
    revoked: frozenset[tuple[str, str]]

    def signers(
        self, digest: str, signatures: Sequence[Signature], *, where: Path
    ) -> tuple[PublicKey, ...]:
        """Return the trusted keys that signed a bundle, of signatures that are known to hold.

        Raises
        ------
        BundleError
            If the bundle is revoked or unsigned, or signed by unknown or revoked keys only.
        """
        if ("bundle", digest) in self.revoked:
            raise BundleError(
                f"{where}: bundle {digest[:12]} is revoked in {self.folder / REVOKED}; "
                "put a newer bundle in its place"
            )
        if not signatures:
            raise BundleError(
                f"{where}: is not signed, and {self.folder} asks for a signature; get a signed "
                f"bundle, or sign it: cspine sign {where} --key FILE"
            )
        found = [self.keys.get(each.fingerprint) for each in signatures]
        held = [key for key in found if key and ("key", key.fingerprint) not in self.revoked]
        if held:
            return tuple(held)
        prints = ", ".join(each.fingerprint[:16] for each in signatures)
        if any(("key", each.fingerprint) in self.revoked for each in signatures):
            raise BundleError(
                f"{where}: signed by key {prints}, revoked in {self.folder / REVOKED}; "
                "get the bundle signed by a key that is trusted"
            )
        trusted = ", ".join(sorted(key.name for key in self.keys.values())) or "no key"
        raise BundleError(
            f"{where}: signed by key {prints}, foreign to {self.folder}, which trusts {trusted}; "
            "get the bundle signed by one of these, or put the key's .pub file there"
        )


def trust_folder() -> Path | None:
    """Return the folder that holds here, or ``None`` if there is none.

    ``CSPINE_TRUST`` names it, and then it must exist; else ``/etc/cspine/trust``, which a user's
    own cannot override; else ``cspine/trust`` in the user's configuration (XDG).

    Raises
    ------
    BundleError
        If a place cannot be looked at.
    """
    own = os.environ.get("CSPINE_TRUST")
    if own:
        return Path(own)
    return next((place for place in trust_places() if _stands(place)), None)


def trust_places() -> tuple[Path, ...]:
    """Return where the folder may be if nothing names it, the place that comes first first."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return SYSTEM, Path(home) / "cspine" / "trust"


def this_trust() -> Trust | None:
    """Read the policy of this machine; ``None`` where every whole bundle is opened."""
    folder = trust_folder()
    return read_trust(folder) if folder else None


def read_trust(folder: Path) -> Trust:
    """Read a trust folder.

    Raises
    ------
    BundleError
        Naming what is unreadable or does not belong there: guessing would trust too much.
    """
    try:
        texts = {path.name: path.read_text() for path in sorted(folder.iterdir())}
    except OSError as error:
        raise BundleError(
            f"{error.filename or folder}: cannot be read: {error.strerror}; "
            f"no bundle is opened until the trust folder {folder} can be"
        ) from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{folder}: holds a file that is not text; remove it") from error
    revoked = _revoked(texts.pop(REVOKED, ""), where=folder / REVOKED)
    for name in texts:
        if not name.endswith(".pub"):
            raise BundleError(
                f"{folder}: {name} does not belong there; expected NAME.pub or {REVOKED}; remove it"
            )
    keys = [parse_public_key(text, where=str(folder / name)) for name, text in texts.items()]
    return Trust(folder, {key.fingerprint: key for key in keys}, revoked)


def standing(digest: str, signatures: Sequence[Signature], *, where: Path) -> str:
    """Return in words what the policy of this machine makes of a bundle."""
    trust = this_trust()
    if trust is None:
        return "not asked: this machine has no trust folder"
    try:
        keys = trust.signers(digest, signatures, where=where)
    except BundleError as error:
        return f"refused: {error}"
    return f"trusted: signed by {', '.join(key.name for key in keys)}"


def _revoked(text: str, *, where: Path) -> frozenset[tuple[str, str]]:
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        match = _LINE.fullmatch(said)
        if match:
            found.add((match[1], match[2]))
        elif said:
            raise BundleError(
                f"{where}, line {number}: expected `bundle DIGEST` or `key FINGERPRINT`, "
                "64 lower-case hexadecimal digits each"
            )
    return frozenset(found)


def _stands(place: Path) -> bool:
    """Return whether anything is there, a broken link included: that is no leave to trust all."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BundleError(
            f"{place}: cannot be looked at: {error.strerror}; no bundle is opened until it can be"
        ) from error
    return True
