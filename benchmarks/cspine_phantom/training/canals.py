"""What the networks of a CT pipeline are fitted to: slices with a box, and crops with a grade."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt

from cspine.dicom.select import Study
from cspine.findings import Refused
from cspine.image import Image
from cspine.plane import Plane
from cspine.spec import Features, Grade, PipelineSpec
from cspine.stages.detect import Region
from cspine.stages.frame import frame_feeds
from cspine.stages.grade import grade_feeds, region_crop
from cspine.stages.slices import slice_maps
from cspine_phantom.ct.disease import CLASSES, READER_NOISE, THRESHOLDS, evidence_of
from cspine_phantom.ct.faults import Fault
from cspine_phantom.ct.study import CtPhantom, ct_phantom
from cspine_phantom.ct.truth import SliceTruth
from cspine_phantom.pool import spread
from cspine_phantom.training.fit import told
from cspine_phantom.training.recipe import Recipe

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

# By what a detector misses the middle of a box, one standard deviation.
_OFF_MM = 0.8


@dataclass(frozen=True)
class Canals:
    """What training looks at: of one patient, or of all.

    Attributes
    ----------
    frames
        What the detector sees of slices, shape (slices, rows, columns).
    boxes
        Left, top, right, bottom in pixels of the frame, whose first has its corner at (0, 0), shape
        (slices, 4); NaN of a head, which has no canal.
    crops
        Shape (crops, variants, rows, columns), those of a patient from the feet up: the first
        variant is centred on the true box, the others as a detector may err.
    readings
        Part of all readers who would give each class, shape (crops, classes).
    patients
        The patient of each crop, shape (crops,), and the class of each patient, shape (patients,).
    """

    frames: Halves
    boxes: Floats
    crops: Halves
    readings: Floats
    patients: npt.NDArray[np.intp]
    grades: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Pair:
    """What a network is fitted to or tuned on, and the pipeline that asks for it."""

    spec: PipelineSpec
    seen: Canals


def canals(spec: PipelineSpec, recipe: Recipe) -> tuple[Pair, Pair]:
    """Return what the networks are fitted to, and what the tuning patients show."""
    train = gather_canals(
        spec, patients=recipe.canal_patients, heads=recipe.canal_heads, seed=recipe.seed,
        kept=recipe.canal_slices, variants=recipe.variants,
    )  # fmt: skip
    held = gather_canals(
        spec, patients=recipe.canal_tuning, heads=recipe.canal_heads // 2, seed=recipe.seed + 1,
        kept=None, variants=1,
    )  # fmt: skip
    return Pair(spec, train), Pair(spec, held)


def gather_canals(
    spec: PipelineSpec, *, patients: int, heads: int, seed: int, kept: int | None, variants: int
) -> Canals:
    """Simulate patients on all cores and keep what the networks see of them.

    Parameters
    ----------
    heads
        Patients of whom the head was scanned instead, for the detector alone.
    kept
        Slices of each patient, half of them the narrowest and half any; None keeps all.
    """
    jobs: list[tuple[int, int, Fault | None]] = [(seed, n, None) for n in range(patients)]
    jobs += [(seed, n, "brain") for n in range(patients, patients + heads)]
    found = [
        each for each in spread(partial(_seen, spec, kept, variants), jobs, progress=told) if each
    ]
    owners = np.cumsum([len(each.grades) for each in found]) - 1
    return Canals(
        np.concatenate([each.frames for each in found]),
        np.concatenate([each.boxes for each in found]),
        np.concatenate([each.crops for each in found]),
        np.concatenate([each.readings for each in found]),
        np.repeat(owners, [len(each.crops) for each in found]),
        np.concatenate([each.grades for each in found]),
    )


def class_readings(evidence: float) -> list[float]:
    """Return the part of readers who would give each class: Phi((t - E) / noise) between the t."""
    below = [0.5 * math.erfc((evidence - t) / (READER_NOISE * math.sqrt(2))) for t in THRESHOLDS]
    shares: list[float] = np.diff([0.0, *below, 1.0]).tolist()
    return shares


def _seen(
    spec: PipelineSpec, kept: int | None, variants: int, job: tuple[int, int, Fault | None]
) -> Canals | None:
    """Return what the networks see of one patient; nothing, if the device would refuse it."""
    seed, number, fault = job
    features: Features = spec.only(Features)
    grade: Grade = spec.only(Grade)
    case = ct_phantom(seed=seed, number=number, fault=fault, only="axial")
    try:
        images = Study(case.datasets).images(spec.accept)
    except Refused:
        return None
    rng = np.random.default_rng([seed, number, 4])
    images = sorted(images, key=_height)
    truths = _truths(case, images)
    if kept is not None:
        chosen = _chosen(truths, rng, kept) if truths else rng.permutation(len(images))[:kept]
        images = [images[index] for index in chosen]
        truths = [truths[index] for index in chosen] if truths else []
    maps = slice_maps(images, features)
    frames = [
        frame_feeds(image, to_image, features)["image"][0, 0]
        for image, to_image in zip(images, maps, strict=True)
    ]
    if not truths:
        rows, columns = grade.size_px
        return Canals(
            np.array(frames, np.float16), np.full((len(frames), 4), np.nan, np.float32),
            np.empty((0, variants, rows, columns), np.float16), np.empty((0, 3), np.float32),
            np.empty(0, np.intp), np.empty(0, np.intp),
        )  # fmt: skip
    corners = [np.array(truth.box).reshape(2, 2) for truth in truths]
    boxes = [
        (to_image.inverse(each) + 0.5).ravel() for to_image, each in zip(maps, corners, strict=True)
    ]
    crops = np.empty((len(images), variants, *grade.size_px), np.float16)
    for variant in range(variants):
        off = rng.normal(0, _OFF_MM, (len(images), 1, 2)) if variant else np.zeros((1, 1, 2))
        for place, moved in enumerate(np.array(corners) + off / case.series[0].pixel_mm):
            crop = region_crop(Region(0, moved, 1.0), images[place], grade)
            crops[place, variant] = grade_feeds([images[place]], [crop], grade)["image"][0, 0]
    return Canals(
        np.array(frames, np.float16), np.array(boxes, np.float32), crops,
        np.array([class_readings(evidence_of(each.room_mm)) for each in truths], np.float32),
        np.zeros(len(crops), np.intp), np.array([CLASSES.index(case.disease.grade)]),
    )  # fmt: skip


def _height(image: Image) -> float:
    return float(cast(Plane, image.plane).origin_mm[2])  # which a slice of a stack has


def _truths(case: CtPhantom, images: Sequence[Image]) -> list[SliceTruth]:
    """Return what is true of each image: of the slice that lies as high."""
    if not case.slices:
        return []
    heights = {frame.position: frame.origin_mm[2] for frame in case.series[0].frames}
    order = np.array([heights[place + 1] for place in range(len(case.slices))])
    return [case.slices[int(np.abs(order - _height(image)).argmin())] for image in images]


def _chosen(
    truths: Sequence[SliceTruth], rng: np.random.Generator, kept: int
) -> npt.NDArray[np.intp]:
    """Return which slices are kept: the narrowest, and others by chance; from the feet up."""
    by_room = np.argsort([truth.room_mm for truth in truths])
    others = rng.permutation(by_room[kept // 2 :])[: kept - kept // 2]
    return np.sort(np.concatenate([by_room[: kept // 2], others]))
