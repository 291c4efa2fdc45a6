"""Weights from a file that cannot run code."""

from __future__ import annotations

import pickle
from pathlib import Path

from cspine.errors import ModelError, missing_extra

try:
    import torch
    from safetensors.torch import load
    from torch import nn
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error

State = dict[str, torch.Tensor]


def load_state(path: Path) -> State:
    """Read a ``state_dict`` from safetensors or from a PyTorch file of tensors only.

    Raises
    ------
    ModelError
        If the file cannot be read, would run code when unpickled, or is no ``state_dict``.
    """
    try:
        if path.suffix == ".safetensors":
            state: State = load(path.read_bytes())
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: holds more than tensors, and unpickling it could run code; save the weights "
            "alone: torch.save(network.state_dict(), path), or as .safetensors"
        ) from error
    except Exception as error:  # torch raises whatever its unpickler stumbles over
        raise ModelError(f"{path}: not a checkpoint ({type(error).__name__})") from error
    if not _is_state(state):
        raise ModelError(f"{path}: expected a state_dict, names to tensors; save that part alone")
    return state


def load_weights(network: nn.Module, state: State, *, where: str) -> None:
    """Put weights into a network, float16 ones widened, every one of them and no other.

    A tensor that the network holds under several names needs to be in the file under one of them,
    as safetensors writes it.

    Raises
    ------
    ModelError
        Naming the first key that is missing, left over, or of another shape.
    """
    own = network.state_dict()
    state = _untied(state, own)
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    if missing or extra:
        faults = []
        if missing:
            faults.append(f"lacks {missing[0]!r} ({len(missing)} in all)")
        if extra:
            faults.append(f"holds {extra[0]!r}, which the network has not ({len(extra)} in all)")
        raise ModelError(
            f"{where}: does not fit the architecture in the pipeline file: {' and '.join(faults)}"
        )
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise ModelError(
                f"{where}: {name!r} has shape {tuple(value.shape)}, the network expects "
                f"{tuple(own[name].shape)}"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(f"{where}: {name!r} holds values that are not finite")
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in state.items()})


def _is_state(loaded: object) -> bool:
    return isinstance(loaded, dict) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in loaded.items()
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
