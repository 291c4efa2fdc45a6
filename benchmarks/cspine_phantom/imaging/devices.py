"""The four sites' X-ray systems: geometry, beam, detector, processing and how headers are written.

Detectors of the kinds that each site has were measured by Samei and Flynn (Med Phys 2002, 29:447),
Mackenzie and Honey (Med Phys 2007, 34:3345) and Rivetti et al. (Med Phys 2010, 37:440).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cspine_phantom.imaging.beam import QUANTA_PER_MM2_UGY


@dataclass(frozen=True)
class Grid:
    """An anti-scatter grid, moved during the exposure so that its lines do not show.

    `primary` and `scatter` are the parts of each that it lets through, as IEC 60627 defines them.
    """

    ratio: int
    lines_per_cm: int
    primary: float
    scatter: float


@dataclass(frozen=True)
class Detector:
    """What turns quanta into a signal.

    Attributes
    ----------
    material
        Scintillator of a flat panel (caesium iodide, gadolinium oxysulphide), or a storage
        phosphor plate.
    bits
        Of the signal before it is processed.
    response
        Of which function of the signal these are equal steps.
    efficiency
        Detective quantum efficiency at frequency 0, of quanta alone.
    mtf50_per_mm
        Frequency at which the modulation transfer function, 1 / (1 + (f / mtf50)²), is one half.
    white
        Part of the quanta's noise that arises after the spread of light and is not blurred by it.
    electronic
        Standard deviation of electronic noise in a pixel, in quanta.
    shading
        Part of the signal by which one end of the heel effect differs from the middle, where
        calibration leaves it.
    """

    material: Literal["CsI", "GOS", "storage phosphor"]
    bits: int
    response: Literal["linear", "root", "logarithmic"]
    efficiency: float
    mtf50_per_mm: float
    white: float
    electronic: float
    shading: float


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
    focal_mm
        Width of the focal spot.
    bits
        Bits stored.
    kvp, kev
        Tube voltage, and the mean energy of the beam behind a neck.
    kerma_ugy
        Air kerma at the detector in the open beam, in the mean over patients; behind the middle
        of a neck it is about a ninth of it.
    scatter
        Scatter over primary at the detector behind the middle of a neck, before the grid; the
        wider the gap of air, the less.
    grid
        None where the gap of air does its work.
    compression
        Part of the large-area contrast behind thick tissue that processing removes.
    edge, edge_mm
        Weight and standard deviation of the unsharp mask.
    window
        How far below the range of tissue's attenuation black lies and above it white, in parts
        of the range.
    gamma
        Exponent of the presentation curve.
    spacing_tags
        Which of the standard's ways to state the scale the header takes: the detector pitch with
        a magnification factor, the detector pitch alone, or a calibrated Pixel Spacing beside it.
    voi
        How the header turns stored values into what is shown: a window, a window of sigmoid
        shape, or a table.
    """

    name: str
    manufacturer: str
    rows: int
    columns: int
    spacing_mm: float
    source_detector_mm: float
    source_patient_mm: float
    focal_mm: float
    bits: int
    kvp: float
    kev: float
    kerma_ugy: float
    scatter: float
    grid: Grid | None
    detector: Detector
    compression: float
    edge: float
    edge_mm: float
    window: tuple[float, float]
    gamma: float
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    voi: Literal["window", "sigmoid", "table"]
    spacing_tags: Literal["factor", "detector", "calibrated"]
    view_tags: Literal["position", "code", "both"]

    @property
    def is_plate(self) -> bool:
        """Whether a plate is read after the exposure: computed radiography."""
        return self.detector.material == "storage phosphor"

    @property
    def magnification(self) -> float:
        """Size on the detector over size in the patient."""
        return self.source_detector_mm / self.source_patient_mm

    @property
    def scatter_left(self) -> float:
        """Scatter over primary behind the middle of a neck and the grid."""
        if self.grid is None:
            return self.scatter
        return self.scatter * self.grid.scatter / self.grid.primary

    def quanta(self, *, kerma_ugy: float) -> float:
        """Return the quanta that a pixel detects at an air kerma at the detector."""
        per_mm2 = QUANTA_PER_MM2_UGY * kerma_ugy * self.detector.efficiency
        return per_mm2 * self.spacing_mm**2


DEVICES = {
    "A": Device(
        name="Phantom DR 100", manufacturer="CSPINE PHANTOM A", rows=2832, columns=2208,
        spacing_mm=0.100, source_detector_mm=1800.0, source_patient_mm=1667.0, focal_mm=1.0,
        bits=12, kvp=70.0, kev=50.0, kerma_ugy=24.0, scatter=0.85,
        grid=Grid(ratio=10, lines_per_cm=40, primary=0.69, scatter=0.12),
        detector=Detector("CsI", bits=14, response="linear", efficiency=0.68, mtf50_per_mm=1.35,
                          white=0.10, electronic=3.0, shading=0.02),
        compression=0.62, edge=0.7, edge_mm=0.7, window=(0.12, 0.04), gamma=1.25,
        photometric="MONOCHROME2", voi="window", spacing_tags="factor", view_tags="both",
    ),
    "B": Device(
        name="Phantom DR 139", manufacturer="CSPINE PHANTOM B", rows=2144, columns=2000,
        spacing_mm=0.139, source_detector_mm=1500.0, source_patient_mm=1340.0, focal_mm=1.2,
        bits=14, kvp=75.0, kev=52.0, kerma_ugy=20.5, scatter=0.95,
        grid=Grid(ratio=8, lines_per_cm=34, primary=0.72, scatter=0.17),
        detector=Detector("CsI", bits=14, response="root", efficiency=0.65, mtf50_per_mm=1.25,
                          white=0.12, electronic=4.0, shading=0.03),
        compression=0.5, edge=0.3, edge_mm=1.2, window=(0.22, 0.06), gamma=1.0,
        photometric="MONOCHROME2", voi="sigmoid", spacing_tags="detector", view_tags="code",
    ),
    "C": Device(
        name="Phantom DR 148", manufacturer="CSPINE PHANTOM C", rows=2016, columns=2000,
        spacing_mm=0.148, source_detector_mm=1800.0, source_patient_mm=1650.0, focal_mm=0.6,
        bits=10, kvp=65.0, kev=48.0, kerma_ugy=28.0, scatter=0.80,
        grid=Grid(ratio=12, lines_per_cm=60, primary=0.66, scatter=0.10),
        detector=Detector("GOS", bits=14, response="linear", efficiency=0.39, mtf50_per_mm=1.2,
                          white=0.12, electronic=5.0, shading=0.03),
        compression=0.7, edge=1.0, edge_mm=0.5, window=(0.05, 0.00), gamma=1.45,
        photometric="MONOCHROME1", voi="table", spacing_tags="calibrated", view_tags="position",
    ),
    "D": Device(
        name="Phantom CR 115", manufacturer="CSPINE PHANTOM D", rows=2512, columns=2048,
        spacing_mm=0.115, source_detector_mm=1800.0, source_patient_mm=1640.0, focal_mm=1.2,
        bits=12, kvp=80.0, kev=54.0, kerma_ugy=25.0, scatter=0.42, grid=None,
        detector=Detector("storage phosphor", bits=12, response="logarithmic", efficiency=0.43,
                          mtf50_per_mm=1.1, white=0.20, electronic=1.0, shading=0.07),
        compression=0.55, edge=0.5, edge_mm=2.0, window=(0.20, 0.06), gamma=1.1,
        photometric="MONOCHROME1", voi="window", spacing_tags="detector", view_tags="position",
    ),
}  # fmt: skip
