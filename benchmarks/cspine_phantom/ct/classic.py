"""A series as CT Image objects (PS3.3 A.3), one a slice."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from cspine_phantom.ct.pixels import KILOVOLTS, WINDOWS, pixels_of
from cspine_phantom.ct.scanners import Scanner
from cspine_phantom.ct.series import Frame, Series
from cspine_phantom.patients import Patient
from cspine_phantom.volume.header import header, millimetres, object_of

_TYPE = {
    "scout": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
    "sagittal reformat": ["DERIVED", "SECONDARY", "REFORMATTED"],
}
_PLAIN = ["ORIGINAL", "PRIMARY", "AXIAL"]


def classic(patient: Patient, scanner: Scanner, series: Series, *, study: str) -> list[Dataset]:
    """Return the objects of a series, numbered in the order of its frames."""
    shared = header(patient, scanner, series, modality="CT", study=study)
    shared.ImageType = _TYPE.get(series.title, _PLAIN)
    shared.AcquisitionNumber = 1
    shared.KVP = KILOVOLTS
    shared.ConvolutionKernel = series.kernel
    shared.GantryDetectorTilt = 0
    shared.RescaleIntercept, shared.RescaleSlope = scanner.intercept, 1
    if series.title != "scout":  # which shows sums of Hounsfield units
        shared.RescaleType = "HU"
    shared.SliceThickness = millimetres(series.thickness_mm)
    shared.PixelSpacing = [millimetres(series.pixel_mm)] * 2
    shared.WindowCenter, shared.WindowWidth = ([each[part] for each in WINDOWS] for part in (0, 1))
    shared.WindowCenterWidthExplanation = ["SOFT_TISSUE", "BONE"]
    return [
        _instance(shared, patient, scanner, series, frame, number, study)
        for number, frame in enumerate(series.frames, 1)
    ]


def _instance(
    shared: Dataset,
    patient: Patient,
    scanner: Scanner,
    series: Series,
    frame: Frame,
    number: int,
    study: str,
) -> Dataset:
    key = patient.identifier, study, series.number, number
    ds = object_of(shared, CTImageStorage, key)
    ds.InstanceNumber = number
    ds.ImagePositionPatient = [f"{value:.4f}" for value in frame.origin_mm]
    ds.ImageOrientationPatient = [f"{value:.8f}" for value in (*frame.across, *frame.down)]
    if series.title != "scout":
        ds.SliceLocation = millimetres(float(frame.origin_mm[2]))
    pixels_of(ds, scanner, frame.stored[None])
    return ds
