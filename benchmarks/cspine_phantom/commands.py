"""``cspine phantom`` and ``cspine demo``."""

from __future__ import annotations

from pathlib import Path

import click

from cspine.console import counter, emit_json, json_option
from cspine.errors import ModelError
from cspine.pipeline_file import load_spec, shipped_spec
from cspine_bench.cases import SPLITS


@click.group()
def phantom() -> None:
    """Make simulated studies with exact truth, and train the reference checkpoints on them."""


@phantom.command()
@click.option("--patients", type=click.IntRange(1), required=True)
@click.option("--seed", type=click.IntRange(0), required=True)
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option(
    "--fault",
    "faults",
    type=click.Choice(["ap"]),
    multiple=True,
    help="Add one study that must be refused; may be given several times.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@json_option
def xray(
    patients: int, seed: int, split: str, faults: tuple[str, ...], output: Path, as_json: bool
) -> None:
    """Write a case set of lateral cervical radiographs.

    The same seed gives the same patients; different seeds give different ones.

    \b
    Example:
      cspine phantom xray --patients 60 --seed 7 -o build/cases
    """
    from cspine_phantom.cases import write_cases

    if (output / "cases.csv").exists():
        raise ModelError(f"{output}: holds a case set already; choose another place")
    path = write_cases(
        output,
        patients=patients,
        seed=seed,
        split=split,
        faults=["ap" for _ in faults],
        progress=counter("study"),
    )
    if as_json:
        emit_json({"cases": str(path), "studies": patients + len(faults)})
    else:
        click.echo(path)


@phantom.command()
@click.argument("pipeline")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@json_option
def train(pipeline: str, output: Path, as_json: bool) -> None:
    """Train the reference checkpoints of PIPELINE on two CPU cores and write them with their log.

    \b
    Example:
      cspine phantom train xray-compression -o assets/xray-compression
    """
    spec = load_spec(shipped_spec(pipeline))
    from cspine_phantom.train import Recipe
    from cspine_phantom.train import train as fit  # torch, for this verb only

    log = fit(spec, Recipe(), output)
    if as_json:
        emit_json(log)
    else:
        click.echo(output / "train.json")


@click.command()
@click.option(
    "--assets",
    type=click.Path(path_type=Path),
    default=Path("assets"),
    show_default=True,
    help="Folder of the shipped checkpoints; they come with the repository, not with the package.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("build/demo"), show_default=True
)
@json_option
def demo(assets: Path, output: Path, as_json: bool) -> None:
    """Do the whole main job on phantoms: two PyTorch checkpoints become findings on DICOM studies.

    Simulate, export, calibrate, emit, verify, run, bench; offline, in under two minutes.

    \b
    Example:
      cspine demo -o build/demo
    """
    from cspine_phantom.demo import run_demo

    summary = run_demo(assets, output, say=lambda text: click.echo(text, err=as_json))
    if as_json:
        emit_json(summary)
