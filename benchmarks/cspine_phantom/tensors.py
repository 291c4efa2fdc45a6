"""Training tensors from phantoms, through the very code that prepares a study on the device."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.dicom.read import read_image
from cspine.findings import Refused
from cspine.image import Facing, Image
from cspine.spec import Classify, Levels, PipelineSpec, Segment
from cspine.stages.classify import classify_feeds, crop_map
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.levels import Disc, find_spine
from cspine.transform import Affine, sample_labels, zoom
from cspine_phantom.cases import Phantom, phantom, phantoms
from cspine_phantom.faults import Fault
from cspine_phantom.patients import LEVELS
from cspine_phantom.radiograph import LabelMap
from cspine_phantom.shapes import POSTERIOR

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Samples:
    """Everything one training run looks at.

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


def gather(
    spec: PipelineSpec,
    *,
    patients: int,
    seed: int,
    variants: int,
    frontal: int = 0,
    hidden: int = 0,
) -> Samples:
    """Simulate patients and keep what the two networks see of them.

    Films of other patients follow for the localiser alone: ``frontal`` ones, on which it learns
    to find nothing, and ``hidden`` ones, on which it learns not to guess what the shoulders hide.
    """
    segment, levels, classify = spec.only(Segment), spec.only(Levels), spec.only(Classify)
    jitter = np.random.default_rng([seed, 1])
    images, masks, crops, labels = [], [], [], []
    for study in _progress(phantoms(patients=patients, seed=seed), patients):
        image = read_image(study.dataset)
        to_image = frame_map(image, segment)
        mask = sample_labels(study.mask, to_image, size_px=segment.size_px)
        images.append(frame_feeds(image, to_image, segment)["image"][0, 0].astype(np.float16))
        masks.append(mask)
        try:
            spine = find_spine(
                mask,
                names=segment.labels,
                spacing_mm=segment.spacing_mm,
                stage=levels,
                facing=image.facing,
            )
        except Refused:
            continue  # cut off by the frame: the device would refuse it too
        from_mm = to_image @ zoom(1 / segment.spacing_mm)
        discs = [disc for disc in spine.discs if disc.label in study.labels]
        stack = [
            _crops(image, discs, from_mm, spine.facing, classify, jitter if variant else None)
            for variant in range(variants)
        ]
        crops.append(np.stack(stack, axis=1))
        labels.append(np.array([study.labels[disc.label] for disc in discs], np.float32))
    kinds: tuple[tuple[Fault, int], ...] = (("ap", frontal), ("c7 hidden", hidden))
    others = [fault for fault, count in kinds for _ in range(count)]
    for number, fault in enumerate(others, patients):
        study = phantom(seed=seed, number=number, fault=fault)
        image = read_image(study.dataset)
        to_image = frame_map(image, segment)
        images.append(frame_feeds(image, to_image, segment)["image"][0, 0].astype(np.float16))
        masks.append(sample_labels(_seen(study), to_image, size_px=segment.size_px))
    return Samples(np.stack(images), np.stack(masks), np.concatenate(crops), np.concatenate(labels))


def _seen(study: Phantom) -> LabelMap:
    """Return the label map of a film without the bodies that are hidden on it."""
    if not study.hidden:
        return study.mask
    first = LEVELS.index(study.hidden[0]) + 2  # C2 has label 1; hidden is the lower of a level
    bodies = (study.mask >= first) & (study.mask < POSTERIOR)
    return np.where(bodies, 0, study.mask).astype(np.uint8)


def _crops(
    image: Image,
    discs: list[Disc],
    from_mm: Affine,
    facing: Facing,
    stage: Classify,
    jitter: np.random.Generator | None,
) -> Halves:
    maps = []
    for disc in discs:
        moved = _jittered(disc, jitter) if jitter else disc
        size = jitter.uniform(0.92, 1.08) if jitter else 1.0
        wider = msgspec.structs.replace(stage, spacing_mm=stage.spacing_mm * size)
        maps.append(from_mm @ crop_map(moved, facing=facing, stage=wider))
    return classify_feeds(image, maps, stage)["image"][:, 0].astype(np.float16)


def _jittered(disc: Disc, jitter: np.random.Generator) -> Disc:
    """Move a level by what a localiser errs by: 1.5 mm and 5 degrees, one standard deviation."""
    angle = np.radians(jitter.normal(0, 5))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Disc(disc.label, disc.centre + jitter.normal(0, 1.5, 2), turn @ disc.down)


def _progress(studies: Iterable[Phantom], total: int) -> Iterator[Phantom]:
    for number, study in enumerate(studies, 1):
        if number % 100 == 0 or number == total:
            print(f"  {number} of {total} phantoms", file=sys.stderr, flush=True)
        yield study
