"""``cspine tune``: the fastest admissible way to answer, measured on this device."""

from __future__ import annotations

from pathlib import Path

import click

from cspine.bundle import Bundle
from cspine.console import (
    bundle_argument,
    counter,
    emit_json,
    json_option,
    studies_option,
    table,
)
from cspine.device import this_device
from cspine.dicom.select import read_all


@click.command()
@bundle_argument
@studies_option(required=True)
@json_option
def tune(bundle: Path, paths: tuple[Path, ...], as_json: bool) -> None:
    """Measure on this device what may answer for BUNDLE, and let `run` use the fastest.

    FP32 may answer on ONNX Runtime and OpenVINO where they are installed, and on TensorRT where
    `build` has made the engines on this device; INT8 on each of them, and FP16 on TensorRT, where
    its verdict is pass. On the CPU each is measured with one thread and with every core. A DLA is
    not among them: it is chosen for its power and not for its speed.

    \b
    Example:
      cspine tune build/xray.cspine --study study1/
    """
    from cspine.tune import tune as measure

    opened = Bundle.open(bundle)
    result = measure(opened, this_device(), read_all(paths), progress=counter("round"))
    if as_json:
        emit_json(result)
        return
    rows = [
        [each.backend, each.precision, each.threads, f"{each.milliseconds:.2f}"]
        for each in result.candidates
    ]
    click.echo(table(["backend", "precision", "threads", "networks, ms a study"], rows))
    for reason in result.left_out:
        click.echo(f"left out: {reason}")
