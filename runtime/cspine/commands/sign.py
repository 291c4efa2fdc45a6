"""``cspine sign``: vouch for a bundle with a private key."""

from __future__ import annotations

from pathlib import Path

import click

from cspine.bundle import Bundle
from cspine.commands.keys import asked
from cspine.console import bundle_argument, emit_json, json_option


@click.command()
@bundle_argument
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    required=True,
    help="Private key that `keys` made; an encrypted one asks for its password, or takes it from "
    "CSPINE_KEY_PASSWORD.",
)
@json_option
def sign(bundle: Path, key: Path, as_json: bool) -> None:
    """Sign BUNDLE: every file of it and how it was made, by its digest.

    The digest stays, so evidence stays valid. Several keys may sign, one after the other.
    Calibrating or emitting makes another bundle, which nobody has signed yet.

    \b
    Example:
      cspine sign build/xray.cspine --key ~/keys/release
    """
    from cspine.keys import is_encrypted, read_private  # loads the cryptography
    from cspine.keys import sign as add_signature

    private = read_private(key, password=asked(confirm=False) if is_encrypted(key) else None)
    signed = add_signature(Bundle.whole(bundle), private)
    prints = [each.fingerprint for each in signed.signatures]
    if as_json:
        emit_json({"digest": signed.digest, "signatures": prints})
        return
    click.echo(f"bundle {signed.digest}")
    for each in prints:
        click.echo(f"signed by key {each}")
