"""One frame's header, flat, whether the object is a classic one or an enhanced multi-frame."""

from __future__ import annotations

import pydicom

from cspine.dicom.element import items

# What describes the pixels and stands at the root of every object (PS3.3 C.7.6.3), with what
# tells the object.
_ROOT = (
    "SOPClassUID", "SOPInstanceUID", "Modality", "FrameOfReferenceUID", "SamplesPerPixel",
    "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape",
    "MRAcquisitionType", "EchoPulseSequence",
)  # fmt: skip
# The functional group macros (PS3.3 C.7.6.16.2) that say what classic objects say at their root.
_MACROS = (
    "PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence",
    "PixelValueTransformationSequence", "FrameVOILUTSequence", "FrameContentSequence",
    "FrameAnatomySequence", "MRImageFrameTypeSequence", "MRTimingAndRelatedParametersSequence",
    "MREchoSequence", "MRModifierSequence",
    "CTImageFrameTypeSequence", "CTReconstructionSequence",
)  # fmt: skip
# What no macro has a place for when classic slices are converted (Legacy Converted Enhanced MR
# and CT).
_UNASSIGNED = (
    "UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence",
)  # fmt: skip
_CONVERTED = (
    "ImageType", "EchoTime", "RepetitionTime", "InversionTime", "ScanningSequence",
    "MRAcquisitionType", "ConvolutionKernel", "SliceThickness",
)  # fmt: skip


def frame_header(dataset: pydicom.Dataset, *, frame: int = 0) -> pydicom.Dataset:
    """Return what the header says of one frame.

    A classic object's header is that of its frames. An enhanced one says how its values are
    scaled, shown and placed in functional groups, shared or per frame; what a broken writer left
    beside them at the root is not asked.

    Raises
    ------
    IndexError
        If the functional groups have no item for this frame.
    """
    shared = items(dataset, "SharedFunctionalGroupsSequence")
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    if not shared and not per_frame:
        return dataset
    header = pydicom.Dataset()
    header.file_meta = dataset.file_meta
    for keyword in _ROOT:
        if keyword in dataset:
            header[keyword] = dataset[keyword]
    # Tiles of one plane are described together: they need no group of their own.
    own = [per_frame[frame]] if per_frame else []
    for group in (*shared[:1], *own):
        for item in (each for sequence in _UNASSIGNED for each in items(group, sequence)[:1]):
            for keyword in _CONVERTED:
                if keyword in item:
                    header[keyword] = item[keyword]
        for macro in _MACROS:
            for item in items(group, macro)[:1]:
                header.update(item)
    return header
