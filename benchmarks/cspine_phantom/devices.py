"""The three sites' X-ray systems: geometry, detector response and what their headers say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Device:
    """One site's system.

    Attributes
    ----------
    rows, columns
        Size of the stored picture, multiples of 16.
    spacing_mm
        Detector pixel pitch, square.
    source_detector_mm, source_patient_mm
        Their ratio is the magnification of the mid-sagittal plane.
    quanta
        Mean detected quanta of a pixel in the open beam.
    scatter
        Part of the primary beam that arrives as scatter.
    focal_mm
        Standard deviation of the blur of focal spot and detector.
    compression
        Part of the large-area contrast behind thick tissue that processing removes.
    edge
        Weight of the unsharp mask.
    window
        Attenuation (natural logarithm) shown as black and as white.
    gamma
        Exponent of the presentation curve.
    spacing_tags
        Which of the standard's ways to state the scale the header takes: the detector pitch with
        a magnification factor, the detector pitch alone, or a calibrated Pixel Spacing beside it.
    """

    name: str
    manufacturer: str
    rows: int
    columns: int
    spacing_mm: float
    source_detector_mm: float
    source_patient_mm: float
    quanta: float
    scatter: float
    focal_mm: float
    compression: float
    edge: float
    window: tuple[float, float]
    gamma: float
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    spacing_tags: Literal["factor", "detector", "calibrated"]
    view_tags: Literal["position", "code", "both"]

    @property
    def magnification(self) -> float:
        """Size on the detector over size in the patient."""
        return self.source_detector_mm / self.source_patient_mm


DEVICES = {
    "A": Device(
        name="Phantom DR 200", manufacturer="CSPINE PHANTOM A", rows=1152, columns=960,
        spacing_mm=0.20, source_detector_mm=1800.0, source_patient_mm=1620.0,
        quanta=20_000.0, scatter=0.20, focal_mm=0.16, compression=0.62, edge=0.7,
        window=(0.25, 3.75), gamma=1.25, photometric="MONOCHROME2",
        spacing_tags="factor", view_tags="both",
    ),
    "B": Device(
        name="Phantom DR 250", manufacturer="CSPINE PHANTOM B", rows=1024, columns=864,
        spacing_mm=0.25, source_detector_mm=1500.0, source_patient_mm=1340.0,
        quanta=26_000.0, scatter=0.32, focal_mm=0.22, compression=0.5, edge=0.3,
        window=(0.1, 3.7), gamma=1.0, photometric="MONOCHROME2",
        spacing_tags="detector", view_tags="code",
    ),
    "C": Device(
        name="Phantom DR 300", manufacturer="CSPINE PHANTOM C", rows=928, columns=768,
        spacing_mm=0.30, source_detector_mm=1800.0, source_patient_mm=1650.0,
        quanta=32_000.0, scatter=0.26, focal_mm=0.25, compression=0.7, edge=1.0,
        window=(0.4, 3.6), gamma=1.45, photometric="MONOCHROME1",
        spacing_tags="calibrated", view_tags="position",
    ),
}  # fmt: skip
