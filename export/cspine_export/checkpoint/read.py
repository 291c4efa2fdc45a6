"""A checkpoint file into a network, and the record of what was taken."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from torch import nn

from cspine.errors import ModelError
from cspine_export.checkpoint.choice import choose
from cspine_export.checkpoint.contents import LIGHTNING_FORM
from cspine_export.checkpoint.forms import read_contents
from cspine_export.checkpoint.limits import MAXIMUM_FILE_BYTES, Unreadable, check_size
from cspine_export.checkpoint.monai_bundle import IN_BUNDLE, weights_in_folder
from cspine_export.checkpoint.prefixes import strip
from cspine_export.checkpoint.tensors import State, load_tensors
from cspine_export.checkpoint.weights import Own, load_weights


@dataclass(frozen=True)
class Origin:
    """Where the weights of a network came from.

    Attributes
    ----------
    sha256
        Of the file.
    form
        Which kind of file it is, as :class:`~.contents.Contents` has it.
    taken
        Which of its weights, by the keys that led to them; empty if it holds no others.
    beside
        Other weights that it holds.
    prefix
        What was taken off all names; empty if nothing.
    dropped
        Names without that prefix, which are of something else.
    """

    sha256: str
    form: str
    taken: str
    beside: tuple[str, ...]
    prefix: str
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Checkpoint:
    """Weights from a file, by the names that they have there."""

    path: Path
    sha256: str
    form: str
    taken: str
    beside: tuple[str, ...]
    state: State


def load_state(path: Path) -> State:
    """Read the weights of a file; raises as :func:`read_checkpoint`."""
    return read_checkpoint(path, part=None).state


def load_checkpoint(network: nn.Module, path: Path, *, part: str | None) -> Origin:
    """Put the weights of a file into a network.

    Parameters
    ----------
    part
        Which weights, if the file holds several: keys with dots between them, ``ema``, or, ending
        with a dot, the prefix of their names.

    Raises
    ------
    ModelError
        If the file cannot be read safely, or does not fit.
    """
    prefix = part if part is not None and part.endswith(".") else None
    checkpoint = read_checkpoint(path, part=None if prefix else part)
    loose = checkpoint.form.endswith(LIGHTNING_FORM)
    try:
        stripped = strip(checkpoint.state, Own.of(network), loose=loose, prefix=prefix)
    except Unreadable as error:
        raise ModelError(f"{checkpoint.path}: {error}") from error
    where = (
        f"{checkpoint.path}, without {stripped.prefix!r}" if stripped.prefix else checkpoint.path
    )
    load_weights(network, stripped.state, where=str(where))
    return Origin(
        sha256=checkpoint.sha256,
        form=checkpoint.form,
        taken=checkpoint.taken,
        beside=checkpoint.beside,
        prefix=stripped.prefix,
        dropped=stripped.dropped,
    )


def read_checkpoint(path: Path, *, part: str | None) -> Checkpoint:
    """Read weights from a file without running anything that it holds.

    Parameters
    ----------
    path
        A file, or the folder of a MONAI bundle.
    part
        Which weights, if it holds several: keys with dots between them, or ``ema``.

    Raises
    ------
    ModelError
        If the file cannot be read, is damaged or of no known form, asks for more than the limits
        allow, holds what could run code elsewhere, or leaves open which weights are meant.
    """
    try:
        if folder := path.is_dir():
            path = weights_in_folder(path)
        with open(path, "rb", opener=_open_at_once) as file:
            _check_file(file)
            contents = read_contents(file)
            choice = choose(contents.tree, part)
            state = load_tensors(choice.tensors, contents.read)
            digest = _digest(file)
    except Unreadable as error:
        raise ModelError(f"{path}: {error}") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise ModelError(f"{path}: over the memory limit; save the weights alone") from error
    except Exception as error:  # what a damaged pickle, archive or header leads to
        raise ModelError(
            f"{path}: not a checkpoint, or a damaged one ({type(error).__name__}); copy it again"
        ) from error
    form = f"{IN_BUNDLE}{contents.form}" if folder else contents.form
    return Checkpoint(path, digest, form, choice.name, choice.beside, state)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe must not keep us waiting


def _check_file(file: BinaryIO) -> None:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("no regular file")
    check_size(status.st_size, MAXIMUM_FILE_BYTES, "a file")


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
