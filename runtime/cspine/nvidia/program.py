"""A program that NVIDIA ships, asked once: it answers in time, or is ended and the reason kept."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from time import monotonic

SECONDS = 10.0

_LIMIT = 1 << 20
_SHOWN = 200


class NoAnswer(Exception):  # noqa: N818 - no fault of ours: what is said becomes a reason
    """A program said nothing of use; the message says why, for the operator."""


def usual_path() -> str:
    """Return where programs are looked for: JetPack's lie where only root usually looks."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


def ask(program: str, *arguments: str, path: str, first_line: bool = False) -> str:
    """Run a program and return what it prints.

    Parameters
    ----------
    path
        Folders that it is looked for in, separated by colons.
    first_line
        Whether to end it after the first line; it would go on for ever.

    Raises
    ------
    NoAnswer
        If there is none, it fails, or it takes longer than :data:`SECONDS`.
    """
    found = shutil.which(program, path=path)
    if found is None:
        raise NoAnswer(f"there is no {program}")
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(  # noqa: S603 - what PATH names, as a shell would
                [found, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,  # so that what it starts can be ended with it
                bufsize=0,
            )
        except OSError as error:
            raise NoAnswer(f"{program} cannot be run: {error.strerror}") from error
        said, code = _listen(process, program, first_line=first_line)
        if code or (first_line and not said):
            complaints.seek(0)
            said = complaints.read(_LIMIT) + b"\n" + said
            because = _first(said.decode("utf-8", "replace")) or "it said nothing"
            raise NoAnswer(f"{program} failed ({_ending(code)}): {because}")
    return said.decode("utf-8", "replace")


def _listen(
    process: subprocess.Popen[bytes], program: str, *, first_line: bool
) -> tuple[bytes, int]:
    """Return what a process printed and its exit code, and leave no process behind.

    A process that the driver holds cannot be ended; it is not waited for.
    """
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    until = monotonic() + SECONDS
    try:
        said = _read(process.stdout.fileno(), until=until, first_line=first_line)
        if first_line and said:
            return said, 0
        return said, process.wait(timeout=max(0.0, until - monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise NoAnswer(f"{program} did not answer within {SECONDS:g} s") from None
    finally:
        process.stdout.close()
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1.0)


def _read(pipe: int, *, until: float, first_line: bool) -> bytes:
    ready, said = select.poll(), b""
    ready.register(pipe, select.POLLIN)
    while len(said) < _LIMIT:
        if not ready.poll(max(0.0, until - monotonic()) * 1000):
            raise TimeoutError
        block = os.read(pipe, _LIMIT)
        said += block
        if first_line and b"\n" in said:
            return said.partition(b"\n")[0]
        if not block:
            break
    return said


def _first(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:_SHOWN] if lines else ""


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
