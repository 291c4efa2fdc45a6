"""One CT study and its truth, simulated when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from cspine_phantom.ct.classic import classic
from cspine_phantom.ct.disease import Disease, draw_disease
from cspine_phantom.ct.enhanced import enhanced
from cspine_phantom.ct.faults import Fault
from cspine_phantom.ct.scan import scan
from cspine_phantom.ct.scanners import SCANNERS, Scanner
from cspine_phantom.ct.series import Series, Title
from cspine_phantom.ct.truth import SliceTruth
from cspine_phantom.patients import Patient, draw_patient


@dataclass(frozen=True)
class CtPhantom:
    """One study and its truth.

    Attributes
    ----------
    disease
        What is true of the patient; of a study with a fault, nothing that it can be asked for.
    series
        As the scanner had them.
    slices
        What is true of each slice of the axial series, from the feet to the head; empty for a
        fault.
    datasets
        The complete DICOM objects of all series.
    """

    patient: Patient
    disease: Disease
    scanner: Scanner
    series: tuple[Series, ...]
    slices: tuple[SliceTruth, ...]
    datasets: tuple[Dataset, ...]
    fault: Fault | None


def ct_phantom(
    *, seed: int, number: int, fault: Fault | None = None, only: Title | None = None
) -> CtPhantom:
    """Return patient `number` of `seed`, newly scanned; `only` takes no other series than that.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    patient, disease = draw_patient(seed, number), draw_disease(seed, number)
    scanner = SCANNERS[patient.site]
    found = scan(patient, disease, scanner, fault=fault, only=only)
    study = f"ct {fault or 'neck'}"
    write = enhanced if scanner.enhanced else classic
    datasets = tuple(
        ds for each in found.series for ds in write(patient, scanner, each, study=study)
    )
    slices = () if fault else found.truths
    return CtPhantom(patient, disease, scanner, found.series, slices, datasets, fault)
