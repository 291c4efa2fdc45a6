"""What a checkpoint file holds before anything is chosen from it."""

from __future__ import annotations

from dataclasses import dataclass

from cspine_export.checkpoint.tensors import Read

LIGHTNING_FORM = "lightning"

LIGHTNING = "pytorch-lightning_version"  # what its Trainer writes beside the weights


@dataclass(frozen=True)
class Contents:
    """The data of a file, with its tensors where they lie.

    Attributes
    ----------
    form
        Which kind of file it is: ``safetensors``, ``torch``, ``torch legacy``, ``torchscript``,
        ``torch.export`` or ``lightning``, after ``monai bundle, `` if it is in one.
    tree
        Of dict, list and plain values; tensors are an ``Entry`` or, from safetensors, read.
    read
        Returns the bytes of a storage; raises ``Unreadable``.
    """

    form: str
    tree: object
    read: Read


def trained_by(tree: object, otherwise: str) -> str:
    """Return the form of a training dict: Lightning's is known by what stands in it."""
    return LIGHTNING_FORM if isinstance(tree, dict) and LIGHTNING in tree else otherwise
