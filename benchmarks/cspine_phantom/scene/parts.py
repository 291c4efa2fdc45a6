"""Films of other parts than the neck: the wrong anatomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cspine_phantom.imaging.aim import Aim, lateral_aim
from cspine_phantom.scene import limbs, trunk
from cspine_phantom.scene.limbs import Drawn
from cspine_phantom.scene.shapes import Scene


@dataclass(frozen=True)
class Part:
    """How a part is drawn, and what its header says.

    Attributes
    ----------
    draw
        Draws one film from a random stream.
    body_part, region
        Body Part Examined, and the SNOMED CT code and meaning of Anatomic Region.
    view
        From which side; the face or the toes of a lateral are on the left as drawn.
    field
        Range of the detector's size, relative to the one on which the site images necks.
    column
        Where the columns of the picture run to.
    paired
        Whether there are two, drawn as the left one; such a part may lie at any angle.
    """

    draw: Callable[[np.random.Generator], Drawn]
    body_part: str
    region: tuple[str, str]
    view: Literal["AP", "PA", "lateral"]
    field: tuple[float, float] = (1.0, 1.2)
    column: str = "F"
    paired: bool = True


_ALL = {
    "chest": Part(trunk.chest, "CHEST", ("816094009", "Chest"), "PA", (1.3, 1.8), paired=False),
    "foot": Part(limbs.foot, "FOOT", ("56459004", "Foot"), "AP", column="P"),
    "hand": Part(limbs.hand, "HAND", ("85562004", "Hand"), "PA", column="H"),
    "knee": Part(limbs.knee, "KNEE", ("72696002", "Knee"), "AP"),
    "lumbar spine": Part(
        trunk.lumbar_spine, "LSPINE", ("122496007", "Lumbar spine"), "lateral", (1.0, 1.5),
        paired=False,
    ),
    "pelvis": Part(trunk.pelvis, "PELVIS", ("816092008", "Pelvis"), "AP", (1.2, 1.7), paired=False),
    "shoulder": Part(trunk.shoulder, "SHOULDER", ("16982005", "Shoulder"), "AP"),
    "skull": Part(trunk.skull, "SKULL", ("89546000", "Skull"), "lateral", (1.0, 1.4), paired=False),
    "ankle": Part(limbs.ankle, "ANKLE", ("70258002", "Ankle joint"), "lateral"),
    "elbow": Part(limbs.elbow, "ELBOW", ("16953009", "Elbow joint"), "lateral"),
}  # fmt: skip

_FRONTAL = {
    "AP": ("399348003", "antero-posterior"),
    "PA": ("272479007", "postero-anterior"),
}

HELD_OUT_PARTS = ("ankle", "elbow")
"""Parts that nothing is trained on; a gate that refuses them has learnt what a neck is."""

PARTS = tuple(name for name in _ALL if name not in HELD_OUT_PARTS)
"""Parts of which the fault ``"other part"`` is drawn."""


@dataclass(frozen=True)
class Other:
    """A film of another part: its scene, the relative size of its detector, and its header."""

    part: str
    scene: Scene
    field: float
    aim: Aim


def other(names: Sequence[str], rng: np.random.Generator) -> Other:
    """Return a film of one of `names`, of an adult or a child, seldom well aimed."""
    name = names[int(rng.integers(len(names)))]
    part = _ALL[name]
    skin, veils, shapes = part.draw(rng)
    size = rng.uniform(0.88, 1.1) if rng.random() < 0.8 else rng.uniform(0.66, 0.85)
    mirrored = (part.paired or part.view == "lateral") and rng.random() < 0.5
    angle = np.deg2rad(rng.normal(0, 14 if part.paired else 3))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = size * np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    scene = Scene("other", skin, veils, shapes, focus=np.array([[-20.0, -20.0], [20.0, 20.0]]))
    return Other(name, scene.mapped(matrix), rng.uniform(*part.field), _aim(name, mirrored))


def _aim(name: str, mirrored: bool) -> Aim:
    part = _ALL[name]
    side: Literal["L", "R", "U"] = "U"
    if part.paired:
        side = "R" if mirrored else "L"
    if part.view == "lateral":
        as_neck = lateral_aim("right" if mirrored else "left")
        row, position, view = as_neck.orientation[0], as_neck.position, as_neck.view
    else:
        row, position, view = "L", part.view, _FRONTAL[part.view]
    return Aim(part.body_part, part.region, (row, part.column), position, view, side, name, name)
