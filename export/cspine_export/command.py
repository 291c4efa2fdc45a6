"""``cspine export``: PyTorch checkpoints to a bundle of FP32 ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from cspine.console import emit_json, json_option, table
from cspine.dicom.select import read_all
from cspine.pipeline_file import shipped_spec

# PyTorch's exporters by our names; a test holds them against those there are, for to look them up
# would import PyTorch.
EXPORTERS = ("torchscript", "dynamo")
BEST = "best"


@click.command()
@click.argument("pipeline")
@click.option(
    "--checkpoint",
    "checkpoints",
    metavar="STAGE=FILE[#PART]",
    multiple=True,
    required=True,
    help="Weights of one network stage, from what the training left; nothing in it is run. #PART "
    "chooses among several: a key, `ema`, or a prefix that ends with a dot.",
)
@click.option(
    "--study",
    "studies",
    type=click.Path(path_type=Path),
    multiple=True,
    help="DICOM file or folder; parity is proven on what it gives each network.",
)
@click.option(
    "--exporter",
    type=click.Choice([BEST, *EXPORTERS]),
    default=BEST,
    show_default=True,
    help="Which of PyTorch's exporters writes the graphs; best tries them all, and takes the graph "
    "with the fewest operators.",
)
@click.option(
    "--allow-factory",
    "allowed",
    metavar="MODULE:NAME",
    multiple=True,
    help="Code of your own that builds a network of the pipeline file, and may run.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The bundle.")
@json_option
def export(
    pipeline: str,
    checkpoints: tuple[str, ...],
    studies: tuple[Path, ...],
    exporter: str,
    allowed: tuple[str, ...],
    output: Path,
    as_json: bool,
) -> None:
    """Export the checkpoints of PIPELINE (a shipped name, or your .toml) into a bundle.

    Every graph is compared with its network in PyTorch, on the studies and on noise; a graph that
    disagrees stops the export and nothing is written.

    \b
    Example:
      cspine export xray-compression \\
        --checkpoint screen=assets/xray-compression/screen.safetensors \\
        --checkpoint localise=assets/xray-compression/localise.safetensors \\
        --checkpoint classify=assets/xray-compression/classify.safetensors \\
        --study study1/ -o build/xray.cspine
    """
    given = [_split(argument) for argument in checkpoints]
    files = {stage: file for stage, file, _ in given}
    parts = {stage: part for stage, _, part in given if part}
    path = shipped_spec(pipeline)
    from cspine_export.export import export as to_bundle  # torch, for this verb only

    bundle = to_bundle(
        path,
        files,
        parts=parts,
        studies=read_all(studies),
        to=output,
        exporters=EXPORTERS if exporter == BEST else [exporter],
        allowed=allowed,
    )
    parities = [
        {"stage": Path(name).parent.name, "exporter": facts["exporter"], **parity}
        for name, facts in bundle.manifest.provenance.items()
        for parity in facts.get("parity", ())
    ]
    if as_json:
        emit_json({"bundle": str(output), "digest": bundle.digest, "parity": parities})
        return
    rows = [
        [
            p["stage"],
            p["exporter"],
            p["output"],
            p["tensors"],
            f"{p['max_abs']:.1e}",
            f"{p['relative']:.1e}",
            f"{p['change']:.1e} of {p['meaning']}" if p["meaning"] else "",
        ]
        for p in parities
    ]
    header = ["stage", "exporter", "output", "batches", "difference", "of its spread", "change"]
    click.echo(table(header, rows))
    click.echo(f"\nevery graph agrees with PyTorch; {output}: bundle {bundle.digest[:16]}")


def _split(argument: str) -> tuple[str, Path, str]:
    stage, mark, file = argument.partition("=")
    if not mark or not file:
        raise click.BadParameter(f"{argument!r}: expected STAGE=FILE", param_hint="--checkpoint")
    name, hash_mark, part = file.rpartition("#")
    if hash_mark and name and not Path(file).exists():  # a file's own name may have the mark
        return stage, Path(name), part
    return stage, Path(file), ""
