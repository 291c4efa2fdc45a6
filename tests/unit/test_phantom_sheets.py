"""Contact sheets show what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cspine_phantom.patients import SITES
from cspine_phantom.sheets import SEVERITIES, _by_severity, _of_site, _sheet, _tile


def test_a_row_is_one_patient_of_a_site_at_six_severities() -> None:
    jobs = _by_severity()
    assert len(jobs) == len(SITES) * len(SEVERITIES)
    for site, row in zip(SITES, np.array_split(np.arange(len(jobs)), len(SITES)), strict=True):
        patients = [jobs[index].patient for index in row]
        assert {patient.site for patient in patients} == {site}
        assert [patient.severity[3] for patient in patients] == list(SEVERITIES)
        assert len({replace(patient, severity=()) for patient in patients}) == 1


def test_the_level_changes_with_its_severity_alone() -> None:
    first, _, _, _, _, last = _by_severity()[: len(SEVERITIES)]
    mild, severe = (_tile(job).astype(float)[24:] for job in (first, last))
    assert np.abs(severe - mild)[75:175, 75:175].max() > 60  # bone where there was disc
    np.testing.assert_array_equal(_tile(last)[24:], severe)


def test_four_patients_of_a_site_are_four() -> None:
    jobs = _of_site("C")
    assert len({job.patient.number for job in jobs}) == 4
    assert all(job.text.startswith("C ") for job in jobs)


def test_tiles_lie_row_by_row() -> None:
    tiles = [np.full((4, 6), value, np.uint8) for value in range(5)]
    sheet = _sheet(tiles, columns=3)
    assert sheet.shape == (10, 22)
    assert [int(sheet[0, column]) for column in (0, 8, 16)] == [0, 1, 2]
    assert [int(sheet[6, column]) for column in (0, 8, 16)] == [3, 4, 96]
