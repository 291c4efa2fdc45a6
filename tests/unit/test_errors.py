from __future__ import annotations

from importlib.util import find_spec

import pytest

from cspine import errors
from cspine.backends import open_backend
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


@pytest.mark.skipif(
    bool(find_spec("tensorrt") or find_spec("tensorrt_rtx_bindings")), reason="TensorRT is here"
)
def test_missing_tensorrt_says_where_it_comes_from() -> None:
    with pytest.raises(BackendError) as caught:
        open_backend("tensorrt", b"")
    assert str(caught.value) == (
        "TensorRT is not installed; on a Jetson it comes with JetPack: make the venv with "
        "--system-site-packages. To build engines elsewhere: pip install 'cspine[tensorrt-rtx]'"
    )
