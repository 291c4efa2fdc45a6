"""Prefixes that training puts before a network's names, taken off only if the names then fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from cspine_export.checkpoint.limits import MAXIMUM_VARIANTS, Unreadable
from cspine_export.checkpoint.tensors import State
from cspine_export.checkpoint.weights import NO_FAULTS, Own, faults

COMPILED = "_orig_mod."  # torch.compile's, which may stand within a name as well
WRAPPERS = (
    "module.",  # DataParallel, DistributedDataParallel, AveragedModel
    COMPILED,
    "model.",  # a LightningModule's attribute
    "net.",
    "network.",
)
AVERAGES = "n_averaged"  # AveragedModel counts in it, beside the prefixed names
DEEPEST = 4  # such as model._orig_mod.module.


@dataclass(frozen=True)
class Stripped:
    """Weights by the network's own names, or the nearest to them.

    Attributes
    ----------
    prefix
        What was taken off; empty if nothing.
    dropped
        Names that had no such prefix and are of something else.
    """

    state: State
    prefix: str
    dropped: tuple[str, ...]


def strip(state: State, own: Own, *, loose: bool, prefix: str | None) -> Stripped:
    """Take prefixes off until names and shapes are those of a network.

    Parameters
    ----------
    loose
        Whether other networks may be in the file under other prefixes, as in Lightning's.
    prefix
        The only names that are meant begin with it, if it is given.

    Returns
    -------
    Stripped
        The first that fits, with as few prefixes off as can be; if none does, the one with the
        most names that match.

    Raises
    ------
    Unreadable
        If several fit equally.
    """
    first = Stripped(state, "", ())
    level = [first if prefix is None else _asked(first, prefix)]
    nearest = level[0]
    for _ in range(DEEPEST + 1):
        fitting = [each for each in level if faults(each.state, own) == NO_FAULTS]
        if rival := next((each for each in fitting[1:] if not _same(each, fitting[0])), None):
            raise Unreadable(
                f"the names under {fitting[0].prefix!r} and {rival.prefix!r} both fit; choose "
                "with --checkpoint STAGE=FILE#PREFIX"
            )
        if fitting:
            return fitting[0]
        nearest = max([nearest, *level], key=lambda each: _matching(each.state, own))
        shorter = (after for each in level for after in _shorter(each, loose=loose and not prefix))
        level = list(islice(shorter, MAXIMUM_VARIANTS))
    return nearest


def _asked(stripped: Stripped, prefix: str) -> Stripped:
    found = _under(stripped, prefix)
    if not found.state:
        heads = sorted({f"{name.partition('.')[0]}." for name in stripped.state})
        raise Unreadable(f"no name begins with {prefix!r}; they begin with {', '.join(heads[:8])}")
    return found


def _shorter(stripped: Stripped, *, loose: bool) -> Iterator[Stripped]:
    """Yield what one prefix less leaves."""
    names = [name for name in stripped.state if name != AVERAGES]
    common = {prefix for prefix in WRAPPERS if names and all(n.startswith(prefix) for n in names)}
    heads = {f"{name.partition('.')[0]}." for name in names if "." in name} if loose else set()
    for prefix in sorted(common | heads):
        yield _under(stripped, prefix)
    if not common and any(f".{COMPILED}" in name for name in names):
        inner = {name.replace(f".{COMPILED}", "."): each for name, each in stripped.state.items()}
        if len(inner) == len(stripped.state):
            yield Stripped(inner, f"{stripped.prefix}…{COMPILED}", stripped.dropped)


def _under(stripped: Stripped, prefix: str) -> Stripped:
    held = {
        name.removeprefix(prefix): each
        for name, each in stripped.state.items()
        if name.startswith(prefix)
    }
    others = [name for name in stripped.state if not name.startswith(prefix)]
    return Stripped(held, stripped.prefix + prefix, (*stripped.dropped, *others))


def _same(one: Stripped, other: Stripped) -> bool:
    """Return whether two ways of taking prefixes off leave the same tensors."""
    return set(map(id, one.state.values())) == set(map(id, other.state.values()))


def _matching(state: State, own: Own) -> int:
    return sum(
        name in state and state[name].shape == each.shape for name, each in own.state.items()
    )
