"""Answers kept while a set is being judged, so that a kill loses one study and no more.

A file of JSON lines: the first says what is being judged, each further one is a case. A line is on
the disk before the next case is begun. A line that was cut off or cannot be read is dropped
with what follows, and what was begun for
something else, or by other software, is begun anew.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import msgspec

from cspine.errors import ModelError
from cspine_bench.accuracy.answers import CaseAnswers


class Journal:
    """The answers so far; a context manager that keeps the file unless it is told to remove it.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    key
        Everything that the answers depend on, as JSON.

    Attributes
    ----------
    answers
        Those of an earlier run, then those appended, in the order of the cases.

    Raises
    ------
    ModelError
        If another process writes to the same file.
    """

    def __init__(self, path: Path, *, key: Mapping[str, object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ModelError(
                f"{path}: another process is judging the same candidate on the same set; wait for "
                "it to end"
            ) from error
        self.answers = self._kept(msgspec.json.encode(key) + b"\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, answers: CaseAnswers) -> None:
        """Keep a case; when this returns it is on the disk."""
        self._write(msgspec.json.encode(answers) + b"\n")
        self.answers.append(answers)

    def remove(self) -> None:
        """Remove the file: what it was kept for is done."""
        self._path.unlink()

    def _kept(self, header: bytes) -> list[CaseAnswers]:
        """Read what is whole, and cut off or begin anew what is not."""
        self._file.seek(0)
        found: list[CaseAnswers] = []
        end = 0
        for line in self._file:
            if not line.endswith(b"\n") or (end == 0 and line != header):
                break
            if end:
                try:
                    found.append(msgspec.json.decode(line, type=CaseAnswers))
                except msgspec.DecodeError:  # after a power cut, or of another version
                    break
            end += len(line)
        self._file.truncate(end)
        if not end:
            self._write(header)
        return found

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())
