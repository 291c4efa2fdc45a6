"""How far a build is, and how it is ended: what TensorRT's builder reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cspine.backends.capability import tensorrt_module

Watch = Callable[[str, int, int], None]
"""Called with a phase's name, the steps done and all its steps. It ends the build by raising."""


def monitor(watch: Watch) -> Any:
    """Return a progress monitor for a builder's configuration.

    What ``watch`` raises, a :class:`KeyboardInterrupt` as well, must not pass through the builder:
    it is kept as ``raised``, for the caller to raise once the builder has ended.
    """
    trt: Any = tensorrt_module()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # known at run time only
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.raised: BaseException | None = None
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._tell(phase, 0 if parent is None else None, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            if phase in self._steps:
                self._tell(phase, step + 1, self._steps[phase])
            return self.raised is None

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

        def _tell(self, phase: str, done: int | None, steps: int) -> None:
            """Report an outermost phase; those within one are too many and too short to read."""
            if done is None or self.raised is not None:
                return
            self._steps[phase] = steps
            try:
                watch(phase, done, steps)
            except BaseException as error:
                self.raised = error

    return Monitor()
