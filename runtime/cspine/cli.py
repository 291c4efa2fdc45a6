"""The command: a table of verbs, of which only the one that runs is imported.

A verb's command line lives in the room of its function. Exit codes: 0 done or gate passed (a
refused study is a result), 1 gate failed or model unfit for its target, 2 bad input or usage, 3
inconclusive, 70 a fault of ours with its traceback.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import click

from cspine.console import EXIT_BAD_INPUT, EXIT_FAULT
from cspine.errors import CspineError, did_you_mean

VERBS = {
    "demo": ("cspine_phantom.commands:demo", "The whole main job on phantoms, offline."),
    "export": ("cspine_export.command:export", "PyTorch checkpoints to a bundle of FP32 ONNX."),
    "calibrate": ("cspine_calibration.commands:calibrate", "A calibration table, then emission."),
    "emit": ("cspine_calibration.commands:emit", "INT8 or FP16 ONNX for a target, from the table."),
    "build": ("cspine.commands.build:build", "TensorRT engines from the bundle's ONNX."),
    "tune": ("cspine.commands.tune:tune", "The fastest way to answer, measured on this device."),
    "run": ("cspine.commands.run:run", "Findings, or a refusal, for each study."),
    "verify": (
        "cspine_bench.accuracy.commands:verify",
        "INT8 or FP16 against FP32: pass, fail or inconclusive.",
    ),
    "folds": (
        "cspine_bench.accuracy.folds_command:folds",
        "Verdicts on the folds of a cross-validation, together.",
    ),
    "bench": (
        "cspine_bench.latency.commands:bench",
        "Latency of INT8 or FP16 and FP32, interleaved.",
    ),
    "inspect": ("cspine_calibration.inspect:inspect", "What is in a bundle, model or engine."),
    "diff": ("cspine.commands.diff:diff", "What changed from one bundle to another."),
    "sbom": ("cspine_export.sbom_command:sbom", "What made a bundle, as CycloneDX."),
    "keys": ("cspine.commands.keys:keys", "A key pair to sign bundles with."),
    "sign": ("cspine.commands.sign:sign", "Vouch for a bundle with a private key."),
    "pack": ("cspine.commands.pack:pack", "A bundle as one file."),
    "unpack": ("cspine.commands.pack:unpack", "A bundle as a folder again."),
    "doctor": ("cspine.commands.doctor:doctor", "What this device has and lacks."),
    "phantom": ("cspine_phantom.commands:phantom", "Simulated studies and reference training."),
}


class Verbs(click.Group):
    """A group that lists its commands from the table and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import a verb's command."""
        if cmd_name not in VERBS:
            raise click.UsageError(f"no command {cmd_name!r}{did_you_mean(cmd_name, VERBS)}", ctx)
        module, _, name = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


@click.group(cls=Verbs)
@click.version_option(version("cspine"), message="cspine %(version)s")
def cspine() -> None:
    """Cervical-spine models on edge devices: export, quantize, verify, run.

    Not for diagnosis.
    """


def main() -> None:
    """Run the command line; the only place that turns errors into exit codes."""
    try:
        sys.exit(cspine.main(standalone_mode=False))
    except CspineError as error:
        click.echo(f"cspine: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    except click.Abort:
        click.echo("cspine: interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            click.echo(f"cspine: {_named(error)}", err=True)
            sys.exit(EXIT_BAD_INPUT)
        traceback.print_exc()  # ours: a report needs it
        sys.exit(EXIT_FAULT)


def _named(error: OSError) -> str:
    """Say what the system refused, naming the user's own argument where the file lies below it.

    Names below a folder that was given stay unsaid: they may be patients'.
    """
    fault = f"cannot be read or written: {error.strerror}"
    if error.filename is None:
        return f"a file {fault}"
    path = Path(str(error.filename)).absolute()
    given = [word.rpartition("=")[2] for word in sys.argv[1:]]
    above = [word for word in given if word and path.is_relative_to(Path(word).absolute())]
    return f"{max(above, key=len, default=error.filename)}: {fault}"
