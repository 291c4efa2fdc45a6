"""From checkpoints to a bundle of FP32 graphs, each proven against its network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cspine.backends import open_backend
from cspine.backends.recorder import Recorder
from cspine.bundle import PIPELINE, Bundle, fp32_path, write_bundle
from cspine.device import tools
from cspine.dicom.select import Study
from cspine.errors import ModelError, StudyError, did_you_mean
from cspine.fields import Architecture
from cspine.findings import Identity
from cspine.pipeline import Pipeline
from cspine.pipeline_file import load_spec
from cspine.session import Session
from cspine.spec import Network, PipelineSpec
from cspine_export.architecture import build_network, source_of
from cspine_export.checkpoint import Origin, load_checkpoint
from cspine_export.graph.exported import Exported, to_onnx
from cspine_export.graph.exporters import EXPORTERS
from cspine_export.graph.interface import Interface
from cspine_export.graph.operator_set import OPSET
from cspine_export.parity import Parity, compare, random_feeds, reference_of
from cspine_export.stage_network import networks_of

_TOOLS = ("cspine", "numpy", "onnx", "onnxruntime", "onnxscript", "torch")


def export(
    pipeline: Path,
    checkpoints: Mapping[str, Path],
    *,
    parts: Mapping[str, str] | None = None,
    studies: Sequence[Study],
    to: Path,
    exporters: Collection[str] = tuple(EXPORTERS),
    allowed: Collection[str] = (),
) -> Bundle:
    """Export one checkpoint per network stage, or for both of a detector, and bundle the graphs.

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
    exporters
        Which of PyTorch's exporters to try; the better graph is taken.
    allowed
        Factories of the user's own that may run.

    Raises
    ------
    ModelError
        If a checkpoint is missing or does not fit, or a graph disagrees with its network;
        nothing is written then.
    """
    spec = load_spec(pipeline)
    text = pipeline.read_bytes()
    _check_stages(spec, checkpoints)
    networks: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for trained in spec.trainings:
        network = build_network(
            trained.architecture, allowed=allowed, detector=spec.detector_of(trained)
        )
        part = (parts or {}).get(trained.id)
        origins[trained.id] = load_checkpoint(network, checkpoints[trained.id], part=part)
        networks |= networks_of(network, trained, spec)
    graphs = {
        stage.id: to_onnx(networks[stage.id], Interface.of(stage), exporters=exporters)
        for stage in spec.networks
    }
    recorders = {
        name: Recorder(open_backend("onnxruntime", graph.data)) for name, graph in graphs.items()
    }
    _run(spec, recorders, studies)
    files, provenance = {PIPELINE: text}, {}
    for stage in spec.networks:
        interface = Interface.of(stage)
        parities = compare(
            reference_of(networks[stage.id], interface),
            recorders[stage.id],
            [*recorders[stage.id].feeds, *random_feeds(interface)],
            interface=interface,
        )
        _check_parity(stage, parities)
        path = fp32_path(stage.id)
        files[path] = graphs[stage.id].data
        trained = spec.trained(stage)
        provenance[path] = {
            **_provenance(origins[trained.id], graphs[stage.id], parities),
            **_made_by(trained.architecture),
        }
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
    stages = [stage.id for stage in spec.trainings]
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
                f"{parity}; nothing was written"
            )


def _provenance(origin: Origin, graph: Exported, parities: Sequence[Parity]) -> dict[str, Any]:
    checkpoint = asdict(origin)
    return {
        "checkpoint_sha256": checkpoint.pop("sha256"),
        "checkpoint": checkpoint,
        "exporter": graph.exporter,
        "exporters": {"operators": graph.operators, "failed": graph.failed},
        "opset": OPSET,
        "parity": [asdict(each) for each in parities],
    }


def _made_by(architecture: Architecture) -> dict[str, Any]:
    """Return what was at work, with the library or the code that the network came from."""
    source = source_of(architecture)
    code = source.pop("sha256", None)
    made: dict[str, Any] = {"tools": {**tools(*_TOOLS), **source}}
    return made if code is None else {**made, "factory_sha256": code}
