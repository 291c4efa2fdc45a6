"""A phantom's picture as a Digital X-Ray Image For Presentation (PS3.3 A.26)."""

from __future__ import annotations

import uuid

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from cspine_phantom.aim import Aim
from cspine_phantom.devices import Device
from cspine_phantom.patients import Patient
from cspine_phantom.radiograph import BITS, WHITE, Picture

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/cspine/cspine/phantom")

_STRIPPED = (
    "BodyPartExamined", "AnatomicRegionSequence", "ViewPosition", "ViewCodeSequence",
    "ImageLaterality", "SeriesDescription", "StudyDescription", "PatientOrientation",
)  # fmt: skip


def uid(*parts: object) -> UID:
    """Return the UID of what `parts` name: always the same, of UUID form (PS3.5 B.2)."""
    name = "/".join(str(part) for part in parts)
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")


def dataset(patient: Patient, device: Device, picture: Picture, *, aim: Aim, kind: str) -> Dataset:
    """Return a complete object: file meta information, header and pixel data.

    Parameters
    ----------
    patient, device
        Who was imaged, and by what; the device decides how scale, view and grey are written.
    picture
        (rows, columns) uint16 of 12 bits in which bone is bright. It is copied, and inverted for
        a device that stores MONOCHROME1.
    aim
        What the header says of part and view.
    kind
        What tells this object of the patient from the others: its UIDs follow from it.
    """
    key = (patient.identifier, kind)
    ds = Dataset()
    ds.file_meta = _file_meta(uid(*key, "instance"))
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = uid(*key, "instance")
    ds.StudyInstanceUID = uid(*key, "study")
    ds.SeriesInstanceUID = uid(*key, "series")
    _identify(ds, patient, device, aim)
    ds.PatientOrientation = list(aim.orientation)
    _aim(ds, aim, device)
    _detect(ds, device)
    _store(ds, device, picture)
    return ds


def strip(ds: Dataset, *, orientation: bool) -> None:
    """Remove part and view from a header, in place, and with them the orientation if wanted."""
    for keyword in _STRIPPED:
        if keyword in ds and (orientation or keyword != "PatientOrientation"):
            del ds[keyword]


def _file_meta(instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("implementation")
    meta.ImplementationVersionName = "CSPINE_PHANTOM"
    return meta


def _identify(ds: Dataset, patient: Patient, device: Device, aim: Aim) -> None:
    ds.PatientName = f"PHANTOM^{patient.identifier}"
    ds.PatientID = patient.identifier
    ds.PatientBirthDate = ""
    ds.PatientSex = patient.sex
    ds.PatientAge = f"{patient.age:03d}Y"
    ds.StudyID = "1"
    # A fixed day: a phantom must not change with the day on which it is made.
    ds.StudyDate = ds.ContentDate = ds.AcquisitionDate = "20200101"
    ds.StudyTime = ds.ContentTime = ds.AcquisitionTime = "120000"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = f"PHANTOM {aim.subject}"
    ds.SeriesDescription = f"PHANTOM {aim.title}"
    ds.Modality = "DX"
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.SeriesNumber = 1
    ds.InstanceNumber = 1
    ds.Manufacturer = device.manufacturer
    ds.InstitutionName = f"PHANTOM SITE {patient.site}"
    ds.ManufacturerModelName = device.name
    ds.DeviceSerialNumber = f"PHANTOM-{patient.site}"
    ds.SoftwareVersions = "1"


def _aim(ds: Dataset, aim: Aim, device: Device) -> None:
    """State anatomy, view and scale in the way of the site."""
    ds.BodyPartExamined = aim.body_part
    ds.AnatomicRegionSequence = [_code(*aim.region)]
    ds.ImageLaterality = aim.laterality
    if device.view_tags != "code":
        ds.ViewPosition = aim.position
    if device.view_tags != "position":
        view = _code(*aim.view)
        view.ViewModifierCodeSequence = []
        ds.ViewCodeSequence = [view]
    ds.PositionerType = "COLUMN"
    pitch = device.spacing_mm
    ds.ImagerPixelSpacing = [pitch, pitch]
    ds.DistanceSourceToDetector = device.source_detector_mm
    if device.spacing_tags == "factor":
        ds.DistanceSourceToPatient = device.source_patient_mm
        ds.EstimatedRadiographicMagnificationFactor = round(device.magnification, 6)
    elif device.spacing_tags == "calibrated":
        ds.PixelSpacing = [round(pitch / device.magnification, 6)] * 2
        ds.PixelSpacingCalibrationType = "GEOMETRY"
        ds.PixelSpacingCalibrationDescription = "Mid-sagittal plane"


def _detect(ds: Dataset, device: Device) -> None:
    ds.DetectorType = "SCINTILLATOR"
    ds.DetectorConfiguration = "AREA"
    ds.FieldOfViewShape = "RECTANGLE"
    ds.FieldOfViewDimensions = [
        round(device.rows * device.spacing_mm),
        round(device.columns * device.spacing_mm),
    ]
    ds.FieldOfViewOrigin = [0, 0]
    ds.FieldOfViewRotation = "0"
    ds.FieldOfViewHorizontalFlip = "NO"
    ds.KVP = 70
    ds.AcquisitionContextSequence = []


def _store(ds: Dataset, device: Device, picture: Picture) -> None:
    inverse = device.photometric == "MONOCHROME1"
    stored = WHITE - picture if inverse else picture
    ds.ImageType = ["DERIVED", "PRIMARY", ""]
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = device.photometric
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, BITS, BITS - 1
    ds.PixelRepresentation = 0
    ds.PixelIntensityRelationship = "LOG"
    # +1: the value grows with the intensity of the beam, as where bone is stored dark.
    ds.PixelIntensityRelationshipSign = 1 if inverse else -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    # LINEAR maps exactly 0..4095 from black to white with these two (PS3.3 C.11.2.1.2.1).
    ds.WindowCenter, ds.WindowWidth = (WHITE + 1) / 2, WHITE + 1
    ds.PixelData = np.ascontiguousarray(stored, dtype="<u2").tobytes()


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "SCT"
    item.CodeMeaning = meaning
    return item
