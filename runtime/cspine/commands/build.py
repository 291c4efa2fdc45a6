"""``cspine build``: TensorRT engines from a bundle's ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from cspine.bundle import Bundle
from cspine.cache import cache_folder
from cspine.console import bundle_argument, emit_json, json_option, table
from cspine.engines.store import EngineManifest
from cspine.engines.summary import summarize
from cspine.files import check_writable


@click.command()
@bundle_argument
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8"]),
    default="int8",
    show_default=True,
    help="The graphs to build: FP32, or the INT8 emission for trt.",
)
@click.option(
    "--compute-capability",
    metavar="X.Y",
    help="Build ahead of time for that GPU, with TensorRT-RTX and no GPU here "
    "[default: the GPU of this device].",
)
@json_option
def build(bundle: Path, precision: str, compute_capability: str | None, as_json: bool) -> None:
    """Build the TensorRT engine of every network of BUNDLE into the cache.

    Engines never travel: a device builds its own from the bundle, or ahead of time for exactly
    that device. Where fewer convolutions run in INT8 than were emitted so, that is said by name on
    stderr: the engine is right, only slower.

    \b
    Example:
      cspine build build/xray.cspine --compute-capability 8.9
    """
    from cspine.engines.build import build_engines  # the vendor's runtime, for this verb only

    check_writable(cache_folder() / "engines" / "new.engine")  # building takes minutes
    engines = build_engines(
        Bundle.open(bundle),
        precision="fp32" if precision == "fp32" else "int8",
        compute_capability=compute_capability,
    )
    summaries = [summarize(engine.manifest) for engine in engines]
    for engine, summary in zip(engines, summaries, strict=True):
        if summary.remark:
            where = f"stage {engine.manifest.stage!r}: {summary.remark}"
            click.echo(f"cspine: {where}; see: cspine inspect {engine.path}", err=True)
    if as_json:
        emit_json(
            [
                {"path": str(engine.path), **_made(engine.manifest), "summary": summary.facts()}
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


def _made(manifest: EngineManifest) -> dict[str, Any]:
    """Return what an engine was made from and for; its layers are what `inspect` is for."""
    facts = msgspec.structs.asdict(manifest)
    return {name: facts[name] for name in facts if name not in {"convolutions", "layers"}}
