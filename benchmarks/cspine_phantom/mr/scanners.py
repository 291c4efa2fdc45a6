"""The four sites' scanners: field, protocols, coil, and how they store what they see."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cspine_phantom.mr.tissue import Sequence


@dataclass(frozen=True)
class Protocol:
    """One series as a site takes it.

    Attributes
    ----------
    rows, columns
        Of the stored image.
    pixel_mm
        Spacing of its pixels, square; studies differ by a few percent.
    thickness_mm, gap_mm
        Of a slice, and between two.
    resolved
        Part of the stored matrix that is acquired, down and across: the rest is interpolated.
    snr
        Signal of the cord over the noise, at the middle of the neck.
    """

    sequence: Sequence
    rows: int
    columns: int
    pixel_mm: float
    thickness_mm: float
    gap_mm: float
    slices: int
    resolved: tuple[float, float]
    snr: float


@dataclass(frozen=True)
class Scanner:
    """One site's system.

    Attributes
    ----------
    enhanced
        Whether a series is one Enhanced MR object, or one MR Image object a slice.
    white
        Stored value of bright fat.
    levelled
        Part of the coil's falling sensitivity that the system corrects.
    saturation
        Whether a band in front of the spine is saturated.
    stir, axial, localiser
        Share of studies that have such a series beside T2 and T1.
    upward
        Whether slices are numbered from the right to the left side.
    """

    name: str
    manufacturer: str
    field_t: float
    enhanced: bool
    white: float
    levelled: float
    saturation: bool
    upward: bool
    t2: Protocol
    t1: Protocol
    stir: float
    axial: float
    localiser: float


SCANNERS = {
    "A": Scanner(
        name="Phantom MR 15 A", manufacturer="CSPINE PHANTOM A", field_t=1.5, enhanced=False,
        white=1100.0, levelled=0.55, saturation=True, upward=True,
        t2=Protocol(Sequence("T2", 3200.0, 102.0, train=17), 384, 384, 0.625, 3.0, 0.3, 13,
                    (0.82, 0.66), 15.0),
        t1=Protocol(Sequence("T1", 560.0, 11.0, train=3), 384, 384, 0.625, 3.0, 0.3, 13,
                    (0.82, 0.60), 17.0),
        stir=0.5, axial=0.7, localiser=1.0,
    ),
    "B": Scanner(
        name="Phantom MR 30 B", manufacturer="CSPINE PHANTOM B", field_t=3.0, enhanced=True,
        white=2600.0, levelled=0.85, saturation=False, upward=False,
        t2=Protocol(Sequence("T2", 3600.0, 110.0, train=22), 512, 448, 0.469, 3.0, 0.3, 15,
                    (0.80, 0.72), 19.0),
        t1=Protocol(Sequence("T1", 700.0, 9.0, train=4), 448, 400, 0.536, 3.0, 0.3, 15,
                    (0.85, 0.72), 20.0),
        stir=0.8, axial=0.5, localiser=0.7,
    ),
    "C": Scanner(
        name="Phantom MR 15 C", manufacturer="CSPINE PHANTOM C", field_t=1.5, enhanced=False,
        white=520.0, levelled=0.15, saturation=True, upward=False,
        t2=Protocol(Sequence("T2", 2600.0, 92.0, train=13), 288, 288, 0.83, 4.0, 0.4, 11,
                    (0.92, 0.74), 16.0),
        t1=Protocol(Sequence("T1", 480.0, 14.0), 288, 288, 0.83, 4.0, 0.4, 11,
                    (0.90, 0.70), 19.0),
        stir=0.2, axial=0.8, localiser=0.9,
    ),
    "D": Scanner(
        name="Phantom MR 30 D", manufacturer="CSPINE PHANTOM D", field_t=3.0, enhanced=False,
        white=1700.0, levelled=0.7, saturation=True, upward=True,
        t2=Protocol(Sequence("T2", 3900.0, 96.0, train=19), 320, 320, 0.72, 3.5, 0.35, 13,
                    (0.95, 0.80), 21.0),
        t1=Protocol(Sequence("T1", 650.0, 10.0, train=3), 320, 320, 0.72, 3.5, 0.35, 13,
                    (0.95, 0.76), 22.0),
        stir=0.6, axial=0.4, localiser=0.95,
    ),
}  # fmt: skip

LOCALISER = Protocol(
    Sequence("localiser", 9.0, 4.5, flip_deg=20.0), 256, 256, 1.02, 7.0, 3.0, 3, (0.75, 0.6), 22.0
)
"""Three slices in each of three directions, the same at all sites."""


def stir_of(scanner: Scanner) -> Protocol:
    """Return the fat-suppressed sagittal series: as T2, after an inversion that nulls fat."""
    inversion_ms = 160.0 if scanner.field_t < 2 else 210.0
    sequence = Sequence("STIR", 4000.0, 82.0, inversion_ms=inversion_ms, train=12)
    down, across = scanner.t2.resolved
    return replace(
        scanner.t2, sequence=sequence, resolved=(0.8 * down, 0.8 * across),
        snr=0.55 * scanner.t2.snr,
    )  # fmt: skip


def axial_of(scanner: Scanner) -> Protocol:
    """Return three slices along a disc."""
    return Protocol(
        replace(scanner.t2.sequence, echo_ms=scanner.t2.sequence.echo_ms + 6.0),
        256, 256, 0.66, 3.0, 0.4, 3, (0.9, 0.75), 14.0,
    )  # fmt: skip


def close_of(scanner: Scanner) -> Protocol:
    """Return axial slices that a cord can be measured on; how many, each study says."""
    t2 = scanner.t2
    return replace(
        axial_of(scanner), rows=240, columns=240, pixel_mm=round(0.3 + 0.45 * t2.pixel_mm, 3),
        thickness_mm=min(t2.thickness_mm, 3.5), gap_mm=t2.gap_mm,
    )  # fmt: skip
