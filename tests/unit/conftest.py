"""Small inputs that several unit tests share; each test gets its own and may change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from cspine.bundle import PIPELINE, Bundle, emission_path, fp32_path, table_path, write_bundle
from cspine.findings import Findings, Identity, Level, Source, Spacing, Vertebra, Withheld
from cspine.image import Facing
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import PipelineSpec

Labels = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def spec() -> PipelineSpec:
    """Return the shipped pipeline."""
    return load_spec(shipped_spec("xray-compression"))


@pytest.fixture
def radiograph() -> Dataset:
    """Return a DX header that every gate admits, facing left, 8 rows of 6 pixels from 0 to 47."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    made.SOPInstanceUID = "1.2.3.4.5"
    made.Modality = "DX"
    made.PatientName = "QUILLFEATHER^ZEBEDEE"
    made.PatientID = "QF-4711"
    made.PatientAge = "055Y"
    made.BodyPartExamined = "CSPINE"
    made.ImagerPixelSpacing = [0.2, 0.1]
    made.ViewPosition = "LL"
    made.StudyInstanceUID = "1.2.3"
    made.SeriesInstanceUID = "1.2.3.4"
    made.InstanceNumber = 1
    made.PatientOrientation = ["P", "F"]
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows, made.Columns = 8, 6
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = 0
    made.PixelData = np.arange(48, dtype="<u2").tobytes()
    return made


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Dataset], Path]:
    """Return the function that writes a data set to a file of its own."""

    def save(dataset: Dataset) -> Path:
        path = tmp_path / f"{len(list(tmp_path.glob('*.dcm')))}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return save


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Return a bundle of the shipped pipeline whose models are a few bytes each."""
    target = "ort-x64-avx2"
    files = {PIPELINE: shipped_spec("xray-compression").read_bytes()}
    for stage in ("screen", "localise", "classify"):
        files[fp32_path(stage)] = f"{stage} in FP32".encode()
        files[table_path(stage)] = f"{stage} calibrated".encode()
        files[emission_path(stage, target)] = f"{stage} in INT8".encode()
    provenance = {fp32_path("localise"): {"checkpoint": "c0ffee", "opset": 17}}
    return write_bundle(tmp_path / "small.cspine", files, provenance)


@pytest.fixture
def exported(bundle: Bundle) -> Bundle:
    """Return the small bundle as `export` leaves one, with graphs that can be inspected."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in "xy"]
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "graph", values[:1], values[1:])
    data: bytes = helper.make_model(graph).SerializeToString()
    paths = [fp32_path(stage.id) for stage in bundle.spec.networks]
    facts = {"opset": 17, "checkpoint_sha256": "0" * 64, "parity": [{"relative": 0.0}]}
    files = {PIPELINE: bundle.read(PIPELINE), **dict.fromkeys(paths, data)}
    return write_bundle(bundle.path, files, dict.fromkeys(paths, facts))


@pytest.fixture
def draw_neck() -> Callable[[Facing], Labels]:
    """Return the function that draws a label map of seven vertebrae, at 1 mm.

    Shape (256, 192). C2 to T1 are boxes 16 wide and 12 high, 18 apart, on column 95.5 from row
    39.5 down; the posterior elements are one bar 12 wide whose centre lies 30 behind.
    """

    def draw(facing: Facing) -> Labels:
        labels = np.zeros((256, 192), np.uint8)
        for label in range(1, 8):
            top = 34 + 18 * (label - 1)
            labels[top : top + 12, 88:104] = label
        labels[40:140, 120:132] = 8
        return labels if facing == "left" else labels[:, ::-1].copy()

    return draw


@pytest.fixture
def findings() -> Findings:
    """Return a partial answer: one level positive, one negative, one withheld."""
    box = ((40.0, 40.0), (80.0, 40.0), (80.0, 80.0), (40.0, 80.0))
    below = ((40.0, 90.0), (80.0, 90.0), (80.0, 130.0), (40.0, 130.0))
    return Findings(
        status="partial",
        refusal=None,
        source=Source(
            study_uid="1.2.3", series_uid="1.2.3.4", instance_uid="1.2.3.4.5", pixels="cd" * 32
        ),
        identity=Identity(
            pipeline="xray-compression",
            bundle="ab" * 32,
            backend="onnxruntime",
            precision="fp32",
            target=None,
        ),
        spacing=Spacing(row_mm=0.5, column_mm=0.5, flag="detector plane"),
        facing="left",
        threshold=0.5,
        vertebrae=(Vertebra(label="C2", centre_px=(60.25, 50.5), area_mm2=192.0),),
        levels=(
            Level(
                label="C2/3", probability=0.91, positive=True, decision="compression", box_px=box
            ),
            Level(
                label="C3/4",
                probability=0.12,
                positive=False,
                decision="no compression",
                box_px=below,
            ),
        ),
        landmarks=(),
        measurements=(),
        decisions=(),
        withheld=(
            Withheld(
                label="C4/5",
                code="MODEL_UNSURE",
                reason="A vertebra of this level was not found.",
            ),
        ),
        notes=("The header does not state the view; the image alone decided.",),
    )
