"""What tells CT frames: whether their values are Hounsfield units, and the kernel.

Kernels are named by their makers. Those of a hard edge (bone, lung) are sharp, those for soft
tissue and brain are soft; a name that is not known here is neither.

========  ==================================  ===========================================
maker     soft                                sharp
========  ==================================  ===========================================
Siemens   B31s, H40f, Br38, J45: below 50     B60s, Hr64, U90: 50 and beyond
GE        SOFT, STANDARD, DETAIL, CHST        LUNG, BONE, BONEPLUS, EDGE, ULTRA
Canon     FC01 to FC29, FC41 to FC49          FC30 to FC39, FC50 to FC59, FC80 to FC89
Philips   A, B                                D, E, L
========  ==================================  ===========================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pydicom

from cspine.dicom.element import items, numbers, text
from cspine.dicom.rank import image_type
from cspine.dicom.stacks.wanted import Kernel
from cspine.image import Floats

# Scanners pad with lower values than air has, each with its own.
AIR_HU = -1024.0
AIR_BELOW_HU, SOFT_TISSUE_HU, BONE_ABOVE_HU = -300.0, (-200.0, 200.0), 250.0
# Of the pixels of a neck in any field, from a spine's to a whole scanner's, more are of each: the
# airway at the least, muscle and fat, vertebrae. Values that are no Hounsfield units lack one.
LEAST_AIR, LEAST_SOFT_TISSUE, LEAST_BONE = 0.001, 0.05, 0.001

_SIEMENS = re.compile(r"[A-Z][A-Z]?(\d\d)[A-Z]?")
_CANON = re.compile(r"FC(\d\d)")
_SHARP_FROM = 50
_SHARP_CANON = (3, 5, 8)
_NAMED: dict[str, Kernel] = {
    **dict.fromkeys(("SOFT", "STANDARD", "STND", "DETAIL", "CHST", "A", "B"), "soft"),
    **dict.fromkeys(("LUNG", "BONE", "BONEPLUS", "EDGE", "ULTRA", "D", "E", "L"), "sharp"),
}
# What a reformatted or projected slice calls itself, also where it says that it is original.
_MADE = frozenset({"MIP", "MINIP", "MAX_IP", "MIN_IP", "MPR", "REFORMATTED", "PROJECTION IMAGE"})


def unfit(header: pydicom.Dataset, kind: tuple[str, ...]) -> str:
    """Return what a frame is that cannot be judged, in words and the plural; empty if it can."""
    if _MADE & set(kind):
        return "slices derived from other images"
    lines = numbers(header, "RescaleSlope"), numbers(header, "RescaleIntercept")
    tables = items(header, "ModalityLUTSequence")
    if tables or not all(lines) or text(header, "RescaleType") not in ("", "HU"):
        return "slices whose values are no Hounsfield units"
    return ""


def kernel_of(header: pydicom.Dataset) -> Kernel | None:
    """Return what a frame was reconstructed with; ``None`` if nothing tells."""
    stated, *_ = image_type(header, "ConvolutionKernel") or ("",)
    if stated in _NAMED:
        return _NAMED[stated]
    if canon := _CANON.fullmatch(stated):
        return "sharp" if int(canon[1]) // 10 in _SHARP_CANON else "soft"
    if siemens := _SIEMENS.fullmatch(stated):
        return "sharp" if int(siemens[1]) >= _SHARP_FROM else "soft"
    return None


def shows_a_body(slices: Sequence[Floats]) -> bool:
    """Return whether slices in HU, each of shape (rows, columns), show air, soft tissue, bone."""
    low, high = SOFT_TISSUE_HU
    pixels = len(slices) * slices[0].size
    return all(
        sum(np.count_nonzero(kind) for kind in kinds) >= least * pixels
        for kinds, least in (
            ((each < AIR_BELOW_HU for each in slices), LEAST_AIR),
            (((each > low) & (each < high) for each in slices), LEAST_SOFT_TISSUE),
            ((each > BONE_ABOVE_HU for each in slices), LEAST_BONE),
        )
    )
