from __future__ import annotations

import sys
from types import ModuleType

import pytest

from cspine import errors
from cspine.backends.capability import tensorrt_module
from cspine.backends.cuda import Gpu
from cspine.errors import BackendError, CspineError, did_you_mean, missing_extra

NAMES = ("SpecError", "BundleError", "StudyError", "BackendError", "ModelError")


def test_every_error_has_one_base_and_stands_in_the_tree() -> None:
    assert errors.__doc__ is not None
    defined = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, CspineError)
    }
    assert defined == {"CspineError", *NAMES}
    for name in defined:
        assert name in errors.__doc__
        assert getattr(errors, name).__doc__


def test_a_close_word_is_suggested_and_a_distant_one_is_not() -> None:
    assert did_you_mean("treshold", ["threshold", "spacing_mm"]) == "; did you mean 'threshold'?"
    assert did_you_mean("colour", ["threshold", "spacing_mm"]) == ""
    assert did_you_mean("anything", []) == ""


def test_a_missing_extra_says_what_to_install() -> None:
    assert missing_extra("openvino", "openvino") == (
        "'openvino' is not installed; install it with: pip install 'cspine[openvino]'"
    )


def test_missing_tensorrt_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorrt_module.cache_clear()
    for name in ("tensorrt", "tensorrt_rtx_libs", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(BackendError) as caught:
        tensorrt_module()
    assert str(caught.value) == (
        "TensorRT is not installed; on a Jetson it comes with JetPack: make the venv with "
        "--system-site-packages. To build engines elsewhere: pip install 'cspine[tensorrt-rtx]'"
    )


class CudaError(Exception):
    """Stands in for the base of PyCUDA's errors, which need its driver to be raised."""


@pytest.mark.parametrize("failing", ["init", "Device"])
def test_a_gpu_that_cuda_cannot_use_is_an_error_of_the_backend(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*arguments: int) -> None:
        raise CudaError("cuInit failed: no CUDA-capable device is detected")

    driver = ModuleType("pycuda.driver")
    vars(driver).update({"Error": CudaError, "init": lambda: None, failing: fail})
    package = ModuleType("pycuda")
    vars(package)["driver"] = driver
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    with pytest.raises(BackendError) as caught:
        Gpu()
    assert str(caught.value) == (
        "no NVIDIA GPU that CUDA can use: cuInit failed: no CUDA-capable device is detected"
    )


def test_missing_pycuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "pycuda.driver", raising=False)
    with pytest.raises(BackendError, match="'pycuda' is not installed; install it with"):
        Gpu()
