"""What narrows a canal on CT: spurs of bone before it, thick ligament behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cspine_phantom.ct.disease import Disease, room_mm
from cspine_phantom.scene.shapes import Points
from cspine_phantom.volume.canal import Canal, Depth
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.course import Course, course
from cspine_phantom.volume.solid import bump, smoothed

_LIGAMENT_MM = 1.6
_BULGE_MM = 0.35
_LINING_MM = 0.7  # of ligament before the sac
_FRONT_MM = _BULGE_MM + _LINING_MM + 0.3  # taken before the sac at a sound disc
_SPARE_MM = 5.0  # of a canal beside its sac, so that the worst level has something to lose

_TRIES = 4  # after which room is within a hundredth of a millimetre of what is wanted
_ABOUT_MM = np.linspace(-3.0, 3.0, 13)  # of the middle of a disc, where its slices lie
_THROUGH_MM = np.linspace(-1.25, 1.25, 5)  # the thickness of a slice


@dataclass(frozen=True)
class Narrowed:
    """A column and its canal; a wide canal has wide arches."""

    column: Column
    canal: Canal


def narrowed(
    column: Column,
    disease: Disease,
    *,
    scale: float,
    cut: Points,
    rng: np.random.Generator,
) -> Narrowed:
    """Return the canal in which slices show the room that a disease's evidence leaves.

    Other discs lose a part of what the worst one loses, and none has less room.

    Parameters
    ----------
    scale
        Of the patient: the room is in millimetres of the patient, not of the column.
    cut
        (2,) unit vector to the back in the plane of a slice and in the midline: what is cut askew
        is longer.
    """
    wanted = room_mm(disease.evidence) / scale
    wide = tuple(max(each, wanted + _SPARE_MM) for each in column.canal_mm)
    column = replace(column, canal_mm=wide)
    way = course(column)
    part = rng.uniform(0.05, 0.4, 9)
    part[1:5] = rng.uniform(0.15, 0.8, 4)
    part[disease.worst] = 1.0
    share = rng.uniform(0.62, 0.8, 9)
    plain = _plain(way, rng)
    least = wanted
    for _ in range(_TRIES):
        canal = _grown(plain, least, part, share)
        place = np.interp(canal.discs[disease.worst], canal.along, canal.wall @ downwards(cut))
        heights = place + _ABOUT_MM[:, None] + _THROUGH_MM
        least += wanted - float(rooms_mm(canal, cut, heights).mean(axis=1).min())
    return Narrowed(column, canal)


def rooms_mm(canal: Canal, cut: Points, heights_mm: Depth) -> Depth:
    """Return the room that slices show in the midline, in the column's millimetres.

    Parameters
    ----------
    cut
        As in :func:`narrowed`.
    heights_mm
        (...) of slices below the column's origin, along :func:`downwards`; from C2 to T3.
    """
    spine = canal.along > canal.bodies[0] - 10.0  # above, the canal bends away
    met = []
    for depth in canal.sac(0.0):
        line = canal.line(depth)[spine]
        height = line @ downwards(cut)
        met.append([np.interp(heights_mm, height, line[:, axis]) for axis in (0, 1)])
    rooms: Depth = np.hypot(*np.subtract(met[1], met[0]))
    return rooms


def downwards(cut: Points) -> Points:
    """Return the (2,) unit vector to the feet, at right angles to one to the back."""
    return np.array([-cut[1], cut[0]])


def _plain(way: Course, rng: np.random.Generator) -> Canal:
    """Return a canal with nothing in front of its sac and no ligament behind it."""
    none = np.zeros_like(way.along)
    return Canal(
        wall=way.wall, outwards=way.outwards, along=way.along, bodies=way.bodies, discs=way.discs,
        depth=way.depth, ligament=none, fat=way.fat, bulge=none, ossified=none,
        cord=smoothed(way.cord * rng.normal(1, 0.05), 5.0), ahead=way.ahead,
        side_mm=float(rng.normal(0, 0.8)), half_mm=float(rng.uniform(8.5, 10.0)), marrow=False,
        oedema=(), flow=(),
    )  # fmt: skip


def _grown(plain: Canal, least_mm: float, part: Depth, share: Depth) -> Canal:
    """Return a canal with spurs, discs and ligament.

    Parameters
    ----------
    least_mm
        Room that is left where all is lost.
    part
        (9,) of what there is to lose, by disc.
    share
        (9,) of that which spurs take; ligament takes the rest.
    """
    along = plain.along
    spurs, bulge, yellow = (np.zeros_like(along) for _ in range(3))
    for place, lost, before in zip(plain.discs, part, share, strict=True):
        deep, fat = (float(np.interp(place, along, each)) for each in (plain.depth, plain.fat))
        loss = lost * max(deep - fat - _LIGAMENT_MM - _FRONT_MM - least_mm, 0.0)
        spur = _BULGE_MM + _LINING_MM + before * loss
        spurs = np.maximum(spurs, spur * bump(along, place, 5.5, edge_mm=3.5))
        bulge += _BULGE_MM * np.exp(-0.5 * ((along - place) / 2.3) ** 2)
        yellow += (_LIGAMENT_MM + (1 - before) * loss) * bump(along, place, 6.0, edge_mm=4.0)
    return replace(plain, ligament=yellow, bulge=bulge, ossified=spurs)
