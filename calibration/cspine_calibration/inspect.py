"""``cspine inspect``: what is in a bundle, an ONNX model or an engine."""

from __future__ import annotations

from pathlib import Path

import click

from cspine.bundle import Bundle, fp32_path
from cspine.console import emit_json, json_option, table
from cspine.engines.store import load_engine
from cspine.errors import ModelError
from cspine.evidence import believed, evidence_of
from cspine.files import sha256
from cspine.layout import is_bundle
from cspine.trust import standing
from cspine_calibration.commands import emission_rows, emission_table, require_onnx
from cspine_calibration.datasheet import read_datasheet, sheets_text, stage_sheets
from cspine_calibration.enginesheet import engine_facts, engine_text
from cspine_calibration.targets import TARGETS


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=click.Choice(tuple(TARGETS)),
    help="Lint instead: say what in the file breaks the rules of this target.",
)
@json_option
def inspect(path: Path, target: str | None, as_json: bool) -> None:
    """Say what is in PATH: a bundle, an ONNX model, or a TensorRT engine that `build` made.

    Of a bundle every file is verified, and who signed it is said; one that this machine's trust
    folder refuses can be looked at all the same. Of each model it shows what it is fed and returns,
    its operators, parameters, size and FLOPs: two for each multiply-add of convolutions and matrix
    products, for one image; `in integers` is the share whose input and weights are quantized. Of a
    single ONNX model the kernels are counted too that ONNX Runtime makes of it here, so that one
    sees what really runs in integers.

    Of an engine it shows the layers that TensorRT made, what each reads and writes and the ONNX
    nodes it came from; how many only lay out or convert a tensor; the share of the FLOPs of
    convolutions that are in INT8; and by name the convolutions that were emitted in INT8 and are
    not. That needs no GPU: `build` has kept the list beside the engine.

    With --target the file, ours or anyone's, is held against the rules of a target instead, and
    nothing is run; of a bundle, the emission for that target of every stage. Exit code 1 if a
    finding is an error: the runtime would refuse the file, misread it, or not compute in integers
    what it quantizes. The rules are in docs/linter.md.

    \b
    Example:
      cspine inspect build/xray.cspine
      cspine inspect model.onnx --target trt
    """
    if target is not None:
        _lint(path, target, as_json)
    elif is_bundle(path):
        _bundle(Bundle.whole(path), as_json)
    elif path.suffix == ".onnx":
        _model(path, as_json)
    elif path.suffix == ".engine":
        _engine(path, as_json)
    else:
        raise ModelError(f"{path}: expected a bundle, an .onnx or an .engine file")


def _bundle(bundle: Bundle, as_json: bool) -> None:
    emissions = emission_rows(bundle)
    models = [
        {
            "stage": stage.id,
            "bytes": len(bundle.model(stage.id)),
            **bundle.manifest.provenance[fp32_path(stage.id)],
        }
        for stage in bundle.spec.networks
    ]
    gate = bundle.spec.gate
    evidence = [
        {
            "backend": each.backend,
            "target": each.target,
            "precision": each.precision,
            "verdict": believed(each, gate=gate),
        }
        for each in evidence_of(bundle)
    ]
    signed = [each.fingerprint for each in bundle.signatures]
    trust = standing(bundle.digest, bundle.signatures, where=bundle.path)
    stages = stage_sheets(bundle)
    if as_json:
        emit_json(
            {
                "digest": bundle.digest,
                "signatures": signed,
                "trust": trust,
                "pipeline": bundle.spec.name,
                "models": models,
                "stages": [stage.facts() for stage in stages],
                "emissions": emissions,
                "evidence": evidence,
            }
        )
        return
    click.echo(f"{bundle.spec.title}\nbundle {bundle.digest}, {len(bundle.manifest.files)} files\n")
    header = ["stage", "FP32 MB", "opset", "checkpoint", "worst parity, of spread"]
    rows = [
        [
            model["stage"],
            f"{model['bytes'] / 1e6:.2f}",
            model["opset"],
            model["checkpoint_sha256"][:12],
            f"{max(parity['relative'] for parity in model['parity']):.1e}",
        ]
        for model in models
    ]
    click.echo(table(header, rows) + "\n")
    for sheet in stages:
        click.echo(f"{sheet.stage}, a stage of kind {sheet.kind}")
        click.echo(sheets_text(sheet.models, pixels=sheet.pixels) + "\n")
    click.echo(emission_table(emissions) if emissions else "no INT8 or FP16 models")
    click.echo()
    for found in evidence:
        what = f"{found['backend']}, {found['target']}, {found['precision']}"
        click.echo(f"evidence: {what}: {found['verdict']}")
    if not evidence:
        click.echo("evidence: none, so FP32 answers")
    for key in signed:
        click.echo(f"signed by key {key}")
    click.echo(f"trust: {trust}")


def _lint(path: Path, target: str, as_json: bool) -> None:
    require_onnx()
    from cspine_calibration.lint.lint import lint
    from cspine_calibration.lint.report import report

    if is_bundle(path):
        bundle = Bundle.whole(path)
        files = {stage.id: bundle.model(stage.id, target=target) for stage in bundle.spec.networks}
        digest = bundle.digest
    elif path.suffix == ".onnx":
        files = {path.name: _read(path)}
        digest = sha256(files[path.name])
    else:
        raise ModelError(f"{path}: expected a bundle or an .onnx file, for only they have targets")
    findings = {name: lint(data, target=target, where=name) for name, data in files.items()}
    report(findings, digest=digest, target=target, as_json=as_json)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _model(path: Path, as_json: bool) -> None:
    data = _read(path)
    sheet = read_datasheet(data, model=path.stem, file=path.name, where=str(path))
    from cspine_calibration.fusion import integer_kernels  # onnxruntime, for this only

    fusion = integer_kernels(data)
    if as_json:
        emit_json(
            {
                "digest": sha256(data),
                **sheet.facts(),
                "integer_kernels": dict(fusion.integer),
                "float_convolutions": list(fusion.float_convolutions),
                "conversions": fusion.conversions,
            }
        )
        return
    click.echo(f"{path}: digest {sha256(data)[:16]}\n")
    click.echo(sheets_text([sheet], pixels=None))
    click.echo("\nas ONNX Runtime runs it:")
    click.echo(table(["integer kernel", "count"], fusion.integer.items()))
    click.echo(f"convolutions in float: {', '.join(fusion.float_convolutions) or 'none'}")
    click.echo(f"conversions left: {fusion.conversions}")


def _engine(path: Path, as_json: bool) -> None:
    engine = load_engine(path)
    if as_json:
        emit_json(engine_facts(engine))
    else:
        click.echo(engine_text(engine))
