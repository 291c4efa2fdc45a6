"""Training the detector of the canal: torchvision's Faster R-CNN around the pipeline's parts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cspine.detection.boxes import overlaps
from cspine.detection.faster_rcnn import NONE, Detections, detected, proposed
from cspine.detection.spec import DetectorSpec
from cspine.spec import Detect, Features
from cspine.transform import Affine
from cspine_export.architecture import build_network
from cspine_export.detector_parts import FeaturesNetwork, HeadNetwork
from cspine_export.detectors import Detector
from cspine_phantom.training.augment import Move, rescanned
from cspine_phantom.training.canals import Canals, Floats, Pair
from cspine_phantom.training.fit import Tensor, Trained, fit
from cspine_phantom.training.recipe import Recipe

_SAMPLED = 64
"""Anchors, and regions, that the loss of one slice is taken over: it has one canal."""

FOUND = 0.5
"""Overlap (intersection over union) from which on a canal counts as found."""


def train_detector(stage: Detect, data: Pair, held: Pair, recipe: Recipe) -> Trained:
    """Fit both networks of the detector as one; report what it finds on the tuning patients."""
    from cspine_export.faster_rcnn import joined  # torchvision, for this network only

    features: Features = data.spec.only(Features)
    numbers = stage.detector(features)
    rng = np.random.default_rng([recipe.seed, 8])
    torch.manual_seed(recipe.seed)
    parts = cast(Detector, build_network(stage.architecture, detector=numbers))
    model = joined(parts, numbers)
    model.rpn.fg_bg_sampler.batch_size_per_image = _SAMPLED
    model.roi_heads.fg_bg_sampler.batch_size_per_image = _SAMPLED
    model.rpn._pre_nms_top_n["training"] = 4 * numbers.proposals.before_nms
    model.rpn._post_nms_top_n["training"] = 4 * numbers.proposals.after_nms
    seen = data.seen

    def step(network: nn.Module, _: int) -> Tensor:
        images, targets = [], []
        for i in rng.integers(0, len(seen.frames), recipe.canal_batch):
            image, box = _varied(seen, int(i), features, rng, recipe.noise)
            images.append(torch.from_numpy(image[None]))
            boxes = box[None] if np.isfinite(box).all() else np.empty((0, 4), np.float32)
            targets.append(
                {
                    "boxes": torch.from_numpy(boxes),
                    "labels": torch.ones(len(boxes), dtype=torch.int64),
                }
            )
        losses: dict[str, Tensor] = network(images, targets)
        return torch.stack(list(losses.values())).sum()

    _, losses = fit(model, step, recipe.canal_steps, **recipe.pace)
    return parts.eval(), {"loss": losses, **report(parts, numbers, held.seen)}


def _varied(
    seen: Canals, index: int, features: Features, rng: np.random.Generator, noise: float
) -> tuple[Floats, Floats]:
    """Return a slice as it might have lain and been scanned, and its box there."""
    rows, columns = features.size_px
    size, angle = rng.uniform(0.88, 1.14), np.radians(rng.uniform(-8, 8))
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([columns - 1, rows - 1]) / 2
    shift = rng.uniform(-16, 16, 2) / features.spacing_mm
    move = Move(
        features.size_px,
        Affine(np.column_stack([turn, middle - turn @ middle + shift])),
        mirrored=rng.random() < 0.5,
        turned_over=False,
    )
    image = move.image(seen.frames[index].astype(np.float32))
    image = rescanned(image, rng, pixel_mm=features.spacing_mm, noise=noise)
    left, top, right, bottom = seen.boxes[index] - 0.5
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    # A box that is turned would be too large at its corners: the middles of its sides are kept.
    sides = np.array(corners)
    ends = move.points((sides + np.roll(sides, -1, axis=0)) / 2)
    box = np.concatenate([ends.min(axis=0), ends.max(axis=0)]) + 0.5
    return image, box.astype(np.float32)


def detections(
    parts: Detector, frames: npt.NDArray[Any], numbers: DetectorSpec
) -> list[Detections]:
    """Return what the detector finds on frames, slice by slice, the host's part as on a device."""
    features = FeaturesNetwork(parts.backbone, parts.rpn_head, anchors=numbers.anchor_count).eval()
    head = HeadNetwork(parts.box_head, parts.box_predictor).eval()
    names = [*(anchors.map for anchors in numbers.anchors), "objectness", "deltas"]
    found = []
    with torch.inference_mode():
        for frame in frames:
            made = features(torch.from_numpy(frame.astype(np.float32)[None, None]))
            outputs = {name: each.numpy() for name, each in zip(names, made, strict=True)}
            (one,) = proposed(outputs, numbers, images=1, stage="features")
            if not len(one.boxes):
                found.append(NONE)
                continue
            logits, deltas = head(torch.from_numpy(one.regions))
            answers = {"class_logits": logits.numpy(), "box_deltas": deltas.numpy()}
            found.append(detected(one.boxes, answers, numbers, stage="detect"))
    return found


def report(parts: Detector, numbers: DetectorSpec, held: Canals) -> dict[str, float]:
    """Return how much of what is there is found, and how often something is found where none is."""
    found = detections(parts, held.frames, numbers)
    there = np.isfinite(held.boxes[:, 0])
    shares = np.array(
        [
            float(overlaps(each.boxes[:1], box[None])[0, 0]) if len(each.boxes) else 0.0
            for each, box, canal in zip(found, held.boxes, there, strict=True)
            if canal
        ]
    )
    told = [len(each.boxes) > 0 for each, canal in zip(found, there, strict=True) if not canal]
    return {
        "tuning_slices": len(shares),
        "tuning_recall": round(float((shares >= FOUND).mean()), 4),
        "tuning_overlap": round(float(shares.mean()), 4),
        "tuning_slices_of_heads": len(told),
        "tuning_found_in_heads": round(float(np.mean(told)), 4),
    }
