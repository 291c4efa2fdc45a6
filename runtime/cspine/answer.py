"""From what the stages found to what is said."""

from __future__ import annotations

from collections.abc import Sequence

from cspine.findings import Findings, Identity, Level, Refused, Source, Vertebra
from cspine.image import Floats, Image
from cspine.spec import Classify
from cspine.stages.classify import crop_corners
from cspine.stages.levels import Spine, rounded
from cspine.transform import Affine


def levels(
    spine: Spine, crops: Sequence[Affine], scores: Floats, *, stage: Classify
) -> tuple[Level, ...]:
    """Return the answer at each level of a spine.

    Parameters
    ----------
    spine
        Its levels, in order.
    crops
        Per level the map from its crop's pixels to the image's.
    scores
        Probability of the positive class, shape (levels,).
    """
    answers = []
    for disc, crop, score in zip(spine.discs, crops, scores.tolist(), strict=True):
        a, b, c, d = (rounded(point) for point in crop_corners(crop, stage.size_px))
        positive = score >= stage.threshold
        answers.append(
            Level(
                label=disc.label,
                probability=round(score, 4),
                positive=positive,
                decision=stage.positive if positive else stage.negative,
                box_px=(a, b, c, d),
            )
        )
    return tuple(answers)


def answered(
    image: Image,
    spine: Spine,
    vertebrae: tuple[Vertebra, ...],
    answers: tuple[Level, ...],
    *,
    identity: Identity,
    threshold: float,
) -> Findings:
    """Return the findings of a study that was judged, with what was withheld."""
    return Findings(
        status="partial" if spine.withheld else "answered",
        refusal=None,
        source=image.source,
        identity=identity,
        spacing=image.spacing,
        facing=spine.facing,
        threshold=threshold,
        vertebrae=vertebrae,
        levels=answers,
        withheld=spine.withheld,
        notes=image.notes,
    )


def refusal(
    refused: Refused, source: Source | None, *, identity: Identity, threshold: float
) -> Findings:
    """Return the findings of a study that was refused: a code, a reason, and no score."""
    return Findings(
        status="refused",
        refusal=refused.refusal,
        source=source,
        identity=identity,
        spacing=None,
        facing=None,
        threshold=threshold,
        vertebrae=(),
        levels=(),
        withheld=(),
        notes=(),
    )
