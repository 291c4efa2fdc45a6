"""Vertebrae of real CT, as they were marked and as a network found them, through the numbering.

``CSPINE_TEST_DATA`` names the folder that holds them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np

from cspine.findings import Refused
from cspine.stages.numbering import Region, number_bodies
from cspine.transform import Points

Find = Callable[[str], Path]
Body = tuple[Points, str]

# A point as near as that to a vertebra's marked one is of that vertebra: half the shortest step.
# Two vertebrae are marked beside the column (13 mm aside), and no point lies near them.
NEAR_MM = 10.0
UPPER = 12


def bodies(path: Path, key: str) -> list[Body]:
    """Read where the vertebral bodies lie, from the head down, and what each is called."""
    found = [
        (np.array(each["coordinates"]["world_space"]), str(each["type"][key]))
        for each in json.loads(path.read_text())
        if each["type"]["keypoint_type"] == "body"
    ]
    return sorted(found, key=lambda body: -float(body[0][2]))


def judged(found: list[Body], truth: list[Body]) -> str:
    """Return whether the numbers of bodies, called by level or region, are right."""
    regions: list[Region] = [
        "C" if name[0] == "C" else "T" if name[0] == "T" else "L" for _, name in found
    ]
    try:
        numbers = number_bodies(np.array([centre for centre, _ in found]), regions)
    except Refused:
        return "refused"
    for name, centre in numbers.items():
        off, near = min((float(np.linalg.norm(at - centre)), level) for at, level in truth)
        if near != name and off < NEAR_MM:
            return "wrong"
    return "right"


def test_levels_are_right_or_refused(corpora: Find) -> None:
    folder = corpora("vid_keypoints")
    marked = sorted((folder / "KeypointGroundTruthNoSacrum").glob("*/*.json"))
    assert len(marked) == 20
    counts = {name: Counter[str]() for name in ("marked", "found", "marked, less", "found, less")}
    for path in marked:
        other = folder / "KeypointPredictionsNoSacrum" / path.parent.name / path.name
        truth = bodies(path, "spine_level")
        for name, each in (("marked", truth), ("found", bodies(other, "spine_segment"))):
            counts[name][judged(each, truth)] += 1
            upper = each[:UPPER]
            for lost in (1, 2):
                for left in combinations(upper, len(upper) - lost):
                    counts[f"{name}, less"][judged(list(left), truth)] += 1
    print("\n" + "\n".join(f"{name}: {dict(counted)}" for name, counted in counts.items()))
    assert counts["marked"] == counts["found"] == {"right": 18, "refused": 2}
    assert not any(counted["wrong"] for counted in counts.values())
