"""``cspine calibrate`` and ``cspine emit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cspine.bundle import Bundle, emission_path, table_path
from cspine.console import bundle_argument, counter, emit_json, json_option, table, threads_option
from cspine.errors import ModelError, missing_extra
from cspine_calibration.estimate import DEFAULT, ESTIMATORS
from cspine_calibration.targets import TARGETS

estimator_option = click.option(
    "--estimator",
    type=click.Choice(ESTIMATORS),
    default=DEFAULT,
    show_default=True,
    help="How ranges are taken from the table.",
)


@click.command()
@bundle_argument
@click.option(
    "--set",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Case set; its split `calibration` is used.",
)
@estimator_option
@threads_option
@json_option
def calibrate(
    bundle: Path, folder: Path, estimator: str, threads: int | None, as_json: bool
) -> None:
    """Observe BUNDLE's models on a calibration set, then emit INT8 for every target.

    The tables go into the bundle, so that other targets can be emitted later without the data.

    \b
    Example:
      cspine calibrate build/xray.cspine --set cases/
    """
    _require_onnx()
    from cspine_bench.accuracy.verdict import answered_levels
    from cspine_bench.cases import read_cases
    from cspine_calibration import calibrate as room

    opened = Bundle.open(bundle)
    cases = read_cases(folder, split="calibration", levels=answered_levels(opened))
    calibrated = room.calibrate(opened, cases, threads=threads, progress=counter("case"))
    emitted = room.emit_targets(calibrated, tuple(TARGETS), estimator=estimator)
    _report(emitted, tuple(TARGETS), as_json)


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
@estimator_option
@json_option
def emit(bundle: Path, targets: tuple[str, ...], estimator: str, as_json: bool) -> None:
    """Emit BUNDLE's INT8 models for a target, from its calibration tables and no data.

    \b
    Example:
      cspine emit build/xray.cspine --target ort-x64-vnni --target trt
    """
    _require_onnx()
    from cspine_calibration.calibrate import emit_targets

    _report(emit_targets(Bundle.open(bundle), targets, estimator=estimator), targets, as_json)


def emission_rows(bundle: Bundle, targets: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what became of each network for each target, from the bundle's provenance."""
    rows: list[dict[str, Any]] = []
    for stage in bundle.spec.networks:
        for target in targets:
            name = emission_path(stage.id, target)
            facts = bundle.manifest.provenance[name]
            rows.append({"stage": stage.id, "bytes": len(bundle.read(name)), **facts})
    return rows


def emission_table(rows: list[dict[str, Any]]) -> str:
    """Lay out emissions."""
    header = ["stage", "target", "estimator", "convolutions", "INT8", "adds", "MB"]
    return table(
        header,
        [
            [
                row["stage"],
                row["target"],
                row["estimator"],
                row["convolutions"],
                row["quantized"],
                row["adds"],
                f"{row['bytes'] / 1e6:.2f}",
            ]
            for row in rows
        ],
    )


def _report(bundle: Bundle, targets: tuple[str, ...], as_json: bool) -> None:
    rows = emission_rows(bundle, targets)
    tables = {
        stage.id: bundle.manifest.provenance[table_path(stage.id)] for stage in bundle.spec.networks
    }
    if as_json:
        emit_json({"digest": bundle.digest, "tables": tables, "emissions": rows})
        return
    for stage, facts in tables.items():
        click.echo(
            f"{stage}: {facts['tensors']} tensors over {facts['samples']} samples "
            f"of {facts['cases']} cases"
        )
    click.echo("\n" + emission_table(rows))
    click.echo(f"\n{bundle.path}: bundle {bundle.digest[:16]}")


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError(missing_extra("onnx", "calibration")) from error
