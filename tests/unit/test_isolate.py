from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pydicom.dataset import Dataset

import cspine
import ct_series
import mr_series
from cspine.accept import Accept, Stack
from cspine.dicom.isolate import IsolatedReader
from cspine.dicom.select import Readable, find_studies
from cspine.dicom.stacks.wanted import WantedSeries
from cspine.errors import StudyError
from cspine.findings import Refused, Source
from cspine.image import Image
from cspine.spec import PipelineSpec

Save = Callable[[Dataset], Path]
GIB = 1 << 30
INTERPRETER = sys.executable


@pytest.fixture(scope="module")
def reader() -> Iterator[IsolatedReader]:
    """One process for tests that leave it alive."""
    with IsolatedReader() as reader:
        yield reader


def told(study: Readable, accept: Accept) -> list[object]:
    """Everything that reading a study's image says."""
    try:
        image = study.images(accept)[0]
    except Refused as refused:
        return [refused.refusal, study.source]
    grey = image.grey
    assert grey
    return [
        image.pixels.tolist(), image.pixels.dtype, grey.table.tolist(), grey.span, image.spacing,
        image.facing, image.source, image.notes, image.step, image.stored_shape, study.source,
    ]  # fmt: skip


def another(radiograph: Dataset, number: int) -> Dataset:
    radiograph.StudyInstanceUID = f"1.2.3.{number}"
    radiograph.SOPInstanceUID = f"1.2.3.4.5.{number}"
    radiograph.PatientID = f"QF-{number}"
    return radiograph


@pytest.fixture
def folder(radiograph: Dataset, saved: Save) -> Path:
    """An image, one with a window and marked MONOCHROME1, a report and a letter."""
    path = saved(another(radiograph, 1))
    radiograph.WindowCenter, radiograph.WindowWidth = 20, 30
    radiograph.PhotometricInterpretation = "MONOCHROME1"
    radiograph.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    saved(another(radiograph, 2))
    radiograph.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    saved(another(radiograph, 3))
    path.with_name("letter.txt").write_text("Dear colleague")
    return path.parent


def test_another_process_says_the_same(
    reader: IsolatedReader, folder: Path, spec: PipelineSpec
) -> None:
    with zipfile.ZipFile(folder.parent / "cd.zip", "w") as archive:
        for number, file in enumerate(sorted(folder.glob("*"))):
            archive.write(file, f"{number}")
    for path in (folder, folder.parent / "cd.zip", folder / "none"):
        studies, unreadable = find_studies([path])
        isolated, beside = reader.find_studies([path])
        assert list(map(repr, beside)) == list(map(repr, unreadable))
        assert len(isolated) == len(studies) == (0 if path.name == "none" else 3)
        for one, other in zip(isolated, studies, strict=True):
            assert told(one, spec.accept) == told(other, spec.accept)
    (folder.parent / "cd.zip").unlink()


MR_CUTS = mr_series.sagittal(mr_series.neck(), spacing_mm=(3.5, 1.0, 1.0), tilt_deg=7)
CT_CUTS = ct_series.axial(ct_series.neck(), tilt_deg=7, gantry=True)
T2 = WantedSeries(orientation="sagittal", weighting="T2", minimum_slices=7, minimum_field_mm=99)
CT = WantedSeries(orientation="axial", minimum_slices=7, minimum_field_mm=75)
STACKS = {
    "MR": (
        mr_series.classic(MR_CUTS),
        Stack(modality=["MR"], series=T2, judged_slices=5, age_years=(18, 100)),
    ),
    "CT": (
        ct_series.classic(CT_CUTS),
        Stack(modality=["CT"], series=CT, judged_slices=9, every_mm=3.0, age_years=(18, 100)),
    ),
}


@pytest.mark.parametrize("modality", STACKS)
def test_slices_come_from_another_process_with_their_planes(
    reader: IsolatedReader, tmp_path: Path, modality: str
) -> None:
    datasets, accept = STACKS[modality]
    for number, dataset in enumerate(datasets):
        dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    (study,), (isolated,) = find_studies([tmp_path])[0], reader.find_studies([tmp_path])[0]
    for one, other in zip(isolated.images(accept), study.images(accept), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert (one.spacing, one.source, one.notes) == (other.spacing, other.source, other.notes)
        assert one.unit == other.unit == ("HU" if modality == "CT" else None)
        assert one.plane
        assert other.plane
        for name, value in vars(other.plane).items():
            assert np.array_equal(getattr(one.plane, name), value), name


def test_studies_can_be_asked_in_any_order_and_again(
    reader: IsolatedReader, folder: Path, spec: PipelineSpec
) -> None:
    first, second, third = reader.find_studies([folder])[0]
    source = second.source
    assert isinstance(source, Source)
    assert source.study_uid == "1.2.3.2"
    pixels = second.images(spec.accept)[0].pixels
    reader.find_studies([folder / "letter.txt"])  # another batch in between
    assert np.array_equal(second.images(spec.accept)[0].pixels, pixels)
    assert first.images(spec.accept)[0].shape == (8, 6)
    with pytest.raises(Refused):
        third.images(spec.accept)[0]
    reader.close()
    assert first.images(spec.accept)[0].pixels.flags.owndata


def test_files_that_change_are_noticed(
    reader: IsolatedReader, radiograph: Dataset, folder: Path, spec: PipelineSpec
) -> None:
    study = reader.find_studies([folder])[0][0]
    study.images(spec.accept)[0]
    another(radiograph, 9).save_as(folder / "0.dcm", enforce_file_format=True)
    reader.close()
    with pytest.raises(StudyError, match="the files changed while they were read"):
        study.images(spec.accept)[0]


def zipped(path: Path, datasets: Iterable[Dataset]) -> Path:
    """Write data sets into an archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, dataset in enumerate(datasets):
            buffer = io.BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            archive.writestr(f"{number}", buffer.getvalue())
    return path


def test_a_process_holds_no_films_beside_their_headers(
    radiograph: Dataset, tmp_path: Path, spec: PipelineSpec
) -> None:
    radiograph.Rows = radiograph.Columns = 2000
    radiograph.PixelData = np.arange(2000 * 2000, dtype="<u2").tobytes()  # 8 MB
    path = zipped(tmp_path / "cd.zip", (another(radiograph, number) for number in range(30)))
    with IsolatedReader() as reader:
        studies, unreadable = reader.find_studies([path])
        assert (len(studies), unreadable) == (30, [])
        for study in (*studies, *studies):
            assert study.images(spec.accept)[0].shape == (2000, 2000)
        child = reader._child
        assert child
        status = Path(f"/proc/{child._process.pid}/status").read_text()
    assert int(status.split("VmHWM:")[1].split()[0]) >> 10 < 160


def test_more_archives_than_a_process_may_open(
    radiograph: Dataset, tmp_path: Path, spec: PipelineSpec
) -> None:
    paths = [
        zipped(tmp_path / f"{number}.zip", [another(radiograph, number)]) for number in range(300)
    ]
    with IsolatedReader() as reader:
        studies, unreadable = reader.find_studies(paths)
        assert (len(studies), unreadable) == (300, [])
        assert studies[-1].images(spec.accept)[0].shape == (8, 6)


def slow(radiograph: Dataset, path: Path) -> Path:
    """Write a file that is read for seconds: as many empty items as the limits allow."""
    radiograph.save_as(path, enforce_file_format=True)
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 190_000
    sequence = struct.pack("<HH2sHL", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF)
    end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    data = path.read_bytes()
    place = data.index(struct.pack("<HH", 0x0010, 0x0010))
    path.write_bytes(data[:place] + sequence + items + end + data[place:])
    return path


def test_a_file_that_takes_too_long_costs_no_other(
    radiograph: Dataset, folder: Path, spec: PipelineSpec
) -> None:
    slow(another(radiograph, 4), folder / "1-slow.dcm")
    with IsolatedReader(seconds=1) as reader:
        studies, unreadable = reader.find_studies([folder])
        assert [str(error) for error in unreadable] == [
            f"1 file in {folder} is not DICOM and was passed over",
            f"{folder}: file 2 of 5: reading it was stopped after 1 s; "
            "send the file again, or leave it out",
        ]
        assert len(studies) == 3
        assert studies[0].images(spec.accept)[0].shape == (8, 6)
        assert reader.find_studies([folder / "1-slow.dcm"])[0] == []


def test_a_reader_that_died_in_between_is_renewed(
    folder: Path, spec: PipelineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with IsolatedReader() as reader:
        study = reader.find_studies([folder])[0][0]
        child = reader._child
        assert child
        os.kill(child._process.pid, 11)
        child._process.wait()
        studies, _ = reader.find_studies([folder])
        assert len(studies) == 3
        assert study.images(spec.accept)[0].shape == (8, 6)


def test_more_than_the_memory_allowed_is_refused(
    radiograph: Dataset, tmp_path: Path, spec: PipelineSpec
) -> None:
    path = tmp_path / "large.dcm"
    radiograph.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    place = data.index(struct.pack("<HH", 0x7FE0, 0x0010))
    path.write_bytes(data[:place] + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 1000 << 20))
    os.truncate(path, place + 12 + (1000 << 20))
    with IsolatedReader() as reader:
        study = reader.find_studies([path])[0][0]
        with pytest.raises(Refused, match=r"The pixels cannot be decoded \(MemoryError\)"):
            study.images(spec.accept)[0]
        child = reader._child
        assert child
        status = Path(f"/proc/{child._process.pid}/status").read_text()
    assert int(status.split("VmHWM:")[1].split()[0]) << 10 < GIB


def test_packages_are_found_where_the_parent_found_them(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = tmp_path_factory.mktemp("packages")  # as PYTHONPATH, or a user's own
    source = Path(cspine.__file__).parent
    (packages / "cspine").symlink_to(source)
    program = f"""\
import sys
from pathlib import Path
sys.path = [{str(packages)!r}, *(each for each in sys.path if each != {str(source.parent)!r})]
import cspine
assert cspine.__file__.startswith({str(packages)!r})
from cspine.dicom.isolate import IsolatedReader
with IsolatedReader() as reader:
    print(len(reader.find_studies([Path({str(folder)!r})])[0]))
    print(Path(f"/proc/{{reader._child._process.pid}}/cmdline").read_text())
"""
    said = subprocess.run(
        [INTERPRETER, "-c", program], capture_output=True, text=True, check=True, cwd="/"
    )
    assert said.stdout.startswith("3\n")
    assert str(packages) in said.stdout


def test_why_a_process_does_not_start_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken" / "cspine" / "dicom"
    broken.mkdir(parents=True)
    (broken / "child.py").write_text("import QUILLFEATHER_is_not_there")
    for package in (broken, broken.parent):
        (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(broken.parents[1])
    advice = "; install cspine anew, or read without isolation"
    with pytest.raises(StudyError) as caught:
        IsolatedReader().find_studies([folder])
    told = "the isolated reader does not start (exit code 1, ModuleNotFoundError)"
    assert str(caught.value) == told + advice
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(StudyError) as caught:
        IsolatedReader().find_studies([folder])
    assert str(caught.value) == "the isolated reader does not start (FileNotFoundError)" + advice


def test_what_libraries_may_not_load_without_is_inherited(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    with IsolatedReader() as reader:
        reader.find_studies([folder])
        child = reader._child
        assert child
        environment = Path(f"/proc/{child._process.pid}/environ").read_bytes().split(b"\0")
    assert b"LD_PRELOAD=" in environment
    assert b"PYTHONPATH=/nowhere" not in environment


def test_the_process_may_not_write_and_says_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with IsolatedReader() as reader:
        reader.find_studies([folder])
        child = reader._child
        assert child
        limits = Path(f"/proc/{child._process.pid}/limits").read_text()
        environment = Path(f"/proc/{child._process.pid}/environ").read_bytes()
    assert "Max file size             0                    0" in limits
    assert "Max core file size        0                    0" in limits
    assert b"PATH=" not in environment.replace(b"LD_LIBRARY_PATH=", b"")
    assert capfd.readouterr() == ("", "")


# A child that was taken over: it says what it likes.

BEGUN = {"type": "Begun", "name": "x.dcm: file 1 of 1"}
LISTED = {"type": "Listed", "studies": ["1.2.3"]}
NAMED = {
    "type": "Named",
    "source": {"study_uid": "1.2.3", "series_uid": "", "instance_uid": "", "pixels": ""},
}
SHOWING = {
    "type": "Showing", "left": 0, "dtype": "uint8", "shape": [2, 2], "span": None,
    "spacing": {"row_mm": 1.0, "column_mm": 1.0, "flag": "unknown"}, "facing": None,
    "source": None, "notes": [], "step": 1, "stored_shape": None, "plane": None,
    "unit": None,
}  # fmt: skip


def framed(message: object, arrays: bytes = b"") -> bytes:
    header = message if isinstance(message, bytes) else msgspec.json.encode(message)
    return len(header).to_bytes(4, "big") + header + arrays


@pytest.fixture
def captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., IsolatedReader]]:
    """Return the function that makes a reader of whatever a program of ours answers."""
    readers = []

    def make(
        *answers: bytes, end: str = "sys.exit(3)", renewed: tuple[bytes, ...] | None = None
    ) -> IsolatedReader:
        program = tmp_path / "python"
        program.write_text(
            textwrap.dedent(f"""\
                #!{INTERPRETER} -I
                import os, signal, sys, time
                answers = {answers!r}
                if {renewed!r} and os.path.exists("{program}.again"):
                    answers = {renewed!r}
                open("{program}.again", "w").close()
                for answer in answers:
                    size = int.from_bytes(sys.stdin.buffer.read(4), "big")
                    sys.stdin.buffer.read(size)
                    sys.stdout.buffer.write(answer)
                    sys.stdout.buffer.flush()
                {end}
            """)
        )
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        readers.append(IsolatedReader(seconds=5))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 11)", "signal 11"),
        ("os.close(1); time.sleep(60)", "signal 9"),
    ],
)
def test_a_file_that_ends_the_process_is_named(
    captured: Callable[..., IsolatedReader], end: str, how: str
) -> None:
    empty = LISTED | {"studies": []}
    _, (error,) = captured(framed(BEGUN), end=end, renewed=(framed(empty),)).find_studies(
        [Path("x.dcm")]
    )
    assert str(error) == (
        f"x.dcm: file 1 of 1: reading it stopped the reader ({how}); "
        "send the file again, or leave it out"
    )


def test_a_process_that_stops_at_what_is_left_out_is_given_up(
    captured: Callable[..., IsolatedReader],
) -> None:
    with pytest.raises(StudyError, match="the isolated reader does not start"):
        captured(framed(BEGUN)).find_studies([Path("x.dcm")])


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff\xff\xff\xff",
        framed(b""),
        framed(b"\x80\x04K\x01."),  # a pickle
        framed(b"[" * 100_000),
        framed({"type": "Run", "command": "x"}),
        framed(BEGUN | {"more": 1}),
        framed(SHOWING),
        framed(NAMED),
    ],
)
def test_nonsense_ends_the_process(captured: Callable[..., IsolatedReader], answer: bytes) -> None:
    with pytest.raises(StudyError, match="the isolated reader does not start"):
        captured(answer).find_studies([Path("x.dcm")])


def image_of(reader: IsolatedReader, accept: Accept) -> Image:
    (study,), _ = reader.find_studies([Path("x.dcm")])
    return study.images(accept)[0]


def test_what_the_other_tests_change_is_an_image(
    captured: Callable[..., IsolatedReader], spec: PipelineSpec
) -> None:
    table = np.arange(256, dtype=np.float32).tobytes()
    answer = framed(BEGUN) + framed(NAMED) + framed(SHOWING, b"\1\2\3\4" + table)
    image = image_of(captured(framed(BEGUN) + framed(LISTED), answer), spec.accept)
    assert image.levels().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "lie",
    [
        {"dtype": "object"},
        {"dtype": "uint64"},
        {"shape": [65535, 65535]},
        {"shape": [0, 2]},
        {"shape": [-1, -2]},
        {"shape": [2, 2, 2]},
        {"shape": [3, 2]},  # fewer bytes than that follow
        {"stored_shape": [9, 9]},
        {"step": 0},
        {"spacing": {"row_mm": -1.0, "column_mm": 1.0, "flag": "unknown"}},
        {"spacing": {"row_mm": None, "column_mm": 1.0, "flag": "unknown"}},
        {"facing": "up"},
    ],
)
def test_an_image_that_is_none_is_refused(
    captured: Callable[..., IsolatedReader], spec: PipelineSpec, lie: dict[str, object]
) -> None:
    answer = framed(BEGUN) + framed(NAMED) + framed(SHOWING | lie, bytes(4 + 1024))
    reader = captured(framed(BEGUN) + framed(LISTED), answer)
    (study,), _ = reader.find_studies([Path("x.dcm")])
    with pytest.raises(Refused) as caught:
        study.images(spec.accept)[0]
    assert caught.value.refusal.code == "UNSUPPORTED_OBJECT"
    assert caught.value.refusal.reason == "Reading the image stopped the reader (exit code 3)."
    assert study.source
    assert study.source.study_uid == "1.2.3"


def test_what_a_terminal_would_obey_is_taken_out(captured: Callable[..., IsolatedReader]) -> None:
    unreadable = {"type": "Unreadable", "told": "x.dcm: \x1b[2Jgone\r\n"}
    reader = captured(framed(unreadable) + framed(LISTED | {"studies": []}))
    _, (error,) = reader.find_studies([Path("x.dcm")])
    assert str(error) == "x.dcm: ?[2Jgone??"
