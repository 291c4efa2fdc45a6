"""``cspine keys``: a key pair to sign bundles with."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cspine.console import emit_json, json_option, table


@click.command()
@click.argument("private", type=click.Path(path_type=Path))
@click.option("--name", help="What devices call the key [default: the file's name].")
@click.option(
    "--password",
    is_flag=True,
    help="Encrypt the private key; the password is asked for, or taken from CSPINE_KEY_PASSWORD.",
)
@json_option
def keys(private: Path, name: str | None, password: bool, as_json: bool) -> None:
    """Make an Ed25519 key pair: PRIVATE, for its owner alone, and PRIVATE.pub.

    The private key signs, on a workstation. The .pub file goes into the trust folder of every
    device that shall open what was signed: CSPINE_TRUST, /etc/cspine/trust or
    ~/.config/cspine/trust. A device that has such a folder opens nothing else.

    \b
    Example:
      cspine keys ~/keys/release --name "Release 2026" --password
    """
    from cspine.keys import make_keys, public_path  # loads the cryptography

    secret = asked(confirm=True) if password else None
    public = make_keys(private, name=name or private.name, password=secret)
    facts = {
        "private": str(private),
        "public": str(public_path(private)),
        "name": public.name,
        "fingerprint": public.fingerprint,
    }
    if as_json:
        emit_json(facts)
        return
    click.echo(table(["key pair", ""], facts.items()))


def asked(*, confirm: bool) -> bytes:
    """Return the password of a private key, from the environment or the terminal."""
    given = os.environ.get("CSPINE_KEY_PASSWORD")
    text: str = given or click.prompt(
        "Password of the private key", hide_input=True, confirmation_prompt=confirm, err=True
    )
    return text.encode()
