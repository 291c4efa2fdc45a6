"""Weights from what a training run leaves, without running anything that it holds.

::

    read         file -> Checkpoint; Checkpoint -> network, and its Origin
    ├── forms        which form: safetensors, torchfile, torchscript, exported, monai_bundle
    │   ├── archive      ZIP members in memory, within limits
    │   └── pickled      pickles as data: nothing is called; names: what they may name
    ├── choice       which weights of a training dict
    ├── tensors      from bytes
    ├── prefixes     taken off only if the names then fit
    └── weights      into the network, all of them and no other
"""

from __future__ import annotations

from cspine.errors import ModelError, missing_extra

try:
    import safetensors
    import torch
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error
else:
    del safetensors, torch

from cspine_export.checkpoint.read import Origin, load_checkpoint, load_state
from cspine_export.checkpoint.weights import load_weights, tied_names

__all__ = ["Origin", "load_checkpoint", "load_state", "load_weights", "tied_names"]
