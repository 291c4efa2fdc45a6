"""``cspine sbom``: what made a bundle, for whoever must account for it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cspine.bundle import Bundle
from cspine.console import bundle_argument, emit_json, json_option
from cspine.errors import BundleError
from cspine.files import sha256, write_atomic


@click.command()
@bundle_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File for the document [default: standard output].",
)
@json_option
def sbom(bundle: Path, output: Path | None, as_json: bool) -> None:
    """Write the bill of materials of BUNDLE, as CycloneDX 1.6 in JSON.

    It names every file by digest, the checkpoints that the models came from, and the tools that
    took part with their versions. The same bundle gives the same bytes. Every file is verified; a
    bundle that this machine's trust folder refuses can be accounted for all the same.

    \b
    Example:
      cspine sbom build/xray.cspine -o xray.cdx.json
    """
    opened = Bundle.whole(bundle)
    if output and output.resolve().is_relative_to(bundle.resolve()):
        raise BundleError(f"{output}: lies in the bundle, where it would be foreign; put it beside")
    from cspine_export.sbom import sbom as document_of  # the extra, for this verb only

    document = document_of(opened)
    if output is None:
        click.echo(document, nl=False)
        return
    write_atomic(output, document)
    components = len(json.loads(document)["components"])
    if as_json:
        emit_json(
            {
                "bundle": opened.digest,
                "sbom": str(output),
                "sha256": sha256(document),
                "components": components,
            }
        )
        return
    click.echo(f"{output}: {components} components of bundle {opened.digest[:16]}")
