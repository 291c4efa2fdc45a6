"""A series as MR Image objects (PS3.3 A.4), one a slice."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from cspine_phantom.mr.pixels import pixels_of, window
from cspine_phantom.mr.scanners import Scanner
from cspine_phantom.mr.series import Frame, Series
from cspine_phantom.patients import Patient
from cspine_phantom.volume.header import header, millimetres, object_of

_TYPE = {"localiser": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
_PLAIN = ["ORIGINAL", "PRIMARY", "OTHER"]


def classic(patient: Patient, scanner: Scanner, series: Series, *, study: str) -> list[Dataset]:
    """Return the objects of a series, numbered in the order of its frames."""
    shared = header(patient, scanner, series, modality="MR", study=study, moved=series.moved)
    _state(shared, scanner, series)
    return [
        _instance(shared, patient, series, frame, number, study)
        for number, frame in enumerate(series.frames, 1)
    ]


def _state(ds: Dataset, scanner: Scanner, series: Series) -> None:
    """State the sequence and the spacing, which all slices share."""
    sequence = series.sequence
    echo = sequence.flip_deg < 90
    ds.ImageType = _TYPE.get(series.title, _PLAIN)
    ds.ScanningSequence = "GR" if echo else ["SE", "IR"] if sequence.inversion_ms else "SE"
    ds.SequenceVariant = "SP" if echo else ["SK", "SP"] if sequence.train > 1 else "NONE"
    ds.ScanOptions = "SP" if scanner.saturation and not echo else ""
    ds.MRAcquisitionType = "2D"
    ds.RepetitionTime = round(sequence.repetition_ms, 2)
    ds.EchoTime = round(sequence.echo_ms, 2)
    ds.EchoTrainLength = sequence.train
    if sequence.inversion_ms:
        ds.InversionTime = round(sequence.inversion_ms, 2)
    ds.FlipAngle = round(sequence.flip_deg)
    ds.NumberOfAverages = 1
    ds.EchoNumbers = 1
    ds.ImagedNucleus = "1H"
    ds.MagneticFieldStrength = scanner.field_t
    ds.ImagingFrequency = round(42.577 * scanner.field_t, 3)
    ds.SpacingBetweenSlices = millimetres(series.spacing_mm)
    ds.SliceThickness = millimetres(series.thickness_mm)
    ds.PixelSpacing = [millimetres(series.pixel_mm)] * 2


def _instance(
    shared: Dataset, patient: Patient, series: Series, frame: Frame, number: int, study: str
) -> Dataset:
    key = patient.identifier, study, series.number, number
    ds = object_of(shared, MRImageStorage, key)
    ds.InstanceNumber = number
    ds.ImagePositionPatient = [f"{value:.4f}" for value in frame.origin_mm]
    ds.ImageOrientationPatient = [f"{value:.8f}" for value in (*frame.across, *frame.down)]
    ds.WindowCenter, ds.WindowWidth = window(frame.pixels)
    pixels_of(ds, frame.pixels[None])
    return ds
