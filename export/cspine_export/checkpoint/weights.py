"""Weights put into a network, every one of them and no other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from cspine.errors import ModelError
from cspine_export.checkpoint.tensors import State


@dataclass(frozen=True)
class Own:
    """The tensors of a network.

    Attributes
    ----------
    state
        Those that it saves.
    transient
        Those that it computes when it is built and does not save; TorchScript and ``torch.export``
        write them all the same.
    """

    state: State
    transient: State

    @classmethod
    def of(cls, network: nn.Module) -> Own:
        """Return those of a network; they share its memory."""
        state = network.state_dict()
        buffers = network.named_buffers(remove_duplicate=False)
        return cls(state, {name: each for name, each in buffers if name not in state})


@dataclass(frozen=True)
class Faults:
    """Names that keep weights from fitting, in the network's or the file's order."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]


NO_FAULTS = Faults((), (), ())


def faults(state: State, own: Own) -> Faults:
    """Return what keeps weights from fitting a network; the types of numbers do not matter."""
    state = _untied(state, own.state)
    return Faults(
        tuple(name for name in own.state if name not in state),
        tuple(name for name in state if name not in own.state and name not in own.transient),
        tuple(
            name
            for name, each in state.items()
            if name in own.state and each.shape != own.state[name].shape
        ),
    )


def load_weights(network: nn.Module, state: State, *, where: str) -> None:
    """Put weights into a network, float16 ones widened, every one of them and no other.

    A tensor that the network holds under several names needs to be in the file under one of them,
    as safetensors writes it.

    Raises
    ------
    ModelError
        Naming the first key that is missing, left over, or of another shape or kind.
    """
    own = Own.of(network)
    _check_fit(state, own, where)
    for name, value in own.transient.items():
        if name in state and not torch.equal(state[name].to(value.dtype), value):
            raise ModelError(
                f"{where}: {name!r}, which the network computes itself, holds other values; check "
                "the arguments of the architecture in the pipeline file"
            )
    state = _untied(state, own.state)
    state = {name: value for name, value in state.items() if name in own.state}
    for name, value in state.items():
        if value.is_floating_point() != own.state[name].is_floating_point():
            raise ModelError(
                f"{where}: {name!r} holds {_type(value)}, the network expects "
                f"{_type(own.state[name])}"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(f"{where}: {name!r} holds values that are not finite")
    network.load_state_dict(
        {name: value.to(own.state[name].dtype) for name, value in state.items()}
    )


def _check_fit(state: State, own: Own, where: str) -> None:
    found = faults(state, own)
    told = []
    if found.missing:
        name = found.missing[0]
        told.append(
            f"lacks {name!r} ({len(found.missing)} in all), expected {_shape(own.state[name])}"
        )
    if found.unexpected:
        name = found.unexpected[0]
        told.append(
            f"holds {name!r}, which the network has not ({len(found.unexpected)} in all), got "
            f"{_shape(state[name])}"
        )
    if told:
        raise ModelError(
            f"{where}: does not fit the architecture in the pipeline file: {' and '.join(told)}"
        )
    if found.reshaped:
        name = found.reshaped[0]
        raise ModelError(
            f"{where}: {name!r} has shape {_shape(state[name])}, the network expects "
            f"{_shape(own.state[name])} ({len(found.reshaped)} such in all)"
        )


def tied_names(state: State) -> dict[str, str]:
    """Map every name of a ``state_dict`` to the first name of the same tensor."""
    first: dict[tuple[int, torch.Size], str] = {}
    return {
        name: first.setdefault((value.data_ptr(), value.shape), name)
        for name, value in state.items()
    }


def _untied(state: State, own: State) -> State:
    """Give each tied name that the file leaves out the tensor of a name that it holds."""
    first = tied_names(own)
    held = {first[name]: value for name, value in state.items() if name in first}
    filled = {name: held[lead] for name, lead in first.items() if lead in held}
    return {**filled, **state}


def _shape(value: torch.Tensor) -> tuple[int, ...]:
    return tuple(value.shape)


def _type(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
