"""Mutants through the isolated reader, each from its bytes to what a network would be given."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_bases import Base, bases
from fuzz_mutations import mutations

from cspine.dicom.dataset import read_dataset
from cspine.dicom.isolate import IsolatedReader
from cspine.dicom.read import render
from cspine.dicom.select import Study
from cspine.findings import Refused
from cspine.image import Image
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.stages.frame import frame_feeds, frame_map

STOPPED = ("was stopped after", "stopped the reader")


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    kind
        ``"unreadable"``, ``"refused CODE"``, ``"image"`` or ``"image, other pixels"``; or
        ``"stopped"``, which should not be.
    told
        Every word that was said.
    """

    kind: str
    told: str
    seconds: float
    image: Image | None = None


@dataclass(frozen=True)
class Mutant:
    """One damaged file, by its place in the campaign."""

    number: int
    base: Base
    mutation: str
    data: bytes


class Campaign:
    """Files through one isolated reader after another, which is renewed where it must be."""

    def __init__(self, folder: Path, reader: IsolatedReader) -> None:
        self._path = folder / "mutant.dcm"
        self._reader = reader
        spec = load_spec(shipped_spec("xray-compression"))
        assert spec.screen is not None
        self._accept, self._screen = spec.accept, spec.screen
        self.peak_bytes = 0

    def outcome(self, data: bytes) -> Outcome:
        """Take one file as far as it goes."""
        self._path.write_bytes(data)
        start = time.perf_counter()
        studies, errors = self._reader.find_studies([self._path])
        told = [str(error) for error in errors]
        kind, image = "unreadable", None
        for study in studies:
            try:
                image = study.images(self._accept)[0]
                kind = "image"
                told += image.notes
                self._feed(image)
            except Refused as refused:
                kind = f"refused {refused.refusal.code}"
                told += [refused.refusal.reason, refused.refusal.remedy]
        seconds = time.perf_counter() - start
        self._measure()
        words = " ".join(told)
        if any(stopped in words for stopped in STOPPED):
            kind = "stopped"
        return Outcome(kind, words, seconds, image)

    def judged(self, mutant: Mutant) -> Outcome:
        """Take a mutant as far as it goes; its image must be of the size that it states.

        Every fourth that is an image, and every one with an overlay, is rendered with it too.
        """
        outcome = self.outcome(mutant.data)
        image = outcome.image
        if image is None or outcome.kind != "image":
            return outcome
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = read_dataset(mutant.data)
        if image.shape != (dataset.Rows, dataset.Columns) or image.pixels.shape != image.shape:
            raise AssertionError(f"mutant {mutant.number}: an image of another size than stated")
        if mutant.number % 4 == 0 or (0x6000, 0x0010) in dataset:
            picture = render(dataset, overlays=True)
            if picture.shape != image.shape:
                raise AssertionError(f"mutant {mutant.number}: a picture of another size")
        base = Study((read_dataset(mutant.base.data),)).images(self._accept)[0]
        same = image.shape == base.shape and np.array_equal(image.levels(), base.levels())
        kind = "image" if same else "image, other pixels"
        return Outcome(kind, outcome.told, outcome.seconds, image)

    def _feed(self, image: Image) -> None:
        """Make what the screen's network would be given: finite, and without a warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            feeds = frame_feeds(image, frame_map(image, self._screen), self._screen)
        if not all(np.isfinite(tensor).all() for tensor in feeds.values()):
            raise AssertionError("a network would be given what is no number")

    def _measure(self) -> None:
        child = self._reader._child  # what the product need not know
        if child is not None:
            status = Path(f"/proc/{child._process.pid}/status").read_text()
            peak = int(status.split("VmHWM:")[1].split()[0]) << 10
            self.peak_bytes = max(self.peak_bytes, peak)


def mutants(count: int, *, seed: int) -> Iterator[Mutant]:
    """Yield mutants: every base in turn, and of each every mutation in turn."""
    found = bases()
    kinds = {base.name: sorted(mutations(base.syntax).items()) for base in found}
    for number in range(count):
        draw = random.Random(f"{seed}/{number}")
        base = found[number % len(found)]
        name, mutate = kinds[base.name][number // len(found) % len(kinds[base.name])]
        yield Mutant(number, base, name, mutate(base, draw))
