"""The model cards of pipelines that grade, and the figures of their pages; run to write them.

A pipeline has a card once its networks are trained and it was judged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import card
import graded_figures as figures
from cspine.pipeline_file import SHIPPED, load_spec, shipped_spec
from cspine.spec import Grade
from graded_cards import CARDS, Card

ROOT = Path(__file__).parents[2]
MEGABYTES = 15.0  # of all checkpoints of a pipeline

LIMITS = """\
- **It has seen phantoms only.** Nothing here says how well it does on people, and the figures above
  must not be quoted as if it did.
"""
FAIRNESS = """\
- Differences between sites, sexes and ages are those that the simulation has, so fairness between
  groups of people cannot be read off them.
"""
JUDGED = [name for name in CARDS if (card.RECORDS / name).is_dir()]
UNJUDGED = "Not judged yet: no verdict is on record.\n"
FIELDS = (
    ("AUC, answered", "auc"), ("AUC, others by chance", "auc_of_all"), ("accuracy", "accuracy"),
    ("sensitivity", "sensitivity"), ("specificity", "specificity"), ("F1", "f1"),
    ("kappa", "kappa"), ("evidence, Spearman", "severity"),
)  # fmt: skip
BONES = (
    ("numbered right", "numbering"), ("Dice, mean of vertebrae", "dice"),
    ("Dice, worst vertebra", "worst_vertebra"),
)  # fmt: skip
HOW_IT_WENT = ("minutes", "parameters", "megabytes", "loss", "torch")
WORDS = {
    "tuning_dice": "Dice", "tuning_levels": "levels", "tuning_accuracy": "accuracy",
    "ideal_accuracy": "accuracy, best possible", "tuning_kappa": "quadratic kappa",
    "ideal_kappa": "quadratic kappa, best possible", "tuning_auc": "AUC",
    "ideal_auc": "AUC, best possible", "tuning_threshold": "threshold chosen",
    "tuning_sensitivity": "sensitivity there", "tuning_specificity": "specificity there",
    "tuning_slices": "slices", "tuning_patients": "patients",
    "error_mm": "mean error of the ends, mm", "ratio_error": "mean absolute error of the ratio",
    "ratio_bias": "bias of the ratio",
    "confidence_of_99_percent": "confidence that 99 % of the ends have",
    "tuning_recall": "found at IoU 0.5", "tuning_overlap": "mean IoU",
    "tuning_slices_of_heads": "slices of heads", "tuning_found_in_heads": "found in those",
}  # fmt: skip


def page(name: str) -> Path:
    return ROOT / "docs" / "models" / f"{name}.md"


def guide(name: str) -> Path:
    return ROOT / "docs" / "pipelines" / f"{name}.md"


def assets(name: str) -> Path:
    return ROOT / "assets" / name


def training_log(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((assets(name) / "train.json").read_bytes())
    return found


def reference(name: str) -> str:
    """Return the card of a pipeline."""
    spec, log, of = load_spec(shipped_spec(name)), training_log(name), CARDS[name]
    reports = card.verdicts(name)
    first = reports[0].reference
    stage: Grade = spec.only(Grade)
    fields = [*FIELDS, *(BONES if first.levels and first.levels.dice is not None else ())]
    why = figures.reasons(reports)
    locked = card.locked_figures(
        reports, fields, answers=of.answers, further=figures.further(reports)
    )
    return "\n".join(
        [
            f"# Model card: {name}\n",
            "Written by `python tests/unit/test_docs_graded.py` from the pipeline file, the log "
            "of\ntraining and the verdicts on record.\n",
            f"{spec.title}. All networks are trained on simulated studies.\n",
            f"## Intended use\n\n{card.USE}\n> {spec.intended_use}\n",
            f"## Networks\n\n{card.networks(spec, log, assets=assets(name))}",
            f"## Data\n\n{of.data}\n{data(log, of)}",
            f"## Training\n\n{of.training}\n{recipe(log, of)}",
            f"## On the tuning patients\n\n{tuning(log, of)}\nThe pipeline file has a threshold "
            f"of {stage.threshold:g} on the probability of {' and '.join(stage.positive)} together."
            "\n",
            f"## On the locked test\n\n{locked}",
            *([f"### Why a verdict is no pass\n\n{why}"] if why else []),
            f"### Agreement\n\n{figures.agreement(reports)}",
            f"### Beside the best possible\n\n{figures.best(reports[0], of)}",
            *([f"### Symptoms\n\n{figures.symptoms(reports)}"] if first.symptoms else []),
            f"### Groups\n\n{card.groups(reports)}",
            f"### Studies that must be refused\n\n{of.faults}\n{card.faults(reports, of.refused)}",
            f"## Limits\n\n{LIMITS}{of.limits}{FAIRNESS}",
            "## Make it again\n\n```sh\nmake train    # the checkpoints and their log\n"
            "make verify   # the verdicts\npython tests/unit/test_docs_graded.py\n```\n",
        ]
    )


def data(log: dict[str, Any], of: Card) -> str:
    seed = log["recipe"]["seed"]
    sets = zip(("training", "tuning"), of.patients, strict=True)
    rows = [
        [name, seed + number, what.format_map(log["recipe"])]
        for number, (name, what) in enumerate(sets)
    ]
    return card.table(["set", "seed", "what"], rows)


def recipe(log: dict[str, Any], of: Card) -> str:
    made = log["recipe"]
    rows = [
        [
            f"`{stage}`",
            f"{made[steps]} batches of {made[batch]}",
            f"{log[stage]['minutes']} min",
            f"{log[stage]['loss'][0]} to {log[stage]['loss'][-1]}",
            log[stage].get("torch", log["torch"]),
        ]
        for stage, (steps, batch) in of.pace.items()
    ]
    return (
        f"Learning rate {made['learning_rate']}, weight decay {made['weight_decay']}, CPU cores "
        "only.\n\n"
        + card.table(["stage", "length", "time", "loss, means of 100 steps", "PyTorch"], rows)
    )


def tuning(log: dict[str, Any], of: Card) -> str:
    rows = [
        [f"`{stage}`", WORDS[key], told(found)]
        for stage in of.pace
        for key, found in log[stage].items()
        if key not in HOW_IT_WENT
    ]
    return card.table(["stage", "figure", "value"], rows)


def told(found: Any) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    return f"{found:.4f}" if isinstance(found, float) else str(found)


def summary(name: str) -> str:
    """Return what the page of a pipeline says of how well it does."""
    if name not in JUDGED:
        return UNJUDGED
    reports = card.verdicts(name)
    arm, levels = reports[0].reference, card.performance(reports[0])
    said = [
        f"AUC {card.figure(levels.auc)}; who reads the evidence has "
        f"{card.figure(card.ideal(reports[0]))}",
        f"sensitivity {card.figure(levels.sensitivity)}, "
        f"specificity {card.figure(levels.specificity)}",
    ]
    if named := card.graded(arm):
        said.append(
            f"quadratic kappa {card.figure(named.quadratic_kappa)}, accuracy of the grades "
            f"{card.figure(named.accuracy)}"
        )
    if arm.boxes:
        said.append(
            f"canals found at an overlap of 0.5: {card.figure(arm.boxes.recall)}, mean overlap "
            f"{card.figure(arm.boxes.iou)}"
        )
    said += [
        f"{ratio}: mean absolute error {card.figure(found.mae)}, bias and limits of agreement "
        f"{card.limits(found.bias)}"
        for ratio, found in arm.values.items()
    ]
    said.append(
        "INT8 against FP32: "
        + ", ".join(f"{report.verdict} on {report.backend}" for report in reports)
    )
    lines = "".join(f"- {each}\n" for each in said)
    return (
        f"On {arm.cases} phantoms that nothing was fitted to, {arm.refused} of them refused, in "
        f"FP32:\n\n{lines}\nAll figures are in the [model card](../models/{name}.md).\n"
    )


def test_every_pipeline_that_grades_may_have_a_card() -> None:
    specs = [load_spec(path) for path in SHIPPED.glob("*.toml")]
    assert {spec.name for spec in specs if spec.has(Grade)} == CARDS.keys()


@pytest.mark.parametrize("name", CARDS)
def test_the_card_is_current(name: str) -> None:
    if name in JUDGED:
        assert page(name).read_text() == reference(name), "run: python " + __file__
    else:
        assert not page(name).exists()


@pytest.mark.parametrize("name", CARDS)
def test_the_figures_of_the_page_are_current(name: str) -> None:
    wanted = card.with_figures(guide(name), summary(name))
    assert guide(name).read_text() == wanted, "run: python " + __file__


@pytest.mark.parametrize("name", JUDGED)
def test_the_verdicts_are_of_one_bundle_and_one_set(name: str) -> None:
    reports = card.verdicts(name)
    assert {report.backend for report in reports} == {"onnxruntime", "openvino"}
    assert len({(report.bundle, report.set_digest) for report in reports}) == 1


@pytest.mark.parametrize("name", CARDS)
def test_the_checkpoints_are_small(name: str) -> None:
    sizes = [path.stat().st_size for path in assets(name).glob("*.safetensors")]
    assert 0 < sum(sizes) / 1e6 <= MEGABYTES


@pytest.mark.parametrize("name", CARDS)
def test_the_threshold_is_that_of_the_tuning_patients(name: str) -> None:
    stage: Grade = load_spec(shipped_spec(name)).only(Grade)
    chosen = training_log(name)[stage.id]["tuning_threshold"]
    assert stage.threshold == pytest.approx(chosen, abs=0.011)


if __name__ == "__main__":
    for name in CARDS:
        guide(name).write_text(card.with_figures(guide(name), summary(name)))
        if name in JUDGED:
            page(name).write_text(reference(name))
