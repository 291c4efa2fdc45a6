from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cspine.backends import Array, TensorSpec, open_backend
from cspine.errors import BackendError
from cspine.session import Session


class Doubler:
    """Doubles ``x`` and, asked to, fails as a vendor's runtime does."""

    def __init__(self) -> None:
        self.inputs = (
            TensorSpec("x", np.dtype(np.float32), (None, 4)),
            TensorSpec("scale", np.dtype(np.int64), (1,)),
        )
        self.failure: Exception | None = None
        self.closed = 0

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if self.failure:
            raise self.failure
        return {"y": feeds["x"] * 2 * feeds["scale"].astype(np.float32)}

    def close(self) -> None:
        self.closed += 1


def feeds() -> dict[str, Array]:
    return {"x": np.ones((3, 4), np.float32), "scale": np.array([2])}


def fault(session: Session, fed: Mapping[str, Array]) -> str:
    with pytest.raises(BackendError) as caught:
        session.run(fed)
    return str(caught.value)


def test_what_fits_is_run() -> None:
    session = Session("classify", Doubler())
    assert [spec.name for spec in session.inputs] == ["x", "scale"]
    assert session.run(feeds())["y"].tolist() == [[4.0] * 4] * 3


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (np.ones((3, 4)), "got float64 (3, 4)"),
        (np.ones((3, 5), np.float32), "got float32 (3, 5)"),
        (np.ones(4, np.float32), "got float32 (4,)"),
        (np.ones((1, 3, 4), np.float32), "got float32 (1, 3, 4)"),
        (np.ones((0, 4), np.float32), "got float32 (0, 4)"),
    ],
)
def test_an_array_that_does_not_fit(x: Array, got: str) -> None:
    expected = f"stage 'classify', input 'x': {got}, expected float32 (?, 4)"
    assert fault(Session("classify", Doubler()), feeds() | {"x": x}) == expected


def test_an_array_that_is_not_contiguous_does_not_fit() -> None:
    # A backend that copies raw memory to a device would read the wrong numbers, or none.
    x = np.ones((4, 3), np.float32).T
    assert "input 'x'" in fault(Session("classify", Doubler()), feeds() | {"x": x})


def test_an_input_that_is_not_fed() -> None:
    assert fault(Session("classify", Doubler()), {"x": feeds()["x"]}) == (
        "stage 'classify', input 'scale': not fed, expected int64 (1)"
    )


def test_an_input_that_the_model_lacks() -> None:
    session = Session("classify", Doubler())
    assert fault(session, feeds() | {"scal": feeds()["scale"]}) == (
        "stage 'classify': the model has no input 'scal'; did you mean 'scale'?"
    )
    assert fault(session, feeds() | {"image": feeds()["x"]}) == (
        "stage 'classify': the model has no input 'image'"
    )


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (
            RuntimeError("[ONNXRuntimeError]\n  : 6 :\tout of memory"),
            "[ONNXRuntimeError] : 6 : out of memory",
        ),
        (ValueError(), "ValueError"),
    ],
)
def test_a_vendors_exception_becomes_one_line_of_ours(failure: Exception, told: str) -> None:
    backend = Doubler()
    backend.failure = failure
    with pytest.raises(BackendError) as caught:
        Session("classify", backend).run(feeds())
    assert str(caught.value) == f"stage 'classify': Doubler failed: {told}"
    assert caught.value.__cause__ is failure


def test_our_own_exception_passes_as_it_is() -> None:
    backend = Doubler()
    backend.failure = BackendError("input 'x': outside the engine's profile")
    assert fault(Session("classify", backend), feeds()) == str(backend.failure)


def test_a_failure_does_not_close_the_session() -> None:
    backend = Doubler()
    session = Session("classify", backend)
    backend.failure = RuntimeError("once")
    fault(session, feeds())
    backend.failure = None
    assert "y" in session.run(feeds())


def test_closing_twice_closes_once() -> None:
    backend = Doubler()
    session = Session("classify", backend)
    session.close()
    session.close()
    assert backend.closed == 1
    assert fault(session, feeds()) == "stage 'classify': the session is closed"


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(BackendError) as caught:
        open_backend("onnxruntim", b"")
    assert str(caught.value) == (
        "unknown backend 'onnxruntim', expected one of onnxruntime, openvino, tensorrt; "
        "did you mean 'onnxruntime'?"
    )
