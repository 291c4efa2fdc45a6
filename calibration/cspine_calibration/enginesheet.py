"""The data sheet of an engine: its layers, their precision, and what they came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from cspine.console import table
from cspine.engines.layers import Layer, Tensor
from cspine.engines.store import Engine
from cspine.engines.summary import Summary, summarize
from cspine_calibration.datasheet import percentage, wrapped


def engine_facts(engine: Engine) -> dict[str, Any]:
    """Return everything for programs: the manifest, the size in bytes, and the summary."""
    return {
        **msgspec.structs.asdict(engine.manifest),
        "bytes": engine.size,
        "summary": summarize(engine.manifest).facts(),
    }


def engine_text(engine: Engine) -> str:
    """Lay out what an engine was made from, its layers, and what became of the convolutions."""
    manifest = engine.manifest
    made = [(name, _value(value)) for name, value in manifest.made().items()]
    parts = [table(["engine", ""], [("size", f"{engine.size / 1e6:.2f} MB"), *made])]
    if manifest.layers:
        convolutions = frozenset(each.name for each in manifest.convolutions)
        header = ["layer", "reads", "weights", "writes", "from"]
        parts.append(table(header, [_row(layer, convolutions) for layer in manifest.layers]))
    else:
        parts.append("TensorRT has not listed the layers")
    parts.append("\n".join(wrapped(line) for line in _totals(summarize(manifest))))
    return "\n\n".join(parts)


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _row(layer: Layer, convolutions: frozenset[str]) -> list[str]:
    return [
        layer.kind,
        _precision(layer.inputs),
        _precision(layer.operands[1:]) if layer.weighted else "",
        _precision(layer.outputs),
        _from(layer, convolutions),
    ]


def _precision(tensors: Iterable[Tensor]) -> str:
    return ", ".join(dict.fromkeys(each.dtype for each in tensors))


def _from(layer: Layer, convolutions: frozenset[str]) -> str:
    """Name one node of a layer, the convolution where it is one; the JSON has all."""
    names = list(dict.fromkeys(layer.origins))
    if layer.weighted:
        names.sort(key=lambda name: name not in convolutions)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return "".join(names[:1]) + more


def _totals(summary: Summary) -> Iterator[str]:
    yield f"layers: {summary.layers}, of them {summary.reformats} only lay out or convert a tensor"
    share = summary.integer_share
    yield f"FLOPs of convolutions in INT8: {'unknown' if share is None else percentage(share)}"
    yield f"convolutions emitted in INT8: {len(summary.expected)}"
    names = {
        "in float all the same": summary.missing,
        "in float, for TensorRT-RTX has no integer kernel for transposed convolutions": (
            summary.unsupported
        ),
        "of which TensorRT does not say how they run": summary.untold,
    }
    for reason, found in names.items():
        if found:
            yield f"{reason}: {len(found)}: {', '.join(found)}"
