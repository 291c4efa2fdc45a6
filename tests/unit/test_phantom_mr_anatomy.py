"""What a mid-sagittal plane of a neck shows, from the front to the back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cspine_phantom.mr.disease import Disease, draw_disease
from cspine_phantom.mr.necks import neck
from cspine_phantom.patients import Patient, draw_patient
from cspine_phantom.scene.shapes import ellipse
from cspine_phantom.volume.anatomy import PITCH_MM, Anatomy
from cspine_phantom.volume.canal import Canal
from cspine_phantom.volume.solid import Solid, Solids, shrunk
from cspine_phantom.volume.tissue import FIRST_BODY, LABEL


def made(number: int, **changes: object) -> tuple[Patient, Disease, Anatomy]:
    patient, disease = draw_patient(4, number), draw_disease(4, number)
    disease = replace(disease, **changes)  # type: ignore[arg-type]
    return patient, disease, neck(patient, disease)


def canal_of(anatomy: Anatomy) -> Canal:
    (found,) = (part for part in anatomy.parts if isinstance(part, Canal))
    return found


def behind(anatomy: Anatomy, place_mm: float, *, labels: np.ndarray) -> list[int]:
    """Labels from 6 mm before the back of the bodies to 18 mm behind it, at a place along it."""
    canal = canal_of(anatomy)
    index = int(np.abs(canal.along - place_mm).argmin())
    ray = np.arange(-6, 18, 0.25)
    points = canal.wall[index] + ray[:, None] * canal.outwards[index]
    at = np.rint(anatomy.pixel((points - anatomy.centre) * anatomy.scale)).astype(int)
    return [int(labels[row, column]) for column, row in at]


@pytest.mark.parametrize("number", range(3))
def test_body_ligament_fluid_cord_fluid_lie_in_this_order(number: int) -> None:
    _, _, anatomy = made(number, evidence=-1.0, stenosis=-1.5)
    canal, labels = canal_of(anatomy), anatomy.plane(0.0)
    for body in (0, 2, 6):
        seen = behind(anatomy, float(canal.bodies[body]), labels=labels)
        csf, cord = LABEL["csf"], LABEL["cord"]
        first = [seen.index(label) for label in (FIRST_BODY + body, csf, cord)]
        assert first == sorted(first)
        assert csf in seen[first[2] :] or LABEL["flowing csf"] in seen[first[2] :]


@pytest.mark.parametrize("evidence", [-1.0, 0.5, 1.5, 2.5])
def test_the_ossified_band_is_as_thick_as_the_disease_says(evidence: float) -> None:
    _, disease, anatomy = made(1, evidence=evidence, pattern="continuous")
    canal = canal_of(anatomy)
    assert canal.ossified.max() == pytest.approx(disease.thickness_mm, abs=0.01)
    place = float(canal.along[canal.ossified.argmax()])
    labels = anatomy.plane(canal.side_mm * anatomy.scale)
    seen = behind(anatomy, place, labels=labels)
    dark = {LABEL["bone"], LABEL["ligament"], LABEL["fatty marrow"], LABEL["annulus"]}
    # From the back of the body, 6 mm along the ray: the first quarter millimetres are its cortex.
    band = next(i for i, label in enumerate(seen[26:]) if label not in dark)
    assert 0.25 * band == pytest.approx(disease.thickness_mm, abs=0.9)


def test_stenosis_narrows_whether_bone_or_disc_does_it() -> None:
    for evidence in (-2.0, 2.0):
        left = []
        for stenosis in (-1.5, 1.5):
            canal = canal_of(made(2, evidence=evidence, stenosis=stenosis)[2])
            front, back = canal.sac(0.0)
            inside = (canal.along > canal.bodies[1]) & (canal.along < canal.bodies[6])
            left.append(float((back - front)[inside].min()))
        assert left[0] > left[1]
        assert left[1] > 2.5  # the cord has to be somewhere


def test_evidence_changes_the_ligament_and_nothing_beside_the_canal() -> None:
    low, high = (made(3, evidence=value)[2].plane(0.0) for value in (-1.0, 2.0))
    differ = np.argwhere(low != high) * PITCH_MM
    assert len(differ) > 200
    anatomy = made(3)[2]
    wall = anatomy.pixel((canal_of(anatomy).wall - anatomy.centre) * anatomy.scale) * PITCH_MM
    away = np.abs(differ[::7, None, ::-1] - wall[None, ::4]).max(axis=2).min(axis=1)
    assert away.max() < 30


def test_a_solid_ends_and_its_twin_lies_on_the_other_side() -> None:
    ball = Solids([Solid(ellipse((3.0, 4.0), radii=(10, 10)), 7, 20.0, 10.0, power=2.0)])
    for side in (20.0, -20.0):
        (drawn,) = ball.cut(side)
        assert np.ptp(drawn.outline[:, 0]) == pytest.approx(20, abs=0.1)
    (drawn,) = ball.cut(26.0)
    assert np.ptp(drawn.outline[:, 0]) == pytest.approx(16, abs=0.1)
    assert drawn.outline.mean(axis=0) == pytest.approx((3, 4), abs=0.05)
    assert ball.cut(31.0) == []
    assert ball.cut(0.0) == []


def test_shrinking_goes_inwards_whichever_way_an_outline_runs() -> None:
    outline = ellipse((0.0, 0.0), radii=(10, 10))
    for each in (outline, outline[::-1]):
        assert np.linalg.norm(shrunk(each, 2.0), axis=1) == pytest.approx(8.0, abs=0.05)
