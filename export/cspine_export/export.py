"""From checkpoints to a bundle of FP32 graphs, each proven against its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cspine.backends import open_backend
from cspine.bundle import PIPELINE, Bundle, fp32_path, write_bundle
from cspine.device import installed
from cspine.dicom.select import Study
from cspine.errors import ModelError, StudyError, did_you_mean
from cspine.findings import Identity
from cspine.pipeline import Pipeline
from cspine.pipeline_file import load_spec
from cspine.session import Session
from cspine.spec import Network, PipelineSpec
from cspine_export.architecture import build_network
from cspine_export.checkpoint import Origin, load_checkpoint
from cspine_export.graph import OPSET, output_names, to_onnx, wrap
from cspine_export.parity import Parity, Recorder, compare, random_feeds


def export(
    pipeline: Path,
    checkpoints: Mapping[str, Path],
    *,
    parts: Mapping[str, str] | None = None,
    studies: Sequence[Study],
    to: Path,
) -> Bundle:
    """Export one checkpoint per network stage and bundle the graphs.

    Parameters
    ----------
    pipeline
        The pipeline file, which goes into the bundle as it is.
    checkpoints
        By stage id.
    parts
        By stage id, which weights of a checkpoint that holds several; see
        :func:`cspine_export.checkpoint.load_checkpoint`.
    studies
        Parity is proven on what these give each network, and always on noise as well.
    to
        Where the bundle goes; an older bundle there is replaced.

    Raises
    ------
    ModelError
        If a checkpoint is missing or does not fit, or a graph disagrees with its network;
        nothing is written then.
    """
    spec = load_spec(pipeline)
    text = pipeline.read_bytes()
    _check_stages(spec, checkpoints)
    networks, origins = {}, {}
    for stage in spec.networks:
        network = build_network(stage.architecture)
        part = (parts or {}).get(stage.id)
        origins[stage.id] = load_checkpoint(network, checkpoints[stage.id], part=part)
        networks[stage.id] = wrap(network, stage)
    graphs = {stage.id: to_onnx(networks[stage.id], stage) for stage in spec.networks}
    recorders = {
        name: Recorder(open_backend("onnxruntime", graph)) for name, graph in graphs.items()
    }
    _run(spec, recorders, studies)
    files, provenance = {PIPELINE: text}, {}
    for stage in spec.networks:
        parities = compare(
            networks[stage.id],
            recorders[stage.id],
            [*recorders[stage.id].feeds, *random_feeds(stage)],
            outputs=output_names(stage),
        )
        _check_parity(stage, parities)
        files[fp32_path(stage.id)] = graphs[stage.id]
        provenance[fp32_path(stage.id)] = _provenance(origins[stage.id], parities)
    return write_bundle(to, files, provenance)


def _run(spec: PipelineSpec, recorders: Mapping[str, Recorder], studies: Sequence[Study]) -> None:
    """Send studies through the pipeline so that every network sees real inputs."""
    identity = Identity(
        pipeline=spec.name,
        bundle="",
        backend="onnxruntime",
        precision="fp32",
        target=None,
    )
    sessions = {name: Session(name, recorder) for name, recorder in recorders.items()}
    runner = Pipeline(spec, sessions=sessions, identity=identity)
    for number, study in enumerate(studies, 1):
        if reason := runner.run(study).findings.refusal:
            raise StudyError(
                f"study {number} of {len(studies)} is refused ({reason.code}), so parity cannot be "
                "proven on it; give one that the pipeline answers"
            )


def _check_stages(spec: PipelineSpec, checkpoints: Mapping[str, Path]) -> None:
    stages = [stage.id for stage in spec.networks]
    for name in checkpoints:
        if name not in stages:
            raise ModelError(
                f"no network stage {name!r} in {spec.name}{did_you_mean(name, stages)}; "
                f"it has {', '.join(stages)}"
            )
    for name in stages:
        if name not in checkpoints:
            raise ModelError(
                f"stage {name!r} of {spec.name} has no checkpoint; add --checkpoint {name}=FILE"
            )


def _check_parity(stage: Network, parities: Sequence[Parity]) -> None:
    for parity in parities:
        if not parity.holds:
            raise ModelError(
                f"stage {stage.id!r}, output {parity.output!r}: the graph disagrees with PyTorch "
                f"by {parity.relative:.2g} of the output's spread over {parity.tensors} batches; "
                "nothing was written"
            )


def _provenance(origin: Origin, parities: Sequence[Parity]) -> dict[str, Any]:
    checkpoint = asdict(origin)
    return {
        "checkpoint_sha256": checkpoint.pop("sha256"),
        "checkpoint": checkpoint,
        "exporter": "torchscript",
        "opset": OPSET,
        "torch": installed("torch"),
        "parity": [asdict(parity) for parity in parities],
    }
