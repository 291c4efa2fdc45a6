"""The model card of the OPLL pipeline and the figures of its page; run this file to write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import card
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Slices
from cspine_bench.accuracy.evidence import Report
from cspine_phantom.mr.disease import READER_NOISE, ideal_auc
from cspine_phantom.mr.faults import REFUSED

ROOT = Path(__file__).parents[2]
NAME = "mr-opll"
PAGE = ROOT / "docs" / "models" / f"{NAME}.md"
GUIDE = ROOT / "docs" / "pipelines" / f"{NAME}.md"
ASSETS = ROOT / "assets" / NAME
MEGABYTES = 12.0

DATA = """\
Simulated MR of the neck and nothing else: [phantoms](../phantoms.md#mr). Four sites with a scanner
each, adults of both sexes. Every patient has ossified ligament or worn discs, half of them each;
there is none with neither. No patient is in two of the sets below.
"""
TRAINING = """\
The network starts from random weights. AdamW under a one-cycle schedule, forward passes in
bfloat16, weights kept in float16. It learns from one slice at a time, of which every second is that
in the middle of the canal, by binary cross-entropy against the part of readers who would call the
patient positive. Slices are turned, scaled by at most 3 %, shifted, and shown as other devices
would have shown them. The tuning patients choose the threshold; no weight is fitted to them, and
nothing at all to the test.
"""
FAULTS = """\
Studies with a fault, all of which must be refused. Series and slices are chosen by headers and by
what shows of the canal, and that tells the first three. **There is no screen for MR**: no network
of this pipeline was trained to see motion or metal, and such a study is answered as if it were
sound. What its answer is worth was not measured, for a study with a fault has no truth.
"""
LIMITS = """\
- **It has seen phantoms only.** Nothing here says how well it does on people, and the figures above
  must not be quoted as if it did.
- A patient has one of two diseases, by construction. Of a neck with neither, or with another one,
  the answer means nothing.
- Ossified ligament shows on a phantom by how thick it is. MR of people shows thick ligament, gas
  and flow as dark as bone: a positive answer asks for CT.
- Motion and metal are not told: see above.
- The threshold was chosen where half of the patients are positive, and is right for no other share.
- Differences between sites, sexes and ages are those that the simulation has, so fairness between
  groups of people cannot be read off them.
"""
FIELDS = (
    ("AUC, answered patients", "auc"), ("AUC, others by chance", "auc_of_all"),
    ("accuracy", "accuracy"), ("sensitivity", "sensitivity"), ("specificity", "specificity"),
    ("F1", "f1"), ("kappa", "kappa"), ("evidence, Spearman", "severity"),
)  # fmt: skip


def reference() -> str:
    """Return the card."""
    spec = load_spec(shipped_spec(NAME))
    log = json.loads((ASSETS / "train.json").read_bytes())
    reports = card.verdicts(NAME)
    return "\n".join(
        [
            f"# Model card: {NAME}\n",
            "Written by `python tests/unit/test_docs_opll.py` from the pipeline file, the log of\n"
            "training and the verdicts on record.\n",
            f"{spec.title}: one network, trained on simulated studies.\n",
            f"## Intended use\n\n{card.USE}\n> {spec.intended_use}\n",
            f"## Network\n\n{card.networks(spec, log, assets=ASSETS)}",
            f"## Data\n\n{DATA}\n{data(log)}",
            f"## Training\n\n{TRAINING}\n{recipe(log)}",
            f"## On the tuning patients\n\n{tuning(spec.only(Slices), log)}",
            f"## On the locked test\n\n{card.locked_figures(reports, FIELDS, answers='labelled')}",
            f"### Beside the best possible\n\n{best(reports[0])}",
            f"### Groups\n\n{card.groups(reports)}",
            f"### Studies that must be refused\n\n{FAULTS}\n{card.faults(reports, REFUSED)}",
            f"## Limits\n\n{LIMITS}",
            "## Make it again\n\n```sh\nmake train    # the checkpoint and its log\n"
            "make verify   # the verdicts\npython tests/unit/test_docs_opll.py\n```\n",
        ]
    )


def guide() -> str:
    """Return the page of the pipeline with its figures of now."""
    return card.with_figures(GUIDE, summary())


def data(log: dict[str, Any]) -> str:
    made = log["recipe"]
    rows = [
        ["training", made["seed"], f"{made['stacks']} patients"],
        ["tuning", made["seed"] + 1, f"{made['tuning_stacks']} patients"],
    ]
    return card.table(["set", "seed", "what"], rows)


def recipe(log: dict[str, Any]) -> str:
    made, found = log["recipe"], log["classify"]
    row = [
        f"{made['stack_steps']} batches of {made['stack_batch']}",
        f"{found['minutes']} min",
        f"{found['loss'][0]} to {found['loss'][-1]}",
    ]
    return (
        f"Learning rate {made['learning_rate']}, weight decay {made['weight_decay']}, "
        f"PyTorch {log['torch']}, two CPU cores.\n\n"
        + card.table(["length", "time", "loss, means of 100 steps"], [row])
    )


def tuning(stage: Slices, log: dict[str, Any]) -> str:
    found = log["classify"]
    return (
        f"Of {found['tuning_patients']} patients the AUC is {found['tuning_auc']:.3f}, and that of "
        f"who reads their evidence\n{found['tuning_auc_of_the_evidence']:.3f}. At the best "
        f"threshold, {found['tuning_threshold']:.3f}, sensitivity is "
        f"{found['tuning_sensitivity']:.3f} and specificity\n{found['tuning_specificity']:.3f}. "
        f"The pipeline file has {stage.threshold:g}.\n"
    )


def best(report: Report) -> str:
    """Say how far the network is from who reads what the label came from."""
    return (
        f"The label is the evidence of the phantom read with an error of {READER_NOISE:g}, so that "
        "nobody has an AUC\nof 1. Who reads the evidence itself has "
        f"{card.figure(card.ideal(report))} on these patients, and\n{ideal_auc():.4f} of all that "
        f"could be drawn. The network in FP32 has {card.figure(card.performance(report).auc)}:\n"
        f"{ideal_auc() - card.auc_of(report):.3f} below the latter.\n"
    )


def summary() -> str:
    reports = card.verdicts(NAME)
    first, found = reports[0].reference, card.performance(reports[0])
    moved = {
        fault: card.answered(reports[0], fault, arm="reference") for fault in ("motion", "metal")
    }
    shares = " and ".join(
        f"{100 * (each.value or 0):.0f} % of those with {fault}" for fault, each in moved.items()
    )
    verdicts = ", ".join(f"{report.verdict} on {report.backend}" for report in reports)
    return (
        f"On {first.cases} phantoms that nothing was fitted to, in FP32, the AUC is "
        f"{card.figure(found.auc)}; who reads the\nevidence of the same phantoms without error has "
        f"{card.figure(card.ideal(reports[0]))}, and the best that anyone can\nexpect of any of "
        f"them is {ideal_auc():.3f}. At the threshold, "
        f"{100 * (found.sensitivity.value or 0):.0f} % of the positive patients are told and "
        f"{100 * (found.specificity.value or 0):.0f} % of the\n"
        f"others. INT8 against FP32: {verdicts}. Of studies that must be refused\nit answers "
        f"{shares}. All figures are in the\n[model card](../models/{NAME}.md).\n"
    )


def test_the_card_is_current() -> None:
    assert PAGE.read_text() == reference(), "run: python tests/unit/test_docs_opll.py"


def test_the_figures_of_the_page_are_current() -> None:
    assert GUIDE.read_text() == guide(), "run: python tests/unit/test_docs_opll.py"


def test_the_verdicts_are_of_one_bundle_and_one_set() -> None:
    reports = card.verdicts(NAME)
    assert {report.backend for report in reports} == {"onnxruntime", "openvino"}
    assert len({(report.bundle, report.set_digest) for report in reports}) == 1


def test_what_headers_and_the_canal_tell_is_refused() -> None:
    for report in card.verdicts(NAME):
        for fault in ("no T2", "axial only", "brain"):
            assert (card.answered(report, fault, arm="candidate").value or 0) <= 0.05, fault


def test_the_checkpoint_is_small() -> None:
    assert sum(path.stat().st_size for path in ASSETS.glob("*.safetensors")) / 1e6 <= MEGABYTES


def test_the_threshold_is_that_of_the_tuning_patients() -> None:
    stage: Slices = load_spec(shipped_spec(NAME)).only(Slices)
    chosen = json.loads((ASSETS / "train.json").read_bytes())["classify"]["tuning_threshold"]
    assert stage.threshold == pytest.approx(chosen, abs=0.011)


if __name__ == "__main__":
    PAGE.write_text(reference())
    GUIDE.write_text(guide())
