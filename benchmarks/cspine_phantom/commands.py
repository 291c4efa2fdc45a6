"""``cspine phantom`` and ``cspine demo``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from cspine.console import bundle_argument, counter, emit_json, json_option, table
from cspine.errors import ModelError
from cspine.files import write_atomic
from cspine.pipeline_file import load_spec, shipped_spec
from cspine_bench.cases import SPLITS
from cspine_phantom.ct.faults import FAULTS as CT_FAULTS
from cspine_phantom.faults.film import FAULTS, UNFIT
from cspine_phantom.imaging.aim import Header
from cspine_phantom.mr.cases import KINDS as MR_KINDS
from cspine_phantom.mr.cases import Kind as MrKind
from cspine_phantom.mr.faults import FAULTS as MR_FAULTS

_ARMS = ("input", "study", "pixels", "pydicom", "decoder")


def _counts(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> dict[str, int]:
    """Parse ``train=200,test=300``."""
    pairs = re.findall(r"([a-z]+)=([1-9][0-9]*)(?:,|$)", value or "")
    counts = {split: int(count) for split, count in pairs}
    if ",".join(f"{split}={count}" for split, count in counts.items()) != (value or ""):
        raise click.BadParameter(f"got {value!r}, expected such as train=200,test=300")
    for split in counts:
        if split not in SPLITS:
            raise click.BadParameter(f"got split {split!r}, expected {', '.join(SPLITS)}")
    return counts


def _set_options(faults: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add what every command that writes a case set is given."""
    options = (
        click.option("--patients", type=click.IntRange(1), help="Of one split."),
        click.option("--seed", type=click.IntRange(0), required=True),
        click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True),
        click.option(
            "--splits",
            callback=_counts,
            metavar="SPLIT=PATIENTS,...",
            help="Several splits at once, in place of --patients; none shares a patient with "
            "another.",
        ),
        click.option(
            "--fault",
            "faults",
            type=click.Choice(faults),
            multiple=True,
            help="Add one study with this fault; may be given several times.",
        ),
        click.option(
            "--unfit",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Add so many studies of each fault that must be refused.",
        ),
        click.option("-o", "--output", type=click.Path(path_type=Path), required=True),
        json_option,
    )

    def added(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return added


def _written(
    write: Callable[..., Path],
    faults: Sequence[str],
    *,
    patients: int | None,
    seed: int,
    split: str,
    splits: dict[str, int],
    output: Path,
    as_json: bool,
) -> None:
    """Write a case set and say where it is."""
    if (patients is None) == (not splits):
        raise click.UsageError("Give either --patients or --splits.")
    if (output / "cases.csv").exists():
        raise ModelError(f"{output}: holds a case set already; choose another place")
    wanted = splits if patients is None else {split: patients}
    path = write(output, splits=wanted, seed=seed, faults=faults, progress=counter("study"))
    studies = sum(wanted.values()) + len(wanted) * len(faults)
    if as_json:
        emit_json({"cases": str(path), "studies": studies})
    else:
        click.echo(path)


@click.group()
def phantom() -> None:
    """Make simulated studies with exact truth, and train the reference checkpoints on them."""


@phantom.command()
@_set_options(FAULTS)
@click.option(
    "--header",
    type=click.Choice(get_args(Header)),
    default="true",
    show_default=True,
    help="State part and view as they are, leave them out, or claim a lateral cervical film.",
)
def xray(faults: tuple[str, ...], unfit: int, header: Header, **wanted: Any) -> None:
    """Write a case set of lateral cervical radiographs, on all cores.

    The same seed gives the same patients; different seeds give different ones. A test that stays
    locked should have 300 patients or more.

    \b
    Example:
      cspine phantom xray --patients 300 --unfit 10 --seed 7 -o build/cases
      cspine phantom xray --splits train=200,calibration=24,tuning=50,test=300 --seed 8 -o build/all
    """
    from cspine_phantom.cases import write_splits

    _written(partial(write_splits, header=header), faults + UNFIT * unfit, **wanted)


@phantom.command()
@_set_options(MR_FAULTS)
@click.option(
    "--disease",
    type=click.Choice(MR_KINDS),
    default="OPLL",
    show_default=True,
    help="One answer a patient, or a grade and a compression ratio a level.",
)
def mr(faults: tuple[str, ...], unfit: int, disease: MrKind, **wanted: Any) -> None:
    """Write a case set of MR studies of the neck, on all cores.

    A study has sagittal T2 and T1 series, some have STIR, axial T2 and a localiser beside them.
    The same seed gives the same patients; different seeds give different ones.

    \b
    Example:
      cspine phantom mr --patients 300 --unfit 5 --seed 7 -o build/mr-cases
      cspine phantom mr --splits train=500,calibration=24,tuning=50,test=300 --seed 8 -o build/mr
      cspine phantom mr --disease stenosis --patients 300 --seed 9 -o build/stenosis
    """
    from cspine_phantom.mr.cases import write_splits

    _written(partial(write_splits, kind=disease), faults + MR_FAULTS * unfit, **wanted)


@phantom.command()
@_set_options(CT_FAULTS)
def ct(faults: tuple[str, ...], unfit: int, **wanted: Any) -> None:
    """Write a case set of CT studies of the neck, on all cores.

    A study has thin axial slices, some have thick ones, a sagittal reformat and a scout beside
    them. The same seed gives the same patients; different seeds give different ones.

    \b
    Example:
      cspine phantom ct --patients 300 --unfit 5 --seed 7 -o build/ct-cases
      cspine phantom ct --splits train=500,calibration=24,tuning=50,test=300 --seed 8 -o build/ct
    """
    from cspine_phantom.ct.cases import write_splits

    _written(write_splits, faults + CT_FAULTS * unfit, **wanted)


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
    from cspine.choose import choose
    from cspine.device import this_device
    from cspine_phantom.measure.admission import measure_admission

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
@click.option("--patients", type=click.IntRange(20), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), required=True)
@click.option("--record", type=click.Path(path_type=Path), help="Write every figure here.")
@json_option
def audit(patients: int, seed: int, record: Path | None, as_json: bool) -> None:
    """Measure phantoms: noise, contrast and greys beside published ranges, and leaks of the label.

    \b
    Example:
      cspine phantom audit --seed 3003 --record benchmarks/records/phantoms.json
    """
    from cspine_phantom.measure.audit import measure_phantoms

    found = measure_phantoms(patients=patients, seed=seed, progress=counter("film"))
    rows = [
        [row.quantity, row.site, row.value, f"{row.low:g} to {row.high:g}", row.unit,
         " to ".join(f"{end:g}" for end in row.published or ()), row.source]
        for row in found.measured
    ]  # fmt: skip
    rows += [
        [f"AUC of {row.what}", "all", row.auc, f"{row.low:g} to {row.high:g}", "", "", ""]
        for row in found.told
    ]
    header = ["quantity", "site", "median", "5 to 95 %", "unit", "published", "by"]
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

    from cspine_phantom.measure.reading import measure_reading

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
@click.option(
    "--size",
    type=click.Choice(["reference", "published"]),
    default="reference",
    show_default=True,
    help="The classifier of the pipeline file, or a ResNet-50 with a pipeline file of its own.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@json_option
def train(pipeline: str, stages: tuple[str, ...], size: str, output: Path, as_json: bool) -> None:
    """Train the reference checkpoints of PIPELINE on two CPU cores and write them with their log.

    \b
    Example:
      cspine phantom train xray-compression -o assets/xray-compression
    """
    path = shipped_spec(pipeline)
    from cspine_phantom.training.published import train_published  # torch, for this verb only
    from cspine_phantom.training.recipe import Recipe
    from cspine_phantom.training.train import train as train_reference

    if size == "published":
        log = train_published(path, Recipe(), output, stages=stages)
    else:
        log = train_reference(load_spec(path), Recipe(), output, stages=stages)
    if as_json:
        emit_json(log)
    else:
        click.echo(output / "train.json")


@phantom.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@json_option
def sheets(output: Path, as_json: bool) -> None:
    """Write contact sheets of phantoms: of every site, by severity, of every fault, of MR and CT.

    \b
    Example:
      cspine phantom sheets -o docs/images
    """
    from cspine_phantom.ct import sheet as ct_sheet
    from cspine_phantom.mr import sheet as mr_sheet
    from cspine_phantom.sheets import write_sheets

    films = write_sheets(output, progress=counter("film"))
    paths = (*films, mr_sheet.write_sheet(output), ct_sheet.write_sheet(output))
    if as_json:
        emit_json({"sheets": [str(path) for path in paths]})
    else:
        click.echo("\n".join(map(str, paths)))


@click.command()
@click.option(
    "--pipeline",
    default="xray-compression",
    show_default=True,
    help="Name of a shipped pipeline.",
)
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
def demo(pipeline: str, assets: Path, output: Path, as_json: bool) -> None:
    """Do the whole main job on phantoms: PyTorch checkpoints become findings on DICOM studies.

    Simulate, export, calibrate, emit, verify, run, bench; offline, in a few minutes.

    \b
    Example:
      cspine demo -o build/demo
      cspine demo --pipeline xray-sagittal -o build/sagittal
      cspine demo --pipeline mr-opll -o build/opll
    """
    from cspine_phantom.demo import run_demo

    summary = run_demo(pipeline, assets, output, say=lambda text: click.echo(text, err=as_json))
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
