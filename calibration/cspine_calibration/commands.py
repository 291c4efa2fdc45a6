"""``cspine calibrate`` and ``cspine emit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cspine.bundle import Bundle, emission_of, table_path
from cspine.console import bundle_argument, counter, emit_json, json_option, table, threads_option
from cspine.errors import ModelError, missing_extra
from cspine_calibration.choices import METHODS, TUNED
from cspine_calibration.estimate import DEFAULT
from cspine_calibration.targets import DEFAULT_TARGETS, TARGETS, Precision

estimator_option = click.option(
    "--estimator",
    type=click.Choice(METHODS),
    default=DEFAULT,
    show_default=True,
    help="How ranges are taken from the table; `tuned` takes for each tensor what the table "
    "records.",
)


@click.command()
@bundle_argument
@click.option(
    "--set",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Case set; its split `calibration` is used, and `tuning` for `--estimator tuned`.",
)
@estimator_option
@threads_option
@json_option
def calibrate(
    bundle: Path, folder: Path, estimator: str, threads: int | None, as_json: bool
) -> None:
    """Observe BUNDLE's models on a calibration set, then emit INT8 for the usual targets.

    The tables go into the bundle, so that other targets can be emitted later without the data. What
    was interrupted goes on where it stopped, from the file NAME.calibration beside the bundle.

    \b
    Example:
      cspine calibrate build/xray.cspine --set cases/
    """
    require_onnx()
    from cspine_bench.accuracy.verdict import answered_levels
    from cspine_bench.cases import read_cases
    from cspine_calibration import calibrate as room

    opened = Bundle.open(bundle)
    levels = answered_levels(opened)
    calibrated = room.calibrate(
        opened,
        read_cases(folder, split="calibration", levels=levels),
        tuning=read_cases(folder, split="tuning", levels=levels) if estimator == TUNED else None,
        threads=threads,
        progress=counter("case"),
        trials=counter("trial"),
    )
    emitted = room.emit_targets(calibrated, DEFAULT_TARGETS, estimator=estimator)
    _report(emitted, DEFAULT_TARGETS, as_json)


@click.command()
@bundle_argument
@click.option(
    "--target",
    "targets",
    type=click.Choice(tuple(TARGETS)),
    multiple=True,
    required=True,
    help="May be given several times.",
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp16"]),
    help="[default: every one that the target has]",
)
@estimator_option
@json_option
def emit(
    bundle: Path,
    targets: tuple[str, ...],
    precision: Precision | None,
    estimator: str,
    as_json: bool,
) -> None:
    """Emit BUNDLE's INT8 or FP16 models for a target, from its calibration tables and no data.

    \b
    Example:
      cspine emit build/xray.cspine --target ort-x64-vnni --target trt
    """
    require_onnx()
    from cspine_calibration.calibrate import emit_targets

    opened = Bundle.open(bundle)
    emitted = emit_targets(opened, targets, estimator=estimator, precision=precision)
    _report(emitted, targets, as_json)


def emission_rows(bundle: Bundle) -> list[dict[str, Any]]:
    """Return what the provenance says of each emission."""
    rows: list[dict[str, Any]] = []
    for stage in bundle.spec.networks:
        for name, facts in bundle.manifest.provenance.items():
            found = emission_of(name)
            if found and found.stage == stage.id:
                told = {"precision": found.precision, **facts}
                rows.append({"stage": stage.id, "bytes": len(bundle.read(name)), **told})
    return rows


def emission_table(rows: list[dict[str, Any]]) -> str:
    """Lay out emissions."""
    header = ["stage", "target", "precision", "estimator", "convolutions", "INT8", "adds", "MB"]
    return table(
        header,
        [
            [
                row["stage"],
                row["target"],
                row["precision"].upper(),
                row["estimator"] or "",
                row["convolutions"],
                row["quantized"],
                row["adds"],
                f"{row['bytes'] / 1e6:.2f}",
            ]
            for row in rows
        ],
    )


def _report(bundle: Bundle, targets: tuple[str, ...], as_json: bool) -> None:
    rows = [row for row in emission_rows(bundle) if row["target"] in targets]
    tables = {
        stage.id: bundle.manifest.provenance[table_path(stage.id)] for stage in bundle.spec.networks
    }
    if as_json:
        emit_json({"digest": bundle.digest, "tables": tables, "emissions": rows})
        return
    for stage, facts in tables.items():
        click.echo(
            f"{stage}: {facts['tensors']} tensors over {_count(facts['samples'], 'sample')} "
            f"of {_count(facts['cases'], 'case')}"
        )
    click.echo("\n" + emission_table(rows))
    click.echo(f"\n{bundle.path}: bundle {bundle.digest[:16]}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def require_onnx() -> None:
    """Say how to install onnx if it is absent."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError(missing_extra("onnx", "calibration")) from error
