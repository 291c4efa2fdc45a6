"""Training the networks that grade MR studies: bones, grades of levels, and ends of the cord."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from cspine.cord import CORD, cord_diameters
from cspine.dicom.select import Study
from cspine.findings import Refused
from cspine.image import Image
from cspine.plane import Plane
from cspine.spec import Cord, Grade, PipelineSpec, Segment
from cspine.stages.axial import Cut
from cspine.stages.classify import classify_feeds
from cspine.stages.cord import cord_feeds, cord_map
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.grade import log_odds, log_softmax, probability
from cspine.stages.landmarks import decode
from cspine.transform import Affine, Points, sample_labels, zoom
from cspine_bench.metrics.agreement import accuracy, confusion_matrix, kappa
from cspine_bench.metrics.auc import auc
from cspine_export.architecture import build_network
from cspine_phantom.mr.graded import GradedPhantom, graded_phantom
from cspine_phantom.mr.grades import ideal_kappa, ideal_matrix, readings
from cspine_phantom.mr.section import section
from cspine_phantom.mr.truth import bones
from cspine_phantom.patients import LEVELS
from cspine_phantom.pool import spread
from cspine_phantom.training.augment import Move
from cspine_phantom.training.classifier import varied, youden_threshold
from cspine_phantom.training.fit import Tensor, Trained, fit, forward, predict, told
from cspine_phantom.training.landmarks import place_loss, wanted
from cspine_phantom.training.localiser import train_localiser
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.tensors import crop_maps, spine_of

Halves = npt.NDArray[np.float16]

_CORDS = 6  # axial slices of a patient, of those between the highest disc and the lowest
_OFF_MM = 2.5  # by which the middle of a frame misses that of the cord, one standard deviation


@dataclass(frozen=True)
class Seen:
    """What training looks at: of one patient, or of all.

    Attributes
    ----------
    images, masks
        What finds the bones, and their label map, shape (patients, rows, columns).
    crops
        Shape (levels, variants, rows, columns): the first variant is centred as on the device, the
        others are jittered as what finds the bones may err.
    grades
        What the reader said, shape (levels,), int64.
    readings
        Part of all readers who would give each grade, shape (levels, 4), float32.
    frames
        About the cord in axial slices, shape (slices, rows, columns).
    points
        Ends of its diameters in the order of :data:`cspine.cord.CORD`, shape (slices, 4, 2), (x, y)
        in pixels of the frame.
    """

    images: Halves
    masks: npt.NDArray[np.uint8]
    crops: Halves
    grades: npt.NDArray[np.int64]
    readings: npt.NDArray[np.float32]
    frames: Halves
    points: Points


def studies(spec: PipelineSpec, recipe: Recipe) -> tuple[Seen, Seen]:
    """Return what the networks are fitted to, and what the tuning patients show."""
    count, held, variants = recipe.graded_patients, recipe.graded_tuning, recipe.variants
    return (
        gather_studies(spec, patients=count, seed=recipe.seed, variants=variants),
        gather_studies(spec, patients=held, seed=recipe.seed + 1, variants=1),
    )


def gather_studies(spec: PipelineSpec, *, patients: int, seed: int, variants: int) -> Seen:
    """Simulate patients on all cores and keep what the networks see of them."""
    jobs = [(seed, number) for number in range(patients)]
    found = [each for each in spread(partial(_seen, spec, variants), jobs, progress=told) if each]
    return Seen(
        *(np.concatenate([getattr(each, field.name) for each in found]) for field in fields(Seen))
    )


def _seen(spec: PipelineSpec, variants: int, job: tuple[int, int]) -> Seen | None:
    """Return what the networks see of one patient; nothing, if the device would refuse the study.

    Without slices, as of some patients, there are none of the cord.
    """
    seed, number = job
    case = graded_phantom(seed=seed, number=number, only=("sag T2", "ax T2"))
    try:
        images = Study(case.datasets).images(spec.accept)
    except Refused:
        return None
    moves = np.random.default_rng([seed, number, 3])
    segment: Segment = spec.only(Segment)
    image = images[0]
    to_image = frame_map(image, segment)
    frame = frame_feeds(image, to_image, segment)["image"][:, 0].astype(np.float16)
    mask = sample_labels(_bones(case, image), to_image, size_px=segment.size_px)
    spine = spine_of(mask, image, spec)
    if spine is None:
        return None
    grade: Grade = spec.only(Grade)
    from_mm = to_image @ zoom(1 / segment.spacing_mm)
    crops = np.empty((len(spine.discs), variants, *grade.size_px), np.float16)
    for variant in range(variants):
        maps = crop_maps(list(spine.discs), spine.facing, grade, moves if variant else None)
        feeds = classify_feeds(image, [from_mm @ to_mm for to_mm in maps], grade)
        crops[:, variant] = feeds["image"][:, 0]
    levels = [LEVELS.index(name) for name in spine.names]
    narrowness = np.array(case.narrowing.narrowness)[levels]
    frames, points = _cords(case, images, spec.only(Cord), moves)
    return Seen(
        frame, mask[None], crops, np.array(case.narrowing.grades)[levels],
        readings(narrowness).astype(np.float32), frames, points,
    )  # fmt: skip


def _bones(case: GradedPhantom, image: Image) -> npt.NDArray[np.uint8]:
    return bones(case.anatomy, case.lying, _plane(image), shape=image.shape)


def _plane(image: Image) -> Plane:
    return cast(Plane, image.plane)  # every slice of a stack has one


def _cords(
    case: GradedPhantom, images: Sequence[Image], stage: Cord, moves: np.random.Generator
) -> tuple[Halves, Points]:
    """Return frames about the cord in some axial slices, and the ends of its diameters in them."""
    heights = [centre[2] for centre in case.discs.values()]
    cuts, ends = [], []
    for place, image in enumerate(images[1:], 1):
        plane = _plane(image)
        placed = section(case.anatomy, case.lying, plane).points().values()
        points = np.array([case.lying.place(point) for point in placed])
        if not min(heights) - 5 < points[0, 2] < max(heights) + 5:
            continue
        found = plane.to_pixels(points)[:, :2]
        off_px = moves.normal(0, _OFF_MM, 2) / image.spacing_mm[::-1]
        cuts.append(Cut(LEVELS[0], place, found.mean(axis=0) + off_px, 0.0))
        ends.append(found)
    chosen = sorted(moves.permutation(len(cuts))[:_CORDS].tolist())
    if not chosen:
        return np.empty((0, *stage.size_px), np.float16), np.empty((0, 4, 2))
    kept = [cuts[index] for index in chosen]
    maps = [cord_map(cut, images[cut.image], stage) for cut in kept]
    frames = cord_feeds(images, kept, maps, stage)["image"][:, 0].astype(np.float16)
    places = [to_image.inverse(ends[i]) for i, to_image in zip(chosen, maps, strict=True)]
    return frames, np.stack(places)


def train_bones(stage: Segment, data: Seen, held: Seen, recipe: Recipe) -> Trained:
    """Fit the network that finds the bones and report its Dice on the tuning patients."""
    return train_localiser(stage, data, held, replace(recipe, segment_steps=recipe.bone_steps))


def train_grades(stage: Grade, data: Seen, held: Seen, recipe: Recipe) -> Trained:
    """Fit the network to what all readers would say, and choose the threshold of compression."""
    rng = np.random.default_rng([recipe.seed, 8])
    wanted_grades = torch.from_numpy(data.readings)

    def step(network: nn.Module, _: int) -> Tensor:
        chosen = rng.integers(0, len(data.crops), recipe.grade_batch)
        variant = rng.integers(0, data.crops.shape[1], len(chosen))
        crops = varied(data.crops[chosen, variant], stage, rng, recipe.noise)
        logits = forward(network, torch.from_numpy(crops[:, None]))
        return functional.cross_entropy(logits, wanted_grades[chosen])

    torch.manual_seed(recipe.seed)
    network, losses = fit(
        build_network(stage.architecture), step, recipe.grade_steps, **recipe.pace
    )
    logs = log_softmax(predict(network, held.crops[:, 0]))
    matrix = confusion_matrix(held.grades, logs.argmax(axis=1), classes=len(stage.classes))
    truth = held.grades >= stage.classes.index(stage.positive[0])
    scores = probability(log_odds(logs, stage))
    threshold = youden_threshold(truth, scores)
    return network, {
        "loss": losses,
        "tuning_levels": len(truth),
        "tuning_accuracy": round(accuracy(matrix), 4),
        "ideal_accuracy": round(float(np.trace(ideal_matrix())), 4),
        "tuning_kappa": round(kappa(matrix, weights="quadratic"), 4),
        "ideal_kappa": round(ideal_kappa(), 4),
        "tuning_auc": round(auc(truth, scores), 4),
        "tuning_threshold": round(threshold, 4),
        "tuning_sensitivity": round(float((scores[truth] >= threshold).mean()), 4),
        "tuning_specificity": round(float((scores[~truth] < threshold).mean()), 4),
    }


def train_cords(stage: Cord, data: Seen, held: Seen, recipe: Recipe) -> Trained:
    """Fit the network and report how far off ends and ratios are on the tuning patients."""
    rng = np.random.default_rng([recipe.seed, 9])
    sigma_px = recipe.cord_sigma_mm / stage.spacing_mm

    def step(network: nn.Module, _: int) -> Tensor:
        chosen = rng.integers(0, len(data.frames), recipe.cord_batch)
        moves = [_moved(stage, rng) for _ in chosen]
        frames = np.stack([
            move.image(data.frames[i].astype(np.float32))
            for i, move in zip(chosen, moves, strict=True)
        ]).astype(np.float16)  # fmt: skip
        places = [move.points(data.points[i]) for i, move in zip(chosen, moves, strict=True)]
        across, down = wanted(np.stack(places), size_px=stage.size_px, sigma_px=sigma_px)
        shown = varied(frames, stage, rng, recipe.noise)
        logits = forward(network, torch.from_numpy(shown[:, None]))
        return place_loss(logits, torch.from_numpy(across), torch.from_numpy(down))

    torch.manual_seed(recipe.seed)
    network, losses = fit(build_network(stage.architecture), step, recipe.cord_steps, **recipe.pace)
    found, share = decode_all(network, stage, held.frames)
    error = np.linalg.norm(found - held.points, axis=2) * stage.spacing_mm
    off = ratios(found) - ratios(held.points)
    return network, {
        "loss": losses,
        "tuning_slices": len(error),
        "error_mm": {
            name: round(value, 3)
            for name, value in zip(stage.points, error.mean(axis=0).tolist(), strict=True)
        },
        "ratio_error": round(float(np.abs(off).mean()), 4),
        "ratio_bias": round(float(off.mean()), 4),
        "confidence_of_99_percent": round(float(np.quantile(share, 0.01)), 4),
    }


def ratios(points: Points) -> npt.NDArray[np.float64]:
    """Return the compression ratio that the ends of each cord give, shape (slices,)."""
    return np.array(
        [cord_diameters(dict(zip(CORD, each, strict=True)), (1.0, 1.0)).ratio for each in points]
    )


def decode_all(
    network: nn.Module, stage: Cord, frames: Halves
) -> tuple[Points, npt.NDArray[np.float64]]:
    """Return position and confidence of every point of every frame, as the device reads them."""
    reach_px = stage.reach_mm / stage.spacing_mm
    read = [decode(logits, reach_px=reach_px) for logits in predict(network, frames)]
    places, shares = zip(*read, strict=True)
    return np.stack(places), np.stack(shares).astype(np.float64)


def _moved(stage: Cord, rng: np.random.Generator) -> Move:
    """Draw how a neck might have lain in the frame; left stays left."""
    angle, size = np.radians(rng.uniform(-8, 8)), rng.uniform(0.9, 1.12)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rows, columns = stage.size_px
    middle = np.array([columns - 1, rows - 1]) / 2
    shift_px = rng.uniform(-2, 2, 2) / stage.spacing_mm
    matrix = np.column_stack([turn, middle - turn @ middle + shift_px])
    return Move(stage.size_px, Affine(matrix), mirrored=False, turned_over=False)
