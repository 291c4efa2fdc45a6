"""What every object of a study of slices says: patient, study, series, scanner."""

from __future__ import annotations

from typing import Literal, Protocol

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from cspine_phantom.imaging.dicom import uid
from cspine_phantom.patients import Patient


class Named(Protocol):
    """A scanner."""

    @property
    def name(self) -> str:
        """Its model."""
        ...

    @property
    def manufacturer(self) -> str:
        """Who makes it."""
        ...


class Numbered(Protocol):
    """A series."""

    @property
    def title(self) -> str:
        """What it is called."""
        ...

    @property
    def number(self) -> int:
        """Series Number."""
        ...


def header(
    patient: Patient,
    scanner: Named,
    series: Numbered,
    *,
    modality: Literal["CT", "MR"],
    study: str,
    moved: bool = False,
) -> Dataset:
    """Return what the objects of a series share; `study` tells the patient's studies apart.

    After a patient was `moved`, another Frame of Reference holds.
    """
    key = patient.identifier, study
    ds = Dataset()
    ds.StudyInstanceUID = uid(*key, "study")
    ds.SeriesInstanceUID = uid(*key, series.number, "series")
    ds.FrameOfReferenceUID = uid(*key, "frame of reference", *["moved"] * moved)
    ds.PositionReferenceIndicator = ""
    ds.PatientName = f"PHANTOM^{patient.identifier}"
    ds.PatientID = patient.identifier
    ds.PatientBirthDate = ""
    ds.PatientSex = patient.sex
    ds.PatientAge = f"{patient.age:03d}Y"
    ds.StudyID = "1"
    # A fixed day: a phantom must not change with the day on which it is made.
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20200101"
    ds.StudyTime = "120000"
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"12{series.number % 60:02d}00"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "PHANTOM cervical spine"
    ds.SeriesDescription = f"PHANTOM {series.title}"
    ds.Modality = modality
    ds.SeriesNumber = series.number
    ds.BodyPartExamined = "CSPINE"
    ds.PatientPosition = "HFS"
    ds.Manufacturer = scanner.manufacturer
    ds.ManufacturerModelName = scanner.name
    ds.DeviceSerialNumber = f"PHANTOM-{patient.site}-{modality}"
    ds.SoftwareVersions = "1"
    ds.InstitutionName = f"PHANTOM SITE {patient.site}"
    return ds


def object_of(shared: Dataset, sop_class: UID, key: tuple[object, ...]) -> Dataset:
    """Return a new object of a series with its file meta information; its UID follows from `key`.

    Elements are shared with `shared`, not copied: replace them, do not change them.
    """
    ds = Dataset()
    ds.update(shared)
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid(*key, "instance")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = uid("implementation")
    ds.file_meta.ImplementationVersionName = "CSPINE_PHANTOM"
    return ds


def millimetres(value: float) -> str:
    """Return a length as a decimal string."""
    return f"{value:.6g}"


def item(**elements: object) -> Dataset:
    """Return an item of a sequence."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return the item of a code sequence."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
