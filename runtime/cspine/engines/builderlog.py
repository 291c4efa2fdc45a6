"""The layers of an engine as its builder logs them, so that they can be had with no GPU.

With DETAILED profiling verbosity TensorRT 10, 11 and RTX log the list at the end of a build, one
line a layer; 8.6 logs less. An engine inspector gives the same: :mod:`cspine.engines.inspector`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cspine.engines import wording
from cspine.engines.layers import Layer, Tensor

_ANY = re.compile(r"Name: .*?, LayerType: ")
_LAYER = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<kind>[^,]+), Inputs: \[(?P<inputs>|.*?\})\], "
    r"(?:Constants: \[(?P<constants>|.*?\})\], )?Outputs: \[(?P<outputs>|.*?\})\],"
    r'(?:.*?, Weights: \{"Type": "(?P<type>\w+)", "Count": (?P<count>\d{1,18})\})?'
    r"(?:.*?, Metadata: ?(?P<metadata>.*))?"
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), (?:Location: \w+, )?"
    r"Dimensions: \[(?P<shape>(?:-?\d{1,18}(?:,-?\d{1,18})*)?)\].*?Datatype: (?P<dtype>[^,}]*)"
)


def read_layers(messages: Iterable[str]) -> tuple[Layer, ...]:
    """Return the layers that a builder's log lists, in the order of execution.

    Parameters
    ----------
    messages
        The log; all but the list is passed over.

    Returns
    -------
    tuple of Layer
        Empty if there is no list, or one that is not understood or withholds types: half a list
        would be worse than none, with which one knows to ask an inspector.
    """
    found = [
        _LAYER.match(line)
        for message in messages
        for line in message.split("\n")  # other separators of lines stand within one
        if _ANY.match(line)
    ]
    layers = tuple(_layer(each) for each in found if each)
    whole = len(layers) == len(found) and all(each.told for each in layers if each.weighted)
    return layers if whole else ()


def _layer(found: re.Match[str]) -> Layer:
    name, kind = found["name"], found["kind"]
    counted = (Tensor("weights", found["type"], (int(found["count"]),)),) if found["count"] else ()
    return Layer(
        name=name,
        kind=kind,
        inputs=_tensors(found["inputs"]),
        constants=counted + _tensors(found["constants"] or ""),
        outputs=_tensors(found["outputs"]),
        origins=wording.origins(metadata=found["metadata"] or "", name=name, kind=kind),
    )


def _tensors(text: str) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=found["name"],
            dtype=wording.dtype(found["dtype"].strip()),
            shape=tuple(int(size) for size in found["shape"].split(",") if size),
        )
        for found in _TENSOR.finditer(text)
    )
