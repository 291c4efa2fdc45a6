"""From what the stages left to what is said, and to what a picture of it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cspine.findings import Box, Decision, Findings, Identity, Level, Refused, SliceScore, Source
from cspine.image import Image
from cspine.outcome import Labelled, View
from cspine.spec import PipelineSpec
from cspine.stages.classify import crop_corners, probabilities
from cspine.stages.grade import Crop, Graded, log_odds, probability, said
from cspine.stages.landmarks import Placed
from cspine.stages.measure import Measured
from cspine.stages.ratio import Compressed
from cspine.stages.worst import Worsts
from cspine.transform import Points, rounded
from cspine.work import Classified, Levelled, Sliced, Work

NOTHING: Mapping[str, Any] = {
    "facing": None,
    "vertebrae": (),
    "levels": (),
    "landmarks": (),
    "measurements": (),
    "decisions": (),
    "withheld": (),
    "notes": (),
}
"""The fields that stages fill, of a study of which nothing is said."""


ADDED = ("withheld", "notes")
"""Of these every stage may have some; of the others the last one says what holds."""


def answered(work: Work, *, spec: PipelineSpec, identity: Identity) -> Findings:
    """Return the findings of a study that was judged, with what was withheld."""
    said: dict[str, Any] = {**NOTHING, "facing": work.image.facing, "notes": work.image.notes}
    for product in work.products.values():
        for field, value in _said(product, work).items():
            said[field] = said[field] + value if field in ADDED else value
    return Findings(
        status="partial" if said["withheld"] else "answered",
        refusal=None,
        source=work.image.source,
        identity=identity,
        spacing=work.image.spacing,
        threshold=spec.threshold,
        **said,
    )


def refusal(
    refused: Refused, source: Source | None, *, spec: PipelineSpec, identity: Identity
) -> Findings:
    """Return the findings of a study that was refused: a code, a reason, and no score."""
    return Findings(
        status="refused",
        refusal=refused.refusal,
        source=source,
        identity=identity,
        spacing=None,
        threshold=spec.threshold,
        **NOTHING,
    )


def view(work: Work, *, title: str) -> View:
    """Return what a picture needs beside the findings."""
    shown: dict[str, Any] = {"image": work.image}
    rows = slice(None)  # which of the crops are shown
    for product in work.products.values():
        match product:
            case Labelled():
                shown |= {"labelled": product}
            case Classified():
                shown |= {"crops": product.crops, "crop_px": product.stage.size_px}
            case Sliced():
                shown |= {"crops": product.maps, "crop_px": product.stage.size_px}
                rows = slice(1)
            case Graded():
                maps = tuple(crop.to_image for crop in product.crops)
                shown |= {"crops": maps, "crop_px": product.stage.size_px}
            case Worsts():
                rows = slice(product.worst, product.worst + 1)
                shown |= {"image": work.images[product.graded.crops[product.worst].image]}
            case Compressed(shown=int(place)):
                shown |= {"axial": work.images[place]}
            case np.ndarray():
                shown |= {"heat": product}
    for name in shown.keys() & {"crops", "heat"}:
        shown[name] = shown[name][rows]
    return View(title=title, **shown)


def logits(work: Work) -> dict[str, float]:
    """Return the raw score of each level, or question about the study, that was classified."""
    kinds = (Classified, Sliced, Graded, Worsts)
    scored = (each for each in work.products.values() if isinstance(each, kinds))
    return {name: score for each in scored for name, score in each.logits.items()}


def _said(product: object, work: Work) -> dict[str, Any]:
    """Return the fields of the findings that a stage's product fills."""
    match product:
        case Levelled():
            spine = product.spine
            return {
                "facing": spine.facing,
                "vertebrae": spine.vertebrae(product.from_mm),
                "withheld": spine.withheld,
            }
        case Classified():
            return {"levels": _levels(product)}
        case Sliced():
            return {"decisions": (_decision(product, work.images),), "notes": (product.stage.note,)}
        case Graded() if product.labels:
            return {"levels": _graded_levels(product)}
        case Worsts():
            note = f"The grades are of {len(product.order)} of {len(work.images)} slices."
            return {
                "decisions": (_worst_decision(product, work.images),),
                "notes": (note, product.stage.note),
            }
        case Placed():
            return {"landmarks": product.said}
        case Measured():  # which does not believe every point
            return {
                "facing": product.facing,
                "landmarks": product.placed.said,
                "measurements": product.measurements,
                "withheld": product.withheld,
                "notes": product.notes,
            }
        case Compressed():
            return {"measurements": product.measurements, "withheld": product.withheld}
    return {}


def _levels(found: Classified) -> tuple[Level, ...]:
    """Return the answer at each level of a spine."""
    stage = found.stage
    answers = []
    for disc, crop, score in zip(
        found.spine.discs, found.crops, found.scores.tolist(), strict=True
    ):
        positive = score >= stage.threshold
        answers.append(
            Level(
                label=disc.label,
                probability=round(score, 4),
                positive=positive,
                decision=stage.positive if positive else stage.negative,
                box_px=_box(crop_corners(crop, stage.size_px)),
            )
        )
    return tuple(answers)


def _graded_levels(found: Graded) -> tuple[Level, ...]:
    """Return the answer at each level that was graded."""
    stage = found.stage
    answers = []
    for label, crop, row in zip(found.labels, found.crops, found.log_probabilities, strict=True):
        score = float(probability(log_odds(row[None], stage))[0])
        grade, classes = said(row, stage)
        positive = score >= stage.threshold
        answers.append(
            Level(
                label=label,
                probability=round(score, 4),
                positive=positive,
                decision=" or ".join(stage.positive if positive else stage.negative),
                box_px=_box(crop.corners),
                grade=grade,
                classes=classes,
            )
        )
    return tuple(answers)


def _decision(found: Sliced, images: Sequence[Image]) -> Decision:
    """Return the answer of a stack, the slice in its middle first."""
    stage = found.stage
    study = found.logit, *found.outputs["logits"][:, 0].tolist()
    score, *scores = probabilities({"logits": np.array(study, np.float32)[:, None]}).tolist()
    positive = score >= stage.threshold
    slices = [
        SliceScore(
            source=image.source,
            probability=round(each, 4),
            box_px=_box(crop_corners(to_image, stage.size_px)),
        )
        for image, to_image, each in zip(images, found.maps, scores, strict=True)
    ]
    return Decision(
        question=stage.question,
        probability=round(score, 4),
        positive=positive,
        decision=stage.positive if positive else stage.negative,
        slices=tuple(slices),
    )


def _worst_decision(found: Worsts, images: Sequence[Image]) -> Decision:
    """Return the answer of graded slices, the worst of them first."""
    stage, graded = found.stage, found.graded
    score = float(probability(log_odds(found.log_probabilities, graded.stage))[0])
    grade, classes = said(found.log_probabilities[0], graded.stage)
    positive = score >= graded.stage.threshold
    order = found.worst, *(each for each in found.order if each != found.worst)
    return Decision(
        question=stage.question,
        probability=round(score, 4),
        positive=positive,
        decision=stage.positive if positive else stage.negative,
        slices=tuple(_graded_slice(graded, each, images) for each in order),
        grade=grade,
        classes=classes,
    )


def _graded_slice(graded: Graded, at: int, images: Sequence[Image]) -> SliceScore:
    crop: Crop = graded.crops[at]
    row = graded.log_probabilities[at]
    grade, classes = said(row, graded.stage)
    score = float(probability(log_odds(row[None], graded.stage))[0])
    return SliceScore(
        source=images[crop.image].source,
        probability=round(score, 4),
        box_px=_box(crop.corners),
        grade=grade,
        classes=classes,
    )


def _box(corners: Points) -> Box:
    a, b, c, d = (rounded(point) for point in corners)
    return a, b, c, d
