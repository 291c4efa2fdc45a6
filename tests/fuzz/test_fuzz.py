"""Five hundred mutants, a public corpus, and a secret that none may tell.

``make fuzz`` runs ten thousand and keeps the record.
"""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import PersonName

sys.path.append(str(Path(__file__).parent))

from fuzz_bases import Base, bases, to_bytes
from fuzz_campaign import Campaign, mutants
from fuzz_mutations import mutations

from cspine.dicom.isolate import SECONDS, IsolatedReader
from cspine.dicom.select import find_studies
from cspine.errors import StudyError
from cspine.findings import Refused
from cspine.pipeline_file import load_spec, shipped_spec

MEMORY_BYTES = 1 << 30
SECRET = "QUILLFEATHER"
# Text, and what is text to whoever fills it in wrongly.
TEXTS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI")
TEXTS += ("UR", "UT")


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    with IsolatedReader() as reader:
        yield Campaign(tmp_path, reader)


def test_every_base_is_read(campaign: Campaign) -> None:
    for base in bases():
        assert campaign.outcome(base.data).kind == "image", base.name


def test_mutants_are_answered_within_the_limits(campaign: Campaign) -> None:
    kinds: Counter[str] = Counter()
    for mutant in mutants(500, seed=2):
        outcome = campaign.judged(mutant)
        assert outcome.seconds < SECONDS
        kinds[outcome.kind.partition(" ")[0]] += 1
    assert set(kinds) == {"image", "image,", "refused", "unreadable"}
    assert min(kinds.values()) > 10
    assert campaign.peak_bytes < MEMORY_BYTES


def test_no_file_of_the_corpus_is_an_image(
    campaign: Campaign, corpora: Callable[[str], Path]
) -> None:
    files = sorted(corpora("pwnlab_fuzz").rglob("*.dcm"))
    assert len(files) > 200
    for file in files:
        outcome = campaign.outcome(file.read_bytes())
        assert outcome.kind == "unreadable" or outcome.kind.startswith("refused"), file.name
        assert outcome.seconds < SECONDS
    assert campaign.peak_bytes < MEMORY_BYTES


# What is asked of a header: with the secret there, a file does not get as far as its pixels.
ASKED = {
    "BodyPartExamined", "ViewPosition", "PatientOrientation", "PatientAge", "ImageType",
    "PhotometricInterpretation", "SOPClassUID", "ImagerPixelSpacing", "WindowCenter",
    "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelSpacing", "CodeValue",
    "PresentationLUTShape", "EstimatedRadiographicMagnificationFactor", "InstanceNumber",
}  # fmt: skip


def planted(base: Base, *, at: str | None = None) -> Base:
    """Put the secret into every element that can hold it; into one that is asked for if wanted."""
    dataset = pydicom.dcmread(BytesIO(base.data))
    dataset.PatientComments = dataset.ImageComments = dataset.PatientAddress = ""
    dataset.OtherPatientIDsSequence = [Dataset()]
    dataset.OtherPatientIDsSequence[0].PatientID = ""
    dataset.RequestAttributesSequence = [Dataset()]
    dataset.RequestAttributesSequence[0].RequestedProcedureDescription = ""
    block = dataset.private_block(0x0029, f"{SECRET} 1", create=True)
    block.add_new(1, "LO", "")
    for element in dataset.iterall():
        if element.VR in TEXTS and (element.keyword not in ASKED or element.keyword == at):
            # What a file may hold, and pydicom would not write.
            element._value = PersonName(SECRET) if element.VR == "PN" else SECRET
    dataset.file_meta.ImplementationVersionName = SECRET
    dataset.file_meta.SourceApplicationEntityTitle = SECRET
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3"
    dataset.file_meta.PrivateInformation = SECRET.encode()
    data = to_bytes(dataset)
    return Base(base.name, data, pydicom.dcmread(BytesIO(data)))


class Kept(logging.Handler):
    """Every record that reaches the root logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(self.format(record))


def test_a_secret_is_told_by_no_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    accept = load_spec(shipped_spec("xray-compression")).accept
    told: list[str] = []
    kept = Kept()
    logging.getLogger().addHandler(kept)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    folder = tmp_path / "studies"
    folder.mkdir()
    path = folder / f"{SECRET}.dcm"
    answers: Counter[str] = Counter()
    try:
        with warnings.catch_warnings(record=True) as said, IsolatedReader() as reader:
            warnings.simplefilter("always")
            # As on import of cspine.dicom.dataset; pytest has put its own filters before that.
            warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
            for data in files():
                path.write_bytes(data)
                for find in (find_studies, reader.find_studies):
                    studies, errors = find([folder])
                    told += map(str, errors)
                    answers["unreadable"] += len(errors)
                    for study in studies:
                        told.append(repr(study.source))
                        try:
                            told += study.images(accept)[0].notes
                            answers["image"] += 1
                        except Refused as refused:
                            told.append(repr(refused.refusal))
                            answers["refused"] += 1
                        except StudyError as error:
                            told.append(str(error))
    finally:
        logging.getLogger().removeHandler(kept)
        logging.getLogger().setLevel(level)
    told += [*kept.told, *(str(warning.message) for warning in said), *capfd.readouterr()]
    assert planted(bases()[1]).data.count(SECRET.encode()) > 25
    assert min(answers[kind] for kind in ("image", "refused", "unreadable")) > 10
    assert SECRET not in "\n".join(told)
    assert SECRET[:5] not in "\n".join(told)


def files() -> Iterator[bytes]:
    """Yield valid files that hold the secret, and each of them in every way of damage."""
    for base in bases():
        for keyword in sorted(ASKED):
            yield planted(base, at=keyword).data
    for base in map(planted, bases()):
        yield base.data
        for name, mutate in mutations(UID(base.syntax)).items():
            if name != "nest":
                yield mutate(base, random.Random(f"{base.name}/{name}"))
