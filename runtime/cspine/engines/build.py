"""TensorRT engines from a bundle's ONNX: for this device, or ahead of time for a named GPU.

The emission for ``trt`` carries its precision in the graph (strong typing), so the builder is
given no precision flags; TensorRT 8.6 knows no such typing, and gets the emission for ``trt-8`` and
flags. An engine and the manifest beside it live in the cache; nothing loads an engine whose
manifest does not match.
"""

from __future__ import annotations

from cspine.backends.tensorrt import tensorrt_module
from cspine.bundle import Bundle
from cspine.engines.compile import compile_onnx, strongly_typed
from cspine.engines.convolutions import convolutions
from cspine.engines.store import Engine, EngineManifest, store
from cspine.files import sha256
from cspine.onnxfile import read_onnx
from cspine.precision import Precision
from cspine.spec import Classify, Network


def build_engines(
    bundle: Bundle, *, precision: Precision, compute_capability: str | None
) -> list[Engine]:
    """Build the engine of every network of a bundle.

    Parameters
    ----------
    bundle
        Holds the emission for ``trt``, on TensorRT 8.6 for ``trt-8``, if ``precision`` is ``int8``.
    compute_capability
        Such as ``"8.9"``, to build ahead of time for that GPU (TensorRT-RTX only); ``None``
        builds for the GPU of this device.

    Raises
    ------
    BackendError
        If TensorRT is missing, rejects the graph, or cannot build for what was asked.
    """
    target = ("trt" if strongly_typed() else "trt-8") if precision == "int8" else None
    return [
        _build(
            bundle,
            stage,
            onnx=bundle.model(stage.id, target=target),
            precision=precision,
            compute_capability=compute_capability,
        )
        for stage in bundle.spec.networks
    ]


def _build(
    bundle: Bundle,
    stage: Network,
    *,
    onnx: bytes,
    precision: Precision,
    compute_capability: str | None,
) -> Engine:
    trt = tensorrt_module()
    batch = _batch(bundle, stage)
    smallest, usual, largest = ((size, 1, *stage.size_px) for size in batch)
    compiled = compile_onnx(
        onnx,
        where=f"stage {stage.id!r}",
        shapes={"image": (smallest, usual, largest)},
        integers=precision == "int8",
        compute_capability=compute_capability,
    )
    manifest = EngineManifest(
        engine=sha256(compiled.plan),
        onnx=sha256(onnx),
        bundle=bundle.digest,
        stage=stage.id,
        precision=precision,
        tensorrt=trt.__name__,
        tensorrt_version=trt.__version__,
        compute_capability=compiled.built_for,
        flags=compiled.flags,
        batch=batch,
        convolutions=convolutions(read_onnx(onnx, where=f"stage {stage.id!r}")),
        layers=compiled.layers,
    )
    return store(compiled.plan, manifest)


def _batch(bundle: Bundle, stage: Network) -> tuple[int, int, int]:
    """Return the smallest, usual and largest batch: one image, or one crop per level."""
    if not isinstance(stage, Classify):
        return 1, 1, 1
    levels = bundle.spec.level_count
    return 1, levels, levels
