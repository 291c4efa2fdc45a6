from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cspine_phantom.patients import LEVELS, SITES, VERTEBRAE, draw_patient

PINNED_FACTS = ("B", "F", 45, "right")
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
    assert (patient.site, patient.sex, patient.age, patient.face) == PINNED_FACTS
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


def test_the_population_has_the_stated_statistics() -> None:
    patients = [draw_patient(5, number) for number in range(3000)]
    severity = np.array([patient.severity for patient in patients])
    labels = np.array([patient.labels for patient in patients])
    assert labels.mean() == pytest.approx(0.278, abs=0.02)
    assert severity.std() == pytest.approx(1.0, abs=0.03)
    correlation = np.corrcoef(severity.T)[np.triu_indices(6, 1)]
    assert correlation.mean() == pytest.approx(0.3, abs=0.04)
    # The classes overlap: reading severity perfectly still misses some labels.
    wrong = labels != (severity > 0.6)
    assert 0.02 < wrong.mean() < 0.08
    assert {patient.site for patient in patients} == set(SITES)
    assert {patient.face for patient in patients} == {"left", "right"}
