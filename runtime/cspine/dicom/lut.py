"""Lookup tables as the Modality LUT and VOI LUT sequences hold them (PS3.3 C.11.1, C.11.2).

pydicom's functions of this kind are not used: tables of 8 bit entries wrap at 256 there, and
those of 10 to 15 bits in a Modality LUT are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from cspine.dicom.element import integers


@dataclass(frozen=True)
class Table:
    """One item of such a sequence.

    Attributes
    ----------
    first
        The value that the first entry belongs to; what lies below gets that entry too, what lies
        above the last gets the last.
    entries
        Shape (N,), unsigned.
    bits
        Of an entry.
    """

    first: int
    entries: npt.NDArray[Any]
    bits: int

    @classmethod
    def read(cls, item: pydicom.Dataset, *, signed: bool) -> Table:
        """Read an item; ``signed`` says whether the values that it is asked for can be negative.

        Raises
        ------
        ValueError
            If descriptor and data do not make a table.
        """
        count, first, bits = integers(item, "LUTDescriptor")
        count = count or 1 << 16  # PS3.3 C.11.1.1: 0 stands for what 16 bits cannot hold
        # Written as US where SS was due, or the other way round: the same word is meant.
        first %= 1 << 16
        if signed and first >= 1 << 15:
            first -= 1 << 16
        entries = _entries(item, count, bits)
        if not 1 <= bits <= 16 or not 1 <= count <= 1 << 16 or entries.size < count:
            raise ValueError("no table")
        entries = entries[:count]
        # The depth that is stated is too low in some files: no entry is cut for it.
        return cls(first, entries, max(bits, int(entries.max()).bit_length()))

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Look values up, shape kept."""
        index = np.clip(np.rint(values).astype(np.int64) - self.first, 0, self.entries.size - 1)
        looked_up: npt.NDArray[Any] = self.entries[index]
        return looked_up


def _entries(item: pydicom.Dataset, count: int, bits: int) -> npt.NDArray[Any]:
    """Return LUT Data, which is words or bytes, as numbers (US, SS) or as they lie (OW)."""
    data = item.LUTData
    if isinstance(data, bytes):
        big = item.original_encoding[1] is False  # pydicom leaves OW as it lies in the file
        words = np.frombuffer(data, ">u2" if big else "<u2", len(data) // 2)
    else:
        words = np.atleast_1d(np.asarray(data, np.int64)).astype(np.uint16)
    if bits <= 8 and words.size < count <= 2 * words.size:  # two to a word
        return words.astype("<u2").view(np.uint8)
    return words
