"""A film from its file to the verdict, where the network is one that knows where the points lie."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from cspine.backends import Array, TensorSpec
from cspine.findings import Identity
from cspine.gate import Gate
from cspine.geometry import Lines, sagittal_parameters
from cspine.pipeline import Pipeline
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.session import Session
from cspine.spec import Landmarks, PipelineSpec, Screen
from cspine.stages.frame import frame_map
from cspine.transform import Affine
from cspine_bench.accuracy.answers import CaseAnswers, answer
from cspine_bench.accuracy.decoded import Decoded
from cspine_bench.accuracy.judge import judge
from cspine_bench.accuracy.trial import Trial
from cspine_bench.accuracy.truth import UNITS, measured_lines
from cspine_bench.cases import Case, read_cases
from cspine_phantom.cases import write_cases

IDENTITY = Identity(
    pipeline="xray-sagittal", bundle="ab" * 32, backend="none", precision="fp32", target=None
)
SPREAD = 1.4  # pixels, as a map is trained to show


class Knowing:
    """A network whose maps have their peaks at given places of the frame."""

    def __init__(self, stage: Landmarks, places: np.ndarray) -> None:
        rows, columns = stage.size_px
        self.inputs = (TensorSpec("image", np.dtype(np.float32), (1, 1, rows, columns)),)
        y, x = np.mgrid[:rows, :columns]
        squares = [(x - column) ** 2 + (y - row) ** 2 for column, row in places]
        self._logits = -np.array(squares, np.float32)[None] / (2 * SPREAD**2)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"logits": self._logits.copy()}

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def spec() -> PipelineSpec:
    """The shipped pipeline without its screen."""
    shipped = load_spec(shipped_spec("xray-sagittal"))
    stages = [stage for stage in shipped.stage if not isinstance(stage, Screen)]
    return msgspec.structs.replace(shipped, stage=stages)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    folder = tmp_path_factory.mktemp("films")
    write_cases(folder, patients=2, seed=521, split="test")
    return read_cases(folder, split="test", levels=()).cases


def knowing(spec: PipelineSpec, case: Case, *, shift_px: float) -> Pipeline:
    stage: Landmarks = spec.only(Landmarks)
    to_image: Affine = frame_map(case.read().images(spec.accept)[0], stage)
    truth = case.read_points()
    places = to_image.inverse(np.array([truth[name] for name in stage.points]))
    session = Session(stage.id, Knowing(stage, places + np.array([shift_px, 0.0])))
    return Pipeline(spec, sessions={stage.id: session}, identity=IDENTITY)


def asked(spec: PipelineSpec, case: Case, *, shift_px: float) -> CaseAnswers:
    pipelines = knowing(spec, case, shift_px=0.0), knowing(spec, case, shift_px=shift_px)
    return answer(case, Decoded(case.read()), pipelines, patient=case.row)


def test_truth_is_what_the_points_measure_at_the_stated_spacing(
    spec: PipelineSpec, films: tuple[Case, ...]
) -> None:
    for case in films:
        found = asked(spec, case, shift_px=0.0)
        stated = case.read().images(spec.accept)[0].spacing_mm
        assert found.spacing_mm == stated
        expected = sagittal_parameters(case.read_points(), stated, lines=Lines())
        assert list(found.true_values) == list(UNITS)
        assert list(found.true_values.values()) == pytest.approx(list(expected))
        assert found.true_points == case.read_points()
        assert found.reference == found.candidate
        assert found.reference.values == pytest.approx(found.true_values, abs=0.1)
        assert (found.truth, found.reference.scores, found.reference.dice) == ({}, {}, {})


def test_half_a_pixel_of_the_network_is_so_many_millimetres_of_the_film(
    spec: PipelineSpec, films: tuple[Case, ...]
) -> None:
    stage: Landmarks = spec.only(Landmarks)
    report = judge(
        Trial(
            bundle="b" * 64,
            backend="none",
            target="none",
            precision="int8",
            gate=Gate(landmark_margin_mm=0.1, c2_c7_margin_deg=0.3),
            threshold=spec.threshold,
            lines=measured_lines(spec),
            set_digest="c" * 64,
            look=1,
            device={},
            versions={},
            answers=tuple(asked(spec, case, shift_px=0.5) for case in films),
        )
    )
    before, after, change = report.reference.points, report.candidate.points, report.points
    assert before
    assert after
    assert change
    assert (before.points, before.missing, change.placed_by_one) == (68, 0, 0)
    assert before.error_mm.value is not None
    assert before.error_mm.value < 0.02
    half = 0.5 * stage.spacing_mm
    assert after.error_mm.value == pytest.approx(half, abs=0.02)
    assert change.across.bias.value == pytest.approx(half, abs=0.02)
    assert change.down.bias.value == pytest.approx(0.0, abs=0.01)
    assert abs(report.values["C2-C7"].bias.bias.value or 0.0) < 0.1
