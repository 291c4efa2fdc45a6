"""Patient's Age, and the gate that asks for it."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from cspine.accept import Accept
from cspine.dicom.admit import admit
from cspine.dicom.element import age_years, lived_years
from cspine.findings import Refused
from cspine.spec import PipelineSpec

NOT_STATED = "The header does not state the patient's age."


def aged(header: Dataset, value: object) -> Dataset:
    """Put an age into a header as a file may hold it, valid or not."""
    header.add_new("PatientAge", "LO", value)
    return header


@pytest.fixture
def accept(spec: PipelineSpec) -> Accept:
    return spec.accept


@pytest.mark.parametrize(
    ("stated", "years"),
    [
        ("045Y", 45),
        ("000Y", 0),
        ("018M", 1.5),
        ("104W", 2),
        ("010D", 0.027),
        (" 045y ", 45),
        ("45Y", 45),
        ("1200M", 100),
    ],
)
def test_an_age_string_is_read_in_years(stated: str, years: float) -> None:
    assert age_years(aged(Dataset(), stated)) == pytest.approx(years, abs=0.01)


@pytest.mark.parametrize(
    "stated",
    [None, "", "Y", "45", "-45Y", "4.5Y", "4 5Y", "045X", "O45Y", "\u0664\u0665Y", "\u00b2Y",
     ["045Y", "050Y"], "DOE^JANE", "Y045"],
)  # fmt: skip
def test_what_is_no_age_string_is_none(stated: object) -> None:
    assert age_years(aged(Dataset(), stated)) is None


def test_no_element_is_no_age() -> None:
    assert age_years(Dataset()) is None


@pytest.mark.parametrize("stated", ["018Y", "100Y", "216M", "1200M", "055Y"])
def test_both_ends_of_the_range_are_admitted(
    radiograph: Dataset, accept: Accept, stated: str
) -> None:
    assert NOT_STATED not in admit(aged(radiograph, stated), accept)


@pytest.mark.parametrize("stated", ["017Y", "101Y", "215M", "1201M", "000D", "999Y"])
def test_an_age_outside_of_the_range_is_refused(
    radiograph: Dataset, accept: Accept, stated: str
) -> None:
    with pytest.raises(Refused) as caught:
        admit(aged(radiograph, stated), accept)
    refusal = caught.value.refusal
    assert refusal.code == "OUT_OF_SCOPE"
    assert refusal.reason.startswith("The header states an age outside of 18 to 100 years")
    assert refusal.remedy


@pytest.mark.parametrize("stated", [None, "", "45", "DOE^JANE"])
def test_an_age_that_is_not_stated_is_noted(
    radiograph: Dataset, accept: Accept, stated: object
) -> None:
    assert admit(aged(radiograph, stated), accept)[-1] == NOT_STATED


def dated(header: Dataset, born: str, *days: str | None) -> Dataset:
    """Put dates of birth, study, acquisition and content into a header, valid or not."""
    keywords = "PatientBirthDate", "StudyDate", "AcquisitionDate", "ContentDate"
    for keyword, value in zip(keywords, (born, *days), strict=False):
        if value is not None:
            header.add_new(keyword, "LO", value)
    return header


@pytest.mark.parametrize(
    ("born", "days", "years"),
    [
        ("19800615", ("20200614",), 39),
        ("19800615", ("20200615",), 40),
        ("20000229", ("20180228",), 17),
        ("20000229", ("20180301",), 18),
        ("20200101", ("20200101",), 0),
        ("19800615", (None, "20200615"), 40),
        ("19800615", ("", "x", " 20200615 "), 40),
        ("19800615", ("20210615", "20200615"), 41),
        ("19800615", (), None),
        ("19800615", ("20209915",), None),
        ("19800615", ("19800614",), None),
        ("", ("20200615",), None),
        ("19800231", ("20200615",), None),
        ("1980", ("20200615",), None),
        ("198006150", ("20200615",), None),
        ("DOE^JANE", ("20200615",), None),
        ("\u0661980615", ("20200615",), None),
    ],
)
def test_years_are_counted_from_birth_to_the_examination(
    born: str, days: tuple[str | None, ...], years: float | None
) -> None:
    assert lived_years(dated(Dataset(), born, *days)) == years


def test_without_an_age_the_dates_decide(radiograph: Dataset, accept: Accept) -> None:
    for stated in (None, "45", "DOE^JANE"):
        assert admit(dated(aged(radiograph, stated), "19800615", "20200615"), accept) == ()
        with pytest.raises(Refused) as caught:
            admit(dated(aged(radiograph, stated), "20100615", "20200615"), accept)
        assert caught.value.refusal.code == "OUT_OF_SCOPE"
    dated(aged(radiograph, None), "0", "20200615")
    assert admit(radiograph, accept) == (NOT_STATED,)


@pytest.mark.parametrize(
    ("stated", "born", "admitted"),
    [
        ("040Y", "19800615", True),
        ("040Y", "20100615", False),
        ("010Y", "19800615", False),
        ("040Y", "x", True),
    ],
)
def test_of_two_ages_the_one_outside_refuses(
    radiograph: Dataset, accept: Accept, stated: str, born: str, admitted: bool
) -> None:
    dated(aged(radiograph, stated), born, "20200615")
    if admitted:
        assert admit(radiograph, accept) == ()
    else:
        with pytest.raises(Refused, match="an age outside of 18 to 100 years"):
            admit(radiograph, accept)


def test_the_age_is_asked_last(radiograph: Dataset, accept: Accept) -> None:
    radiograph.PatientOrientation = ["A", "H"]
    with pytest.raises(Refused) as caught:
        admit(aged(radiograph, "005Y"), accept)
    assert caught.value.refusal.code == "ORIENTATION_CONFLICT"
