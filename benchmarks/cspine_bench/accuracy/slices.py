"""Which slice of its series an image is, as a case set numbers them: from the feet, from 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cspine.dicom.element import uid
from cspine.dicom.frame import frame_header
from cspine.dicom.pixels import frame_count
from cspine.dicom.plane import plane_of
from cspine.dicom.select import Study
from cspine.findings import Source
from cspine.image import Image
from cspine.plane import Plane

Place = tuple[str, int | None]
"""A slice by its object, and the frame of a multi-frame one from 1, as a source states them."""


def place_of(source: Source) -> Place:
    """Return which slice a source names."""
    return source.instance_uid, source.frame


def slice_numbers(study: Study, images: Sequence[Image]) -> dict[Place, int]:
    """Return the number of each slice among all of its series.

    Parameters
    ----------
    images
        Slices of one series of the study.
    """
    sources = [image.source for image in images if image.source]
    series = {source.series_uid for source in sources}
    planes = dict(_planes(study, series))
    normal = next(iter(planes.values())).normal if planes else np.zeros(3)
    upwards = normal if normal[2] >= 0 else -normal
    ordered = sorted(planes, key=lambda place: float(planes[place].origin_mm @ upwards))
    return {place_of(source): ordered.index(place_of(source)) for source in sources}


def _planes(study: Study, series: set[str]) -> Iterator[tuple[Place, Plane]]:
    for dataset in study.instances:
        if uid(dataset, "SeriesInstanceUID") not in series:
            continue
        several = "NumberOfFrames" in dataset
        for index in range(frame_count(dataset)):
            place = uid(dataset, "SOPInstanceUID"), index + 1 if several else None
            yield place, plane_of(frame_header(dataset, frame=index))
