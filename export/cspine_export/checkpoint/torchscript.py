"""Weights of a TorchScript archive, from the state of its modules; its code is not compiled."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from cspine_export.checkpoint.archive import Archive
from cspine_export.checkpoint.contents import Contents
from cspine_export.checkpoint.limits import MAXIMUM_ATTRIBUTES, MAXIMUM_DEPTH, Unreadable
from cspine_export.checkpoint.pickled import ALONE, Module, read_pickle
from cspine_export.checkpoint.tensors import Entry
from cspine_export.checkpoint.torchfile import byte_order, zipped_storages

# What the compiler writes at the start of a line; all else is indented, or closes a bracket.
_STATEMENT = re.compile(r"(class|def|@|\)|#|_\d+ = )")
# None of it belongs in a network: what runs at loading, and what reaches beyond tensors.
_FOREIGN = re.compile(
    r"def __setstate__\b|^\s*(?:import|from)\s|\b(?:eval|exec|compile|open|__import__)\s*\("
    r"|\btorch\.(?:save|load|from_file)\s*\(",
    re.MULTILINE,
)


def read_script(archive: Archive, root: str) -> Contents:
    """Read the weights by the names that their modules give them.

    Raises
    ------
    Unreadable
        If a pickle of the archive, needed here or not, names anything but what weights need; if
        its code would run at loading, or does what no network does; if its weights lost their
        names.
    """
    for name in archive.names:
        if name.endswith("pkl") and name != f"{root}data.pkl":
            read_pickle(io.BytesIO(archive.read(name)), script=True)
        elif name.startswith(f"{root}code/") and name.endswith(".py"):
            _check_code(name, archive.read(name).decode())
    module = read_pickle(io.BytesIO(archive.read(f"{root}data.pkl")), script=True)
    if not isinstance(module, Module):
        raise Unreadable(f"a TorchScript archive of no module; {ALONE}")
    tensors: dict[str, Entry] = {}
    _collect(module, "", tensors, iter(range(MAXIMUM_ATTRIBUTES)), depth=0)
    if not tensors:
        raise Unreadable(
            f"its weights lost their names (torch.jit.freeze, or optimised for inference); {ALONE}"
        )
    read = zipped_storages(archive, f"{root}data/", order=byte_order(archive, root))
    return Contents("torchscript", tensors, read)


def _collect(
    module: Module, prefix: str, tensors: dict[str, Entry], left: Iterator[int], *, depth: int
) -> None:
    # Modules may hold each other, many times over: what is named is counted, not what is written.
    if depth > MAXIMUM_DEPTH:
        raise Unreadable(f"modules nested deeper than {MAXIMUM_DEPTH}")
    for name, value in module.attributes.items():
        if next(left, None) is None:
            raise Unreadable(f"modules with more than {MAXIMUM_ATTRIBUTES} attributes")
        if isinstance(value, Module):
            _collect(value, f"{prefix}{name}.", tensors, left, depth=depth + 1)
        elif isinstance(value, Entry):
            tensors[f"{prefix}{name}"] = value


def _check_code(name: str, code: str) -> None:
    strange = next(
        (line for line in code.splitlines() if line[:1].strip() and not _STATEMENT.match(line)),
        None,
    )
    if strange is not None or (found := _FOREIGN.search(code)):
        what = strange if strange is not None else found.group().strip()  # type: ignore[union-attr]
        raise Unreadable(f"its {name!r} holds {what[:40]!r}, as no network's code does; {ALONE}")
