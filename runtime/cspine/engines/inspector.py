"""The layers of an engine as TensorRT's engine inspector describes them, in JSON.

There are two dialects. Up to TensorRT 10 a tensor's layout and type are one sentence,
``Format/Datatype``, and the engine's own tensors are ``Bindings``; from 11 on they are ``Format``
and ``Datatype``, and ``I/O Tensors``. In both a kernel of TensorRT's libraries has the number of
its weights under ``Weights``; one that its compiler made has them under ``Constants``, or among its
inputs.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from cspine.engines import wording
from cspine.engines.layers import Layer, Tensor
from cspine.errors import BackendError

_Size = Annotated[int, msgspec.Meta(ge=-1, le=1 << 62)]


class _Tensor(msgspec.Struct):
    name: str = msgspec.field(name="Name", default="")
    shape: tuple[_Size, ...] = msgspec.field(name="Dimensions", default=())
    sentence: str = msgspec.field(name="Format/Datatype", default="")
    dtype: str = msgspec.field(name="Datatype", default="")
    # So NVIDIA spells it in what it says of 11, and TensorRT itself of the engine's own tensors.
    dtype_in_camels: str = msgspec.field(name="DataType", default="")


class _Weights(msgspec.Struct):
    dtype: str = msgspec.field(name="Type")
    count: _Size = msgspec.field(name="Count")


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
        --exportLayerInfo`` writes. Where shapes are dynamic, give the inspector a context with the
        shapes set, or TensorRT up to 10 withholds the types. Of an engine built without DETAILED
        profiling verbosity the text has names at most; then there are no layers.

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
    counted = () if weights is None else (Tensor("weights", weights.dtype, (weights.count,)),)
    return Layer(
        name=found.name,
        kind=found.kind,
        inputs=_tensors(found.inputs),
        constants=counted + _tensors(found.constants),
        outputs=_tensors(found.outputs),
        origins=wording.origins(metadata=found.metadata, name=found.name, kind=found.kind),
    )


def _tensors(found: tuple[_Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=each.name,
            dtype=wording.dtype(each.dtype or each.dtype_in_camels or each.sentence),
            shape=each.shape,
        )
        for each in found
    )
