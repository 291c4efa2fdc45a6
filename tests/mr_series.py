"""MR series for tests, made from planes of pixels, in each form that scanners store them in."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

Pixels = npt.NDArray[Any]
Vector = npt.NDArray[np.float64]

T2: dict[str, Any] = {"EchoTime": 100, "RepetitionTime": 3500}
T1: dict[str, Any] = {"EchoTime": 9, "RepetitionTime": 600}
STIR: dict[str, Any] = {"EchoTime": 60, "RepetitionTime": 4000, "InversionTime": 160}

_NUMBERS = count(1)


@dataclass(frozen=True)
class Cut:
    """Pixels of one slice with their place: centre of the first, directions, spacing."""

    pixels: Pixels
    origin: Vector
    across: Vector
    down: Vector
    spacing: tuple[float, float]

    def turned(self, *, swap: bool, left_right: bool, top_bottom: bool) -> Cut:
        """Return the same slice with its pixels in another order."""
        pixels, across, down, spacing = self.pixels, self.across, self.down, self.spacing
        origin = self.origin
        if left_right:
            origin, across = origin + across * spacing[1] * (pixels.shape[1] - 1), -across
            pixels = pixels[:, ::-1]
        if top_bottom:
            origin, down = origin + down * spacing[0] * (pixels.shape[0] - 1), -down
            pixels = pixels[::-1]
        if swap:
            pixels, across, down, spacing = pixels.T, down, across, spacing[::-1]
        return Cut(np.ascontiguousarray(pixels), origin, across, down, spacing)


def sagittal(
    volume: Pixels, *, spacing_mm: tuple[float, float, float], tilt_deg: float = 0.0
) -> list[Cut]:
    """Cut a volume of shape (slices to the left, rows to the feet, columns to the back)."""
    turn = np.radians(tilt_deg)
    across = np.array([np.sin(turn), np.cos(turn), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    step_mm, row_mm, column_mm = spacing_mm
    step = np.array([np.cos(turn), -np.sin(turn), 0.0]) * step_mm
    n, rows, columns = volume.shape
    first = -step * (n - 1) / 2 - across * column_mm * (columns - 1) / 2
    first = first - down * row_mm * (rows - 1) / 2
    return [
        Cut(pixels, first + step * k, across, down, (row_mm, column_mm))
        for k, pixels in enumerate(volume)
    ]


def axial(cuts: Sequence[Cut]) -> list[Cut]:
    """Return the same pixels as if they were axial slices."""
    across, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    return [
        replace(cut, across=across, down=down, origin=np.array([-60.0, -60.0, 4.0 * k]))
        for k, cut in enumerate(cuts)
    ]


def classic(
    cuts: Sequence[Cut], *, series: str = "1.2.3.4", numbers: Sequence[int] = (), **header: Any
) -> list[Dataset]:
    """Return an MR Image for each slice; T2 unless the header says something else."""
    made = []
    for place, cut in enumerate(cuts):
        dataset = _object("1.2.840.10008.5.1.4.1.1.4", cut.pixels, series)
        dataset.InstanceNumber = numbers[place] if numbers else place + 1
        dataset.ImagePositionPatient = cut.origin.tolist()
        dataset.ImageOrientationPatient = [*cut.across.tolist(), *cut.down.tolist()]
        dataset.PixelSpacing = list(cut.spacing)
        dataset.ScanningSequence = "SE"
        for keyword, value in (T2 | header).items():
            if value is not None:
                setattr(dataset, keyword, value)
        made.append(dataset)
    return made


def enhanced(
    cuts: Sequence[Cut], *, series: str = "1.2.3.4", legacy: bool = False, **header: Any
) -> Dataset:
    """Return one Enhanced MR object, or a Legacy Converted one, of all slices.

    What its root says of contrast and place belongs to no frame.
    """
    stated = T2 | header
    form = "4.4" if legacy else "4.1"
    pixels = np.stack([cut.pixels for cut in cuts])
    made = _object(f"1.2.840.10008.5.1.4.1.1.{form}", pixels, series)
    made.ImagePositionPatient, made.PixelSpacing = [9, 9, 9], [9, 9]
    made.EchoTime, made.RepetitionTime, made.InversionTime = 1, 2, 3
    times = {key: stated[key] for key in ("EchoTime", "RepetitionTime", "InversionTime")
             if stated.get(key) is not None}  # fmt: skip
    shared = Dataset()
    if legacy:
        shared.UnassignedSharedConvertedAttributesSequence = Items([_item(**times)])
    else:
        inverted = [times["InversionTime"]] if "InversionTime" in times else None
        shared.MRTimingAndRelatedParametersSequence = Items(
            [_item(RepetitionTime=times.get("RepetitionTime"))]
        )
        shared.MREchoSequence = Items([_item(EffectiveEchoTime=times.get("EchoTime"))])
        shared.MRModifierSequence = Items([_item(InversionTimes=inverted)])
    kind = stated.get("ImageType") or ["ORIGINAL", "PRIMARY", "OTHER"]
    shared.MRImageFrameTypeSequence = Items(
        [_item(FrameType=kind, AcquisitionContrast=stated.get("AcquisitionContrast", "UNKNOWN"))]
    )
    made.SharedFunctionalGroupsSequence = Items([shared])
    made.PerFrameFunctionalGroupsSequence = Items(
        [
            _item(
                PlanePositionSequence=[_item(ImagePositionPatient=cut.origin.tolist())],
                PlaneOrientationSequence=[
                    _item(ImageOrientationPatient=[*cut.across.tolist(), *cut.down.tolist()])
                ],
                PixelMeasuresSequence=[_item(PixelSpacing=list(cut.spacing))],
            )
            for cut in cuts
        ]
    )
    made.NumberOfFrames = len(cuts)
    if "BodyPartExamined" in stated:
        made.BodyPartExamined = stated["BodyPartExamined"]
    return made


def neck(
    *, slices: int = 13, step_mm: float = 3.5, fluid: str = "bright", seed: int = 1
) -> npt.NDArray[np.uint16]:
    """Draw a neck at 1 mm: shape (slices, 160 rows, 124 columns), canal and cord in the middle.

    The canal is 24 mm wide and 14 mm deep, the cord 13 and 7 mm; both bend. Discs and bodies lie
    before it, spinous processes behind, fat under the skin, air around.
    """
    rng = np.random.default_rng(seed)
    bright, cord, body, muscle, fat = (
        (900, 380, 260, 180, 700) if fluid == "bright" else (120, 420, 300, 250, 800)
    )
    y, x = np.mgrid[:160, :124]
    off = x - (61 + 8 * np.cos(y / 60))
    drawn = []
    for k in range(slices):
        aside = abs((k - (slices - 1) / 2) * step_mm)
        picture = np.full((160, 124), float(muscle))
        wide = max(0.0, 1 - aside / 22)
        bodies = (off > -26 * wide - 8) & (off < -8)
        picture[bodies] = np.where((y % 17) < 12, body, 0.4 * body)[bodies]
        picture[np.abs(off) < 9.5] = 0.25 * muscle if aside < 14 else muscle
        for half, depth, level in ((12.0, 7.0, bright), (6.5, 3.5, cord)):
            share = 1 - (aside / half) ** 2
            if share > 0:
                picture[np.abs(off) < depth * np.sqrt(share)] = level
        picture[x > 104] = fat
        picture[(x > 111) | (x < 12)] = 0
        noise = rng.normal(0, 12, (2, 160, 124))
        drawn.append(np.hypot(picture + noise[0], noise[1]))
    return np.rint(np.array(drawn)).astype(np.uint16)


def load_nifti(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Read a NIfTI-1 volume whose sform is stated: values (i, j, k), and the affine map (3, 4)."""
    data = gzip.decompress(path.read_bytes())
    shape = struct.unpack_from("<8h", data, 40)[1:4]
    kinds = {2: "u1", 4: "<i2", 16: "<f4", 64: "<f8", 512: "<u2"}
    kind = kinds[struct.unpack_from("<h", data, 70)[0]]
    start = int(struct.unpack_from("<f", data, 108)[0])
    slope, intercept = struct.unpack_from("<2f", data, 112)
    values = np.frombuffer(data, kind, int(np.prod(shape)), start).reshape(shape, order="F")
    values = values * (slope or 1.0) + intercept
    return values.astype(np.float32), np.frombuffer(data, "<f4", 12, 280).reshape(3, 4).astype(
        float
    )


def reformatted(path: Path) -> tuple[npt.NDArray[np.float32], tuple[float, float, float]]:
    """Read a NIfTI-1 volume as (slices to the left, rows to the feet, columns to the back).

    Its small tilt against the patient's axes is left out. NIfTI runs to the right, front and head.
    """
    values, affine = load_nifti(path)
    axes = [int(np.argmax(np.abs(affine[:, axis]))) for axis in range(3)]
    order = [axes.index(0), axes.index(2), axes.index(1)]
    values = values.transpose(order)
    # Each axis is to run against NIfTI's: left, feet, back.
    flips = tuple(slice(None, None, -1 if affine[axes[axis], axis] > 0 else 1) for axis in order)
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    spacing = tuple(float(lengths[axis]) for axis in order)
    return np.ascontiguousarray(values[flips]), (spacing[0], spacing[1], spacing[2])


def thick(volume: Pixels, slices: int) -> Pixels:
    """Average so many slices to one, as a scanner of thicker slices would."""
    count = len(volume) // slices
    averaged: Pixels = volume[: count * slices].reshape(count, slices, *volume.shape[1:]).mean(1)
    return averaged


def _object(sop_class: str, pixels: Pixels, series: str) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = sop_class, f"1.2.826.{next(_NUMBERS)}"
    made.Modality = "MR"
    made.PatientName, made.PatientID = "QUILLFEATHER^ZEBEDEE", "QF-4711"
    made.SeriesDescription = "QUILLFEATHER neck"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", series
    made.FrameOfReferenceUID = "1.2.3.9"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape[-2:]
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.PixelData = np.clip(np.rint(pixels), 0, 65535).astype("<u2").tobytes()
    return made


def _item(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(made, keyword, Items(value) if keyword.endswith("Sequence") else value)
    return made
