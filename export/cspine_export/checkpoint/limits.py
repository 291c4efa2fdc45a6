"""What reading one checkpoint may cost, whatever the file says of itself.

Sizes are those that a file declares, and they are judged before anything is read or unpacked.
"""

from __future__ import annotations

MAXIMUM_FILE_BYTES = 8 << 30  # of a file, and of all that an archive declares to hold
# Of the weights that are taken. An ONNX file, a protocol buffer, can hold no more.
MAXIMUM_WEIGHT_BYTES = 2 << 30
# Of what is parsed: a pickle, a configuration, the code of a TorchScript archive. The
# pickle of a ResNet-101 with its optimizer takes 0.15 MiB.
MAXIMUM_PARSED_BYTES = 32 << 20
MAXIMUM_OPERATIONS = 5_000_000  # of one pickle; a few seconds
MAXIMUM_MEMBERS = 100_000  # of an archive
MAXIMUM_LIST_BYTES = 16 << 20  # of an archive's own list, which grows tenfold in memory
# Of unpacked to packed bytes. PyTorch stores weights as they are and packs code sixfold; what is
# small can do no harm.
MAXIMUM_RATIO = 200
SMALL_BYTES = 1 << 20
MAXIMUM_ATTRIBUTES = 1_000_000  # of all modules of a TorchScript archive
MAXIMUM_VARIANTS = 256  # of prefixes, judged at one length
MAXIMUM_DEPTH = 64  # of modules in modules


class Unreadable(Exception):  # noqa: N818 - the caller makes it an error, with the file's name
    """A checkpoint is refused; the message says what was found and what to do."""


def check_size(size: int, limit: int, what: str) -> None:
    """Raise :class:`Unreadable` if a declared size, in bytes, is past a limit."""
    if size > limit:
        raise Unreadable(f"{what} of {size >> 20} MiB, at most {limit >> 20} are read")
