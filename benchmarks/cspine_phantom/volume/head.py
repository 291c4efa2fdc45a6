"""Skull base and what of the brain lies above a neck."""

from __future__ import annotations

import numpy as np

from cspine_phantom.scene.shapes import ellipse, rounded
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.solid import Solid, shrunk
from cspine_phantom.volume.tissue import LABEL

# From the tip of the odontoid in a head that looks ahead: x towards the back, y towards the feet.
_VAULT = (
    (-70.0, -60.0), (-62.0, -46.0), (-46.0, -45.0), (-30.0, -49.0), (-22.0, -32.0), (-8.0, -15.0),
    (1.0, -5.0), (2.5, -2.0), (35.5, -4.0), (42.0, -1.0), (50.0, -2.0), (60.0, -8.0), (69.0, -19.0),
    (76.0, -34.0), (82.0, -54.0), (84.0, -100.0), (70.0, -150.0), (-60.0, -150.0), (-80.0, -100.0),
)  # fmt: skip
_CLIVUS = (
    (1.5, -4.5), (-7.0, -15.0), (-17.0, -28.0), (-27.0, -44.0), (-37.0, -42.0), (-33.0, -28.0),
    (-20.0, -14.0), (-8.0, -5.5), (-1.5, -2.5),
)  # fmt: skip
_CEREBELLUM = (
    (18.0, -58.0), (14.0, -48.0), (20.0, -40.0), (14.0, -32.0), (15.0, -20.0), (20.0, -10.0),
    (28.0, -6.5), (40.0, -7.0), (53.0, -9.0), (65.0, -18.0), (73.0, -32.0), (74.0, -46.0),
    (58.0, -56.0), (38.0, -62.0),
)  # fmt: skip
_STEM = (
    (-1.0, -76.0), (-6.0, -64.0), (-12.0, -57.0), (-20.0, -50.0), (-21.5, -42.0), (-17.0, -33.0),
    (-9.5, -27.5), (-5.0, -24.0), (0.5, -14.0), (4.5, -6.0), (8.5, -1.0), (12.0, 4.5), (21.0, 4.5),
    (18.8, -1.0), (14.5, -10.0), (10.5, -20.0), (8.0, -28.0), (6.5, -38.0), (7.0, -48.0),
    (10.0, -58.0), (12.0, -66.0), (12.0, -76.0),
)  # fmt: skip
_CEREBRUM = (
    (18.0, -64.0), (40.0, -66.0), (60.0, -60.0), (77.0, -56.0), (79.0, -100.0), (66.0, -145.0),
    (-56.0, -145.0), (-74.0, -100.0), (-64.0, -66.0), (-40.0, -52.0), (-18.0, -60.0), (2.0, -72.0),
)  # fmt: skip


def head(column: Column, *, rng: np.random.Generator) -> list[Solid]:
    """Return vault, clivus, cerebellum and the lower brain."""
    place = column.head
    vault = rounded(np.array(_VAULT))
    centre = place(np.array([(0.0, -80.0)]))[0]
    sinus = ellipse((-46.0, -44.0), radii=(8.0, 6.0), turn_deg=20)
    solids = [
        Solid(place(shrunk(vault, -6.5)), LABEL["bone"], half_mm=74.0, power=2.2, anchor=centre),
        Solid(place(shrunk(vault, -5.0)), LABEL["fatty marrow"], half_mm=72.0, power=2.2,
              anchor=centre),
        Solid(place(shrunk(vault, -2.0)), LABEL["bone"], half_mm=70.0, power=2.2, anchor=centre),
        Solid(place(vault), LABEL["csf"], half_mm=68.0, power=2.2, anchor=centre),
        *(
            Solid(place(shrunk(vault, 3.0)), LABEL["grey matter"], middle, half, anchor=centre)
            for middle, half in ((38.0, 24.0),)
        ),
        Solid(place(rounded(np.array(_CLIVUS))), LABEL["bone"], half_mm=14.0),
        Solid(place(shrunk(rounded(np.array(_CLIVUS)), 1.2)), LABEL["fatty marrow"], half_mm=12.0),
        Solid(place(sinus), LABEL["air"], half_mm=12.0, power=3.0),
        Solid(place(rounded(np.array(_CEREBRUM))), LABEL["grey matter"], half_mm=66.0, power=2.2),
    ]  # fmt: skip
    # Folds of the brain and leaves of the cerebellum: thin lines of fluid.
    for _ in range(16):
        start = np.array([rng.uniform(-60, 74), rng.uniform(-130, -66)])
        step = rng.uniform(8, 18) * np.array([np.cos(a := rng.uniform(0, 6.3)), np.sin(a)])
        bend = rng.normal(0, 3, 2)
        fold = place(np.stack([start, start + step / 2 + bend, start + step]))
        solids.append(Solid(fold, LABEL["csf"], half_mm=60.0, line_mm=1.1))
    inner = [(24, -76), (60, -74), (64, -110), (40, -130), (-40, -130), (-50, -84), (-20, -74)]
    solids += [
        Solid(place(rounded(inner)), LABEL["white matter"], half_mm=56.0, power=2.2),
        Solid(place(rounded(np.array(_CEREBELLUM))), LABEL["grey matter"], half_mm=48.0, power=2.4),
    ]
    hub = np.array([24.0, -38.0])
    tree = rounded(hub + 0.55 * (np.array(_CEREBELLUM) - hub))
    solids.append(Solid(place(tree), LABEL["white matter"], half_mm=40.0, power=2.4))
    rim = rounded(np.array(_CEREBELLUM), times=3)
    for part in np.sort(rng.uniform(0, 1, 34)):
        at = rim[int(part * (len(rim) - 1))]
        if at[0] < 26 and at[1] > -52:
            continue
        inwards = rng.uniform(0.12, 0.5) * (hub - at) + rng.normal(0, 1.5, 2)
        leaf = place(np.stack([at, at + 0.6 * inwards + rng.normal(0, 0.8, 2), at + inwards]))
        solids.append(Solid(leaf, LABEL["csf"], half_mm=40.0, line_mm=0.5))
    return solids


def stem(column: Column) -> list[Solid]:
    """Return the brain stem, which goes on as the cord, and the artery before it."""
    place = column.head
    return [
        Solid(place(rounded(np.array(_STEM))), LABEL["cord"], half_mm=13.0, power=2.4),
        Solid(place(ellipse((-6.5, -42.0), radii=(11.5, 11.0))), LABEL["white matter"],
              half_mm=13.0, power=2.4),
        Solid(place(ellipse((-23.5, -38.0), radii=(1.2, 9.0), turn_deg=-20)), LABEL["flow void"],
              half_mm=1.6, power=2.0),
    ]  # fmt: skip
