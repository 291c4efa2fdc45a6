"""What became of a graph's convolutions in an engine: how much of the work is in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cspine.engines.convolutions import TRANSPOSED, Convolution
from cspine.engines.layers import left_in_float
from cspine.engines.store import EngineManifest


@dataclass(frozen=True)
class Summary:
    """An engine's layers, counted, and held against what its graph asks for.

    Attributes
    ----------
    layers, reformats
        How many there are, and how many of them only lay out or convert a tensor.
    flops, integer_flops
        Of the graph's convolutions, and of those that are INT8 kernels; ``None`` where a shape of
        the graph is not understood or, of the second, where ``untold`` names one.
    expected
        The convolutions that the graph asks to run as integers.
    missing
        Those of them that became float kernels.
    unsupported
        Those that did because TensorRT-RTX has no integer kernel for transposed convolutions.
    untold
        Those of which TensorRT does not say: it listed no layers or no types, or runs them inside
        one layer that it does not open, as on a DLA.
    """

    layers: int
    reformats: int
    flops: int | None
    integer_flops: int | None
    expected: tuple[str, ...]
    missing: tuple[str, ...]
    unsupported: tuple[str, ...]
    untold: tuple[str, ...]

    @property
    def integer_share(self) -> float | None:
        """Share of the convolutions' FLOPs that run as INT8, from 0 to 1."""
        if self.flops is None or self.integer_flops is None:
            return None
        return self.integer_flops / self.flops if self.flops else 0.0

    @property
    def remark(self) -> str | None:
        """What whoever built the engine should know, in one sentence."""
        asked = f"of {len(self.expected)} convolutions emitted in INT8"
        if self.missing:
            return (
                f"{len(self.missing)} {asked} run in float: {', '.join(self.missing)}; the engine "
                "answers as it should, but slower"
            )
        if self.untold:
            return f"TensorRT does not say how {len(self.untold)} {asked} run"
        return None

    def facts(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "layers": self.layers,
            "reformats": self.reformats,
            "convolution_flops": self.flops,
            "integer_flops": self.integer_flops,
            "integer_share": self.integer_share,
            "expected": self.expected,
            "missing": self.missing,
            "unsupported": self.unsupported,
            "untold": self.untold,
        }


def summarize(manifest: EngineManifest) -> Summary:
    """Hold the layers of an engine against the graph that it was built from."""
    asked, layers = manifest.convolutions, manifest.layers
    left = left_in_float(asked, layers)
    weighted = [layer for layer in layers if layer.weighted]
    told = {name for layer in weighted if layer.told for name in layer.origins}
    hidden = (
        not layers
        or any(layer.opaque for layer in layers)
        or not all(layer.told for layer in weighted)
    )
    untold = {each.name for each in left if hidden and each.name not in told}
    unsupported = {
        each.name
        for each in left
        if each.operator == TRANSPOSED and manifest.tensorrt.startswith("tensorrt_rtx")
    } - untold
    floating = {each.name for each in left} | {each.name for each in asked if not each.quantized}
    return Summary(
        layers=len(layers),
        reformats=sum(layer.reformats for layer in layers),
        flops=_flops(asked),
        integer_flops=None
        if untold
        else _flops(tuple(each for each in asked if each.name not in floating)),
        expected=tuple(each.name for each in asked if each.quantized),
        missing=tuple(each.name for each in left if each.name not in untold | unsupported),
        unsupported=tuple(each.name for each in left if each.name in unsupported),
        untold=tuple(each.name for each in left if each.name in untold),
    )


def _flops(counted: tuple[Convolution, ...]) -> int | None:
    known = [each.flops for each in counted if each.flops is not None]
    return sum(known) if len(known) == len(counted) else None
