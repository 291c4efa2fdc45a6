"""Where a MONAI bundle keeps its weights; its configurations, which name code, are not read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cspine_export.checkpoint.archive import Archive
from cspine_export.checkpoint.limits import Unreadable

IN_BUNDLE = "monai bundle, "  # before the form of its weights
METADATA = "configs/metadata.json"
# A bundle may hold the same network in both forms; the first is the nearer to the training.
WEIGHTS = ("models/model.pt", "models/model.ts")
DISTRIBUTED = ".metadata"  # of torch.distributed.checkpoint


def weights_in_folder(folder: Path) -> Path:
    """Return the file of weights in the folder of a bundle.

    Raises
    ------
    Unreadable
        If it is the folder of no bundle, or the weights are a link to elsewhere.
    """
    if (folder / DISTRIBUTED).exists():
        raise Unreadable(
            "a distributed checkpoint; join it where it was trained: python -m "
            "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pt"
        )
    name = _weights(each for each in (*WEIGHTS, METADATA) if (folder / each).exists())
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise Unreadable(f"its {name} is a symbolic link to outside of it; give that file by name")
    return folder / name


def weights_in_archive(archive: Archive) -> str | None:
    """Return the member with the weights of a zipped bundle; ``None`` if it is no bundle."""
    if (root := archive.folder_of(METADATA)) is None:
        return None
    return root + _weights(
        name.removeprefix(root) for name in archive.names if name.startswith(root)
    )


def _weights(names: Iterable[str]) -> str:
    held = set(names)
    if METADATA not in held:
        raise Unreadable(f"of folders, only MONAI bundles are read, and it lacks {METADATA}")
    for name in WEIGHTS:
        if name in held:
            return name
    raise Unreadable(f"a MONAI bundle without {' or '.join(WEIGHTS)}; give the weights by name")
