from __future__ import annotations

import re
from math import inf, nan

import msgspec
import numpy as np
import pytest

from cspine.errors import BackendError
from cspine.findings import Refused, Withheld
from cspine.spec import PipelineSpec, Screen, Sign
from cspine.stages.screen import present_signs, refuse, withheld

VERTEBRAE = ["C2", "C3", "C4", "C5", "C6", "C7", "T1"]


def sign(label: str, *, threshold: float = 0.5, withholds_from: str | None = None) -> Sign:
    return Sign(
        label=label,
        code="NOT_VISIBLE" if withholds_from else "LOW_QUALITY",
        threshold=threshold,
        reason=f"There is {label}.",
        remedy="Send another.",
        withholds_from=withholds_from,
    )


def screen(spec: PipelineSpec, *signs: Sign) -> Screen:
    assert spec.screen is not None
    return msgspec.structs.replace(spec.screen, sign=list(signs))


def present(stage: Screen, *logits: float) -> list[str]:
    outputs = {"logits": np.array([logits], np.float32)}
    return [sign.label for sign in present_signs(outputs, stage)]


def test_signs_come_in_the_order_of_the_file_whatever_their_scores(spec: PipelineSpec) -> None:
    stage = screen(spec, sign("fog"), sign("rain"), sign("snow"))
    assert present(stage, 1, 9, -1) == ["fog", "rain"]
    assert present(stage, -1, 9, 30) == ["rain", "snow"]
    assert present(stage, -1, -9, -0.1) == []


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.8, 0.99])
def test_a_score_that_meets_its_threshold_is_a_sign(spec: PipelineSpec, threshold: float) -> None:
    stage = screen(spec, sign("fog", threshold=threshold), sign("rain", threshold=1 - threshold))
    met = np.float32(np.log(threshold / (1 - threshold)))
    # One step of float32 to each side, for the threshold itself lies between two of them.
    assert present(stage, float(np.nextafter(met, np.float32(inf))), -99) == ["fog"]
    assert present(stage, float(np.nextafter(met, np.float32(-inf))), -99) == []
    assert present(screen(spec, sign("fog")), 0.0) == ["fog"]


def test_every_sign_has_its_own_threshold(spec: PipelineSpec) -> None:
    stage = screen(spec, sign("fog", threshold=0.9), sign("rain", threshold=0.1))
    assert present(stage, 1, -1) == ["rain"]


def test_infinite_scores_are_scores(spec: PipelineSpec) -> None:
    assert present(screen(spec, sign("fog"), sign("rain")), inf, -inf) == ["fog"]


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param(np.zeros((1, 1)), id="fewer"),
        pytest.param(np.zeros((1, 3)), id="more"),
        pytest.param(np.zeros((2, 2)), id="two images"),
        pytest.param(np.zeros(2), id="no batch"),
        pytest.param(np.zeros((1, 2, 1, 1)), id="maps"),
        pytest.param(np.array([[nan, -9.0]]), id="first no number"),
        pytest.param(np.array([[9.0, nan]]), id="last no number"),
    ],
)
def test_without_a_number_for_each_sign_nothing_is_admitted(
    spec: PipelineSpec, logits: np.ndarray
) -> None:
    stage = screen(spec, sign("fog"), sign("rain"))
    told = "stage 'screen', output 'logits': got shape "
    with pytest.raises(BackendError, match=re.escape(told) + ".* each of 2 signs"):
        present_signs({"logits": logits.astype(np.float32)}, stage)


def test_the_first_sign_that_refuses_gives_code_and_words() -> None:
    fog, rain = sign("fog"), sign("rain")
    with pytest.raises(Refused, match=r"^There is fog\.$") as caught:
        refuse((sign("a veil", withholds_from="C7"), fog, rain))
    assert caught.value.refusal.code == fog.code
    assert caught.value.refusal.remedy == fog.remedy


def test_nothing_is_refused_without_a_sign_or_for_one_that_withholds() -> None:
    refuse(())
    refuse((sign("a veil", withholds_from="C7"),))


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ("T1", ["C7/T1"]),
        ("C7", ["C6/7", "C7/T1"]),
        ("C4", ["C3/4", "C4/5", "C5/6", "C6/7", "C7/T1"]),
    ],
)
def test_levels_that_touch_a_vertebra_or_lie_below_are_withheld(
    first: str, names: list[str]
) -> None:
    veil = sign("a veil", withholds_from=first)
    assert withheld((sign("fog"), veil), VERTEBRAE) == tuple(
        Withheld(label=name, code=veil.code, reason=veil.reason) for name in names
    )


def test_nothing_is_withheld_without_a_sign_that_does() -> None:
    assert withheld((), VERTEBRAE) == withheld((sign("fog"),), VERTEBRAE) == ()


def test_of_two_signs_that_withhold_a_level_the_first_says_why() -> None:
    low, high = sign("a veil", withholds_from="T1"), sign("a shade", withholds_from="C7")
    reasons = {item.label: item.reason for item in withheld((low, high), VERTEBRAE)}
    assert reasons == {"C7/T1": low.reason, "C6/7": high.reason}
