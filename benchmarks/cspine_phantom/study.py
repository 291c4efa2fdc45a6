"""One study and its truth, simulated when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.dataset import Dataset

from cspine.geometry import LANDMARKS, Parameters
from cspine_phantom.faults.film import Fault, expose
from cspine_phantom.imaging.aim import Header, lateral_aim
from cspine_phantom.imaging.dicom import dataset, strip
from cspine_phantom.imaging.radiograph import LabelMap
from cspine_phantom.patients import LEVELS, Face, Patient, draw_patient
from cspine_phantom.scene.shapes import Points
from cspine_phantom.truth import Box, level_boxes, parameters


@dataclass(frozen=True)
class Phantom:
    """One study and its truth.

    Attributes
    ----------
    patient
        Whom it shows: sex, age, site, posture.
    dataset
        The complete DICOM object, file meta information and pixel data included.
    mask
        (rows, columns) uint8 on the stored grid: 0 background, 1 to 7 the bodies of C2 to T1,
        8 posterior elements. All 0 for a fault, but not where only C7 is hidden.
    labels, severity, second
        By level name: the truth, what it came from, and what a second reader says. Empty for a
        fault: there is nothing to be right about. Where only C7 is hidden, those of all levels.
    points
        (2,) positions (column, row) by name, in the order of :data:`cspine.geometry.LANDMARKS`;
        the centre of the first pixel is (0, 0). None for a fault, but where only C7 is hidden,
        those of the bodies above.
    boxes
        By level name, see :func:`~cspine_phantom.truth.level_boxes`; empty unless all points are
        there.
    parameters
        The six sagittal ones in the patient's own millimetres; None unless all points are there.
    face
        The side of the picture that the face is on; None for a fault, as above.
    hidden
        Names of the levels that cannot be judged because C7 is hidden.
    """

    patient: Patient
    dataset: Dataset
    mask: LabelMap
    labels: Mapping[str, bool]
    severity: Mapping[str, float]
    second: Mapping[str, bool]
    points: Mapping[str, Points]
    boxes: Mapping[str, Box]
    parameters: Parameters | None
    face: Face | None
    fault: Fault | None
    hidden: tuple[str, ...] = ()


def phantom(
    *, seed: int, number: int, fault: Fault | None = None, header: Header = "true"
) -> Phantom:
    """Return patient `number` of `seed`, newly imaged.

    A stripped header keeps its orientation where that is what the fault contradicts.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    patient = draw_patient(seed, number)
    film = expose(patient, fault)
    aim = lateral_aim(patient.face) if header == "lying" else film.aim
    kind = fault or "lateral"
    ds = dataset(
        patient,
        film.device,
        film.picture,
        aim=aim,
        kind=kind if header == "true" else f"{kind}/{header}",
    )
    if header == "stripped":
        strip(ds, orientation=fault != "mirrored")
    answerable = fault in (None, "c7 hidden")
    levels = LEVELS if answerable else ()
    return Phantom(
        patient=patient,
        dataset=ds,
        mask=film.mask,
        labels=MappingProxyType(dict(zip(levels, patient.labels, strict=False))),
        severity=MappingProxyType(dict(zip(levels, patient.severity, strict=False))),
        second=MappingProxyType(dict(zip(levels, patient.second, strict=False))),
        points=MappingProxyType({n: film.points[n] for n in LANDMARKS if n in film.points}),
        boxes=MappingProxyType(level_boxes(film.points)),
        parameters=parameters(film.points, film.device),
        face=patient.face if answerable else None,
        fault=fault,
        hidden=film.hidden,
    )


def phantoms(*, patients: int, seed: int) -> Iterator[Phantom]:
    """Yield the lateral films of patients 0 to ``patients - 1`` of `seed`, one at a time.

    Raises
    ------
    ValueError
        If `seed` is negative.
    """
    for number in range(patients):
        yield phantom(seed=seed, number=number)
