"""The four sites' CT scanners: protocol, kernel, noise, and how they store Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """Axial slices as a site reconstructs them.

    Attributes
    ----------
    size
        Rows, and columns.
    pixel_mm
        Spacing of pixels; studies differ by a few percent.
    thickness_mm, spacing_mm
        Of a slice, and between the middles of two.
    kernel
        Its name.
    blur_mm
        Standard deviation of the kernel's point spread.
    edge
        How much a sharp kernel overshoots at edges.
    noise_hu
        Standard deviation, of a neck of common girth above the shoulders.
    """

    size: int
    pixel_mm: float
    thickness_mm: float
    spacing_mm: float
    kernel: str
    blur_mm: float
    edge: float
    noise_hu: float


@dataclass(frozen=True)
class Scanner:
    """One site's system.

    Attributes
    ----------
    enhanced
        Whether a series is one Enhanced CT object, or one CT Image object a slice.
    upward
        Whether slices are numbered from the feet to the head.
    bits, signed
        How values are stored.
    intercept
        Hounsfield units of a stored 0; the slope is 1.
    padding_hu
        What is stored outside of the circle that is reconstructed, None where all is.
    thick, reformat, scout
        Share of studies that have such a series beside the thin slices.
    """

    name: str
    manufacturer: str
    enhanced: bool
    upward: bool
    bits: int
    signed: bool
    intercept: int
    padding_hu: int | None
    axial: Protocol
    thick: float
    reformat: float
    scout: float


SCANNERS = {
    "A": Scanner(
        name="Phantom CT 64 A", manufacturer="CSPINE PHANTOM A", enhanced=False, upward=False,
        bits=12, signed=False, intercept=-1024, padding_hu=None,
        axial=Protocol(256, 0.5, 2.5, 2.5, "SOFT", 0.42, 0.0, 9.0),
        thick=0.6, reformat=0.6, scout=1.0,
    ),
    "B": Scanner(
        name="Phantom CT 128 B", manufacturer="CSPINE PHANTOM B", enhanced=True, upward=True,
        bits=16, signed=False, intercept=-1024, padding_hu=None,
        axial=Protocol(288, 0.45, 2.0, 2.5, "MEDIUM", 0.36, 0.15, 13.0),
        thick=0.4, reformat=0.8, scout=0.8,
    ),
    "C": Scanner(
        name="Phantom CT 16 C", manufacturer="CSPINE PHANTOM C", enhanced=False, upward=False,
        bits=16, signed=True, intercept=0, padding_hu=-2000,
        axial=Protocol(256, 0.6, 3.0, 3.0, "BONE", 0.30, 0.45, 24.0),
        thick=0.7, reformat=0.3, scout=0.9,
    ),
    "D": Scanner(
        name="Phantom CT 64 D", manufacturer="CSPINE PHANTOM D", enhanced=False, upward=True,
        bits=16, signed=False, intercept=-8192, padding_hu=None,
        axial=Protocol(320, 0.38, 2.0, 2.5, "DETAIL", 0.32, 0.2, 15.0),
        thick=0.5, reformat=0.5, scout=0.95,
    ),
}  # fmt: skip
