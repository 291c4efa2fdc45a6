"""One seed is one truth, on every machine and on every Python."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import sha256

import msgspec
import numpy as np
import pytest

from cspine.geometry import LANDMARKS, sagittal_parameters
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.patients import LEVELS, draw_patient
from cspine_phantom.scene.anatomy import lateral
from cspine_phantom.truth import level_boxes, parameters

PATIENTS = [(seed, number) for seed in (0, 20261121) for number in range(20)]

# A change of these is a change of every case set: the checkpoints, records and pinned figures
# that rest on phantoms are to be made anew.
PATIENTS_ARE = "253d87d927e798a0"
OUTLINES_ARE = "6f58d86a0569fa81"


def digest(facts: object) -> str:
    return sha256(msgspec.json.encode(facts)).hexdigest()[:16]


def rounded(points: np.ndarray) -> object:
    return (np.round(points, 5) + 0.0).tolist()  # no negative zeros


def test_patients_are_as_ever() -> None:
    facts = [asdict(draw_patient(*each)) for each in PATIENTS]
    for patient in facts:
        stance = patient["stance"]
        for part in (patient, stance, stance["standing"], stance["lying"]):
            part.update({k: round(v, 9) for k, v in part.items() if isinstance(v, float)})
        patient["severity"] = [round(value, 9) for value in patient["severity"]]
    assert digest(facts) == PATIENTS_ARE


def test_outlines_are_as_ever() -> None:
    """To a hundredth of a micrometre: the last bits of a sine differ between machines."""
    facts = []
    for each in PATIENTS:
        scene = lateral(draw_patient(*each))
        facts.append([
            [rounded(shape.outline) for shape in scene.shapes],
            [shape.label for shape in scene.shapes],
            {name: rounded(at) for name, at in scene.landmarks.items()},
        ])  # fmt: skip
    assert digest(facts) == OUTLINES_ARE


def neck() -> dict[str, np.ndarray]:
    """Upright boxes 20 wide and 15 high, 20 apart, their front at column 0."""
    points = {name: np.zeros(2) for name in LANDMARKS}
    for name in LANDMARKS[8:]:
        index = 7 if name[0] == "T" else int(name[1]) - 1
        x, y = 20.0 * (name[-2] == "P"), 20.0 * index + 15.0 * (name[-1] == "I")
        points[name] = np.array([x, y])
    return points


def test_a_box_is_a_disc_and_the_facing_halves() -> None:
    boxes = level_boxes(neck())
    assert tuple(boxes) == LEVELS
    for index, box in enumerate(boxes.values(), 1):
        top = 20.0 * index + 7.5
        assert box == (0.0, top, 20.0, top + 20.0)


@pytest.mark.parametrize("site", DEVICES)
def test_parameters_are_of_the_patient(site: str) -> None:
    """Not of the detector, where everything is larger."""
    scene = lateral(draw_patient(1, 1))
    device = DEVICES[site]
    seen = {
        name: at * device.magnification / device.spacing_mm for name, at in scene.landmarks.items()
    }
    assert parameters(seen, device) == pytest.approx(
        sagittal_parameters(scene.landmarks, (1.0, 1.0))
    )


def test_without_landmarks_there_is_no_truth() -> None:
    assert level_boxes({}) == {}
    assert parameters({}, DEVICES["A"]) is None
