"""The better graph of the two that PyTorch's exporters write, proven on noise.

Both are brought to one operator set and one form; a graph that then disagrees with its network on
noise does not serve. Of those that do, the one with the fewest operators is taken: on ONNX Runtime
their speed differs with nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx
from torch import nn

from cspine.backends import open_backend
from cspine.errors import ModelError
from cspine_export.graph.activation_map import add_map
from cspine_export.graph.exporters import EXPORTERS
from cspine_export.graph.interface import Interface
from cspine_export.graph.operator_set import UnusableGraphError, lowered
from cspine_export.graph.tidy import tidy
from cspine_export.parity import compare, random_feeds, reference_of


@dataclass(frozen=True)
class Exported:
    """A graph, and why it was taken.

    Attributes
    ----------
    data
        The ONNX file.
    exporter
        Which of PyTorch's exporters wrote it.
    operators
        By exporter, how many its graph has.
    failed
        By exporter, why its graph does not serve; of an exporter's own errors only the kind, for
        their words name files of this machine.
    """

    data: bytes
    exporter: str
    operators: dict[str, int]
    failed: dict[str, str]


def to_onnx(
    network: nn.Module, interface: Interface, *, exporters: Collection[str] = tuple(EXPORTERS)
) -> Exported:
    """Export a network in evaluation mode.

    Parameters
    ----------
    exporters
        Which to try.

    Raises
    ------
    ModelError
        If none writes a graph that serves, or the map that was asked for cannot be had.
    """
    found: dict[str, tuple[int, bytes]] = {}
    failed: dict[str, str] = {}
    first: Exception | None = None
    for name in EXPORTERS:
        if name not in exporters:
            continue
        try:
            found[name] = _proven(name, network, interface)
        except ModelError:
            raise  # of the network itself, so of every exporter
        except Exception as error:  # whatever an exporter meets in a network
            ours = isinstance(error, UnusableGraphError)
            failed[name] = str(error) if ours else type(error).__name__
            first = first or error
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise ModelError(
            f"no exporter of PyTorch writes a graph that serves; {reasons}; change what the "
            "network does there"
        ) from first
    best = min(found, key=lambda name: found[name][0])  # the first of those that are equal
    operators = {name: count for name, (count, _) in found.items()}
    return Exported(found[best][1], best, operators, failed)


def _proven(name: str, network: nn.Module, interface: Interface) -> tuple[int, bytes]:
    model = tidy(lowered(EXPORTERS[name](network, interface)), interface)
    if interface.map:
        model = add_map(model)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    backend = open_backend("onnxruntime", data)
    try:
        for parity in compare(
            reference_of(network, interface), backend, random_feeds(interface), interface=interface
        ):
            if not parity.holds:
                raise UnusableGraphError(
                    f"output {parity.output!r} disagrees with PyTorch {parity}"
                )
    finally:
        backend.close()
    return len(model.graph.node), data
