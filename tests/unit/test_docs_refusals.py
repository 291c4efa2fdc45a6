"""docs/refusals.md is the table of codes and what was measured; run this file to write it anew."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from pydicom.sr.codedict import codes as concepts

from cspine.codes import CODES
from cspine_phantom.measure.admission import Admission, Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "refusals.md"
RECORDS = ROOT / "benchmarks" / "records"
DICOM = {
    concept.value: concept.meaning
    for concept in (
        concepts.DCM.ObjectTypesNotSupported,
        concepts.DCM.ObjectSetIncomplete,
        concepts.DCM.InsufficientQualityForInterpretation,
        concepts.DCM.MeasurementFailure,
    )
}
INTRODUCTION = """\
# Refusals

Written by `python tests/unit/test_docs_refusals.py` from `cspine.codes` and the newest record.

A refusal is an answer: a code for programs, a reason and a remedy for people, and no score. What is
refused was not judged, and is not a negative. `cspine run` ends with 0 all the same.

## Which ground is told

What can be asked first is asked first, and the first ground that is met is told:

1. the files together: whose they are;
2. the header: object, anatomy, view and orientation, age;
3. the pixels: scale, decoding, blankness;
4. the image, by the screen: the signs of the pipeline file, in order of the codes below;
5. the image, by the vertebrae found: their order, their direction, and where the face points.

Where no object of a study is let in, the one that came furthest gives the code. What a header does
not state is left to the image, and noted. A number that no radiograph can have, such as a pixel of
a metre, counts as not stated ([reading](reading.md)). What a header states is never taken back: one
that names another body part is refused, whatever the image shows.

## Partial results

`NOT_VISIBLE` and, for the lowest vertebrae, `MODEL_UNSURE` withhold levels and leave the others
answered: `status` is `partial`, and `withheld` gives level, code and reason. A withheld level is
not a negative either. If no level would be left, the study is refused.

![Shoulders hide C6 and C7: three levels answered, three withheld](images/partial.png)

## What an operator does

Do what the remedy says and send the study again. The same bytes get the same answer, so sending
them twice helps nothing. A header is corrected where it was written, if it is wrong; changing a
right one to be let in brings an answer on which nobody must rely. If the reason is wrong, have the
film read without this software and keep it: a refusal that is wrong is a fault to report.

That a study was not refused says that nothing was found against it, not that it is sound. The
screen knows what [decision 9](decisions/0009-screen.md) says it was shown.

## Codes
"""
FIGURES = """\
## How well they are told

Simulated films of patients that nothing was trained or tuned on, each through the whole pipeline.
A stripped header states neither part nor view nor, unless the film is mirrored, orientation; a
lying one claims a lateral of the neck. Right is a film with a fault that was refused, or withheld,
with the code expected, and a clean one that was answered; missed, one that got an answer which its
fault forbids. The interval is Wilson's. No network was ever shown a film of an *unseen part*: which
code refuses it is open, that it is refused is not. The bundle is that of the
[model card](models/xray-compression.md).
"""
MAKE = "cspine phantom admission build/xray.cspine --seed 2002 --record"


def page() -> str:
    return "\n".join([INTRODUCTION, code_table(), FIGURES, figures(newest())])


def table(*rows: tuple[object, ...]) -> str:
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def code_table() -> str:
    return table(
        ("code", "gate", "ground", "told by", "nearest DICOM code (DCM)"),
        *(
            (
                f"`{code}`",
                meaning.gate,
                meaning.ground,
                meaning.told_by,
                f"{meaning.dicom} {DICOM[meaning.dicom]}" if meaning.dicom else "",
            )
            for code, meaning in CODES.items()
        ),
    )


def newest() -> Admission | None:
    """The newest record of admission; the date stands at the front of its name."""
    paths = sorted(RECORDS.glob("*-admission.json"))
    return msgspec.json.decode(paths[-1].read_bytes(), type=Admission) if paths else None


def figures(record: Admission | None) -> str:
    if record is None:
        return (
            "Nothing is measured yet. With a bundle that `cspine verify` has passed:\n\n"
            f"```sh\n{MAKE} benchmarks/records/DATE-admission.json\n```\n"
        )
    made = (
        f"Bundle `{record.bundle[:12]}`, {record.backend}, target `{record.target}`, seed "
        f"{record.seed}.\n"
    )
    header = ("fault", "header", "right", "95 % interval", "missed", "answers")
    return "\n".join([made, table(header, *map(cells, record.rows))])


def cells(row: Row) -> tuple[object, ...]:
    answers = ", ".join(f"{code} {count}" for code, count in row.codes.items())
    interval = f"{row.low:.3f} to {row.high:.3f}"
    return row.fault, row.header, f"{row.right}/{row.films}", interval, row.missed, answers


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python tests/unit/test_docs_refusals.py"


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_row_of_five_cells(code: str) -> None:
    (row,) = (line for line in code_table().splitlines() if line.startswith(f"| `{code}` |"))
    assert row.count("|") == 6


def test_the_bundle_is_that_of_the_verdicts() -> None:
    record = newest()
    assert record is not None
    assert {path.name[:12] for path in (RECORDS / "xray-compression").iterdir()} == {
        record.bundle[:12]
    }


def test_the_figures_are_those_of_the_record() -> None:
    row = Row(
        fault="ap", header="lying", films=60, right=58, low=0.8861, high=0.9908, missed=1,
        codes={"WRONG_VIEW": 58, "MODEL_UNSURE": 1, "answered": 1},
    )  # fmt: skip
    record = Admission(
        bundle="ab" * 32, backend="onnxruntime", target="ort-x64-vnni", seed=2001, rows=(row,),
        device={}, versions={},
    )  # fmt: skip
    text = figures(record)
    assert "`abababababab`, onnxruntime, target `ort-x64-vnni`, seed 2001" in text
    said = "WRONG_VIEW 58, MODEL_UNSURE 1, answered 1"
    assert f"| ap | lying | 58/60 | 0.886 to 0.991 | 1 | {said} |" in text
    assert MAKE in figures(None)


if __name__ == "__main__":
    PAGE.write_text(page())
