"""Radiographs read at reduced resolution: fewer pixels, the same coordinates."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from cspine.dicom import jpeg2000
from cspine.dicom.codec import SYNTAXES
from cspine.dicom.read import read_image
from cspine.findings import Refused
from cspine.transform import Affine, sample

# (rows, columns), of which every second, third and fourth is odd somewhere on the way down.
SHAPES = [(256, 192), (254, 203), (251, 190), (253, 201), (257, 193)]
WAVELETS = [uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2K]
SYNTAX_NAMES = {"ids": lambda syntax: syntax.name}


def htj2k_encoded(*arguments: Any, **options: Any) -> bytes:
    encode = getattr(imagecodecs, "htj2k_encode", None)
    if encode is None:
        pytest.skip("the imagecodecs of Python 3.10 writes no HTJ2K")
    return bytes(encode(*arguments, **options))


def dot(
    shape: tuple[int, int], *, x: float, y: float, bits: int, edge: int = 40
) -> npt.NDArray[Any]:
    """Return a soft bright dot on a dark ground with an edge along the right, full range."""
    rows, columns = np.indices(shape)
    level = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 7.0**2))
    level = np.where(columns >= shape[1] - edge, 1.0, level)
    return np.rint(level * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def compressed(dataset: Dataset, pixels: npt.NDArray[Any], syntax: UID, *, bits: int) -> Dataset:
    made = deepcopy(dataset)
    made.ImagerPixelSpacing = [0.2, 0.2]
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated = 8 * pixels.itemsize
    made.BitsStored, made.HighBit = bits, bits - 1
    reversible = syntax in (uid.JPEG2000Lossless, uid.HTJ2KLossless)
    if SYNTAXES[syntax] == "htj2k":
        level = None if reversible else 0.0005
        stream = htj2k_encoded(pixels, level=level, reversible=reversible)
    else:
        level = 0 if reversible else 70
        stream = imagecodecs.jpeg2k_encode(
            pixels, level=level, reversible=reversible, codecformat="J2K", bitspersample=bits
        )
    made.PixelData = encapsulate([stream])
    made["PixelData"].VR = "OB"
    made.file_meta.TransferSyntaxUID = syntax
    return made


def most(shape: tuple[int, int], halvings: int) -> int:
    """Return how many halvings Pillow manages: it rounds where the standard takes a ceiling."""
    return max(
        n
        for n in range(halvings + 1)
        if n == 0 or all((size + (1 << n - 1)) >> n == -(-size >> n) for size in shape)
    )


@pytest.mark.parametrize("syntax", WAVELETS, **SYNTAX_NAMES)
@pytest.mark.parametrize("halvings", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_a_landmark_keeps_its_place(
    radiograph: Dataset, syntax: UID, halvings: int, shape: tuple[int, int], bits: int
) -> None:
    x, y = 61.3, 97.8
    pixels = dot(shape, x=x, y=y, bits=bits)
    image = read_image(compressed(radiograph, pixels, syntax, bits=bits), halvings=halvings)
    step = 2 ** most(shape, halvings)
    assert step > 1
    assert (image.step, image.shape) == (step, shape)
    assert image.pixels.shape == tuple(-(-size // step) for size in shape)
    assert image.pixels.dtype == pixels.dtype
    levels = image.levels().astype(float)
    left = levels[:, : (shape[1] - 80) // step]
    assert np.abs(left - pixels[::step, ::step][:, : left.shape[1]]).max() < 0.12 * 2**bits
    rows, columns = np.indices(left.shape)
    weights = np.where(left > 0.05 * 2**bits, left, 0)
    found = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum() * step
    assert found == pytest.approx([x, y], abs=0.5 * step / 4)
    # The edge lies where the levels pass the middle.
    profile = np.median(levels, axis=0)
    first = int(np.argmax(profile > 2 ** (bits - 1)))
    before, after = profile[first - 1], profile[first]
    edge = (first - 1 + (2 ** (bits - 1) - before) / (after - before)) * step
    assert edge == pytest.approx(shape[1] - 40.5, abs=0.5 * step)


@pytest.mark.parametrize("syntax", WAVELETS, **SYNTAX_NAMES)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_network_sees_hardly_changes(
    radiograph: Dataset, syntax: UID, photometric: str, shape: tuple[int, int]
) -> None:
    pixels = dot(shape, x=61, y=98, bits=12, edge=0)
    dataset = compressed(radiograph, pixels, syntax, bits=12)
    dataset.PhotometricInterpretation = photometric
    # Off the image's own border, where the dark around it is mixed in.
    shifted, turned = ([[4.9, 0, 5], [0, 4.9, 5]], [[3.8, 0.6, 8], [-0.6, 3.8, 40]])
    maps = [Affine(np.array(matrix)) for matrix in (shifted, turned)]
    whole = sample(read_image(dataset), maps, size_px=(48, 36))
    for halvings in (1, 2):
        image = read_image(dataset, halvings=halvings)
        seen = sample(image, maps, size_px=(48, 36))
        assert np.abs(seen - whole).mean() < 0.005 * 4095
        assert np.corrcoef(seen.ravel(), whole.ravel())[0, 1] > 0.998


@pytest.mark.parametrize(
    "syntax",
    [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGLSLossless],
    **SYNTAX_NAMES,
)
def test_other_syntaxes_are_read_whole(radiograph: Dataset, syntax: UID) -> None:
    pixels = dot((253, 201), x=61, y=98, bits=12)
    radiograph.Rows, radiograph.Columns = pixels.shape
    radiograph.PixelData = pixels.tobytes()
    if syntax != uid.ExplicitVRLittleEndian:
        radiograph.compress(syntax, pixels)
    image = read_image(radiograph, halvings=2)
    assert image.step == 1
    assert np.array_equal(image.pixels, pixels)


def test_no_more_is_left_out_than_was_put_in(radiograph: Dataset) -> None:
    pixels = dot((256, 192), x=61, y=98, bits=12)
    for levels in range(4):
        stream = imagecodecs.jpeg2k_encode(
            pixels, level=0, reversible=True, codecformat="J2K", resolutions=levels + 1
        )
        assert jpeg2000.extent(stream).halvings == levels
        dataset = compressed(radiograph, pixels, uid.JPEG2000Lossless, bits=12)
        dataset.PixelData = encapsulate([stream])
        assert read_image(dataset, halvings=2).step == 2 ** min(levels, 2)


def test_signed_samples_are_read_whole(radiograph: Dataset) -> None:
    pixels = dot((256, 192), x=61, y=98, bits=12).astype(np.int16) - 2048
    dataset = compressed(radiograph, pixels, uid.JPEG2000Lossless, bits=16)
    dataset.PixelRepresentation = 1
    image = read_image(dataset, halvings=2)
    assert image.step == 1
    assert np.array_equal(image.levels(), pixels)


def test_a_grid_that_begins_elsewhere_is_read_whole() -> None:
    pixels = dot((256, 192), x=61, y=98, bits=12)
    stream = bytearray(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="J2K"))
    whole = jpeg2000.extent(bytes(stream))
    # XOsiz: the image begins one column within the reference grid.
    stream[16:20] = (1).to_bytes(4, "big")
    stream[8:12] = (193).to_bytes(4, "big")
    moved = jpeg2000.extent(bytes(stream))
    assert (moved.rows, moved.columns) == (whole.rows, whole.columns)
    assert (whole.halvings, moved.halvings) == (4, 0)


def test_a_stream_cut_off_is_refused_at_any_resolution(radiograph: Dataset) -> None:
    dataset = compressed(
        radiograph, dot((256, 192), x=61, y=98, bits=12), uid.JPEG2000Lossless, bits=12
    )
    dataset.PixelData = dataset.PixelData[:120]
    for halvings in (0, 1):
        with pytest.raises(Refused):
            read_image(dataset, halvings=halvings)
