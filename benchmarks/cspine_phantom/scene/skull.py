"""Skull base, jaw and teeth above and in front of the tip of the odontoid, `dens`."""

from __future__ import annotations

import numpy as np

from cspine_phantom.scene.shapes import Points, Shape, ellipse, rounded, shaft

_CLIVUS = ((-27.0, -42.0), (-16.0, -27.0), (-6.0, -14.5), (1.5, -7.5))
_SQUAMA = (
    (35.5, -5.0), (42.0, -1.0), (50.0, -2.0), (60.0, -8.0), (69.0, -19.0), (76.0, -34.0),
    (81.0, -54.0), (82.0, -95.0),
)  # fmt: skip
_PALATE = ((-84.0, -15.0), (-60.0, -15.5), (-42.0, -17.0), (-34.5, -17.5))

_MANDIBLE = (
    (-16, -30), (-10, -28), (-8, -24), (-12, -10), (-16, 6), (-19, 18), (-24, 27), (-33, 32),
    (-52, 39), (-72, 47), (-86, 53), (-92, 50), (-94, 36), (-90, 27), (-78, 26), (-58, 20),
    (-46, 13), (-42, 4), (-40, -8), (-39, -22), (-34, -24), (-28, -16), (-22, -18),
)  # fmt: skip


def skull(dens: Points) -> tuple[Shape, ...]:
    """Return the base of the skull: one half lies behind the other, so most edges are soft."""
    clivus, squama = dens + np.array(_CLIVUS), dens + np.array(_SQUAMA)
    inside = [*_CLIVUS, (10, -8), (24, -7), *_SQUAMA, (-62, -95), (-60, -52), (-44, -46)]
    petrous = [(-18, -44), (-6, -52), (14, -50), (30, -38), (26, -22), (12, -15), (-2, -22)]
    mastoid = [(10, -24), (24, -28), (34, -16), (30, -3), (22, 2), (14, -6)]
    condyle = [(-2, -9), (8, -13), (20, -11), (24, -5), (16, -1), (4, -2)]
    orbits = [(-96, -46), (-62, -44), (-44, -40), (-40, -28), (-58, -22), (-96, -24)]
    palate = np.array(_PALATE)
    roof = np.concatenate([palate, palate[::-1] + np.array([0.0, 4.5])])
    cells = [((16.0, -20.0), 4.0), ((24.0, -16.0), 3.2), ((21.0, -9.0), 2.6), ((27.0, -22.0), 2.6)]
    return (
        Shape(dens + rounded(inside), 0.55, soft_mm=1.4),
        Shape(clivus, 0.0, rim=0.34, rim_mm=5.5, soft_mm=0.8, closed=False),
        Shape(squama, 0.0, rim=0.30, rim_mm=6.0, soft_mm=0.5, closed=False),
        Shape(squama + np.array([0.6, 1.6]), 0.0, rim=0.34, rim_mm=1.6, soft_mm=0.3, closed=False),
        Shape(dens + rounded(petrous), 0.75, soft_mm=3.2, round_mm=6.0),
        Shape(dens + rounded(mastoid), 0.30, rim=0.05, soft_mm=1.0),
        *(
            Shape(dens + ellipse(at, radii=(r, 0.8 * r)), -0.14, soft_mm=0.7, material="tissue")
            for at, r in cells
        ),
        Shape(dens + rounded(condyle), 0.30, rim=0.10, soft_mm=1.1),
        Shape(dens + rounded(orbits), 0.30, rim=0.16, rim_mm=2.5, soft_mm=1.2),
        Shape(dens + rounded(roof), 0.30, rim=0.22, rim_mm=1.4, soft_mm=0.3),
    )


def skull_points(dens: Points) -> dict[str, Points]:
    """Return basion, opisthion, the lowest point of the occiput and the end of the hard palate."""
    squama = rounded(np.array(_SQUAMA))
    lowest = squama[squama[:, 1].argmax()] + np.array([0.3, 2.2])
    places = {"BA": (2.0, -5.6), "OP": (34.4, -3.4), "OC": lowest, "HP": (-34.0, -15.4)}
    return {name: dens + np.asarray(place, np.float64) for name, place in places.items()}


def jaw(dens: Points) -> tuple[Shape, ...]:
    """Return the jaw with its teeth; its two halves seldom cover one another."""
    mandible = rounded(np.array(_MANDIBLE, np.float64))
    far = mandible * np.array([0.97, 0.97]) + np.array([-2.2, -2.4])
    canal = np.array([(-20.0, 6.0), (-28.0, 20.0), (-44.0, 27.0), (-64.0, 34.0), (-80.0, 41.0)])
    return (
        *(
            Shape(dens + side, 0.20, rim=0.17, rim_mm=1.9, soft_mm=soft)
            for side, soft in ((mandible, 0.3), (far, 0.55))
        ),
        Shape(dens + canal, -0.05, rim=-0.05, rim_mm=2.6, soft_mm=0.6, closed=False),
        *teeth(dens),
    )


def teeth(dens: Points) -> tuple[Shape, ...]:
    """Return both rows: roots in the jaw, brighter crowns that meet at the bite."""
    shapes: list[Shape] = []
    for number in range(7):
        half = 4.4 if number < 3 else 3.0
        lower = np.array([-47.0 - 7.2 * number, 15.0 + 1.9 * number])
        upper = lower + np.array([2.2, -2.2])
        for at, side in ((lower, 1.0), (upper, -1.0)):
            # The bite's plane falls to the front as the jaw does.
            crown = shaft(
                at,
                at + side * np.array([1.6, 7.0]),
                (0, 0.92 * half),
                (0.5, half),
                (1, 0.75 * half),
            )
            root = shaft(
                at + side * np.array([1.4, 5.5]), at + side * np.array([4.2, 19.0]),
                (0, 0.8 * half), (0.6, 0.5 * half), (1, 0.15 * half),
            )  # fmt: skip
            shapes.append(Shape(dens + root, 0.16, rim=0.05, soft_mm=0.45))
            shapes.append(Shape(dens + crown, 0.50, soft_mm=0.35, round_mm=2.2))
    return tuple(shapes)
