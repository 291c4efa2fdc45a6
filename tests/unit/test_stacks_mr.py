from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from cspine.dicom.stacks.mr import weighting_of
from cspine.dicom.stacks.wanted import Weighting


def header(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("echo", "repetition", "inversion", "more", "expected"),
    [
        (80, 2000, None, {}, "T2"),
        (79.9, 2000, None, {}, None),
        (80, 1999, None, {}, None),
        (120, 1500, None, {"MRAcquisitionType": "3D"}, "T2"),
        (120, 1500, None, {"MRAcquisitionType": "2D"}, None),
        (30, 1200, None, {}, "T1"),
        (30.1, 1200, None, {}, None),
        (10, 1201, None, {}, None),
        (8, 500, None, {"ScanningSequence": "GR"}, "T1"),
        (15, 500, None, {"ScanningSequence": "GR"}, None),
        (15, 500, None, {"ScanningSequence": ["SE", "GR"]}, "T1"),
        (15, 500, None, {"EchoPulseSequence": "GRADIENT"}, None),
        (60, 4000, 160, {}, "STIR"),
        (10, 4000, 50, {}, "STIR"),
        (10, 4000, 350, {}, "STIR"),
        (10, 2500, 860, {}, "T1"),
        (120, 9000, 2500, {}, None),
        (100, 3500, 0, {}, "T2"),
        (100, 3500, None, {"AcquisitionContrast": "PROTON_DENSITY"}, None),
        (100, 3500, None, {"AcquisitionContrast": "T1"}, "T1"),
        (60, 4000, 160, {"AcquisitionContrast": "T2"}, "STIR"),
        (100, 3500, None, {"AcquisitionContrast": "UNKNOWN"}, "T2"),
        (None, None, None, {"AcquisitionContrast": "T2"}, "T2"),
        (None, 3500, None, {}, None),
        (100, None, None, {}, None),
    ],
)
def test_the_weighting_by_its_times(
    echo: float | None,
    repetition: float | None,
    inversion: float | None,
    more: dict[str, Any],
    expected: Weighting | None,
) -> None:
    times = {"EchoTime": echo, "RepetitionTime": repetition, "InversionTime": inversion}
    made = header(**{key: value for key, value in times.items() if value is not None}, **more)
    assert weighting_of(made) == expected


def test_an_enhanced_frame_states_its_times_under_other_names() -> None:
    made = header(EffectiveEchoTime=60.0, RepetitionTime=4000, InversionTimes=[160.0, 170.0])
    assert weighting_of(made) == "STIR"
    made = header(EffectiveEchoTime=100.0, RepetitionTime=4000, InversionTimes=[])
    assert weighting_of(made) == "T2"
