from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from operator import attrgetter
from typing import get_args

import numpy as np
import pytest

from cspine_bench.metrics.auc import auc
from cspine_phantom.patients import (
    LEVELS,
    SITES,
    VERTEBRAE,
    Patient,
    Stream,
    draw_patient,
    generator,
)
from cspine_phantom.posture import Posture
from cspine_phantom.scene.anatomy import lateral
from cspine_phantom.scene.shapes import Points

PINNED_FACTS = ("M", 61, "right", "lordotic")
PINNED_SEVERITY = (
    -0.8671187218,
    -1.1547789608,
    0.8180829907,
    1.0486912525,
    0.8281723652,
    1.0793824082,
)


def test_a_patient_is_the_same_on_every_machine() -> None:
    patient = draw_patient(7, 11)
    assert (patient.sex, patient.age, patient.face, patient.stance.posture) == PINNED_FACTS
    assert patient.severity == pytest.approx(PINNED_SEVERITY, abs=1e-9)


def test_patients_differ_by_seed_and_by_number() -> None:
    patients = [draw_patient(seed, number) for seed in (0, 1) for number in range(20)]
    assert len({patient.identifier for patient in patients}) == 40
    assert len({patient.severity for patient in patients}) == 40


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        draw_patient(-1, 0)


def test_levels_lie_between_neighbouring_vertebrae() -> None:
    pairs = pairwise(VERTEBRAE)
    names = [f"{upper}/{lower if lower == 'T1' else lower[1:]}" for upper, lower in pairs]
    assert list(LEVELS) == names


@pytest.fixture(scope="module")
def population() -> list[Patient]:
    return [draw_patient(5, number) for number in range(3000)]


def test_the_population_has_the_stated_statistics(population: list[Patient]) -> None:
    severity = np.array([patient.severity for patient in population])
    labels = np.array([patient.labels for patient in population])
    assert labels.mean() == pytest.approx(0.278, abs=0.02)
    assert severity.std() == pytest.approx(1.0, abs=0.03)
    correlation = np.corrcoef(severity.T)[np.triu_indices(6, 1)]
    assert correlation.mean() == pytest.approx(0.3, abs=0.04)
    # The classes overlap: reading severity perfectly still misses some labels.
    wrong = labels != (severity > 0.6)
    assert 0.02 < wrong.mean() < 0.08
    assert {patient.site for patient in population} == set(SITES)
    assert {patient.face for patient in population} == {"left", "right"}


def test_two_readers_differ_by_the_same_noise(population: list[Patient]) -> None:
    severity = np.array([patient.severity for patient in population])
    first = np.array([patient.labels for patient in population])
    second = np.array([patient.second for patient in population])
    wrong = [np.mean(read != (severity > 0.6)) for read in (first, second)]
    assert wrong[0] == pytest.approx(wrong[1], abs=0.01)
    # Independent, they differ from one another more often than each from the severity.
    assert 1.3 < np.mean(first != second) / np.mean(wrong) < 1.9


def test_necks_are_held_in_four_ways(population: list[Patient]) -> None:
    lordosis = np.array([patient.stance.lying.lordosis_deg for patient in population])
    assert lordosis.mean() == pytest.approx(12.7, abs=1.0)
    assert (lordosis < 0).mean() == pytest.approx(0.12, abs=0.03)
    for curve in ("lying", "standing"):
        mean = {
            posture: np.mean([
                (each.lordosis_deg, each.t1_slope_deg, patient.stance.gaze_deg)
                for patient in population if patient.stance.posture == posture
                for each in [getattr(patient.stance, curve)]
            ], axis=0)
            for posture in get_args(Posture)
        }  # fmt: skip
        assert mean["lordotic"][0] > 15 > 10 > mean["straight"][0] > 0 > mean["kyphotic"][0]
        forward = mean.pop("forward head")
        assert (forward[1:] > np.max(list(mean.values()), axis=0)[1:]).all()


def incidence_deg(points: Mapping[str, Points]) -> float:
    """Return the angle between the odontoid's axis and the normal of the lower endplate of C2."""
    endplate = points["C2PI"] - points["C2AI"]
    axis = points["C2T"] - (points["C2PI"] + points["C2AI"]) / 2
    cosine = axis @ endplate / np.linalg.norm(axis) / np.linalg.norm(endplate)
    return 90 - float(np.degrees(np.arccos(cosine)))


def test_who_stands_is_bent_as_people_are(population: list[Patient]) -> None:
    """The slope of C2 and the odontoid's incidence in 42 adults: Lee et al. (2022)."""
    curves = [patient.stance.standing for patient in population]
    lordosis = np.array([curve.lordosis_deg for curve in curves])
    slope = np.array([curve.t1_slope_deg for curve in curves])
    incidence = [incidence_deg(lateral(patient).landmarks) for patient in population[:200]]
    lying = np.array([patient.stance.lying.lordosis_deg for patient in population])
    assert (slope - lordosis).mean() == pytest.approx(10.9, abs=1.5)
    assert np.corrcoef(lordosis, slope)[0, 1] > 0.5
    assert np.mean(incidence) == pytest.approx(17.7, abs=3.7 / 2)
    assert np.std(incidence) == pytest.approx(3.7, abs=0.5)
    assert lordosis.std() > 1.3 * lying.std()
    assert np.corrcoef(lordosis, lying)[0, 1] > 0.95


@pytest.mark.parametrize("fact", ["site", "face", "sex", "age", "bmi", "stance.posture", "scale"])
def test_what_is_not_the_spine_tells_no_label(population: list[Patient], fact: str) -> None:
    """The classes' shares, or ranks, differ by no more than a background may tell: AUC 0.55."""
    labels = np.array([patient.labels for patient in population])
    values = np.array([attrgetter(fact)(patient) for patient in population])
    if values.dtype.kind in "US":
        values = np.searchsorted(np.unique(values), values)
        shares = [labels[values == value].mean() for value in np.unique(values)]
        values = np.array(shares)[values]  # the best score that these few values can give
    assert auc(labels.ravel(), np.repeat(values, len(LEVELS))) < 0.55


@pytest.mark.parametrize("change", ["posture", "picture", "anatomy"])
def test_aspects_are_drawn_apart(change: Stream) -> None:
    streams = [generator(7, 11, stream=stream) for stream in ("patient", change)]
    assert streams[0].random() != streams[1].random()
