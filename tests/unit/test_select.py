from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from time import monotonic

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from cspine.dicom.read import read_dataset, read_image
from cspine.dicom.select import Study, dicom_files, read_studies, select
from cspine.errors import StudyError
from cspine.findings import Refused, Source
from cspine.spec import PipelineSpec

Save = Callable[[Dataset], Path]
CHOSEN = "One of {} lateral images was judged: the one stated most clearly."

# github.com/pwnlabmx/dicom-fuzzing-corpus, where a checkout of it lies at hand.
CORPUS = Path(
    os.environ.get(
        "DICOM_FUZZING_CORPUS", Path(__file__).parents[3] / "shared" / "data" / "pwnlab_fuzz"
    )
)


def variant(dataset: Dataset, elements: Mapping[str, object]) -> Dataset:
    """Return a copy with some elements changed, and those that are ``None`` removed."""
    changed = deepcopy(dataset)
    for keyword, value in elements.items():
        if value is None:
            delattr(changed, keyword)
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


def test_two_patients_under_one_uid_are_two_studies(
    radiograph: Dataset, saved: Save, tmp_path: Path
) -> None:
    for patient in ("QF-4711", "QF-4712", "QF-4711 ", None):
        saved(variant(radiograph, {"PatientID": patient}))
    studies, _ = read_folder(tmp_path)
    assert [len(each.instances) for each in studies] == [2, 1, 1]


def test_what_cannot_be_read_below_a_folder_is_numbered_and_not_named(
    radiograph: Dataset, saved: Save, tmp_path: Path
) -> None:
    saved(radiograph)
    broken = tmp_path / "QUILLFEATHER^ZEBEDEE.dcm"
    broken.write_text("no DICOM")
    studies, unreadable = read_folder(tmp_path)
    assert len(studies) == 1
    assert unreadable == [f"{tmp_path}: file 2 of 2: not a DICOM file (InvalidDicomError)"]
    assert read_folder(broken) == ([], [f"{broken}: not a DICOM file (InvalidDicomError)"])


def test_the_directory_of_a_medium_is_passed_over(
    radiograph: Dataset, saved: Save, tmp_path: Path
) -> None:
    directory = tmp_path / "DIRECTORY"  # it is known by what it is, not by its name
    shutil.copy(str(get_testdata_file("DICOMDIR")), directory)
    told = "{}: a DICOMDIR only; give the folder that holds the images"
    assert read_folder(directory) == ([], [told.format(directory)])
    assert read_folder(tmp_path) == ([], [told.format(tmp_path)])
    saved(radiograph)
    studies, unreadable = read_folder(tmp_path)
    assert ([study.source.study_uid for study in studies], unreadable) == (["1.2.3"], [])


def test_the_lateral_among_others_is_chosen(radiograph: Dataset, spec: PipelineSpec) -> None:
    frontal = variant(radiograph, {"ViewPosition": "AP"})
    ct = variant(radiograph, {"SOPClassUID": CTImageStorage})
    chosen = select(Study((frontal, ct, radiograph)), spec.accept)
    assert chosen.dataset is radiograph
    assert chosen.notes == ()


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
    assert chosen.notes == (CHOSEN.format(3),)


def test_ties_go_to_the_lowest_number_and_then_to_the_first(
    radiograph: Dataset, spec: PipelineSpec
) -> None:
    third, second, again = (variant(radiograph, {"InstanceNumber": n}) for n in (3, 2, 2))
    assert select(Study((third, second, again)), spec.accept).dataset is second


def test_notes_of_the_chosen_image_are_kept(radiograph: Dataset, spec: PipelineSpec) -> None:
    vague = variant(radiograph, {"ViewPosition": None})
    chosen = select(Study((vague, variant(vague, {"InstanceNumber": 2}))), spec.accept)
    assert chosen.notes == (
        "The header does not state the view; the image alone decided.",
        CHOSEN.format(2),
    )


@pytest.mark.parametrize("number", [None, ""])
def test_an_instance_number_is_not_needed(
    radiograph: Dataset, spec: PipelineSpec, number: str | None
) -> None:
    unnumbered = variant(radiograph, {"InstanceNumber": number})
    assert select(Study((unnumbered,)), spec.accept).dataset is unnumbered


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
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no fuzzing corpus in {CORPUS}")
@pytest.mark.parametrize("disguised", [False, True])
def test_hostile_files_are_refused_or_unreadable(spec: PipelineSpec, disguised: bool) -> None:
    start = monotonic()
    files = sorted(CORPUS.rglob("*.dcm"))
    assert len(files) > 200
    outcomes = {outcome(path, spec, disguised=disguised) for path in files}
    assert {"StudyError", "Refused"} <= outcomes
    assert monotonic() - start < 30
