"""``cspine phantom`` and ``cspine demo``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import click
import msgspec

from cspine.console import bundle_argument, counter, emit_json, json_option, table
from cspine.errors import ModelError
from cspine.files import write_atomic
from cspine.pipeline_file import load_spec, shipped_spec
from cspine_bench.cases import SPLITS
from cspine_phantom.aim import Header
from cspine_phantom.faults import FAULTS

_ARMS = ("input", "study", "pixels", "pydicom", "decoder")


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
    type=click.Choice(FAULTS),
    multiple=True,
    help="Add one study that must be refused; may be given several times.",
)
@click.option(
    "--header",
    type=click.Choice(get_args(Header)),
    default="true",
    show_default=True,
    help="State part and view as they are, leave them out, or claim a lateral cervical film.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@json_option
def xray(
    patients: int,
    seed: int,
    split: str,
    faults: tuple[str, ...],
    header: Header,
    output: Path,
    as_json: bool,
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
        faults=faults,
        header=header,
        progress=counter("study"),
    )
    if as_json:
        emit_json({"cases": str(path), "studies": patients + len(faults)})
    else:
        click.echo(path)


@phantom.command()
@bundle_argument
@click.option("--each", "of_each", type=click.IntRange(1), default=60, show_default=True)
@click.option("--clean", type=click.IntRange(1), default=300, show_default=True)
@click.option("--seed", type=click.IntRange(0), required=True)
@click.option("--record", type=click.Path(path_type=Path), help="Write every figure here.")
@json_option
def admission(
    bundle: Path, of_each: int, clean: int, seed: int, record: Path | None, as_json: bool
) -> None:
    """Measure how well BUNDLE's admission tells faults, with headers that say nothing or lie.

    \b
    Example:
      cspine phantom admission build/xray.cspine --seed 2002
    """
    from cspine.bundle import Bundle
    from cspine.device import this_device
    from cspine.precision import choose
    from cspine_phantom.admission import measure_admission

    opened = Bundle.open(bundle)
    choice = choose(opened, this_device(), backend="onnxruntime", precision=None)
    found = measure_admission(
        opened, choice, seed=seed, of_each=of_each, clean=clean, progress=counter("film")
    )
    rows = [
        [row.fault, row.header, f"{row.right}/{row.films}", f"{row.low:.3f}-{row.high:.3f}",
         row.missed, ", ".join(f"{code} {count}" for code, count in row.codes.items())]
        for row in found.rows
    ]  # fmt: skip
    header = ["fault", "header", "right", "95 %", "missed", "answers"]
    _tell(found, header, rows, record=record, as_json=as_json)


@phantom.command()
@click.option("--repeats", type=click.IntRange(6), default=30, show_default=True)
@click.option("--record", type=click.Path(path_type=Path), help="Write every sample here.")
@json_option
def reading(repeats: int, record: Path | None, as_json: bool) -> None:
    """Time the reader on a radiograph of 2800 x 2300 in every lossless syntax, on one core.

    \b
    Example:
      cspine phantom reading --repeats 60
    """
    from tempfile import TemporaryDirectory

    from cspine_phantom.reading import measure_reading

    with TemporaryDirectory() as folder:
        found = measure_reading(Path(folder), repeats=repeats, progress=counter("syntax"))
    rows = [
        [each.syntax, each.megabytes, *(each.medians_ms.get(arm, "") for arm in _ARMS),
         ", ".join(f"{name} {ratio:.2f}" for name, (ratio, _, _) in each.ratios.items())]
        for each in found.readings
    ]  # fmt: skip
    header = ["syntax", "MB", *(f"{arm}, ms" for arm in _ARMS), "ratios"]
    _tell(found, header, rows, record=record, as_json=as_json)


@phantom.command()
@click.argument("pipeline")
@click.option("--stage", "stages", multiple=True, help="Train only this one; may be repeated.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@json_option
def train(pipeline: str, stages: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Train the reference checkpoints of PIPELINE on two CPU cores and write them with their log.

    \b
    Example:
      cspine phantom train xray-compression -o assets/xray-compression
    """
    spec = load_spec(shipped_spec(pipeline))
    from cspine_phantom.train import Recipe
    from cspine_phantom.train import train as fit  # torch, for this verb only

    log = fit(spec, Recipe(), output, stages=stages)
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
    """Do the whole main job on phantoms: PyTorch checkpoints become findings on DICOM studies.

    Simulate, export, calibrate, emit, verify, run, bench; offline, in under two minutes.

    \b
    Example:
      cspine demo -o build/demo
    """
    from cspine_phantom.demo import run_demo

    summary = run_demo(assets, output, say=lambda text: click.echo(text, err=as_json))
    if as_json:
        emit_json(summary)


def _tell(
    found: msgspec.Struct,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    record: Path | None,
    as_json: bool,
) -> None:
    """Keep what was measured, if that was asked for, and print it."""
    if record:
        write_atomic(record, msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if as_json:
        emit_json(found)
    else:
        click.echo(table(header, rows))
