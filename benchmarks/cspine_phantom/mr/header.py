"""What every object of an MR study says: patient, study, series, scanner, pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from cspine_phantom.imaging.dicom import uid
from cspine_phantom.mr.receive import BITS
from cspine_phantom.mr.scanners import Scanner
from cspine_phantom.mr.series import Series
from cspine_phantom.patients import Patient


def header(patient: Patient, scanner: Scanner, series: Series, *, study: str) -> Dataset:
    """Return what the objects of a series share; `study` tells the patient's studies apart."""
    key = patient.identifier, study
    ds = Dataset()
    ds.StudyInstanceUID = uid(*key, "study")
    ds.SeriesInstanceUID = uid(*key, series.number, "series")
    ds.FrameOfReferenceUID = uid(*key, "frame of reference")
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
    ds.Modality = "MR"
    ds.SeriesNumber = series.number
    ds.BodyPartExamined = "CSPINE"
    ds.PatientPosition = "HFS"
    ds.Manufacturer = scanner.manufacturer
    ds.ManufacturerModelName = scanner.name
    ds.DeviceSerialNumber = f"PHANTOM-{patient.site}-MR"
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


def pixels_of(ds: Dataset, pixels: NDArray[np.uint16]) -> None:
    """Store (frames, rows, columns) of pixels, in place."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, BITS, BITS - 1
    ds.PixelRepresentation = 0
    ds.PixelData = pixels.astype("<u2", copy=False).tobytes()


def window(pixels: NDArray[np.uint16]) -> tuple[int, int]:
    """Return centre and width of a window that shows some pixels well."""
    white = max(float(np.percentile(pixels[..., ::2, ::2], 99.0)), 2.0)
    return round(white / 2), round(white)


def millimetres(value: float) -> str:
    """Return a length as a decimal string."""
    return f"{value:.6g}"
