"""How stored values become what is shown: a window, a sigmoid window or a table (PS3.3 C.11.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from cspine_phantom.imaging.devices import Device

Levels = NDArray[np.float64]
"""Shown levels, 0 to 1, before any inversion."""

_ENTRY_BITS = 12


def state_voi(ds: Dataset, device: Device) -> Levels:
    """State it in a header in the way of the site; return what each stored value is shown as."""
    count = 2**device.bits
    values = np.arange(count, dtype=np.float64)
    match device.voi:
        case "window":
            # LINEAR maps exactly 0..count-1 from black to white with these (C.11.2.1.2.1).
            ds.WindowCenter, ds.WindowWidth = count / 2, count
            return np.asarray(values / (count - 1), np.float64)
        case "sigmoid":
            ds.WindowCenter, ds.WindowWidth = count / 2, count / 2
            ds.VOILUTFunction = "SIGMOID"
            return np.asarray(1 / (1 + np.exp(-4 * (values / (count / 2) - 1))), np.float64)
        case "table":
            part = values / (count - 1)
            # Toe and shoulder, as a film has them: half a line, half a cubic step.
            shown = 0.5 * part + 0.5 * part**2 * (3 - 2 * part)
            entries = np.round(shown * (2**_ENTRY_BITS - 1)).astype("<u2")
            item = Dataset()
            item.LUTDescriptor = [count, 0, _ENTRY_BITS]
            item.LUTExplanation = "NORMAL"
            item["LUTData"] = DataElement("LUTData", "OW", entries.tobytes())
            ds.VOILUTSequence = [item]
            return np.asarray(entries / (2**_ENTRY_BITS - 1), np.float64)


def values_of(levels: Levels, shown: Levels) -> NDArray[np.uint16]:
    """Return the stored value that is shown as each level, 0 and 1 being the least and the most."""
    wanted = shown[0] + (shown[-1] - shown[0]) * levels
    values = np.interp(wanted, shown, np.arange(len(shown)))
    return np.asarray(np.round(values), np.uint16)
