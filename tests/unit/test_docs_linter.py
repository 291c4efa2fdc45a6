"""docs/linter.md is the linter's own table of rules; run this file to write it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from cspine_calibration.lint.lint import RULES, UNDECIDED
from cspine_calibration.lint.rule import Rule
from cspine_calibration.targets import TARGETS

PAGE = Path(__file__).parents[2] / "docs" / "linter.md"
INTRODUCTION = """\
# The linter

Written by `python tests/unit/test_docs_linter.py` from the rules in `cspine_calibration.lint`.

```sh
cspine inspect model.onnx --target trt
cspine inspect build/xray.cspine --target ort-x64-avx2 --json
```

A quantised ONNX file, ours or anyone's, is held against what a target's runtime wants of it.
Nothing is run, and no GPU is needed. Of a bundle every stage's emission for the target is looked
at. What `cspine emit` makes for a target has no error there; the tests hold it to that.

- **error**: the runtime refuses the file, misreads it, computes wrong, or does not run in integers,
  or fused, what the file quantises. Exit code 1.
- **warning**: it runs, and may cost accuracy or speed. Exit code 0 if there is nothing else.

Exit code 2: the file is no ONNX model, or a damaged one.

Some of it no runtime says. TensorRT builds files with UINT8 and zero point 0, with weights along a
wrong axis, with several scales for an activation. ONNX Runtime computes a Gemm with scales along
the wrong axis in integers, wrongly. OpenVINO gives wrong numbers for INT8 between a Concat and a
convolution on CPUs without AMX. `tests/pipeline/test_lint_runtimes.py` shows each broken file to
the runtime that is installed, and fails when a newer one behaves otherwise.

## Rules

T is TensorRT, D its deep learning accelerator, O ONNX Runtime, V OpenVINO, G any. The same number
stands in several rows where a rule can be broken in several ways.
"""
SATURATION = """\
## Saturation

On x86-64 without VNNI an instruction (`VPMADDUBSW`) multiplies two unsigned activations by two
signed weights and adds the products in 16 bits. What does not fit becomes 32767 or -32768: a wrong
number, and no error. The linter knows the weights, and the largest activation from the scale, the
zero point and the operator before (a Clip or a Sigmoid ends early; after a ReLU all of 255 occurs).
A pair of weights can saturate if the largest activation times the sum of its positive weights
exceeds 32767, or times that of its negative ones is below -32768. At 255 weights of at most 64
cannot.

Which weights form a pair is the runtime's choice. ONNX Runtime puts channels next to each other,
then the kernel's columns and rows; its depthwise kernel adds in 32 bits. O5 is an error for pairs
in that order, and a warning where only another order would saturate. It tells the share of pairs
and of output channels at risk and the worst sum. Whether a study reaches that sum only data can
say. `tests/unit/test_lint_saturation.py` holds it against an emulation of the instruction.
"""
OUTSIDE = """\
## What no file can decide

"""


def page() -> str:
    rows = [
        "| rule | severity | targets | a file must be so | otherwise |",
        "|---|---|---|---|---|",
        *map(row, RULES),
    ]
    others = [
        "| rule | what it asks | who checks it |",
        "|---|---|---|",
        *(f"| {each.number} | {each.asks} | {each.checked_by} |" for each in UNDECIDED),
    ]
    return "\n".join([INTRODUCTION, *rows, "", SATURATION, OUTSIDE + "\n".join(others), ""])


def row(rule: Rule) -> str:
    cells = (rule.number, rule.severity, targets(rule), rule.asks, rule.why)
    return f"| {' | '.join(cells)} |"


def targets(rule: Rule) -> str:
    found = [name for name, target in TARGETS.items() if rule.which(target)]
    if len(found) == len(TARGETS):
        return "all"
    return ", ".join(f"`{name}`" for name in found) or "none yet"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python tests/unit/test_docs_linter.py"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.number}-{rule.severity}")
def test_every_rule_says_what_it_asks_why_and_what_to_do(rule: Rule) -> None:
    assert row(rule).count("|") == 6
    assert min(map(len, (rule.asks, rule.why, rule.remedy))) > 5


if __name__ == "__main__":
    PAGE.write_text(page())
