"""What every backend promises, over all of them that run on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cspine.backends import BACKENDS, Array, Backend, TensorSpec, open_backend
from cspine.errors import BackendError
from cspine.session import Session

WEIGHT = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype(np.float32)


def model() -> bytes:
    """relu(conv(x)) and the mean of x: a dynamic batch, one input, two outputs."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, 8, 10])
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["features"]),
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3]),
    ]
    outputs = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 4, 8, 10]),
        helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch", 2, 1, 1]),
    ]
    weight = numpy_helper.from_array(WEIGHT, "weight")
    graph = helper.make_graph(nodes, "tiny", [image], outputs, [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def expected(image: Array) -> dict[str, Array]:
    """The same in NumPy."""
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    conv = np.einsum("nchwij,ocij->nohw", windows, WEIGHT)
    return {"features": np.maximum(conv, 0), "mean": image.mean((2, 3), keepdims=True)}


class Numpy:
    """The smallest backend there can be, so that the contract is not one vendor's."""

    def __init__(self, _: bytes, *, threads: int | None = None) -> None:
        self.inputs = (TensorSpec("image", np.dtype(np.float32), (None, 2, 8, 10)),)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return expected(feeds["image"])

    def close(self) -> None: ...


def opened(name: str, data: bytes) -> Backend:
    return Numpy(data) if name == "numpy" else open_backend(name, data, threads=1)


@pytest.fixture(params=["numpy", "onnxruntime", "openvino"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    made = Session("tiny", opened(request.param, model()))
    yield made
    made.close()


def image(batch: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(batch, 2, 8, 10)).astype(np.float32)


def test_inputs_are_named_typed_and_shaped(session: Session) -> None:
    (spec,) = session.inputs
    assert (spec.name, spec.dtype, spec.shape) == ("image", np.float32, (None, 2, 8, 10))


@pytest.mark.parametrize("batch", [1, 6, 2])
def test_results_equal_numpy(session: Session, batch: int) -> None:
    got = session.run({"image": image(batch)})
    want = expected(image(batch))
    assert got.keys() == want.keys()
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-4)


def test_outputs_survive_the_next_run(session: Session) -> None:
    first = session.run({"image": image(2, seed=1)})
    kept = {name: value.copy() for name, value in first.items()}
    session.run({"image": image(2, seed=2)})
    for name in kept:
        np.testing.assert_array_equal(first[name], kept[name])


def test_outputs_are_the_callers_to_write_to(session: Session) -> None:
    first = session.run({"image": image(1)})
    for value in first.values():
        value[:] = -1
    again = session.run({"image": image(1)})
    np.testing.assert_allclose(again["features"], expected(image(1))["features"], atol=1e-4)


def test_the_feed_is_left_alone(session: Session) -> None:
    feed = image(2)
    session.run({"image": feed})
    np.testing.assert_array_equal(feed, image(2))


def test_the_same_input_gives_the_same_bytes(session: Session) -> None:
    once, twice = (session.run({"image": image(6)}) for _ in range(2))
    assert all(once[name].tobytes() == twice[name].tobytes() for name in once)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, r"stage 'tiny', input 'image': not fed, expected float32 \(\?, 2, 8, 10\)"),
        ({"imgae": image(1)}, r"has no input 'imgae'; did you mean 'image'\?"),
        (
            {"image": image(1).astype(np.float64)},
            r"input 'image': got float64 \(1, 2, 8, 10\), expected float32",
        ),
        ({"image": image(1)[:, :, :7].copy()}, r"got float32 \(1, 2, 7, 10\), expected"),
        (
            {"image": image(1).transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2)},
            r"got float32 \(1, 2, 8, 10\), not C-contiguous, expected",
        ),
        ({"image": image(1)[0]}, r"got float32 \(2, 8, 10\), expected"),
        ({"image": image(1)[:0]}, r"got float32 \(0, 2, 8, 10\), expected"),
    ],
)
def test_wrong_feeds_are_refused(session: Session, feeds: dict[str, Array], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        session.run(feeds)


def test_a_closed_session_says_so(session: Session) -> None:
    session.close()
    session.close()
    with pytest.raises(BackendError, match="the session is closed"):
        session.run({"image": image(1)})


def test_two_threads_get_their_own_results(session: Session) -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        want = expected(image(1, seed))["features"]
        for _ in range(20):
            got = session.run({"image": image(1, seed)})["features"]
            if not np.allclose(got, want, atol=1e-4):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: b"not a model"])
def test_a_damaged_model_is_refused(name: str, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BackendError, match="cannot load the model"):
        open_backend(name, damage(model()))


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(BackendError, match=r"unknown backend 'openvin'.*did you mean 'openvino'"):
        open_backend("openvin", model())


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_has_a_branch(name: str) -> None:
    with pytest.raises(BackendError, match=r"^(?!unknown backend)"):
        open_backend(name, b"")
