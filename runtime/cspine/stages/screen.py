"""Screening: whether the image is what its header says, and fit to be judged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cspine.backends import Array
from cspine.errors import BackendError
from cspine.findings import Refused, Withheld
from cspine.spec import Screen, Sign
from cspine.stages.levels import level_names


def present_signs(outputs: Mapping[str, Array], stage: Screen) -> tuple[Sign, ...]:
    """Return the signs that are present, in order of precedence.

    ``outputs["logits"]`` has shape (1, signs).

    Raises
    ------
    BackendError
        If there is not one number a sign: a sign would pass for absent.
    """
    logits = outputs["logits"].astype(np.float64)
    if logits.shape != (1, len(stage.sign)) or np.isnan(logits).any():
        raise BackendError(
            f"stage {stage.id!r}, output 'logits': got shape {logits.shape}, expected a number for "
            f"each of {len(stage.sign)} signs"
        )
    return tuple(
        sign
        for sign, logit in zip(stage.sign, logits[0], strict=True)
        if logit >= np.log(sign.threshold / (1 - sign.threshold))
    )


def refuse(signs: tuple[Sign, ...]) -> None:
    """Refuse a study for the first sign that does not only withhold levels.

    Raises
    ------
    Refused
        With the sign's code and words.
    """
    for sign in signs:
        if sign.withholds_from is None:
            raise Refused(sign.code, sign.reason, remedy=sign.remedy)


def withheld(signs: tuple[Sign, ...], vertebrae: list[str]) -> tuple[Withheld, ...]:
    """Return the levels that signs withhold: those that touch a vertebra or lie below it."""
    found: dict[str, Withheld] = {}
    for sign in signs:
        if sign.withholds_from is not None:
            first = vertebrae.index(sign.withholds_from) - 1
            for name in level_names(vertebrae)[first:]:
                found.setdefault(name, Withheld(label=name, code=sign.code, reason=sign.reason))
    return tuple(found.values())
