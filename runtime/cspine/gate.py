"""The release gate of a pipeline."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cspine.fields import Positive, Share, Struct


class Gate(Struct, frozen=True, kw_only=True):
    """Margins that a candidate must keep against FP32, declared before calibration.

    Each is how much less than FP32's a figure may be: the AUC, the sensitivity and specificity at
    the pipeline's threshold, the score agreement, which is 1 less the mean change of a level's
    probability, the Dice of the vertebrae, which takes a set with masks, and the share of refused
    studies among those that must be, which takes a set with such. Of a pipeline that measures it
    is how much further off the landmarks, each parameter and the compression ratio may be in the
    mean, and how much smaller the share of values that are given. Of one that grades it is how much
    less the quadratic kappa against the true grades may be; of one that finds regions, the share of
    FP32's that the candidate may lose or move. What is left out is reported and not judged.
    """

    auc_margin: Annotated[float, msgspec.Meta(gt=0, le=0.05)] | None = None
    sensitivity_margin: Share | None = None
    specificity_margin: Share | None = None
    agreement_margin: Share | None = None
    dice_margin: Share | None = None
    refusal_margin: Share | None = None
    landmark_margin_mm: Positive | None = None
    borden_margin_mm: Positive | None = None
    cci_margin_percent: Positive | None = None
    ccl_margin_deg: Positive | None = None
    c0_c7_margin_deg: Positive | None = None
    c1_c7_margin_deg: Positive | None = None
    c2_c7_margin_deg: Positive | None = None
    answer_margin: Share | None = None
    kappa_margin: Share | None = None
    ratio_margin: Share | None = None
    box_margin: Share | None = None

    @property
    def margins(self) -> dict[str, float]:
        """The margins that were declared, by the name of what they are of."""
        declared = {
            "AUC": self.auc_margin,
            "sensitivity": self.sensitivity_margin,
            "specificity": self.specificity_margin,
            "score agreement": self.agreement_margin,
            "Dice": self.dice_margin,
            "refusals": self.refusal_margin,
            "landmarks": self.landmark_margin_mm,
            "Borden": self.borden_margin_mm,
            "CCI": self.cci_margin_percent,
            "CCL": self.ccl_margin_deg,
            "C0-C7": self.c0_c7_margin_deg,
            "C1-C7": self.c1_c7_margin_deg,
            "C2-C7": self.c2_c7_margin_deg,
            "answers": self.answer_margin,
            "quadratic kappa": self.kappa_margin,
            "ratio": self.ratio_margin,
            "boxes": self.box_margin,
        }
        return {name: margin for name, margin in declared.items() if margin is not None}
