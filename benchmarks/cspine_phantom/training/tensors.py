"""Training tensors from phantoms, through the very code that prepares a study on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.dicom.read import read_image
from cspine.findings import Refused
from cspine.image import Facing, Image
from cspine.spec import Classify, Grade, Levels, PipelineSpec, Segment
from cspine.stages.classify import classify_feeds, crop_map
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.levels import Disc, Spine, find_spine
from cspine.transform import Affine, sample_labels, zoom
from cspine_phantom.faults.film import Fault
from cspine_phantom.imaging.radiograph import LabelMap
from cspine_phantom.patients import LEVELS
from cspine_phantom.pool import spread
from cspine_phantom.scene.shapes import POSTERIOR
from cspine_phantom.study import Phantom, phantom
from cspine_phantom.training.fit import told
from cspine_phantom.training.recipe import Recipe

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Samples:
    """What training looks at: of one film, or of all.

    Attributes
    ----------
    images, masks
        Localiser input and label map, shape (studies, rows, columns), float16 and uint8.
    crops
        Classifier input, shape (levels, variants, rows, columns), float16; the first variant is
        centred as on the device, the others are jittered as its localiser may err.
    labels
        Whether compression is present, shape (levels,), float32.
    """

    images: Halves
    masks: npt.NDArray[np.uint8]
    crops: Halves
    labels: npt.NDArray[np.float32]


def films(spec: PipelineSpec, recipe: Recipe) -> tuple[Samples, Samples]:
    """Return what localiser and classifier are fitted to, and what the tuning patients show."""
    fitted = gather(
        spec,
        patients=recipe.train_patients,
        seed=recipe.seed,
        variants=recipe.variants,
        frontal=recipe.frontal_films,
        hidden=recipe.hidden_films,
    )
    held = gather(spec, patients=recipe.tuning_patients, seed=recipe.seed + 1, variants=1)
    return fitted, held


def gather(
    spec: PipelineSpec,
    *,
    patients: int,
    seed: int,
    variants: int,
    frontal: int = 0,
    hidden: int = 0,
) -> Samples:
    """Simulate patients on all cores and keep what the two networks see of them.

    Films of other patients follow for the localiser alone: ``frontal`` ones, on which it learns
    to find nothing, and ``hidden`` ones, on which it learns not to guess what the shoulders hide.
    """
    kinds: tuple[tuple[Fault | None, int], ...]
    kinds = ((None, patients), ("ap", frontal), ("c7 hidden", hidden))
    films = [fault for fault, count in kinds for _ in range(count)]
    jobs = [(seed, number, fault) for number, fault in enumerate(films)]
    found = list(spread(partial(_sample, spec, variants), jobs, progress=told))
    return Samples(
        np.concatenate([each.images for each in found]),
        np.concatenate([each.masks for each in found]),
        np.concatenate([each.crops for each in found]),
        np.concatenate([each.labels for each in found]),
    )


def _sample(spec: PipelineSpec, variants: int, job: tuple[int, int, Fault | None]) -> Samples:
    """Return what the networks see of one film; its levels only if all of them can be judged."""
    seed, number, fault = job
    segment: Segment = spec.only(Segment)
    study = phantom(seed=seed, number=number, fault=fault)
    image = read_image(study.dataset)
    to_image = frame_map(image, segment)
    frame = frame_feeds(image, to_image, segment)["image"][:, 0].astype(np.float16)
    mask = sample_labels(_seen(study), to_image, size_px=segment.size_px)
    spine = None if fault else spine_of(mask, image, spec)
    discs = [disc for disc in spine.discs if disc.label in study.labels] if spine else []
    crops = np.empty((len(discs), variants, *spec.only(Classify).size_px), np.float16)
    if spine and discs:
        jitter = np.random.default_rng([seed, number, 1])
        from_mm = to_image @ zoom(1 / segment.spacing_mm)
        for variant in range(variants):
            maps = crop_maps(discs, spine.facing, spec.only(Classify), jitter if variant else None)
            maps = [from_mm @ to_mm for to_mm in maps]
            crops[:, variant] = classify_feeds(image, maps, spec.only(Classify))["image"][:, 0]
    labels = np.array([study.labels[disc.label] for disc in discs], np.float32)
    return Samples(frame, mask[None], crops, labels)


def spine_of(mask: LabelMap, image: Image, spec: PipelineSpec) -> Spine | None:
    """Find the spine in the true label map; none where the frame cuts it off."""
    segment: Segment = spec.only(Segment)
    try:
        return find_spine(
            mask,
            names=segment.labels,
            spacing_mm=segment.spacing_mm,
            stage=spec.only(Levels),
            facing=image.facing,
        )
    except Refused:
        return None  # the device would refuse it too


def _seen(study: Phantom) -> LabelMap:
    """Return the label map of a film without the bodies that are hidden on it."""
    if not study.hidden:
        return study.mask
    first = LEVELS.index(study.hidden[0]) + 2  # C2 has label 1; hidden is the lower of a level
    bodies = (study.mask >= first) & (study.mask < POSTERIOR)
    return np.where(bodies, 0, study.mask).astype(np.uint8)


def crop_maps(
    discs: Sequence[Disc],
    facing: Facing,
    stage: Classify | Grade,
    jitter: np.random.Generator | None,
) -> list[Affine]:
    """Return the map of each level's crop to millimetres; jittered, as a localiser may err."""
    maps = []
    for disc in discs:
        placed = _jittered(disc, jitter) if jitter else disc
        size = jitter.uniform(0.92, 1.08) if jitter else 1.0
        wider = msgspec.structs.replace(stage, spacing_mm=stage.spacing_mm * size)
        maps.append(crop_map(placed, facing=facing, stage=wider))
    return maps


def _jittered(disc: Disc, jitter: np.random.Generator) -> Disc:
    """Move a level by what a localiser errs by: 1.5 mm and 5 degrees, one standard deviation."""
    angle = np.radians(jitter.normal(0, 5))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Disc(disc.label, disc.centre + jitter.normal(0, 1.5, 2), turn @ disc.down)
