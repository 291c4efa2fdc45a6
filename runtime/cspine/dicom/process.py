"""The process of an isolated reader, seen from its parent: questions out, reports in time."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from cspine.dicom.mr.piled import Piled, receive_stack
from cspine.dicom.mr.stack import Stack
from cspine.dicom.wire import (
    Begun,
    Report,
    Request,
    Showing,
    receive_image,
    receive_report,
    send,
)
from cspine.image import Image

STARTING_SECONDS = 60

# BLAS starts no threads, each of which maps memory of its own.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
# What libraries may not load without; nothing else is inherited.
_INHERITED = ("LD_LIBRARY_PATH", "LD_PRELOAD")
# Isolated Python looks for packages where it was installed alone: it is told where its parent
# found them.
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from cspine.dicom.child import main; main()"
_EXCEPTION = re.compile(rb"^(?:[\w.]*\.)?(\w*(?:Error|Exception))\b", re.MULTILINE)

R = TypeVar("R", bound=Report)


class Stopped(Exception):  # noqa: N818 - told to the user in other words
    """The child is gone; the message says why, in the past tense, after 'it'.

    Attributes
    ----------
    how
        It ended, in a few words.
    """

    def __init__(self, told: str, *, how: str) -> None:
        super().__init__(told)
        self.how = how


class Child:
    """One process, and what it reports in time; all but closing it may raise :class:`Stopped`."""

    def __init__(self, seconds: float) -> None:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # Its own alarm is only for when its parent is gone.
        arguments = [str(int(seconds) + 5), *map(os.path.abspath, sys.path)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our module
                [sys.executable, "-I", "-c", _PROGRAM, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,  # until it has started
                env=_ENVIRONMENT | inherited,
                start_new_session=True,  # an interrupt at the terminal is its parent's to handle
                bufsize=0,
            )
        except OSError as error:
            raise Stopped("was not found", how=type(error).__name__) from error
        self._seconds = seconds
        self._deadline = monotonic() + STARTING_SECONDS

    def ask(self, request: Request) -> None:
        """Send a request."""
        self._deadline = max(self._deadline, monotonic() + self._seconds)
        try:
            send(self._process.stdin, request)  # type: ignore[arg-type]  # a pipe
        except OSError:
            raise self.stopped() from None

    def report(self) -> Report:
        """Wait for the next report; what begins has its time from then on."""
        try:
            report = receive_report(self._fill)
        except ValueError:
            raise self.stopped() from None
        if isinstance(report, Begun):
            self._deadline = monotonic() + self._seconds
        return report

    def expect(self, kind: type[R]) -> R:
        """Wait for the next report, which is due to be of one kind."""
        report = self.report()
        if not isinstance(report, kind):
            raise self.stopped()
        return report

    def image(self, showing: Showing) -> Image:
        """Wait for the arrays of an image."""
        try:
            return receive_image(self._fill, showing)
        except ValueError:
            raise self.stopped() from None

    def stack(self, piled: Piled) -> Stack:
        """Wait for the arrays of a stack."""
        try:
            return receive_stack(self._fill, piled)
        except ValueError:
            raise self.stopped() from None

    def close(self) -> int:
        """End it; return its exit code, negative for a signal."""
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()  # type: ignore[union-attr]  # all are pipes
        return code

    def _fill(self, buffer: memoryview) -> None:
        output = self._process.stdout.fileno()  # type: ignore[union-attr]  # a pipe
        ready, place = select.poll(), 0
        ready.register(output, select.POLLIN)
        while place < len(buffer):
            if not ready.poll(max(0.0, self._deadline - monotonic()) * 1000):
                self.close()
                raise Stopped(f"was stopped after {self._seconds:g} s", how="no report in time")
            count = os.readv(output, [buffer[place:]])
            if not count:
                raise self.stopped()
            place += count

    def stopped(self) -> Stopped:
        """Return why it closed its pipe or talked nonsense, once it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        raised = self._raised()
        code = self.close()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Stopped(f"stopped the reader ({how})", how=f"{how}{raised}")

    def _raised(self) -> str:
        """Return what it raised before it had started; its message may name paths."""
        said = self._process.stderr.fileno()  # type: ignore[union-attr]  # a pipe
        os.set_blocking(said, False)
        with suppress(BlockingIOError):
            kinds = _EXCEPTION.findall(os.read(said, 1 << 16))
            return f", {kinds[-1].decode()}" if kinds else ""
        return ""
