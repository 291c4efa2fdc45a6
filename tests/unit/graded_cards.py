"""What differs between the model cards of pipelines that grade."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import card
from cspine.codes import Code
from cspine_bench.accuracy.agreement import ClassAgreement
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.figure import Figure
from cspine_phantom.ct import disease as ct
from cspine_phantom.ct import faults as ct_faults
from cspine_phantom.mr import faults as mr_faults
from cspine_phantom.mr import grades as mr

Best = tuple[str, Callable[[], float], Callable[[Report], Figure]]
"""A figure by its name: the best that anyone can expect, and that of FP32."""


@dataclass(frozen=True)
class Card:
    """What differs between the cards; keys are those of the recipe in the log.

    Attributes
    ----------
    data, training, faults, limits
        Text.
    patients
        What was simulated to train and to tune, with keys in braces.
    pace
        Of each stage, the keys of its batches and of their size.
    refused
        By fault, the code that a study with it must be refused with.
    answers
        What is decided.
    best
        What is known of the best possible.
    """

    data: str
    training: str
    patients: tuple[str, str]
    pace: Mapping[str, tuple[str, str]]
    refused: Mapping[Any, Code]
    faults: str
    answers: str
    best: tuple[Best, ...]
    limits: str


def named_right(report: Report) -> Figure:
    assert report.reference.grades
    return report.reference.grades.right


def quadratic(found: ClassAgreement | None) -> Figure:
    assert found
    return found.quadratic_kappa


TRAINING = """\
Networks start from random weights. AdamW under a one-cycle schedule, weights kept in float16. The
grades are learned from the part of readers who would give each class, which a phantom knows, and by
cross-entropy. What is seen is moved, turned and scaled, and shown as other devices would have shown
it; crops and frames are displaced as the stage before may err. The tuning patients choose the
threshold; no weight is fitted to them, and nothing at all to the test.
"""
CARDS = {
    "ct-stenosis": Card(
        data="""\
Simulated CT of the neck and nothing else: [phantoms](../phantoms.md#ct). Adults of both sexes, 45 %
of them without stenosis, 30 % with mild and 25 % with severe. Between the canal and its class
stands an error, as if the class had been read from MR of the same patient. No patient is in two of
the sets below.
""",
        training=TRAINING
        + """\
The detector learns torchvision's four losses of a Faster R-CNN, both of its networks as one.
""",
        patients=(
            "{canal_patients} patients, {canal_slices} slices of each, half of them the narrowest; "
            "for the detector also {canal_heads} whose head was scanned",
            "{canal_tuning} patients, all slices judged; half as many heads",
        ),
        pace={
            "detect": ("canal_steps", "canal_batch"),
            "grade": ("grading_steps", "grading_batch"),
        },
        refused=ct_faults.REFUSED,
        faults="""\
Studies with a fault, all of which must be refused. Headers tell missing slices and another
orientation, and that no canal is found tells another part. **No network tells metal**: such a study
is answered as if it were sound. What its answer is worth was not measured, for a study with a fault
has no truth.
""",
        answers="decisions",
        best=(
            ("AUC", ct.ideal_auc, lambda report: card.performance(report).auc),
            ("accuracy, two classes", ct.ideal_accuracy,
             lambda report: card.performance(report).accuracy),
            ("accuracy, three classes", lambda: ct.ideal_accuracy(ct.THRESHOLDS), named_right),
        ),
        limits="""\
- On a phantom, what narrows the canal shows on CT by construction. On people soft tissue narrows it
  too, and CT hardly shows that: MR decides.
- Metal is not told: see above.
- The threshold was chosen where 55 % of the patients are positive, and is right for no other share.
""",
    ),
    "mr-stenosis": Card(
        data="""\
Simulated MR of the neck and nothing else: [phantoms](../phantoms.md#mr). Four sites with a scanner
each, adults of both sexes with worn discs. Every level has a grade of Kang's, read with an error.
No patient is in two of the sets below.
""",
        training=TRAINING
        + """\
The localiser learns cross-entropy and Dice; a map of the cord's ends learns cross-entropy of its
softmax against a Gaussian about the true one.
""",
        patients=("{graded_patients} patients", "{graded_tuning} patients"),
        pace={
            "localise": ("bone_steps", "segment_batch"),
            "grade": ("grade_steps", "grade_batch"),
            "cord": ("cord_steps", "cord_batch"),
        },
        refused=mr_faults.REFUSED,
        faults="""\
Studies with a fault, all of which must be refused. Series and slices are chosen by headers and by
what shows of the canal, and that tells the first three. **No network tells motion or metal**: such
a study is answered unless the vertebrae are not found. What its answer is worth was not measured,
for a study with a fault has no truth.
""",
        answers="levels",
        best=(
            ("quadratic kappa with a reader", mr.ideal_kappa,
             lambda report: quadratic(card.graded(report.reference))),
            ("accuracy, four grades", lambda: float(np.trace(mr.ideal_matrix())), named_right),
            ("quadratic kappa of two readers", mr.readers_kappa,
             lambda report: quadratic(report.readers.grades if report.readers else None)),
        ),
        limits="""\
- Grade 3 is raised signal of the cord. On a phantom it follows from how narrow the canal is; on
  people it has other causes, too.
- A ratio is held against the outline that the phantom was drawn with, not against a reader's.
- Motion and metal are not told: see above.
- The threshold was chosen at the prevalence of the phantoms, and is right for no other.
""",
    ),
}  # fmt: skip
