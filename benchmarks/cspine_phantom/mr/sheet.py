"""A contact sheet of MR phantoms: both contrasts of every site, and T2 by severity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.files import write_atomic
from cspine_phantom.mr.disease import Disease, Pattern, draw_disease
from cspine_phantom.mr.scan import scan
from cspine_phantom.mr.scanners import SCANNERS
from cspine_phantom.mr.series import Frame, Series, Title
from cspine_phantom.patients import SITES, Patient, draw_patient
from cspine_phantom.pool import spread

Tile = NDArray[np.uint8]

SEVERITIES = (-1.5, -0.5, 0.5, 1.5)
"""Evidence of the columns; a patient is positive above 0, give or take the reader."""

PATTERNS: dict[str, Pattern] = {
    "A": "continuous", "B": "mixed", "C": "segmental", "D": "continuous",
}  # fmt: skip

_SEED = 41
_ROWS, _WHOLE, _PART = 300, 270, 196  # pixels of a tile
_PART_MM = 100.0  # height of the part that the columns show
_BAND = 20  # pixels above a tile, for what is written
_QUALITY = 82


@dataclass(frozen=True)
class _Job:
    patient: Patient
    disease: Disease


def write_sheet(folder: Path) -> Path:
    """Write ``phantom-mr.jpg`` and return its path.

    A row is one patient of each site: T2 and T1 where the ligament is ossified, then T2 by
    severity, all else being equal.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    jobs = [job for site in SITES for job in _of_site(site)]
    tiles = list(spread(_tiles, jobs))
    rows = []
    for first in range(0, len(tiles), len(SEVERITIES)):
        own = tiles[first : first + len(SEVERITIES)]
        whole = list(own[-1][:2])
        rows.append(np.hstack([*whole, *(tile for *_, tile in own)]))
    coded = cv2.imencode(".jpg", np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    path = folder / "phantom-mr.jpg"
    write_atomic(path, coded.tobytes())
    return path


def _of_site(site: str) -> list[_Job]:
    patient = next(each for each in map(_patient, count()) if each.site == site)
    disease = replace(draw_disease(_SEED, patient.number), pattern=PATTERNS[site])
    return [_Job(patient, replace(disease, evidence=value)) for value in SEVERITIES]


def _patient(number: int) -> Patient:
    return draw_patient(_SEED, number)


def _tiles(job: _Job) -> tuple[Tile, Tile, Tile]:
    """Return T2 and T1 as a whole, and T2 of the canal, each in its middle slice."""
    site = job.patient.site
    found = {each.title: each for each in scan(job.patient, job.disease, SCANNERS[site])}
    names: tuple[Title, Title] = ("sag T2", "sag T1")
    t2, t1 = (_middle(found[name]).pixels for name in names)
    half = round(_PART_MM / 2 / found["sag T2"].pixel_mm)
    wide = round(half * _PART / _ROWS)
    row, column = t2.shape[0] // 2, t2.shape[1] // 2
    part = t2[row - half : row + half, column - wide : column + wide]
    return (
        _tile(t2, _WHOLE, f"{site} T2"),
        _tile(t1, _WHOLE, f"{site} T1"),
        _tile(part, _PART, f"{site} {job.disease.evidence:+.1f}"),
    )


def _middle(series: Series) -> Frame:
    frames = sorted(series.frames, key=lambda frame: frame.position)
    return frames[len(frames) // 2]


def _tile(pixels: NDArray[np.uint16], columns: int, text: str) -> Tile:
    scale = max(_ROWS / pixels.shape[0], columns / pixels.shape[1])
    white = float(np.percentile(pixels, 99.2))
    shown = np.clip(pixels * (255 / white), 0, 255).astype(np.uint8)
    ways = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    large = cv2.resize(shown, None, fx=scale, fy=scale, interpolation=ways)
    top, left = (large.shape[0] - _ROWS) // 2, (large.shape[1] - columns) // 2
    tile = np.full((_BAND + _ROWS + 2, columns + 2), 96, np.uint8)
    tile[:_BAND] = 48
    kept = large[max(top, 0) :, max(left, 0) :][:_ROWS, :columns]
    tile[_BAND : _BAND + kept.shape[0], : kept.shape[1]] = kept
    cv2.putText(tile, text, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 255, 1, cv2.LINE_AA)
    return tile
