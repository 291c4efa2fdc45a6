"""Reading in a process of its own, so that a hostile file costs no more than itself.

The reader (:mod:`cspine.dicom.child`) has limits on memory and time and may write nothing. A file
that kills or stalls it is reported, and a new reader goes on without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from cspine.accept import Accept
from cspine.dicom.collect import PassedOver
from cspine.dicom.process import Child, Stopped
from cspine.dicom.wire import Begun, Judge, Listed, Named, Read, Refusing, Showing, Unreadable
from cspine.errors import StudyError
from cspine.findings import Refused, Source
from cspine.image import Image

SECONDS = 10  # for one file, and for one image
MAXIMUM_STOPS = 1000  # of one batch; no honest child is stopped as often


@dataclass
class _Batch:
    """What was read together.

    Attributes
    ----------
    stopped
        Files that stopped a child, by what messages call them, each with its error.
    studies
        Study Instance UIDs, once they are known; a child that reads again must find the same.
    sources
        What names the studies that have been asked for, by their place; ``None`` where asking
        was stopped.
    """

    paths: tuple[Path, ...]
    stopped: dict[str, StudyError] = field(default_factory=dict)
    studies: tuple[str, ...] | None = None
    sources: dict[int, Source | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class IsolatedStudy:
    """A study that is read in another process: as :class:`~cspine.dicom.select.Study` is."""

    reader: IsolatedReader
    batch: _Batch
    place: int

    @property
    def source(self) -> Source | None:
        """What names it; ``None`` if reading that was stopped."""
        return self.reader.source(self)

    def images(self, accept: Accept) -> Sequence[Image]:
        """Return the film to judge, or the slices, the one in the middle first.

        Raises
        ------
        Refused
            As in-process, and ``UNSUPPORTED_OBJECT`` if the image stops the reader.
        StudyError
            If the files are not the same any more.
        """
        return self.reader.images(self, accept)


class IsolatedReader:
    """A process that reads, renewed whenever a file stops it; a context manager.

    Parameters
    ----------
    seconds
        For one file, and for one image.
    """

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._child: Child | None = None
        self._batch: _Batch | None = None  # what the child holds
        self._lock = Lock()  # a pipeline asks for images in one thread and for sources in another

    def find_studies(self, paths: Iterable[Path]) -> tuple[list[IsolatedStudy], list[StudyError]]:
        """Read the studies in all paths together; what cannot be read does not stop the others.

        Returns
        -------
        list of IsolatedStudy, list of StudyError
            As :func:`cspine.dicom.select.find_studies`; then one error for each file that
            stopped the reader.

        Raises
        ------
        StudyError
            If no reader can be started.
        """
        batch = _Batch(tuple(paths))
        with self._lock:
            unreadable = self._load(batch)[1]
        studies = [IsolatedStudy(self, batch, place) for place in range(len(batch.studies or ()))]
        return studies, [*unreadable, *batch.stopped.values()]

    def source(self, study: IsolatedStudy) -> Source | None:
        """Return what names a study."""
        with self._lock:
            if study.place not in study.batch.sources:
                with suppress(Refused), self._refusing():
                    self._asked(study, None)
            return study.batch.sources[study.place]

    def images(self, study: IsolatedStudy, accept: Accept) -> Sequence[Image]:
        """Return a study's images; see :meth:`IsolatedStudy.images`."""
        with self._lock, self._refusing():
            child = self._asked(study, accept)
            report = child.report()
            if isinstance(report, Refusing):
                told = report.refusal
                raise Refused(told.code, printable(told.reason), remedy=printable(told.remedy))
            images: list[Image] = []
            while isinstance(report, Showing):
                images.append(child.image(report))
                if not report.left:
                    return images
                report = child.expect(Showing)
            raise child.stopped()

    def close(self) -> None:
        """End the process; its studies start another if they are asked again."""
        with self._lock:
            if self._child:
                self._child.close()
            self._child = None

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, batch: _Batch) -> tuple[Child, list[StudyError]]:
        """Have a child read a batch, and again without each file that stops it."""
        self._batch = None
        while len(batch.stopped) < MAXIMUM_STOPS:
            used, begun = self._child, ""
            unreadable: list[StudyError] = []
            try:
                child = self._child = used or Child(self._seconds)
                paths = tuple(os.fsencode(path) for path in batch.paths)
                child.ask(Read(paths=paths, without=tuple(batch.stopped)))
                while isinstance(report := child.report(), (Begun, Unreadable)):
                    if isinstance(report, Begun):
                        begun = report.name
                    else:
                        kind = PassedOver if report.passed_over else StudyError
                        unreadable.append(kind(printable(report.told)))
                if not isinstance(report, Listed):
                    raise child.stopped()
            except Stopped as stopped:
                self._child = None
                if used and not begun:
                    continue  # it ended between one batch and the next
                if not begun or begun in batch.stopped:
                    raise StudyError(
                        f"the isolated reader does not start ({stopped.how}); "
                        "install cspine anew, or read without isolation"
                    ) from stopped
                told = f"{begun}: reading it {stopped}; send the file again, or leave it out"
                batch.stopped[begun] = StudyError(printable(told))
                continue
            if batch.studies not in (None, report.studies):
                raise StudyError("the files changed while they were read; run it again")
            batch.studies, self._batch = report.studies, batch
            return child, unreadable
        raise StudyError(f"more than {MAXIMUM_STOPS} files stopped the isolated reader")

    def _asked(self, study: IsolatedStudy, accept: Accept | None) -> Child:
        """Ask for a study's source, which is taken, and an image, which is still to come."""
        child = self._child
        if child is None or self._batch is not study.batch:
            child, _ = self._load(study.batch)
        study.batch.sources[study.place] = None
        child.ask(Judge(study=study.place, accept=accept))
        child.expect(Begun)
        study.batch.sources[study.place] = child.expect(Named).source
        return child

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except Stopped as stopped:
            self._child = None
            raise Refused(
                "UNSUPPORTED_OBJECT",
                f"Reading the image {stopped}.",
                remedy="Send the image again, uncompressed if that fails.",
            ) from stopped


def printable(text: str) -> str:
    """Return text without what a terminal would obey: another process wrote it."""
    return "".join(each if each.isprintable() else "?" for each in text)
