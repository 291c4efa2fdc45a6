"""One MR study whose levels are to be graded, and its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cspine.plane import Plane
from cspine_phantom.mr.axials import Axials, draw_axials
from cspine_phantom.mr.classic import classic
from cspine_phantom.mr.enhanced import enhanced
from cspine_phantom.mr.faults import Fault
from cspine_phantom.mr.grades import Narrowing, draw_narrowing
from cspine_phantom.mr.necks import neck
from cspine_phantom.mr.scan import lying_of, scan
from cspine_phantom.mr.scanners import SCANNERS, Scanner
from cspine_phantom.mr.series import TITLES, Series, Title
from cspine_phantom.mr.truth import Cord, bones, cords, disc_centres, middle_of
from cspine_phantom.patients import Patient, draw_patient
from cspine_phantom.volume.anatomy import Anatomy
from cspine_phantom.volume.lying import Lying, Vector


@dataclass(frozen=True)
class GradedPhantom:
    """One study and its truth; with a fault there is nothing that it can be asked for.

    Attributes
    ----------
    axials
        How axial slices were taken.
    anatomy, lying
        The neck and how it lies, which all truth of slices follows from.
    series
        As the scanner had them.
    datasets
        The complete DICOM objects of all series.
    """

    patient: Patient
    narrowing: Narrowing
    axials: Axials
    scanner: Scanner
    anatomy: Anatomy
    lying: Lying
    series: tuple[Series, ...]
    datasets: tuple[Dataset, ...]
    fault: Fault | None

    @property
    def by_title(self) -> dict[Title, Series]:
        """The series by what they are."""
        return {each.title: each for each in self.series}

    @property
    def cords(self) -> dict[str, Cord]:
        """The cord at every level whose disc an axial slice meets."""
        series = self.by_title.get("ax T2")
        return cords(self.anatomy, self.lying, series) if series else {}

    @property
    def discs(self) -> dict[str, Vector]:
        """The middles of the discs in the patient's coordinates, (3,) each."""
        return disc_centres(self.anatomy, self.lying)

    @property
    def mask(self) -> NDArray[np.uint8]:
        """Bones of the sagittal T2 slice nearest to the midline, on its pixels.

        Raises
        ------
        KeyError
            If there is no such series.
        """
        series = self.by_title["sag T2"]
        frame = middle_of(series, self.lying)
        plane = Plane(frame.origin_mm, frame.across, frame.down, (series.pixel_mm,) * 2, "")
        rows, columns = frame.pixels.shape
        return bones(self.anatomy, self.lying, plane, shape=(rows, columns))


def graded_phantom(
    *, seed: int, number: int, fault: Fault | None = None, only: Sequence[Title] = TITLES
) -> GradedPhantom:
    """Return patient `number` of `seed`, newly scanned; `only` takes no other series than those.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    patient = draw_patient(seed, number)
    narrowing, axials = draw_narrowing(patient), draw_axials(patient)
    if fault == "axial only":
        axials = replace(axials, way="along discs", lying=None)
    scanner = SCANNERS[patient.site]
    # A head has no discs for slices to lie along: they lie as the site has them.
    planned = None if fault == "brain" else axials
    series = scan(patient, narrowing, scanner, axials=planned, fault=fault, only=only)
    write = enhanced if scanner.enhanced else classic
    study = f"mr graded {fault or 'neck'}"
    datasets = tuple(ds for each in series for ds in write(patient, scanner, each, study=study))
    return GradedPhantom(
        patient, narrowing, axials, scanner, neck(patient, narrowing), lying_of(patient), series,
        datasets, fault,
    )  # fmt: skip
