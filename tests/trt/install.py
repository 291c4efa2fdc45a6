"""Installing a TensorRT and a GPU that are not there, for one test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import pytest

from cspine.backends import capability, cudagraph
from cspine.backends.capability import Capability
from trt.cuda import Cuda
from trt.fake import fake_tensorrt
from trt.guard import Surface


@dataclass
class Installed:
    """A TensorRT, a GPU, and what was asked of them."""

    cuda: Cuda
    surface: Surface

    @property
    def can(self) -> Capability:
        return capability.capability()


Install = Callable[..., Installed]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return what installs a version of TensorRT and a GPU for the test."""

    def forget() -> None:
        for each in (capability.tensorrt_module, capability.capability):
            each.cache_clear()

    def made(version: str, **gpu: bool) -> Installed:
        cuda = Cuda(**gpu)
        module, surface = fake_tensorrt(version, cuda)
        package, driver = cuda.pycuda()
        found: dict[str, ModuleType] = {
            "tensorrt": module,
            "pycuda": package,
            "pycuda.driver": driver,
        }
        for name, each in found.items():
            monkeypatch.setitem(sys.modules, name, each)
        monkeypatch.setattr(cudagraph, "_driver", lambda: cuda)
        forget()
        return Installed(cuda, surface)

    yield made
    monkeypatch.undo()
    forget()
