"""How fast a large radiograph is read, against pydicom's own functions and the bare decoders."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import msgspec
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cspine.device import installed, this_device
from cspine.dicom.dataset import read_dataset
from cspine.dicom.pixels import pixel_words
from cspine.dicom.read import read_image
from cspine.dicom.select import Study
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Segment
from cspine.stages.frame import frame_feeds, frame_map
from cspine_bench.latency.ratio import blocks, ratio_interval
from cspine_phantom.imaging.aim import lateral_aim
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.imaging.dicom import dataset
from cspine_phantom.imaging.radiograph import radiograph
from cspine_phantom.patients import draw_patient
from cspine_phantom.scene.anatomy import lateral

ROWS, COLUMNS, BITS = 2800, 2300, DEVICES["A"].bits

_ENCODERS: dict[UID, Callable[[npt.NDArray[np.uint16]], bytes | bytearray]] = {
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLosslessSV1: lambda words: imagecodecs.ljpeg_encode(words, bitspersample=BITS),
    JPEG2000Lossless: lambda words: imagecodecs.jpeg2k_encode(
        words, level=0, reversible=True, codecformat="j2k", bitspersample=BITS
    ),
    HTJ2KLossless: lambda words: imagecodecs.htj2k_encode(words, reversible=True),
}
# The fastest decoder of each syntax with a permissive licence, given nothing but its code stream.
_DECODERS: dict[UID, Callable[[bytes], object]] = {
    RLELossless: lambda stream: imagecodecs.dicomrle_decode(stream, "<u2"),
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLosslessSV1: imagecodecs.jpeg_decode,
    JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    HTJ2KLossless: lambda stream: imagecodecs.htj2k_decode(stream),
}
SYNTAXES: tuple[UID, ...] = (ExplicitVRLittleEndian, *_DECODERS)
if not hasattr(imagecodecs, "htj2k_encode"):  # the last release for Python 3.10
    SYNTAXES = tuple(syntax for syntax in SYNTAXES if syntax != HTJ2KLossless)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Times of one transfer syntax, and ratios within a block with their 95 % intervals.

    ``nanoseconds`` are all samples by arm, a row a block: ``input`` is the file to the
    localiser's input, ``study`` the same through admission and choice, with the digest of the
    pixels that names the answer, ``pixels`` the file to its words, ``pydicom`` the file to the same
    input with pydicom's own functions, ``decoder`` the bare decoder on the code stream.
    """

    syntax: str
    megabytes: float
    medians_ms: dict[str, float]
    ratios: dict[str, tuple[float, float, float]]
    nanoseconds: dict[str, list[list[int]]]


class ReadingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one run, on one core."""

    rows: int
    columns: int
    readings: tuple[Reading, ...]
    device: dict[str, object]
    versions: dict[str, str | None]


def measure_reading(
    folder: Path, *, repeats: int, progress: Callable[[int, int], None]
) -> ReadingRecord:
    """Write a large phantom in every syntax below ``folder`` and time reading it, interleaved."""
    original, readings = _large(), []
    with _one_core():
        for number, syntax in enumerate(SYNTAXES, 1):
            path = folder / f"{syntax}.dcm"
            _written(original, syntax).save_as(path, enforce_file_format=True)
            readings.append(_reading(path, syntax, repeats))
            path.unlink()
            progress(number, len(SYNTAXES))
    return ReadingRecord(
        rows=ROWS,
        columns=COLUMNS,
        readings=tuple(readings),
        device=dict(this_device().facts()),
        versions={
            name: installed(name)
            for name in ("cspine", "pydicom", "imagecodecs", "opencv-python-headless", "numpy")
        },
    )


@contextmanager
def _one_core() -> Iterator[None]:
    cores, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {min(cores)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        cv2.setNumThreads(threads)


def _large() -> pydicom.Dataset:
    """Return a film of a full-size detector."""
    patient = replace(draw_patient(3, 0), site="A")
    device = replace(DEVICES["A"], rows=ROWS, columns=COLUMNS)
    picture = radiograph(lateral(patient), patient, device).picture
    return dataset(patient, device, picture, aim=lateral_aim(patient.face), kind="reading")


def _written(original: pydicom.Dataset, syntax: UID) -> pydicom.Dataset:
    copy = pydicom.dcmread(_file(original))
    if syntax == RLELossless:
        copy.compress(RLELossless)
    elif syntax in _ENCODERS:
        copy.PixelData = encapsulate([bytes(_ENCODERS[syntax](original.pixel_array))])
        copy["PixelData"].is_undefined_length = True
        copy["PixelData"].VR = "OB"
        copy.file_meta.TransferSyntaxUID = syntax
    return copy


def _file(dataset: pydicom.Dataset) -> BytesIO:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return file


def _reading(path: Path, syntax: UID, repeats: int) -> Reading:
    arms = _arms(path, syntax)
    for arm in arms.values():
        arm()
    samples: dict[str, list[list[int]]] = {name: [] for name in arms}
    gc.collect()
    gc.disable()  # a collection would fall on one arm by chance
    try:
        for block in blocks(np.random.default_rng(0), tuple(arms), repeats=repeats):
            for name in block:
                start = time.perf_counter_ns()
                arms[name]()
                samples[name].append([time.perf_counter_ns() - start])
    finally:
        gc.enable()
    pairs = [("input", "pydicom"), ("input", "decoder"), ("pixels", "decoder")]
    ratios = {}
    for candidate, reference in pairs:
        if reference in arms:
            found = ratio_interval(samples[reference], samples[candidate], seed=0)
            ratios[f"{candidate}/{reference}"] = tuple(
                round(value, 4) for value in (found.ratio, found.low, found.high)
            )
    return Reading(
        syntax=syntax.name,
        megabytes=round(path.stat().st_size / 1e6, 2),
        medians_ms={name: round(float(np.median(each)) / 1e6, 2) for name, each in samples.items()},
        ratios=msgspec.convert(ratios, dict[str, tuple[float, float, float]]),
        nanoseconds=samples,
    )


def _arms(path: Path, syntax: UID) -> dict[str, Callable[[], object]]:
    spec = load_spec(shipped_spec("xray-compression"))
    stage: Segment = spec.only(Segment)

    def ours() -> object:
        image = read_image(read_dataset(path))
        return frame_feeds(image, frame_map(image, stage), stage)

    def judged() -> object:
        image = Study((read_dataset(path),)).images(spec.accept)[0]
        return frame_feeds(image, frame_map(image, stage), stage)

    def theirs() -> object:
        dataset = pydicom.dcmread(path)
        values: npt.NDArray[Any] = apply_modality_lut(dataset.pixel_array, dataset)
        values = apply_voi_lut(values, dataset).astype(np.float64)
        values = (values - values.min()) / (values.max() - values.min())
        return cv2.resize(values, stage.size_px[::-1], interpolation=cv2.INTER_AREA)

    arms: dict[str, Callable[[], object]] = {"input": ours, "study": judged, "pydicom": theirs}
    if syntax in _DECODERS:
        stream = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
        arms["pixels"] = lambda: pixel_words(read_dataset(path))
        arms["decoder"] = lambda: _DECODERS[syntax](stream)
        if syntax != RLELossless:
            del arms["pydicom"]  # it decodes the others with plugins only
    return arms
