"""What TensorRT's words for types and origins mean, wherever it says them."""

from __future__ import annotations

import re

# What a sentence such as "Channel major FP16 format where channel % 8 == 0" calls a type, and the
# word for it that TensorRT uses everywhere else.
_WORDS = {"FP32": "Float", "FP16": "Half", "BF16": "BFloat16", "INT8": "Int8"}
_TYPE = re.compile(r"\b(FP32|FP16|BF16|FP8|FP4|U?Int\d+|Float|Half|BFloat16|Bool)\b", re.I)
_ORIGIN = re.compile(r"\[ONNX Layer: (.*?)\]")
_JOINED = re.compile(r" \+ | \|\| |PWN\(|, |\)")
_NUMBERED = re.compile(r"_myl\d+_\d+$")  # the compiler's own names


def dtype(said: str) -> str:
    """Return TensorRT's word for a type, empty for ``N/A due to dynamic shapes`` and the like."""
    if found := _TYPE.search(said):
        return _WORDS.get(found[0].upper(), found[0])
    return said if said.isalnum() else ""


def origins(*, metadata: str, name: str, kind: str) -> tuple[str, ...]:
    """Return the ONNX nodes that a layer came from.

    The parser of TensorRT 8 may leave the metadata empty; then the name of the layer tells, which
    joins those of nodes, and of constants, as in ``weight + conv1 + PWN(relu1)``.
    """
    told = _ORIGIN.findall(metadata)
    if told or kind in {"Reformat", "NoOp"} or _NUMBERED.search(name):
        return tuple(told)
    return tuple(part for part in _JOINED.split(name) if part)
