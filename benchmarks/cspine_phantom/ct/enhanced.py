"""A series as one Enhanced CT Image object (PS3.3 A.38), frames in the order of the series."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import EnhancedCTImageStorage

from cspine_phantom.ct.pixels import KILOVOLTS, WINDOWS, pixels_of
from cspine_phantom.ct.scanners import Scanner
from cspine_phantom.ct.series import Frame, Series
from cspine_phantom.imaging.dicom import uid
from cspine_phantom.patients import Patient
from cspine_phantom.volume.header import code, header, item, millimetres, object_of

_TYPE = {
    "scout": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"],
    "sagittal reformat": ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"],
}
_PLAIN = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]


def enhanced(patient: Patient, scanner: Scanner, series: Series, *, study: str) -> list[Dataset]:
    """Return the one object of a series."""
    key = patient.identifier, study, series.number
    shared = header(patient, scanner, series, modality="CT", study=study)
    ds = object_of(shared, EnhancedCTImageStorage, key)
    pixels = np.stack([frame.stored for frame in series.frames])
    ds.InstanceNumber = 1
    ds.NumberOfFrames = len(pixels)
    _state(ds, series)
    dimensions = uid(*key, "dimensions")
    ds.DimensionOrganizationSequence = [item(DimensionOrganizationUID=dimensions)]
    ds.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=dimensions,
            DimensionIndexPointer=Tag(keyword),
            FunctionalGroupPointer=Tag("FrameContentSequence"),
        )
        for keyword in ("StackID", "InStackPositionNumber")
    ]
    ds.SharedFunctionalGroupsSequence = [_shared(ds, scanner, series)]
    ds.PerFrameFunctionalGroupsSequence = [_group(frame) for frame in series.frames]
    pixels_of(ds, scanner, pixels)
    ds.PresentationLUTShape = "IDENTITY"
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "NO"
    return [ds]


def _state(ds: Dataset, series: Series) -> None:
    """State image and acquisition at the root."""
    ds.ImageType = _TYPE.get(series.title, _PLAIN)
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.AcquisitionNumber = 1
    ds.AcquisitionDateTime = ds.AcquisitionDate + ds.AcquisitionTime
    del ds.AcquisitionDate, ds.AcquisitionTime  # what a classic object says in their place
    ds.AcquisitionDuration = 6.0
    ds.ContentQualification = "RESEARCH"
    ds.AcquisitionContextSequence = []
    ds.MultienergyCTAcquisition = "NO"


def _shared(ds: Dataset, scanner: Scanner, series: Series) -> Dataset:
    """Return the functional groups that all frames share."""
    scout = series.title == "scout"
    groups = Dataset()
    groups.PixelMeasuresSequence = [
        item(
            PixelSpacing=[millimetres(series.pixel_mm)] * 2,
            SliceThickness=millimetres(series.thickness_mm),
            **({} if scout else {"SpacingBetweenSlices": millimetres(series.spacing_mm)}),
        )
    ]
    region = code("122494005", "SCT", "Cervical spine")
    groups.FrameAnatomySequence = [item(FrameLaterality="U", AnatomicRegionSequence=[region])]
    groups.PixelValueTransformationSequence = [
        item(RescaleIntercept=scanner.intercept, RescaleSlope=1, RescaleType="HU")
    ]
    centres, widths = ([each[part] for each in WINDOWS] for part in (0, 1))
    groups.FrameVOILUTSequence = [
        item(
            WindowCenter=centres,
            WindowWidth=widths,
            WindowCenterWidthExplanation=["SOFT_TISSUE", "BONE"],
        )
    ]
    groups.CTImageFrameTypeSequence = [
        item(
            FrameType=list(ds.ImageType),
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
        )
    ]
    groups.IrradiationEventIdentificationSequence = [
        item(IrradiationEventUID=uid(ds.SeriesInstanceUID, "irradiation"))
    ]
    groups.CTAcquisitionTypeSequence = [
        item(
            AcquisitionType="CONSTANT_ANGLE" if scout else "SPIRAL",
            ConstantVolumeFlag="NO",
            FluoroscopyFlag="NO",
            **({"TubeAngle": 90.0} if scout else {}),
        )
    ]
    groups.CTAcquisitionDetailsSequence = [
        item(
            RotationDirection="CW",
            RevolutionTime=0.5,
            SingleCollimationWidth=0.6,
            TotalCollimationWidth=19.2,
            TableHeight=150.0,
            GantryDetectorTilt=0.0,
            DataCollectionDiameter=500.0,
        )
    ]
    groups.CTTableDynamicsSequence = [
        item(TableSpeed=24.0, TableFeedPerRotation=12.0, SpiralPitchFactor=0.625)
    ]
    groups.CTGeometrySequence = [
        item(DistanceSourceToDetector=1040.0, DistanceSourceToDataCollectionCenter=570.0)
    ]
    groups.CTReconstructionSequence = [_reconstruction(series)]
    groups.CTExposureSequence = [
        item(
            ExposureTimeInms=500.0, XRayTubeCurrentInmA=200.0, ExposureInmAs=100.0,
            ExposureModulationType=["NONE"],
        )
    ]  # fmt: skip
    groups.CTXRayDetailsSequence = [
        item(
            KVP=KILOVOLTS, FocalSpots=[0.7], FilterType="FLAT", FilterMaterial=["ALUMINUM"],
            CalciumScoringMassFactorPatient=1.0,
        )
    ]  # fmt: skip
    return groups


def _reconstruction(series: Series) -> Dataset:
    rows, columns = series.frames[0].stored.shape
    return item(
        ReconstructionAlgorithm="FILTER_BACK_PROJ",
        ConvolutionKernel=series.kernel,
        ConvolutionKernelGroup="BONE" if series.kernel == "BONE" else "SOFT_TISSUE",
        ReconstructionFieldOfView=[rows * series.pixel_mm, columns * series.pixel_mm],
        ReconstructionPixelSpacing=[series.pixel_mm] * 2,
        ReconstructionAngle=360.0,
        ImageFilter="NONE",
    )


def _group(frame: Frame) -> Dataset:
    """Return the functional groups of one frame."""
    groups = Dataset()
    groups.FrameContentSequence = [
        item(
            StackID="1",
            InStackPositionNumber=frame.position,
            DimensionIndexValues=[1, frame.position],
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime="20200101120000",
            FrameAcquisitionDateTime="20200101120000",
            FrameAcquisitionDuration=500.0,
        )
    ]
    groups.PlanePositionSequence = [
        item(ImagePositionPatient=[f"{value:.4f}" for value in frame.origin_mm])
    ]
    cosines = (*frame.across, *frame.down)
    groups.PlaneOrientationSequence = [
        item(ImageOrientationPatient=[f"{value:.8f}" for value in cosines])
    ]
    centre = frame.origin_mm
    groups.CTPositionSequence = [
        item(
            TablePosition=0.0,
            DataCollectionCenterPatient=[float(value) for value in centre],
            ReconstructionTargetCenterPatient=[float(value) for value in centre],
        )
    ]
    return groups
