"""Where the quantisation goes: one algorithm over a row of the emission matrix.

A quantised tensor is kept once in integers, and some of its readers read the dequantised copy. So
a placement is three things: which tensors, which of their readers (*edges*), and which tensors
share a scale. It depends on the graph and the target only, never on the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cspine_calibration.eligibility import asked, bar, flaw
from cspine_calibration.graph import Graph, Residual, Unit
from cspine_calibration.targets import MOVED_AS_FLOAT, Grid, Target


@dataclass(frozen=True)
class Placement:
    """What a target quantises in a graph.

    Attributes
    ----------
    eligible
        Units that the target's rules admit.
    units
        Those of them that can be quantised.
    residuals
        Additions that are quantised.
    left
        (name, reason) of each unit and residual addition that stays in float, in graph order.
    edges
        (node, position of the input): the readers that read the dequantised tensor.
    sources
        For each quantised tensor the tensors whose joint statistics give its scale, sorted; equal
        for tensors that share one.
    joined
        Those of them that are concatenated and then normalised.
    whole
        Those of them that are moved or concatenated from dequantised ones, and so need no
        quantisation of their own.
    """

    eligible: tuple[Unit, ...]
    units: tuple[Unit, ...]
    residuals: tuple[Residual, ...]
    left: tuple[tuple[str, str], ...]
    edges: frozenset[tuple[int, int]]
    sources: Mapping[str, tuple[str, ...]]
    joined: frozenset[str]
    whole: frozenset[str]

    def grid(self, tensor: str, target: Target) -> Grid:
        """Return the integers of a quantised tensor."""
        return target.joins if target.joins and tensor in self.joined else target.activation


NOTHING = Placement((), (), (), (), frozenset(), {}, frozenset(), frozenset())


def place(graph: Graph, target: Target, *, keep_float: Sequence[str] = ()) -> Placement:
    """Decide what a target quantises in a graph.

    Parameters
    ----------
    keep_float
        Names of weighted operators that stay in float on every target, with wildcards.
    """
    kept = asked(graph, keep_float)
    barred = {
        node: kept.get(node) or bar(graph, unit, target) for node, unit in graph.units.items()
    }
    eligible = tuple(unit for node, unit in graph.units.items() if not barred[node])
    flaws = {unit.node: flaw(graph, unit) for unit in eligible}
    units = tuple(unit for unit in eligible if not flaws[unit.node])
    spared = _spared(graph, units, target)
    residuals = tuple(each for node, each in graph.residuals.items() if not spared[node])
    written, fed = _integers(graph, units, residuals, target)
    heads = tuple(
        unit
        for node, unit in graph.units.items()
        if barred[node] and node not in kept and _multiplies(graph, unit, written, target)
    )
    barred.update((head.node, None) for head in heads)
    eligible, units = (*eligible, *heads), (*units, *heads)
    tensors, edges, joins = _demand(graph, units, residuals, target, written=written, fed=fed)
    sources, joined = _sources(graph, tensors, joins, target)
    reasons = {**barred, **spared, **{node: why for node, why in flaws.items() if why}}
    return Placement(
        eligible=eligible,
        units=units,
        residuals=residuals,
        left=tuple((graph.name(node), why) for node, why in sorted(reasons.items()) if why),
        edges=edges,
        sources=sources,
        joined=joined,
        whole=_whole(graph, tensors) if target.integer_outputs == "read" else frozenset(),
    )


def _spared(graph: Graph, units: Iterable[Unit], target: Target) -> Mapping[int, str | None]:
    """Return why each residual addition stays in float; ``None`` if it is quantised."""
    written = _written(units, target)
    reasons: dict[int, str | None] = {}
    for node, addition in graph.residuals.items():
        if target.add_inputs == "skip":
            fused = None if addition.conv is None else addition.inputs[addition.conv]
            reason = None if fused in written else "it follows no integer kernel to fuse with"
        elif any(written.intersection(_origins(graph, name)) for name in addition.inputs):
            reason = graph.head(addition.output)
        else:
            reason = "neither operand comes from an integer kernel"
        reasons[node] = reason
        if reason is None:
            written.add(addition.output)
    return reasons


def _integers(
    graph: Graph, units: Iterable[Unit], residuals: Iterable[Residual], target: Target
) -> tuple[set[str], set[tuple[int, int]]]:
    """Return what operators write as integers, and the edges it takes beside those of units."""
    if target.integer_outputs != "written":
        return set(), set()
    written = _written(units, target) | {addition.output for addition in residuals}
    edges = _fed_integers(graph, written, target)
    if target.every_tensor:
        written |= graph.activations
    return written, edges


def _multiplies(graph: Graph, unit: Unit, written: set[str], target: Target) -> bool:
    """Return whether a head multiplies integers into float."""
    if not graph.head(unit.output) or flaw(graph, unit):
        return False
    match target.heads:
        case "products":
            return unit.kind == "MatMul" and _origins(graph, unit.input) <= written
        case "convolutions":
            return unit.input not in graph.points and all(
                reader in graph.units
                and graph.units[reader].kind == "Conv"
                and graph.head(graph.units[reader].output)
                for reader, _ in graph.consumers[unit.input]
            )
        case "none":
            return False


def _demand(
    graph: Graph,
    units: Iterable[Unit],
    residuals: Iterable[Residual],
    target: Target,
    *,
    written: set[str],
    fed: set[tuple[int, int]],
) -> tuple[frozenset[str], frozenset[tuple[int, int]], frozenset[int]]:
    """Return the quantised tensors, the edges that read them, and the concatenations of joins."""
    edges = {(unit.node, 0) for unit in units} | fed
    for addition in residuals:
        positions = {0, 1} - ({addition.conv} if target.add_inputs == "skip" else set())
        edges.update((addition.node, position) for position in positions)
    edges.update(edge for name in written for edge in graph.consumers.get(name, ()))
    tensors = written | {graph.nodes[node].input[position] for node, position in edges}
    joins = _joins(graph, tensors) if target.joins else frozenset()
    edges |= {(node, position) for node in joins for position in graph.carried(node)}
    tensors |= {graph.nodes[node].input[position] for node, position in edges}
    if target.integer_outputs == "read":
        edges |= _pools(graph, tensors)
    for index in reversed(range(len(graph.nodes))):
        if tensors.isdisjoint(graph.nodes[index].output):
            continue
        for position in graph.carried(index):
            edges.add((index, position))
            if target.integer_outputs != "none":
                tensors.add(graph.nodes[index].input[position])
    read = {edge for edge in edges if graph.nodes[edge[0]].input[edge[1]] in tensors}
    return frozenset(tensors), frozenset(read), joins


def _joins(graph: Graph, tensors: set[str]) -> frozenset[int]:
    """Return the concatenations whose result is quantised after a normalisation.

    Their inputs are quantised, not their result: with both, OpenVINO 2026.4 dies of the file where
    the shapes are fixed.
    """
    found = set()
    for node in graph.nodes:
        concat = (
            graph.producers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        )
        if concat is None or graph.nodes[concat].op_type != "Concat":
            continue
        after = {node.output[0]}
        for reader, _ in graph.consumers.get(node.output[0], ()):
            if graph.nodes[reader].op_type == "Relu":
                after.update(graph.nodes[reader].output)
        if after & tensors and not graph.feeds_weighted(graph.nodes[concat].output[0]):
            found.add(concat)
    return frozenset(found)


def _whole(graph: Graph, tensors: frozenset[str]) -> frozenset[str]:
    """Return the quantised tensors whose integers are moved from others.

    OpenVINO, told to quantise them once more, makes floats of the integers and rounds these a
    second time, unless the zero point is zero.
    """
    return tensors.intersection(
        node.output[0]
        for index, node in enumerate(graph.nodes)
        if graph.carried(index) and node.op_type not in MOVED_AS_FLOAT
    )


def _pools(graph: Graph, tensors: set[str]) -> set[tuple[int, int]]:
    """Return the average pools that read a quantised tensor: then nobody needs it in float."""
    return {
        (reader, position)
        for name in tensors
        for reader, position in graph.consumers.get(name, ())
        if graph.nodes[reader].op_type == "AveragePool"
    }


def _written(units: Iterable[Unit], target: Target) -> set[str]:
    """Return what units may write as integers."""
    return {unit.output for unit in units if not (target.float_products and unit.kind == "MatMul")}


def _fed_integers(graph: Graph, written: set[str], target: Target) -> set[tuple[int, int]]:
    """Add what activation functions and pools write as integers; return the edges it takes.

    One operand may also be a single pixel of each channel, as what squeeze and excitation scales
    by: to quantise that costs nothing.
    """
    edges: set[tuple[int, int]] = set()
    for index, node in enumerate(graph.nodes):
        if node.op_type not in target.integer_activations or graph.decides(node.output[0]):
            continue
        images = [name for name in node.input if name not in graph.points]
        whole = not any(name in graph.constants for name in node.input)
        if whole and images and all(_origins(graph, name) <= written for name in images):
            written.add(node.output[0])
            edges.update((index, position) for position in range(len(node.input)))
    return edges


def _sources(
    graph: Graph, tensors: frozenset[str], joins: frozenset[int], target: Target
) -> tuple[Mapping[str, tuple[str, ...]], frozenset[str]]:
    """Return, for each tensor, the tensors that decide its scale; and those tied in joins."""
    tied: dict[str, frozenset[str]] = {}
    for index, node in enumerate(graph.nodes):
        shares = node.op_type != "Concat" or target.share_concat_scale
        if not shares or (tensors.isdisjoint(node.output) and index not in joins):
            continue
        carried = (node.input[position] for position in graph.carried(index))
        names = {node.output[0], *carried}
        together = frozenset().union(*(tied.get(name, {name}) for name in names))
        tied.update(dict.fromkeys(together, together))
    sources = {
        name: tuple(
            sorted(frozenset().union(*(_origins(graph, n) for n in tied.get(name, {name}))))
        )
        for name in tensors
    }
    inside = (tied[graph.nodes[node].output[0]] for node in joins)
    return sources, frozenset().union(*inside) & tensors


def _origins(graph: Graph, tensor: str) -> frozenset[str]:
    """Return the computed tensors whose values a tensor is made of."""
    index = graph.producers.get(tensor)
    carried = () if index is None else graph.carried(index)
    if index is None or not carried:
        return frozenset({tensor})
    names = (graph.nodes[index].input[position] for position in carried)
    return frozenset().union(*(_origins(graph, name) for name in names))
