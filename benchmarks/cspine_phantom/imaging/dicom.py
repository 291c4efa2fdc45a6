"""A phantom's picture as the object that each vendor writes.

Digital X-Ray Image For Presentation (PS3.3 A.26), or Computed Radiography Image (A.2).
"""

from __future__ import annotations

import uuid

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from cspine_phantom.imaging.aim import Aim
from cspine_phantom.imaging.devices import Device
from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.imaging.voi import state_voi, values_of
from cspine_phantom.patients import Patient

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
        (rows, columns) uint16, 0 to `WHITE`, in which bone is bright: what a viewer shall show.
        What is stored has the bits of the device and becomes the picture by the header's VOI
        window or table, and by inversion where it is MONOCHROME1.
    aim
        What the header says of part and view.
    kind
        What tells this object of the patient from the others: its UIDs follow from it.
    """
    key = (patient.identifier, kind)
    ds = Dataset()
    ds.SOPClassUID = _sop_class(device)
    ds.file_meta = _file_meta(ds.SOPClassUID, uid(*key, "instance"))
    ds.SOPInstanceUID = uid(*key, "instance")
    ds.StudyInstanceUID = uid(*key, "study")
    ds.SeriesInstanceUID = uid(*key, "series")
    _identify(ds, patient, device, aim)
    ds.PatientOrientation = list(aim.orientation)
    _aim(ds, aim, device)
    _generate(ds, device)
    if device.is_plate:
        _read_plate(ds)
    else:
        _detect(ds, device)
    _store(ds, device, picture)
    return ds


def strip(ds: Dataset, *, orientation: bool) -> None:
    """Remove part and view from a header, in place, and with them the orientation if wanted."""
    for keyword in _STRIPPED:
        if keyword in ds and (orientation or keyword != "PatientOrientation"):
            del ds[keyword]


def _sop_class(device: Device) -> UID:
    if device.is_plate:
        return ComputedRadiographyImageStorage
    return DigitalXRayImageStorageForPresentation


def _file_meta(sop_class: UID, instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
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
    ds.Modality = "CR" if device.is_plate else "DX"
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
    if device.view_tags != "code":
        ds.ViewPosition = aim.position
    if not device.is_plate:  # a CR header has part and view in words alone
        ds.AnatomicRegionSequence = [_code(*aim.region)]
        ds.ImageLaterality = aim.laterality
        ds.PositionerType = "COLUMN"
        if device.view_tags != "position":
            view = _code(*aim.view)
            view.ViewModifierCodeSequence = []
            ds.ViewCodeSequence = [view]
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


def _generate(ds: Dataset, device: Device) -> None:
    """State tube and grid, of which a CR header has no attribute."""
    ds.KVP = device.kvp
    ds.FocalSpots = device.focal_mm
    if not device.is_plate:
        ds.Grid = ["RECIPROCATING", "FOCUSED"] if device.grid else "NONE"


def _detect(ds: Dataset, device: Device) -> None:
    ds.PresentationIntentType = "FOR PRESENTATION"
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
    ds.AcquisitionContextSequence = []


def _read_plate(ds: Dataset) -> None:
    ds.PlateType = "STORAGE PHOSPHOR"
    ds.CassetteSize = "24CMX30CM"


def _store(ds: Dataset, device: Device, picture: Picture) -> None:
    inverse = device.photometric == "MONOCHROME1"
    ds.ImageType = ["DERIVED", "PRIMARY"] if device.is_plate else ["DERIVED", "PRIMARY", ""]
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = device.photometric
    ds.Rows, ds.Columns = picture.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, device.bits, device.bits - 1
    ds.PixelRepresentation = 0
    if not device.is_plate:
        ds.PixelIntensityRelationship = "LOG"
        # +1: the value grows with the intensity of the beam, as where bone is stored dark.
        ds.PixelIntensityRelationshipSign = 1 if inverse else -1
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
        ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    shown = state_voi(ds, device)
    levels = np.linspace(1, 0, WHITE + 1) if inverse else np.linspace(0, 1, WHITE + 1)
    table = np.zeros(2**16, np.uint16)
    table[: WHITE + 1] = values_of(levels, shown)
    ds.PixelData = np.asarray(cv2.LUT(picture, table)).astype("<u2", copy=False).tobytes()


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "SCT"
    item.CodeMeaning = meaning
    return item
