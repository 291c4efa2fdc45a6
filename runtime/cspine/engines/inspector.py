"""The layers of an engine as TensorRT's engine inspector describes them, in JSON.

There are two dialects. Up to TensorRT 10 a tensor's layout and type are one sentence,
``Format/Datatype``, and the engine's own tensors are ``Bindings``; from 11 on they are ``Format``
and ``DataType``, and ``I/O Tensors``. In both a kernel from TensorRT's libraries counts its weights
under ``Weights``, one from its compiler lists them as ``Constants``.
"""

from __future__ import annotations

import re

import msgspec

from cspine.engines.layers import Layer, Tensor, origins
from cspine.errors import BackendError

# What a sentence such as "Channel major FP16 format where channel % 8 == 0" calls a type, and the
# word for it that TensorRT uses everywhere else.
_WORDS = {"FP32": "Float", "FP16": "Half", "BF16": "BFloat16", "INT8": "Int8"}
_TYPE = re.compile(r"\b(FP32|FP16|BF16|FP8|FP4|U?Int\d+|Float|Half|BFloat16|Bool)\b", re.I)
_FUSED = re.compile(r" \+ | \|\| |PWN\(|, |\)")


class _Tensor(msgspec.Struct):
    name: str = msgspec.field(name="Name", default="")
    shape: tuple[int, ...] = msgspec.field(name="Dimensions", default=())
    sentence: str = msgspec.field(name="Format/Datatype", default="")
    dtype: str = msgspec.field(name="DataType", default="")


class _Weights(msgspec.Struct):
    dtype: str = msgspec.field(name="Type")
    count: int = msgspec.field(name="Count")


class _Layer(msgspec.Struct):
    name: str = msgspec.field(name="Name")
    kind: str = msgspec.field(name="LayerType")
    inputs: tuple[_Tensor, ...] = msgspec.field(name="Inputs", default=())
    outputs: tuple[_Tensor, ...] = msgspec.field(name="Outputs", default=())
    constants: tuple[_Tensor, ...] = msgspec.field(name="Constants", default=())
    weights: _Weights | None = msgspec.field(name="Weights", default=None)
    metadata: str = msgspec.field(name="Metadata", default="")


class _Engine(msgspec.Struct):
    layers: tuple[_Layer | str, ...] = msgspec.field(name="Layers")


def read_inspector(text: str) -> tuple[Layer, ...]:
    """Return the layers that an engine inspector describes, in the order of execution.

    Parameters
    ----------
    text
        What ``get_engine_information(LayerInformationFormat.JSON)`` returns, or ``trtexec
        --exportLayerInfo`` writes. Of an engine built without DETAILED profiling verbosity it has
        names at most; then there are no layers.

    Raises
    ------
    BackendError
        If it is no such JSON.
    """
    try:
        engine = msgspec.json.decode(text, type=_Engine)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BackendError(
            f"the engine inspector's description is not the JSON that TensorRT writes: {error}"
        ) from error
    return tuple(_layer(each) for each in engine.layers if isinstance(each, _Layer))


def _layer(found: _Layer) -> Layer:
    weights = found.weights
    listed = () if weights is None else (Tensor("weights", _word(weights.dtype), (weights.count,)),)
    return Layer(
        name=found.name,
        kind=found.kind,
        inputs=_tensors(found.inputs),
        constants=listed + _tensors(found.constants),
        outputs=_tensors(found.outputs),
        origins=origins(found.metadata) or _fused(found),
    )


def _tensors(found: tuple[_Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(each.name, _word(each.dtype or each.sentence), each.shape) for each in found
    )


def _word(said: str) -> str:
    """Return TensorRT's word for a type, or what is said if there is none in it."""
    found = _TYPE.search(said)
    return _WORDS.get(found[0].upper(), found[0]) if found else said


def _fused(layer: _Layer) -> tuple[str, ...]:
    """Return the nodes that a name joins, as ``conv1 + relu1``: old parsers say them only there."""
    if layer.kind in {"Reformat", "NoOp"}:
        return ()
    return tuple(part for part in _FUSED.split(layer.name) if part)
