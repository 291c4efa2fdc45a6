"""The isolated reader itself, started by its parent alone (:mod:`cspine.dicom.process`).

It reads with the same functions as a program that reads in its own process. Requests come on
standard input, reports go to what was standard output; nothing else is ever printed.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import cv2

from cspine.dicom.archive import Member
from cspine.dicom.collect import PassedOver
from cspine.dicom.element import uid
from cspine.dicom.media import Listing, dicom_files
from cspine.dicom.select import Study, find_studies
from cspine.dicom.wire import (
    Begun,
    Judge,
    Listed,
    Named,
    Pile,
    Read,
    Refusing,
    Unreadable,
    pile,
    receive_request,
    send,
    show,
)
from cspine.findings import Refused

# It starts with 70 MiB resident and maps libraries that it may touch later: with both, what it
# may ask for on top stays within 1 GiB.
MEMORY_BYTES = 832 << 20
OPEN_FILES = 256


@dataclass(frozen=True)
class _Files(Mapping[str, "Path | Member"]):
    """Files by what messages call them; looking one up announces it."""

    named: Mapping[str, Path | Member]
    without: frozenset[str]
    begin: Callable[[str], None]

    def __getitem__(self, name: str) -> Path | Member:
        self.begin(name)
        return self.named[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.named if plain(name) not in self.without)

    def __len__(self) -> int:
        return len(self.named)


def plain(text: str) -> str:
    """Return text whose undecodable bytes, as file names may have, are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def serve(requests: BinaryIO, reports: BinaryIO, *, seconds: int) -> None:
    """Answer requests until there are no more of them.

    Parameters
    ----------
    requests, reports
        Ends of pipes.
    seconds
        The process is killed if one file or image takes longer, in case its parent is gone.
    """

    def begin(name: str) -> None:
        signal.alarm(seconds)
        send(reports, Begun(name=plain(name)))

    def fill(buffer: memoryview) -> None:
        if requests.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
            raise EOFError

    studies: list[Study] = []
    while True:
        signal.alarm(0)
        try:
            request = receive_request(fill)
        except EOFError:
            return
        if isinstance(request, Read):
            studies = _read(request, begin, reports)
        else:
            _answer(request, studies, begin, reports)


def _read(request: Read, begin: Callable[[str], None], reports: BinaryIO) -> list[Study]:
    without = frozenset(request.without)

    def listed(path: Path) -> Listing:
        begin(str(path))
        listing = dicom_files(path)
        return replace(listing, files=_Files(listing.files, without, begin))

    paths = [Path(os.fsdecode(path)) for path in request.paths]
    studies, unreadable = find_studies(
        [path for path in paths if plain(str(path)) not in without], listing_of=listed
    )
    for error in unreadable:
        passed_over = isinstance(error, PassedOver)
        send(reports, Unreadable(told=plain(str(error)), passed_over=passed_over))
    send(reports, Listed(studies=tuple(map(_uid, studies))))
    return studies


def _uid(study: Study) -> str:
    return uid(study.instances[0], "StudyInstanceUID")


def _answer(
    request: Judge | Pile, studies: list[Study], begin: Callable[[str], None], reports: BinaryIO
) -> None:
    study = studies[request.study]
    begin("")
    send(reports, Named(source=study.source))
    try:
        if isinstance(request, Pile):
            pile(reports, study.stack(request.wanted))
        elif request.accept is not None:
            show(reports, study.image(request.accept))
    except Refused as refused:
        send(reports, Refusing(refusal=refused.refusal))


def _confine() -> None:
    """Give up what a reader does not need: memory, writing, core dumps."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, most in (
        (resource.RLIMIT_AS, mapped + MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        _, hardest = resource.getrlimit(kind)
        if hardest != resource.RLIM_INFINITY:
            most = min(most, hardest)  # which nobody may raise
        resource.setrlimit(kind, (most, most))
    cv2.setNumThreads(1)  # each thread maps memory of its own


def main() -> None:
    """Serve the parent."""
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    _confine()
    # It has started: what a library says from here on is no report.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    serve(sys.stdin.buffer, reports, seconds=int(sys.argv[1]))
