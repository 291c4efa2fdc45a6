"""``cspine pack`` and ``cspine unpack``: a bundle as one file, and as a folder again."""

from __future__ import annotations

from pathlib import Path

import click

from cspine.bundle import Bundle
from cspine.console import bundle_argument, emit_json, json_option
from cspine.folder import Folder
from cspine.pack import put
from cspine.packed import Packed
from cspine.store import Store


@click.command()
@bundle_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write."
)
@json_option
def pack(bundle: Path, output: Path, as_json: bool) -> None:
    """Write BUNDLE as one file, which every verb takes as it takes the folder.

    The file is a ZIP archive of one form only: the same bundle gives the same bytes, and not one
    of them may change. The digest and the signatures stay. Evidence beside the bundle that names
    its digest is copied to FILE.evidence/.

    \b
    Example:
      cspine pack build/xray.cspine -o xray.bundle
    """
    _put(bundle, Packed(output), as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write."
)
@json_option
def unpack(file: Path, output: Path, as_json: bool) -> None:
    """Write the bundle in FILE as a folder again.

    Every file is verified. The digest and the signatures stay. Evidence beside FILE that names the
    digest is copied to FOLDER.evidence/.

    \b
    Example:
      cspine unpack xray.bundle -o build/xray.cspine
    """
    _put(file, Folder(output), as_json)


def _put(path: Path, to: Store, as_json: bool) -> None:
    made = put(Bundle.whole(path), to)
    facts = {
        "path": str(made.bundle.path),
        "digest": made.bundle.digest,
        "files": len(made.bundle.files),
        "bytes": sum(map(len, made.bundle.files.values())),
        "signatures": [each.fingerprint for each in made.bundle.signatures],
        "evidence": {"copied": made.copied, "kept": made.kept},
    }
    if as_json:
        emit_json(facts)
        return
    click.echo(f"{to.path}: bundle {made.bundle.digest}")
    click.echo(f"{facts['files']} files, {facts['bytes']} bytes")
    for each in made.bundle.signatures:
        click.echo(f"signed by key {each.fingerprint}")
    for name in made.copied:
        click.echo(f"evidence copied: {name}")
    for name in made.kept:
        click.echo(f"evidence kept, as it was there: {name}")
    if not (made.copied or made.kept):
        click.echo("evidence: none for this bundle")
