"""One MR study and its truth, simulated when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from cspine_phantom.mr.classic import classic
from cspine_phantom.mr.disease import Disease, draw_disease
from cspine_phantom.mr.enhanced import enhanced
from cspine_phantom.mr.faults import Fault
from cspine_phantom.mr.scan import scan
from cspine_phantom.mr.scanners import SCANNERS, Scanner
from cspine_phantom.mr.series import TITLES, Series, Title
from cspine_phantom.patients import Patient, draw_patient


@dataclass(frozen=True)
class MrPhantom:
    """One study and its truth.

    Attributes
    ----------
    disease
        What is true of the patient; of a study with a fault, nothing that it can be asked for.
    series
        As the scanner had them.
    datasets
        The complete DICOM objects of all series.
    """

    patient: Patient
    disease: Disease
    scanner: Scanner
    series: tuple[Series, ...]
    datasets: tuple[Dataset, ...]
    fault: Fault | None


def mr_phantom(
    *, seed: int, number: int, fault: Fault | None = None, only: Title | None = None
) -> MrPhantom:
    """Return patient `number` of `seed`, newly scanned; `only` takes no other series than that.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    patient, disease = draw_patient(seed, number), draw_disease(seed, number)
    scanner = SCANNERS[patient.site]
    series = scan(patient, disease, scanner, fault=fault, only=(only,) if only else TITLES)
    study = f"mr {fault or 'neck'}"
    write = enhanced if scanner.enhanced else classic
    datasets = tuple(ds for each in series for ds in write(patient, scanner, each, study=study))
    return MrPhantom(patient, disease, scanner, series, datasets, fault)
