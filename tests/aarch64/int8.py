"""Judge studies with the INT8 emission for Arm: int8.py BUNDLE OUTPUT STUDY ...

ONNX Runtime computes it on any processor; `cspine run` would choose the emission for the machine at
hand, and that only on evidence.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cspine.bundle import Bundle
from cspine.commands.run import write_outcome
from cspine.dicom.select import find_studies
from cspine.pipeline import Pipeline
from cspine.precision import Choice


def main(bundle: Path, output: Path, studies: list[Path]) -> None:
    choice = Choice("onnxruntime", "int8", "ort-arm", "asked for")
    pipeline = Pipeline.open(Bundle.open(bundle), choice)
    found, unreadable = find_studies(studies)
    if unreadable:
        raise SystemExit(f"aarch64: cannot be read: {unreadable}")
    for outcome in pipeline.stream(found):
        print(write_outcome(outcome, output))
    pipeline.close()


if __name__ == "__main__":
    bundle, output, *studies = map(Path, sys.argv[1:])
    main(bundle, output, studies)
