"""A contact sheet of CT phantoms: the same levels of every site, for soft tissue and for bone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.files import write_atomic
from cspine_phantom.ct.disease import Disease, draw_disease
from cspine_phantom.ct.pixels import WINDOWS
from cspine_phantom.ct.scan import scan
from cspine_phantom.ct.scanners import SCANNERS
from cspine_phantom.patients import SITES, Patient, draw_patient
from cspine_phantom.pool import spread

Tile = NDArray[np.uint8]

EVIDENCES = (-1.5, 0.0, 0.5, 1.5)
"""Of the columns: none, mild from -0.13 on, severe from 0.69 on, give or take the reader."""

_SEED = 41
_SIDE, _BAND = 250, 20  # pixels of a tile, and above it for what is written
_MM = 110.0  # that a tile shows
_QUALITY = 82


@dataclass(frozen=True)
class _Job:
    patient: Patient
    disease: Disease


def write_sheet(folder: Path) -> Path:
    """Write ``phantom-ct.jpg`` and return its path.

    A row is one patient of each site: the narrowest slice with its box by evidence, all else being
    equal, for soft tissue and, at the last, for bone.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    jobs = [job for site in SITES for job in _of_site(site)]
    tiles = list(spread(_tiles, jobs))
    rows = []
    for first in range(0, len(tiles), len(EVIDENCES)):
        own = tiles[first : first + len(EVIDENCES)]
        rows.append(np.hstack([*(soft for soft, _ in own), own[-1][1]]))
    coded = cv2.imencode(".jpg", np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    path = folder / "phantom-ct.jpg"
    write_atomic(path, coded.tobytes())
    return path


def _of_site(site: str) -> list[_Job]:
    patients = (draw_patient(_SEED, number) for number in count())
    patient = next(each for each in patients if each.site == site)
    disease = draw_disease(_SEED, patient.number)
    return [_Job(patient, replace(disease, evidence=value)) for value in EVIDENCES]


def _tiles(job: _Job) -> tuple[Tile, Tile]:
    """Return the narrowest slice in both windows."""
    scanner = SCANNERS[job.patient.site]
    found = scan(job.patient, job.disease, scanner, only="axial")
    index = int(np.argmin([truth.room_mm for truth in found.truths]))
    (series,) = found.series
    frame = next(each for each in series.frames if each.position == index + 1)
    half = round(_MM / 2 / series.pixel_mm)
    middle = frame.stored.shape[0] // 2
    near = slice(middle - half, middle + half)
    units = frame.stored[near, near].astype(np.float64) + scanner.intercept
    text = f"{job.patient.site} {job.disease.evidence:+.1f}"
    box = np.array(found.truths[index].box) - (middle - half)
    soft, bone = WINDOWS
    return _tile(units, soft, text, box), _tile(units, bone, f"{text} bone", box)


def _tile(
    units: NDArray[np.float64], window: tuple[int, int], text: str, box: NDArray[np.float64]
) -> Tile:
    centre, width = window
    shown = np.clip((units - centre) / width + 0.5, 0, 1) * 255
    scale = _SIDE / len(shown)
    tile = np.full((_BAND + _SIDE + 2, _SIDE + 2), 96, np.uint8)
    tile[:_BAND] = 48
    inside = tile[_BAND : _BAND + _SIDE, :_SIDE]
    inside[:] = cv2.resize(shown.astype(np.uint8), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    left, top, right, bottom = np.rint((box + 0.5) * scale).astype(int).tolist()
    cv2.rectangle(tile, (left, top + _BAND), (right, bottom + _BAND), 255, 1)
    cv2.putText(tile, text, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 255, 1, cv2.LINE_AA)
    return tile
