"""A series as one Enhanced MR Image object (PS3.3 A.36), frames in the order of the series."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage

from cspine_phantom.imaging.dicom import uid
from cspine_phantom.mr.pixels import pixels_of, window
from cspine_phantom.mr.scanners import Scanner
from cspine_phantom.mr.series import Frame, Series
from cspine_phantom.patients import Patient
from cspine_phantom.volume.header import code, header, item, millimetres, object_of

_CONTRAST = {"sag T2": "T2", "ax T2": "T2", "sag T1": "T1", "sag STIR": "STIR"}


def enhanced(patient: Patient, scanner: Scanner, series: Series, *, study: str) -> list[Dataset]:
    """Return the one object of a series."""
    key = patient.identifier, study, series.number
    shared = header(patient, scanner, series, modality="MR", study=study, moved=series.moved)
    ds = object_of(shared, EnhancedMRImageStorage, key)
    pixels = np.stack([frame.pixels for frame in series.frames])
    ds.InstanceNumber = 1
    ds.NumberOfFrames = len(pixels)
    _state(ds, scanner, series)
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
    centre, width = window(pixels)
    ds.SharedFunctionalGroupsSequence = [_shared(scanner, series, centre, width)]
    ds.PerFrameFunctionalGroupsSequence = [_group(frame) for frame in series.frames]
    pixels_of(ds, pixels)
    ds.PresentationLUTShape = "IDENTITY"
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "NO"
    return [ds]


def _flavour(series: Series) -> tuple[str, str]:
    """Return the third value of Image Type, and Acquisition Contrast."""
    contrast = _CONTRAST.get(series.title, "T1")
    return ("LOCALIZER" if series.title == "localiser" else contrast), contrast


def _state(ds: Dataset, scanner: Scanner, series: Series) -> None:
    """State image and pulse sequence at the root."""
    sequence = series.sequence
    echo = sequence.flip_deg < 90
    flavour, contrast = _flavour(series)
    ds.ImageType = ["ORIGINAL", "PRIMARY", flavour, "NONE"]
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ComplexImageComponent = "MAGNITUDE"
    ds.AcquisitionContrast = contrast
    ds.AcquisitionNumber = 1
    ds.AcquisitionDateTime = ds.AcquisitionDate + ds.AcquisitionTime
    del ds.AcquisitionDate, ds.AcquisitionTime  # what a classic object says in their place
    ds.AcquisitionDuration = 180.0
    ds.ContentQualification = "RESEARCH"
    ds.ResonantNucleus = "1H"
    ds.MagneticFieldStrength = scanner.field_t
    ds.KSpaceFiltering = "NONE"
    ds.ApplicableSafetyStandardAgency = "IEC"
    ds.AcquisitionContextSequence = []
    ds.PulseSequenceName = "PHANTOM"
    ds.MRAcquisitionType = "2D"
    ds.EchoPulseSequence = "GRADIENT" if echo else "SPIN"
    if not echo:
        ds.MultipleSpinEcho = "NO"
    ds.MultiPlanarExcitation = "NO"
    ds.PhaseContrast = "NO"
    ds.TimeOfFlightContrast = "NO"
    ds.SteadyStatePulseSequence = "NONE"
    ds.EchoPlanarPulseSequence = "NO"
    ds.SaturationRecovery = "NO"
    ds.SpectrallySelectedSuppression = "NONE"
    ds.OversamplingPhase = "2D"
    ds.GeometryOfKSpaceTraversal = "RECTILINEAR"
    ds.RectilinearPhaseEncodeReordering = "LINEAR"
    ds.SegmentedKSpaceTraversal = "SINGLE" if sequence.train == 1 else "PARTIAL"
    ds.NumberOfKSpaceTrajectories = 1


def _shared(scanner: Scanner, series: Series, centre: int, width: int) -> Dataset:
    """Return the functional groups that all frames share."""
    sequence = series.sequence
    flavour, contrast = _flavour(series)
    rows, columns = series.frames[0].pixels.shape
    groups = Dataset()
    groups.PixelMeasuresSequence = [
        item(
            PixelSpacing=[millimetres(series.pixel_mm)] * 2,
            SliceThickness=millimetres(series.thickness_mm),
            SpacingBetweenSlices=millimetres(series.spacing_mm),
        )
    ]
    region = code("122494005", "SCT", "Cervical spine")
    groups.FrameAnatomySequence = [item(FrameLaterality="U", AnatomicRegionSequence=[region])]
    groups.PixelValueTransformationSequence = [
        item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")
    ]
    groups.FrameVOILUTSequence = [item(WindowCenter=centre, WindowWidth=width)]
    groups.MRImageFrameTypeSequence = [
        item(
            FrameType=["ORIGINAL", "PRIMARY", flavour, "NONE"],
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast=contrast,
        )
    ]
    groups.MRTimingAndRelatedParametersSequence = [
        item(
            RepetitionTime=round(sequence.repetition_ms, 2),
            FlipAngle=round(sequence.flip_deg),
            EchoTrainLength=sequence.train,
            RFEchoTrainLength=0 if sequence.flip_deg < 90 else sequence.train,
            GradientEchoTrainLength=1 if sequence.flip_deg < 90 else 0,
            GradientOutputType="DB_DT",
            GradientOutput=0.0,
            SpecificAbsorptionRateSequence=[
                item(SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY",
                      SpecificAbsorptionRateValue=0.5)
            ],
            OperatingModeSequence=[
                item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL")
            ],
        )
    ]  # fmt: skip
    groups.MRFOVGeometrySequence = [
        item(
            InPlanePhaseEncodingDirection="COLUMN",
            MRAcquisitionFrequencyEncodingSteps=columns,
            MRAcquisitionPhaseEncodingStepsInPlane=rows,
            PercentSampling=100.0,
            PercentPhaseFieldOfView=100.0,
        )
    ]
    groups.MREchoSequence = [item(EffectiveEchoTime=float(sequence.echo_ms))]
    groups.MRModifierSequence = [_modifier(series)]
    groups.MRImagingModifierSequence = [
        item(
            MagnetizationTransfer="NONE", BloodSignalNulling="NO", Tagging="NONE",
            TransmitterFrequency=round(42.577 * scanner.field_t, 3), PixelBandwidth=200.0,
        )
    ]  # fmt: skip
    groups.MRReceiveCoilSequence = [
        item(
            ReceiveCoilName="NECK", ReceiveCoilManufacturerName="", ReceiveCoilType="SURFACE",
            QuadratureReceiveCoil="NO",
        )
    ]  # fmt: skip
    groups.MRTransmitCoilSequence = [
        item(
            TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY",
        )
    ]  # fmt: skip
    groups.MRAveragesSequence = [item(NumberOfAverages=1.0)]
    return groups


def _modifier(series: Series) -> Dataset:
    inversion_ms = series.sequence.inversion_ms
    groups = item(
        InversionRecovery="YES" if inversion_ms else "NO",
        FlowCompensation="NONE",
        Spoiling="RF" if series.sequence.flip_deg < 90 else "NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    if inversion_ms:
        groups.InversionTimes = float(inversion_ms)
    return groups


def _group(frame: Frame) -> Dataset:
    """Return the functional groups of one frame."""
    groups = Dataset()
    groups.FrameContentSequence = [
        item(
            StackID=str(frame.stack),
            InStackPositionNumber=frame.position,
            DimensionIndexValues=[frame.stack, frame.position],
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime="20200101120000",
            FrameAcquisitionDateTime="20200101120000",
            FrameAcquisitionDuration=1000.0,
        )
    ]
    groups.PlanePositionSequence = [
        item(ImagePositionPatient=[f"{value:.4f}" for value in frame.origin_mm])
    ]
    cosines = (*frame.across, *frame.down)
    groups.PlaneOrientationSequence = [
        item(ImageOrientationPatient=[f"{value:.8f}" for value in cosines])
    ]
    return groups
