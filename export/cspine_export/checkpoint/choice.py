"""Which weights of a training dict are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from cspine.errors import did_you_mean
from cspine_export.checkpoint.limits import Unreadable
from cspine_export.checkpoint.tensors import Entry, Tensors

# Of the weights as they were trained: the first that is there. The names are those of Lightning,
# PyTorch's tutorials, timm, torchvision, MONAI, nnU-Net, DeepSpeed and BasicSR.
ORDER = (
    "state_dict",
    "model_state_dict",
    "model",
    "network",
    "net",
    "network_weights",
    "weights",
    "module",
    "params",
)
# Words of a name that say that weights were averaged over training.
AVERAGED = {"ema", "swa", "averaged", "shadow"}
EMA = "ema"
# Words of names beside the weights, where tensors are of the training.
_BESIDE = ("optim", "sched", "scaler", "callback", "loop", "rng")
_DEPTH = 3


@dataclass(frozen=True)
class Choice:
    """Weights, and where in the file they were.

    Attributes
    ----------
    name
        Keys with dots between them; empty if the file holds nothing else.
    beside
        Other weights that were not taken, by name.
    """

    name: str
    tensors: Tensors
    beside: tuple[str, ...]


def choose(tree: object, asked: str | None) -> Choice:
    """Choose the weights that were asked for, or the ones that were trained.

    Parameters
    ----------
    asked
        A name as :class:`Choice` has it; ``ema`` for the averaged weights, whatever their name.

    Raises
    ------
    Unreadable
        If there are none, or it cannot be told which are meant: the candidates are named.
    """
    found = dict(_candidates(tree, (), set()))
    if not found:
        raise Unreadable(
            f"expected a state_dict, names to tensors, found {_described(tree)}; save that part "
            "alone: torch.save(network.state_dict(), 'weights.pt')"
        )
    if asked is None:
        name = _trained(found)
    elif asked in found:
        name = asked
    elif asked == EMA:
        name = _only([each for each in found if _is_averaged(each)], "averaged weights", found)
    else:
        raise Unreadable(f"holds no weights {asked!r}{did_you_mean(asked, found)}; {_held(found)}")
    return Choice(name, found[name], tuple(sorted(found.keys() - {name})))


def _candidates(
    value: object, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[str, Tensors]]:
    if not isinstance(value, dict) or len(path) > _DEPTH or id(value) in seen:
        return
    seen.add(id(value))  # a small pickle can hold one dict in many places, and those in many more
    if value and all(
        isinstance(key, str) and isinstance(each, (Entry, torch.Tensor))
        for key, each in value.items()
    ):
        yield ".".join(path), value
        return
    for key, each in value.items():
        if isinstance(key, str) and not any(word in key.lower() for word in _BESIDE):
            yield from _candidates(each, (*path, key), seen)


def _trained(found: dict[str, Tensors]) -> str:
    trained = [name for name in found if not _is_averaged(name)]
    if not trained:
        return _only(list(found), "averaged weights", found)
    ranks = {name: _rank(name) for name in trained}
    best = min(ranks.values())
    first = _only([name for name in trained if ranks[name] == best], "weights", found)
    # Names of the order are told apart by it; not so those that both could be the network.
    alike = [
        name
        for name in trained
        if ranks[name] < len(ORDER) and _shapes(found[name]) == _shapes(found[first])
    ]
    return _only(alike or [first], "weights of the same names and shapes", found)


def _only(names: list[str], what: str, found: dict[str, Tensors]) -> str:
    if len(names) != 1:
        raise Unreadable(f"holds {len(names) or 'no'} {what}; {_held(found)}")
    return names[0]


def _held(found: dict[str, Tensors]) -> str:
    return f"choose with --checkpoint STAGE=FILE#NAME, one of {', '.join(map(repr, found))}"


def _rank(name: str) -> int:
    first = name.partition(".")[0]
    return ORDER.index(first) if first in ORDER else len(ORDER)


def _is_averaged(name: str) -> bool:
    return not AVERAGED.isdisjoint(re.split("[^a-z]+", name.lower()))


def _shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in tensors.items()}


def _described(tree: Any) -> str:
    if not isinstance(tree, dict):
        return f"a {type(tree).__name__}"
    return f"a dict of {', '.join(repr(key)[:40] for key in list(tree)[:6]) or 'nothing'}"
