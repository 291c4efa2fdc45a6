"""A study that is decoded once, however many pipelines judge it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from cspine.accept import Accept
from cspine.dicom.select import Study
from cspine.findings import Refused, Source
from cspine.image import Image
from cspine_bench.cases import study_digest


class Decoded:
    """What a pipeline reads instead of the study itself."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._found: Sequence[Image] | Refused | None = None

    @cached_property
    def digest(self) -> str:
        """What tells the study again by its pixels, which are read for it once."""
        return study_digest(self.study)

    @property
    def source(self) -> Source | None:
        """Where the image comes from."""
        return self.study.source

    def images(self, accept: Accept) -> Sequence[Image]:
        """Return the images, or refuse: the first time by decoding, then what was found."""
        if self._found is None:
            try:
                self._found = self.study.images(accept)
            except Refused as refused:
                self._found = refused
        if isinstance(self._found, Refused):
            raise self._found
        return self._found
