"""``cspine build``: TensorRT engines from a bundle's ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cspine.bundle import Bundle
from cspine.cache import cache_folder
from cspine.console import bundle_argument, counter, emit_json, json_option, table
from cspine.engines.summary import summarize
from cspine.files import check_writable
from cspine.precision import Precision

if TYPE_CHECKING:
    from cspine.engines.monitor import Watch


@click.command()
@bundle_argument
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="int8",
    show_default=True,
    help="The graphs to build.",
)
@click.option(
    "--compute-capability",
    metavar="X.Y",
    help="Build ahead of time for that GPU, with TensorRT-RTX and no GPU here "
    "[default: the GPU of this device].",
)
@click.option(
    "--dla",
    type=click.IntRange(0),
    metavar="CORE",
    help="Put on that DLA what it can run; the GPU runs the rest.",
)
@click.option(
    "--version-compatible",
    is_flag=True,
    help="Make plans that the lean runtime of another version loads; they are slower.",
)
@click.option(
    "--workspace",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="GPU memory that one kernel may use beside its tensors.",
)
@json_option
def build(
    bundle: Path,
    precision: Precision,
    compute_capability: str | None,
    dla: int | None,
    version_compatible: bool,
    workspace: int,
    as_json: bool,
) -> None:
    """Build the TensorRT engine of every network of BUNDLE into the cache.

    Engines never travel: a device builds its own from the bundle, or ahead of time for exactly
    that device. What the builder learns of kernels' times is kept for the next build. Where fewer
    convolutions run in INT8 than were emitted so, that is said by name on stderr: the engine is
    right, only slower. Ctrl-C ends a build, and leaves what was there.

    \b
    Example:
      cspine build build/xray.cspine --compute-capability 8.9
    """
    from cspine.engines.build import build_engines  # the vendor's runtime, for this verb only
    from cspine.engines.compile import Aim

    check_writable(cache_folder() / "engines" / "new.engine")  # building takes minutes
    engines = build_engines(
        Bundle.open(bundle),
        precision=precision,
        aim=Aim(
            compute_capability=compute_capability,
            dla_core=dla,
            version_compatible=version_compatible,
            workspace_bytes=workspace << 20,
        ),
        watch=_shown,
    )
    summaries = [summarize(engine.manifest) for engine in engines]
    for engine, summary in zip(engines, summaries, strict=True):
        if summary.remark:
            where = f"stage {engine.manifest.stage!r}: {summary.remark}"
            click.echo(f"cspine: {where}; see: cspine inspect {engine.path}", err=True)
    if as_json:
        emit_json(
            [
                {"path": str(engine.path), **engine.manifest.made(), "summary": summary.facts()}
                for engine, summary in zip(engines, summaries, strict=True)
            ]
        )
        return
    rows = [
        [
            engine.manifest.stage,
            engine.manifest.precision,
            engine.manifest.compute_capability,
            f"{engine.manifest.tensorrt} {engine.manifest.tensorrt_version}",
            f"{engine.size / 1e6:.1f} MB",
            engine.path,
        ]
        for engine in engines
    ]
    click.echo(table(["stage", "precision", "for", "built with", "size", "engine"], rows))


def _shown(stage: str) -> Watch:
    """Show on a terminal's stderr how far the build of a stage is."""
    return lambda phase, done, steps: counter(f"{stage}: {phase}, step")(done, steps)
