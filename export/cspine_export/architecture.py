"""The network that a checkpoint belongs to, built from its description in the pipeline file.

A factory is code, and runs when it is called. So only networks by name, of three libraries and our
own, are built without being asked; every other factory has to be allowed by the person who exports.
None brings weights of its own: they would come from the internet, and hide what a checkpoint lacks.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from cspine.detection.spec import DetectorSpec
from cspine.device import installed
from cspine.errors import ModelError, did_you_mean, missing_extra
from cspine.fields import Architecture
from cspine.files import sha256

try:
    from torch import nn
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error

# The extra that brings each library.
_EXTRAS = {"monai": "export", "timm": "zoo", "torchvision": "zoo"}
_PACKAGES = (
    "cspine_export.detectors",
    "monai.networks.nets",
    "timm.models",
    "torchvision.models",
    "torchvision.models.detection",
    "torchvision.models.segmentation",
)
# What makes a factory fetch weights, and what keeps it from doing so.
_WEIGHTLESS: dict[str, object] = {
    "pretrained": False,
    "weights": None,
    "weights_backbone": None,
    "pretrained_backbone": False,
    "checkpoint_path": "",
}


def build_network(
    architecture: Architecture,
    *,
    allowed: Collection[str] = (),
    detector: DetectorSpec | None = None,
) -> nn.Module:
    """Build a network with fresh weights.

    Parameters
    ----------
    architecture
        ``factory`` is ``package:name``: ``cspine_export.detectors:faster_rcnn``, a class of
        ``monai.networks.nets``, a model that ``timm.models`` or ``torchvision.models`` lists, or
        ``package.module:factory`` of the user's own.
    allowed
        Factories of the user's own that may run.
    detector
        The numbers of a detector's stages, for a factory that takes them.

    Raises
    ------
    ModelError
        If the factory may not run, does not exist, refuses its arguments, or asks for weights.
    """
    package, _, name = architecture.factory.partition(":")
    if package not in _PACKAGES and architecture.factory not in allowed:
        raise ModelError(
            f"factory {architecture.factory!r} is code of your own, and would run; if you trust "
            f"it: --allow-factory {architecture.factory}; without being asked, only networks of "
            f"{', '.join(_PACKAGES)} are built"
        )
    module = _module(package)
    factory = getattr(module, name, None)
    known = _known(package, module) if package in _PACKAGES else None
    if factory is None or (known is not None and name not in known):
        raise ModelError(f"{package} has no network {name!r}{did_you_mean(name, known or ())}")
    arguments = {**_weightless(factory), **architecture.arguments}
    if detector is not None and "detector" in _parameters(factory):
        arguments["detector"] = detector
    for key, value in _WEIGHTLESS.items():
        if key in arguments and arguments[key] not in (value, None, False):
            raise ModelError(
                f"{architecture.factory}: argument {key} = {arguments[key]!r} asks for weights of "
                "others; leave it out, the checkpoint brings them"
            )
    try:
        network = factory(**arguments)
    except (TypeError, ValueError, AssertionError, LookupError, RuntimeError) as error:
        raise ModelError(f"{architecture.factory} refuses its arguments: {error}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{architecture.factory} made no network")
    return network


def source_of(architecture: Architecture) -> dict[str, str]:
    """Return what the network was built by: the library's version, or the digest of the code."""
    package = architecture.factory.partition(":")[0]
    library = package.partition(".")[0]
    if library == "cspine_export":
        library = "monai"  # which its networks are made of; our own version is there anyway
    if version := installed(library):
        return {library: version}
    file = _module(package).__file__
    return {"sha256": sha256(Path(file).read_bytes())} if file else {}


def _module(package: str) -> ModuleType:
    library = package.partition(".")[0]
    try:
        return importlib.import_module(package)
    except ImportError as error:
        if library in _EXTRAS:
            raise ModelError(missing_extra(library, _EXTRAS[library])) from error
        raise ModelError(
            f"{package} cannot be imported ({error}); install it beside cspine, or name its folder "
            "in PYTHONPATH"
        ) from error
    except RuntimeError as error:
        if library not in _EXTRAS:
            raise
        raise ModelError(
            f"{library} does not fit this PyTorch ({error}); install torch and torchvision "
            "together, from one index"
        ) from error


def _known(package: str, module: ModuleType) -> list[str]:
    """Return the networks of a library by name; its other functions may load, or fetch."""
    if package == "cspine_export.detectors":
        return ["faster_rcnn"]
    if package == "timm.models":
        return [str(name) for name in module.list_models()]
    if package.startswith("torchvision."):
        listing = importlib.import_module("torchvision.models").list_models
        return [str(name) for name in listing(module=module)]
    return [
        name
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, nn.Module)
    ]


def _weightless(factory: Callable[..., Any]) -> dict[str, object]:
    """Return the arguments that keep a factory from fetching weights, of those that it takes."""
    parameters = _parameters(factory)
    return {name: value for name, value in _WEIGHTLESS.items() if name in parameters}


def _parameters(factory: Callable[..., Any]) -> Collection[str]:
    try:
        return inspect.signature(factory).parameters
    except ValueError:  # of a function in C, which no network's is
        return ()
