"""The screen in the pipeline: what it leaves out, what it stops, and doing without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from cspine.backends import open_backend
from cspine.backends.recorder import Recorder
from cspine.bundle import Bundle
from cspine.dicom.select import Study
from cspine.findings import Identity
from cspine.outcome import Outcome
from cspine.pipeline import Pipeline
from cspine.session import Session
from cspine.spec import PipelineSpec, Screen
from cspine_phantom.study import phantom

IDENTITY = Identity(
    pipeline="xray", bundle="", backend="onnxruntime", precision="fp32", target=None
)

Judged = tuple[Outcome, dict[str, Recorder]]


@pytest.fixture
def judge(made: Bundle) -> Callable[[PipelineSpec, Study], Judged]:
    """Return the function that judges a study by a pipeline file, and what each network saw."""

    def judged(spec: PipelineSpec, study: Study) -> Judged:
        recorders = {
            stage.id: Recorder(open_backend("onnxruntime", made.model(stage.id)))
            for stage in spec.networks
        }
        sessions = {name: Session(name, recorder) for name, recorder in recorders.items()}
        pipeline = Pipeline(spec, sessions=sessions, identity=IDENTITY)
        outcome = pipeline.run(study)
        pipeline.close()
        return outcome, recorders

    return judged


def screened(spec: PipelineSpec, **changes: Any) -> PipelineSpec:
    """The pipeline with a changed screen; without any if nothing is changed."""
    screens = [msgspec.structs.replace(spec.screen, **changes)] if spec.screen and changes else []
    others = [stage for stage in spec.stage if not isinstance(stage, Screen)]
    return msgspec.structs.replace(spec, stage=[*screens, *others])


def test_without_a_screen_the_answer_is_the_same(
    made: Bundle, studies: list[Study], judge: Callable[..., Judged]
) -> None:
    with_screen, _ = judge(made.spec, studies[0])
    without, recorders = judge(screened(made.spec), studies[0])
    assert list(recorders) == ["localise", "classify"]
    assert without.findings == with_screen.findings
    assert "screen" in with_screen.nanoseconds
    assert "screen" not in without.nanoseconds


def test_without_a_screen_a_frontal_film_is_still_refused(
    made: Bundle, judge: Callable[..., Judged]
) -> None:
    for number in range(3):
        film = phantom(seed=505, number=number, fault="ap", header="lying").dataset
        refusal = judge(screened(made.spec), Study((film,)))[0].findings.refusal
        assert refusal is not None
        assert refusal.code == "MODEL_UNSURE"


def test_what_the_screen_refuses_no_other_network_sees(
    made: Bundle, judge: Callable[..., Judged]
) -> None:
    film = phantom(seed=505, number=0, fault="ap", header="lying").dataset
    outcome, recorders = judge(made.spec, Study((film,)))
    assert outcome.findings.refusal is not None
    assert outcome.findings.refusal.code == "WRONG_VIEW"
    assert [len(recorder.feeds) for recorder in recorders.values()] == [1, 0, 0]


def test_one_frame_serves_both_networks_and_two_where_they_differ(
    made: Bundle, studies: list[Study], judge: Callable[..., Judged]
) -> None:
    same, recorders = judge(made.spec, studies[0])
    ours, theirs = (recorders[stage].feeds[0]["image"] for stage in ("screen", "localise"))
    assert np.array_equal(ours, theirs)
    other, recorders = judge(screened(made.spec, spacing_mm=1.05), studies[0])
    wider = recorders["screen"].feeds[0]["image"]
    assert np.array_equal(recorders["localise"].feeds[0]["image"], theirs)
    assert not np.array_equal(wider, theirs)
    assert other.findings.levels == same.findings.levels


def test_withheld_levels_leave_the_others_as_they_were(
    made: Bundle, studies: list[Study], judge: Callable[..., Judged]
) -> None:
    assert made.spec.screen is not None
    hidden = made.spec.screen.sign[-1]
    assert hidden.withholds_from == "C6"
    # So low that no film is without it.
    always = msgspec.structs.replace(hidden, threshold=1e-12)
    spec = screened(made.spec, sign=[*made.spec.screen.sign[:-1], always])
    whole = judge(made.spec, studies[0])[0].findings
    outcome, recorders = judge(spec, studies[0])
    found = outcome.findings
    assert found.status == "partial"
    assert [(item.label, item.code, item.reason) for item in found.withheld] == [
        ("C5/6", "NOT_VISIBLE", hidden.reason),
        ("C6/7", "NOT_VISIBLE", hidden.reason),
        ("C7/T1", "NOT_VISIBLE", hidden.reason),
    ]
    assert recorders["classify"].feeds[0]["image"].shape[0] == 3
    assert [vertebra.label for vertebra in found.vertebrae] == ["C2", "C3", "C4", "C5"]
    assert [level.label for level in found.levels] == ["C2/3", "C3/4", "C4/5"]
    for level, other in zip(found.levels, whole.levels, strict=False):
        assert level.box_px == other.box_px
        assert level.probability == pytest.approx(other.probability, abs=1e-4)
