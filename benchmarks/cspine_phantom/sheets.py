"""Contact sheets of phantoms: what each site makes of a neck, severity, and every fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cspine.files import write_atomic
from cspine_phantom.faults.film import FAULTS, Fault, Film, expose
from cspine_phantom.imaging.presentation import WHITE
from cspine_phantom.patients import LEVELS, SITES, Patient, draw_patient
from cspine_phantom.pool import spread

Tile = npt.NDArray[np.uint8]

SEVERITIES = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""Standard deviations of patients; a level is positive above 0.6, give or take the reader."""

_SEED = 41
_LEVEL = "C5/6"
_CROP_MM = 58.0  # on the detector
_QUALITY = 85
_BAND = 24  # pixels above a film, for what is written


@dataclass(frozen=True)
class _Job:
    """One tile: whom to image, how, what to write on it, and whether one level alone is shown."""

    patient: Patient
    fault: Fault | None
    text: str
    size: tuple[int, int]  # rows, columns
    closely: bool = False


def write_sheets(
    folder: Path, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Path, ...]:
    """Write every sheet as JPEG and return the paths.

    ``phantom-site-X.jpg`` has four patients of one site; ``phantom-severity.jpg`` one level of a
    patient of each site (rows) by its severity (columns), all else being equal;
    ``phantom-faults.jpg`` one film with each fault.

    Parameters
    ----------
    progress
        Called after every film with the number taken and that to take.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    sheets = {f"phantom-site-{site.lower()}": _of_site(site) for site in SITES}
    sheets |= {"phantom-severity": _by_severity(), "phantom-faults": _by_fault()}
    columns = {"phantom-severity": len(SEVERITIES), "phantom-faults": 7}
    tiles = spread(_tile, [job for jobs in sheets.values() for job in jobs], progress=progress)
    paths = []
    for name, jobs in sheets.items():
        sheet = _sheet(list(islice(tiles, len(jobs))), columns=columns.get(name, 4))
        coded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
        paths.append(folder / f"{name}.jpg")
        write_atomic(paths[-1], coded.tobytes())
    return tuple(paths)


def _of_site(site: str) -> list[_Job]:
    patients = (draw_patient(_SEED, number) for number in count())
    chosen = islice((patient for patient in patients if patient.site == site), 4)
    return [
        _Job(each, None, f"{site} {each.sex}{each.age} {each.stance.posture}", (540, 500))
        for each in chosen
    ]


def _by_severity() -> list[_Job]:
    jobs = []
    for job in (_of_site(site)[0] for site in SITES):
        for value in SEVERITIES:
            severity = list(job.patient.severity)
            severity[LEVELS.index(_LEVEL)] = value
            changed = replace(job.patient, severity=tuple(severity))
            text = f"{changed.site} {_LEVEL} {value:+.0f}"
            jobs.append(_Job(changed, None, text, (250, 250), closely=True))
    return jobs


def _by_fault() -> list[_Job]:
    wanted: Sequence[Fault | None] = (None, *FAULTS)
    return [
        _Job(draw_patient(_SEED, number), fault, fault or "no fault", (310, 250))
        for number, fault in enumerate(wanted, 100)
    ]


def _tile(job: _Job) -> Tile:
    film = expose(job.patient, job.fault)
    shown = _level(film) if job.closely else film.picture
    rows, columns = job.size
    scale = min(rows / shown.shape[0], columns / shown.shape[1])
    size = max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    tile = np.zeros((_BAND + rows, columns), np.uint8)
    top, left = _BAND + (rows - size[1]) // 2, (columns - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = np.rint(small * (255 / WHITE))
    tile[:_BAND] = 48
    cv2.putText(tile, job.text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    return tile


def _level(film: Film) -> npt.NDArray[np.uint16]:
    """Return the square about a disc, turned so that the face is on the left."""
    upper, lower = _LEVEL.split("/")
    names = (f"{upper}AI", f"{upper}PI", f"C{lower}AS", f"C{lower}PS")
    corners = np.array([film.points[name] for name in names])
    back = corners[1] - corners[0]
    centre = corners.mean(axis=0) + 0.25 * back  # the canal is of interest too
    half = _CROP_MM / 2 / film.device.spacing_mm
    left, top = np.rint(centre - half).astype(int)
    side = round(2 * half)
    square = film.picture[top : top + side, left : left + side]
    return square if back[0] > 0 else np.ascontiguousarray(square[:, ::-1])


def _sheet(tiles: Sequence[Tile], *, columns: int) -> Tile:
    """Lay tiles out in rows with a thin line between; the last row may be short."""
    rows = [tiles[first : first + columns] for first in range(0, len(tiles), columns)]
    height, width = tiles[0].shape
    sheet = np.full((len(rows) * (height + 2) - 2, columns * (width + 2) - 2), 96, np.uint8)
    for row, line in enumerate(rows):
        for column, tile in enumerate(line):
            top, left = row * (height + 2), column * (width + 2)
            sheet[top : top + height, left : left + width] = tile
    return sheet
