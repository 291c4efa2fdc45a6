from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from itertools import count, permutations
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

from cspine.dicom.collect import PassedOver
from cspine.dicom.dataset import read_dataset
from cspine.dicom.identity import fingerprint
from cspine.dicom.media import dicom_files
from cspine.dicom.read import read_image
from cspine.dicom.select import Study, find_studies, read_all, read_studies, select
from cspine.errors import StudyError
from cspine.findings import Refused, Source
from cspine.spec import PipelineSpec

Save = Callable[[Dataset], Path]
CHOSEN = "One of {} lateral images was judged: {}."
CLEAREST = "its header leaves least open"
LOWEST = "it has the lowest Instance Number"

NUMBERS = count(1)


def variant(dataset: Dataset, elements: Mapping[str, object]) -> Dataset:
    """Return another object with some elements changed, and those that are ``None`` removed."""
    changed: Dataset = deepcopy(dataset)
    changed.SOPInstanceUID = f"1.2.9.{next(NUMBERS)}"
    for keyword, value in elements.items():
        if value is None:
            changed.pop(keyword, None)
        else:
            setattr(changed, keyword, value)
    return changed


def test_a_file_is_itself_and_a_folder_its_files_in_order(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(dicom_files(tmp_path / "a")) == [tmp_path / "a"]
    assert list(dicom_files(tmp_path)) == [tmp_path / name for name in ("a", "b/1", "b/2")]


def test_a_link_to_a_folder_is_the_folder(tmp_path: Path) -> None:
    study, link = tmp_path / "study", tmp_path / "link"
    study.mkdir()
    (study / "1").touch()
    link.symlink_to(study)
    assert list(dicom_files(link)) == [link / "1"]


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="none: no such file or folder"):
        dicom_files(tmp_path / "none")
    with pytest.raises(StudyError, match=": the folder holds no file"):
        dicom_files(tmp_path)


def test_pipes_are_passed_over_and_links_to_nothing_are_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StudyError, match=": the folder holds no file"):
        dicom_files(tmp_path)
    (tmp_path / "QUILLFEATHER").symlink_to(tmp_path / "nothing")
    _, unreadable = read_studies(dicom_files(tmp_path))
    assert [str(error) for error in unreadable] == [
        f"{tmp_path}: file 1 of 1: cannot be read: No such file or directory"
    ]


@pytest.fixture
def unlistable(tmp_path: Path) -> Iterator[Path]:
    """Return a folder below which one cannot be listed, not even by root: its path is too long."""
    folder, back = tmp_path / "cd", Path.cwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        for _ in range(20):
            Path("QUILLFEATHER" * 20).mkdir()
            os.chdir("QUILLFEATHER" * 20)
    finally:
        os.chdir(back)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_listed_is_reported(
    unlistable: Path, radiograph: Dataset, saved: Save
) -> None:
    told = f"{unlistable}: a folder below it cannot be listed: File name too long"
    with pytest.raises(StudyError) as caught:
        dicom_files(unlistable)
    assert str(caught.value) == told
    saved(radiograph).rename(unlistable / "1.dcm")
    studies, unreadable = read_studies(dicom_files(unlistable))
    assert len(studies) == 1
    assert [str(error) for error in unreadable] == [told]


def read_folder(path: Path) -> tuple[list[Study], list[str]]:
    studies, unreadable = read_studies(dicom_files(path))
    return studies, [str(error) for error in unreadable]


def test_files_are_grouped_into_studies(radiograph: Dataset, saved: Save, tmp_path: Path) -> None:
    saved(radiograph)
    saved(variant(radiograph, {"StudyInstanceUID": "1.9", "InstanceNumber": 7}))
    saved(variant(radiograph, {"InstanceNumber": 2}))
    studies, unreadable = read_folder(tmp_path)
    assert not unreadable
    assert [study.source.study_uid for study in studies] == ["1.2.3", "1.9"]
    assert [int(d.InstanceNumber) for study in studies for d in study.instances] == [1, 2, 7]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("study", [None, "", "QUILLFEATHER^ZEBEDEE"])
def test_without_a_valid_uid_each_file_is_a_study(
    radiograph: Dataset, saved: Save, tmp_path: Path, study: str | None
) -> None:
    stray = variant(radiograph, {"StudyInstanceUID": study})
    for patient in ("QF-4711", "QF-4711", "QF-4712"):
        saved(variant(stray, {"PatientID": patient}))
    studies, _ = read_folder(tmp_path)
    assert [len(each.instances) for each in studies] == [1, 1, 1]
    assert {each.source.study_uid for each in studies} == {""}


def test_patients_under_one_study_uid_are_each_refused(
    radiograph: Dataset, saved: Save, tmp_path: Path, spec: PipelineSpec
) -> None:
    for patient in ("QF-4711", "QF-4712", "QF-4711 ", None):
        saved(variant(radiograph, {"PatientID": patient}))
    saved(variant(radiograph, {"PatientID": "QF-4712", "StudyInstanceUID": "1.9"}))
    studies, _ = read_folder(tmp_path)
    assert [len(each.instances) for each in studies] == [2, 1, 1, 1]
    for study in studies[:3]:
        with pytest.raises(Refused) as caught:
            study.images(spec.accept)[0]
        assert caught.value.refusal.code == "IDENTITY_CONFLICT"
        assert caught.value.refusal.reason == (
            "One Study Instance UID was met under 2 Patient IDs."
        )
    assert studies[3].images(spec.accept)[0].pixels.shape == (8, 6)


def test_a_patient_id_that_is_not_stated_contradicts_none(
    radiograph: Dataset, saved: Save, tmp_path: Path, spec: PipelineSpec
) -> None:
    for patient in ("QF-4711", "", None):
        saved(variant(radiograph, {"PatientID": patient}))
    studies, _ = read_folder(tmp_path)
    assert [len(each.instances) for each in studies] == [1, 2]
    assert [study.images(spec.accept)[0].pixels.shape for study in studies] == [(8, 6)] * 2


def test_a_study_is_one_wherever_its_files_lie(radiograph: Dataset, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "a/b", "c")]
    for number, folder in enumerate(folders, 1):
        folder.mkdir()
        variant(radiograph, {"InstanceNumber": number}).save_as(
            folder / "1.dcm", enforce_file_format=True
        )
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for order in permutations([*folders, tmp_path / "link", tmp_path / "a" / "b" / "1.dcm"]):
        (study,), unreadable = find_studies(order)
        assert not unreadable
        assert [int(each.InstanceNumber) for each in study.instances] == [1, 2, 3]


def test_what_cannot_be_read_is_told_once_and_stops_no_other(
    radiograph: Dataset, saved: Save, tmp_path: Path
) -> None:
    saved(radiograph)
    (tmp_path / "x.txt").write_text("no DICOM")
    studies, unreadable = find_studies([tmp_path / "none", tmp_path, tmp_path / "x.txt"])
    assert len(studies) == 1
    assert [str(error) for error in unreadable] == [
        f"{tmp_path / 'none'}: no such file or folder",
        f"1 file in {tmp_path} is not DICOM and was passed over",
    ]


def test_series_of_a_study(radiograph: Dataset, saved: Save, tmp_path: Path) -> None:
    made = [
        variant(radiograph, {"SeriesInstanceUID": series, "InstanceNumber": number})
        for series, number in [("1.5", 2), ("1.4", None), (None, 1), ("1.5", 1), (None, 1)]
    ]
    for each in made:
        saved(each)
    (study,), _ = read_studies(dicom_files(tmp_path))
    names = [[each.SOPInstanceUID for each in series] for series in study.series]
    expected = [(2,), (3, 0), (4,), (1,)]  # by Instance Number, then by SOP Instance UID
    assert names == [[made[number].SOPInstanceUID for number in each] for each in expected]


def test_what_cannot_be_read_below_a_folder_is_numbered_and_not_named(
    radiograph: Dataset, saved: Save, tmp_path: Path
) -> None:
    saved(radiograph)
    broken = tmp_path / "QUILLFEATHER^ZEBEDEE.dcm"
    broken.write_bytes(bytes(128) + b"DICM" + b"\xff" * 60)
    studies, unreadable = read_folder(tmp_path)
    assert len(studies) == 1
    (told,) = unreadable
    assert told.startswith(f"{tmp_path}: file 2 of 2: a damaged DICOM file (")
    assert read_folder(broken) == ([], [told.replace(f"{tmp_path}: file 2 of 2", str(broken))])


def test_what_is_no_dicom_beside_dicom_is_counted_and_no_fault(
    radiograph: Dataset, saved: Save, tmp_path: Path
) -> None:
    viewer = tmp_path / "viewer"
    viewer.mkdir()
    for name in ("AUTORUN.INF", "viewer.exe", "index.html"):
        (viewer / name).write_bytes(b"MZ" + bytes(1000))
    with zipfile.ZipFile(tmp_path / "help.zip", "w") as archive:
        archive.writestr("help.txt", "x")
    told = f"{tmp_path}: none of its files is DICOM"
    assert read_folder(tmp_path) == ([], [told])
    with pytest.raises(StudyError, match="none of its files is DICOM"):
        read_all([tmp_path])
    saved(radiograph)
    studies, unreadable = read_studies(dicom_files(tmp_path))
    assert len(studies) == 1
    (note,) = unreadable
    assert isinstance(note, PassedOver)
    assert str(note) == f"4 files in {tmp_path} are not DICOM and were passed over"
    assert len(read_all([tmp_path])) == 1
    exe = viewer / "viewer.exe"
    assert read_folder(exe) == ([], [f"{exe}: not a DICOM file"])  # which was named outright
    (viewer / "0.dcm").touch()  # what a copy that failed leaves may have been an image
    assert read_folder(tmp_path)[1] == [f"{tmp_path}: file 3 of 6: the file is empty", str(note)]


def test_the_directory_of_a_medium_is_passed_over_among_files(
    radiograph: Dataset, saved: Save, tmp_path: Path
) -> None:
    directory = tmp_path / "DIRECTORY"  # it is known by what it is, not by its name
    shutil.copy(str(get_testdata_file("DICOMDIR")), directory)
    told = f"{tmp_path}: a DICOMDIR only; give the folder that holds the images"
    assert read_folder(tmp_path) == ([], [told])
    saved(radiograph)
    studies, unreadable = read_folder(tmp_path)
    assert ([study.source.study_uid for study in studies], unreadable) == (["1.2.3"], [])


def test_the_lateral_among_others_is_chosen(radiograph: Dataset, spec: PipelineSpec) -> None:
    frontal = variant(radiograph, {"ViewPosition": "AP"})
    ct = variant(radiograph, {"SOPClassUID": CTImageStorage})
    chosen = select(Study((frontal, ct, variant(frontal, {}), radiograph)), spec.accept)
    assert chosen.dataset is radiograph
    assert chosen.notes == (
        "Other objects of the study that were no candidates: WRONG_VIEW 2, UNSUPPORTED_OBJECT 1.",
    )
    assert select(Study((radiograph,)), spec.accept).notes == ()


def test_of_several_laterals_the_one_stated_most_clearly(
    radiograph: Dataset, spec: PipelineSpec
) -> None:
    vague = variant(
        radiograph, {"ViewPosition": None, "BodyPartExamined": None, "InstanceNumber": 1}
    )
    vaguer = variant(radiograph, {"ViewPosition": None, "InstanceNumber": 1})
    clear = variant(radiograph, {"InstanceNumber": 9})
    chosen = select(Study((vague, vaguer, clear)), spec.accept)
    assert chosen.dataset is clear
    assert chosen.notes == (CHOSEN.format(3, CLEAREST),)


# In the order of the rank: each pair is told apart by its own criterion, although every later one
# speaks for the loser.
@pytest.mark.parametrize(
    ("winner", "loser", "why"),
    [
        ({"ViewPosition": None}, {"ImagerPixelSpacing": None}, "it states its pixel spacing"),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, {"ViewPosition": None}, CLEAREST),
        (
            {"ImageType": ["ORIGINAL", "PRIMARY"], "Rows": 8},
            {"ImageType": ["DERIVED", "PRIMARY"], "Rows": 9},
            "it is an original, or not known to be derived",
        ),
        (
            {"Rows": 8},
            {"ImageType": ["ORIGINAL", "SECONDARY"], "Rows": 9},
            "it is an original, or not known to be derived",
        ),
        (
            {"ImageType": "original", "Rows": 8},
            {"Rows": 9},
            "it is an original, or not known to be derived",
        ),
        ({"Rows": 9, "InstanceNumber": 3}, {"InstanceNumber": 2}, "it has the most pixels"),
        ({"InstanceNumber": 2}, {"InstanceNumber": 10}, LOWEST),
        ({"InstanceNumber": 2}, {"InstanceNumber": None}, LOWEST),
        (
            {"SOPInstanceUID": "1.2.3.10"},
            {"SOPInstanceUID": "1.2.3.9"},
            "it has the lowest SOP Instance UID",
        ),
    ],
)
def test_the_rank(
    radiograph: Dataset,
    spec: PipelineSpec,
    winner: Mapping[str, object],
    loser: Mapping[str, object],
    why: str,
) -> None:
    vague = ("ViewPosition", "BodyPartExamined", "ImagerPixelSpacing")
    worst = variant(radiograph, dict.fromkeys(vague))
    candidates = (worst, variant(radiograph, loser), variant(radiograph, winner))
    for order in permutations(candidates):
        chosen = select(Study(order), spec.accept)
        assert chosen.dataset is candidates[2]
        assert CHOSEN.format(3, why) in chosen.notes


def test_notes_of_the_chosen_image_are_kept(radiograph: Dataset, spec: PipelineSpec) -> None:
    vague = variant(radiograph, {"ViewPosition": None})
    chosen = select(Study((vague, variant(vague, {"InstanceNumber": 2}))), spec.accept)
    assert chosen.notes == (
        "The header does not state the view; the image alone decided.",
        CHOSEN.format(2, LOWEST),
    )


def test_copies_count_as_one(radiograph: Dataset, spec: PipelineSpec) -> None:
    copy, third = deepcopy(radiograph), deepcopy(radiograph)
    third.PatientName = "QUILLFEATHER"  # of no account, as everything that nobody consults
    chosen = select(Study((radiograph, copy, third)), spec.accept)
    assert chosen.notes == ("3 copies of the judged image were found; one was judged.",)
    frontal = variant(radiograph, {"ViewPosition": "AP"})
    chosen = select(Study((frontal, radiograph, deepcopy(frontal))), spec.accept)
    assert chosen.notes == ("Other objects of the study that were no candidates: WRONG_VIEW 1.",)


def test_copies_without_a_uid_count_as_one(radiograph: Dataset, spec: PipelineSpec) -> None:
    del radiograph.SOPInstanceUID
    chosen = select(Study((radiograph, deepcopy(radiograph))), spec.accept)
    assert chosen.notes == ("2 copies of the judged image were found; one was judged.",)
    other = deepcopy(radiograph)
    other.PixelData = bytes(96)
    firsts = [
        select(Study(order), spec.accept).dataset.PixelData
        for order in ((radiograph, other), (other, radiograph))
    ]
    assert firsts[0] == firsts[1]


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelData": bytes(96)},
        {"ViewPosition": "AP"},
        {"ImagerPixelSpacing": [0.1, 0.1]},
        {"SeriesInstanceUID": "1.2.3.5"},
        {"SOPClassUID": CTImageStorage},
        {"PixelData": None},
    ],
)
def test_different_objects_of_one_uid_are_refused(
    radiograph: Dataset, spec: PipelineSpec, elements: Mapping[str, object]
) -> None:
    other = variant(radiograph, {"SOPInstanceUID": radiograph.SOPInstanceUID, **elements})
    best = variant(radiograph, {"InstanceNumber": 0})
    for order in permutations((radiograph, other, best)):
        with pytest.raises(Refused) as caught:
            select(Study(order), spec.accept)
        assert caught.value.refusal.code == "IDENTITY_CONFLICT"
        assert caught.value.refusal.remedy


CHOICES = {
    "ViewPosition": ["LL", "AP", None],
    "BodyPartExamined": ["CSPINE", "CHEST", None],
    "ImageType": [["ORIGINAL", "PRIMARY"], ["DERIVED", "PRIMARY"], None],
    "ImagerPixelSpacing": [[0.2, 0.1], None],
    "InstanceNumber": [1, 2, None],
    "Rows": [8, 4],
    "SOPInstanceUID": ["1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4", None],
}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=strategies.data())
def test_no_order_of_files_changes_the_answer(
    radiograph: Dataset, spec: PipelineSpec, data: strategies.DataObject
) -> None:
    header = strategies.fixed_dictionaries(
        {keyword: strategies.sampled_from(values) for keyword, values in CHOICES.items()}
    )
    made = [
        variant(radiograph, each)
        for each in data.draw(strategies.lists(header, min_size=1, max_size=5))
    ]
    order = data.draw(strategies.permutations(made))
    assert said(Study(tuple(made)), spec) == said(Study(tuple(order)), spec)


def said(study: Study, spec: PipelineSpec) -> tuple[object, ...]:
    try:
        chosen = select(study, spec.accept)
    except Refused as refused:
        return (refused.refusal,)
    return fingerprint(chosen.dataset), chosen.notes


@pytest.mark.parametrize("number", [None, ""])
def test_an_instance_number_is_not_needed(
    radiograph: Dataset, spec: PipelineSpec, number: str | None
) -> None:
    unnumbered = variant(radiograph, {"InstanceNumber": number})
    assert select(Study((unnumbered,)), spec.accept).dataset is unnumbered


def test_a_refusal_among_several_counts_them(radiograph: Dataset, spec: PipelineSpec) -> None:
    ct = variant(radiograph, {"SOPClassUID": CTImageStorage})
    frontal = variant(radiograph, {"ViewPosition": "AP"})
    for order in permutations((ct, frontal, variant(ct, {}))):
        with pytest.raises(Refused) as caught:
            select(Study(order), spec.accept)
        assert caught.value.refusal.reason == (
            "None of 3 objects is a candidate (WRONG_VIEW 1, UNSUPPORTED_OBJECT 2). The one that "
            "came furthest: The header states a view that is not lateral."
        )
        assert caught.value.refusal.remedy == "Send the lateral view in neutral position."


def test_of_reasons_of_one_code_the_order_of_files_picks_none(
    radiograph: Dataset, spec: PipelineSpec
) -> None:
    ct = variant(radiograph, {"SOPClassUID": CTImageStorage})
    mr = variant(radiograph, {"SOPClassUID": MRImageStorage})
    assert said(Study((ct, mr)), spec) == said(Study((mr, ct)), spec)


def test_with_none_admitted_the_reason_of_the_one_that_came_furthest(
    radiograph: Dataset, spec: PipelineSpec
) -> None:
    ct = variant(radiograph, {"SOPClassUID": CTImageStorage})
    chest = variant(radiograph, {"BodyPartExamined": "CHEST"})
    frontal = variant(radiograph, {"ViewPosition": "AP"})
    across = variant(radiograph, {"PatientOrientation": ["L", "F"]})
    for instances, code in (
        ((ct,), "UNSUPPORTED_OBJECT"),
        ((ct, chest), "WRONG_ANATOMY"),
        ((frontal, ct, chest), "WRONG_VIEW"),
        ((frontal, across, chest), "ORIENTATION_CONFLICT"),
    ):
        with pytest.raises(Refused) as caught:
            select(Study(instances), spec.accept)
        assert caught.value.refusal.code == code


def outcome(path: Path, spec: PipelineSpec, *, disguised: bool) -> str:
    """Take a file as far as it goes; disguised, its header passes every gate on the way."""
    try:
        dataset = read_dataset(path)
        if disguised:
            dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
            dataset.BodyPartExamined, dataset.ImagerPixelSpacing = "CSPINE", [0.1, 0.1]
        study = Study((dataset,))
        assert isinstance(study.source, Source)
        return str(read_image(select(study, spec.accept).dataset).pixels.shape)
    except (StudyError, Refused) as answer:
        return type(answer).__name__


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("disguised", [False, True])
def test_hostile_files_are_refused_or_unreadable(
    spec: PipelineSpec, disguised: bool, corpora: Callable[[str], Path]
) -> None:
    start = monotonic()
    files = sorted(corpora("pwnlab_fuzz").rglob("*.dcm"))
    assert len(files) > 200
    outcomes = {outcome(path, spec, disguised=disguised) for path in files}
    assert {"StudyError", "Refused"} <= outcomes
    assert monotonic() - start < 30
