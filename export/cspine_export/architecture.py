"""The network that a checkpoint belongs to, built from its description in the pipeline file."""

from __future__ import annotations

import importlib

from cspine.errors import ModelError, missing_extra
from cspine.spec import Architecture

try:
    from torch import nn
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error

# A factory is code that runs at export; only these packages are run without being asked.
TRUSTED = ("monai.networks.nets",)


def build_network(architecture: Architecture) -> nn.Module:
    """Build a network with fresh weights.

    Raises
    ------
    ModelError
        If the factory is not in a trusted package, does not exist, or refuses its arguments.
    """
    package, _, name = architecture.factory.partition(":")
    if package not in TRUSTED:
        raise ModelError(
            f"factory {architecture.factory!r}: only {', '.join(TRUSTED)} is trusted to run"
        )
    try:
        factory = getattr(importlib.import_module(package), name)
    except ImportError as error:
        raise ModelError(missing_extra(package.split(".")[0], "export")) from error
    except AttributeError as error:
        raise ModelError(f"{package} has no network {name!r}") from error
    try:
        network = factory(**architecture.arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise ModelError(f"{architecture.factory} refuses its arguments: {error}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{architecture.factory} made no network")
    return network
