"""The model card is the recipe, its log and the verdicts; run this file to write it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import card
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Classify, PipelineSpec, Screen

ROOT = Path(__file__).parents[2]
NAME = "xray-compression"
PAGE = ROOT / "docs" / "models" / f"{NAME}.md"
ASSETS = ROOT / "assets" / NAME
MEGABYTES = 15.0  # of localiser and classifier together: what a clone should have to carry

TRAINING = """\
Networks start from random weights. AdamW under a one-cycle schedule, forward passes in bfloat16,
weights kept in float16. The localiser learns cross-entropy and Dice, the other two binary
cross-entropy. Films are turned, scaled, shifted and mirrored, and shown as other devices would have
shown them: curve of greys, local contrast, sharpness, strength and grain of the noise. Crops are
displaced as the localiser may err. The tuning patients choose the thresholds; no weight is fitted
to them, and nothing at all to the test.
"""
FIELDS = (
    ("AUC, answered levels", "auc"), ("AUC, others by chance", "auc_of_all"),
    ("accuracy", "accuracy"), ("sensitivity", "sensitivity"), ("specificity", "specificity"),
    ("F1", "f1"), ("kappa", "kappa"), ("severity, Spearman", "severity"),
    ("numbered right", "numbering"), ("Dice, mean of vertebrae", "dice"),
    ("Dice, worst vertebra", "worst_vertebra"),
)  # fmt: skip
LIMITS = """\
- **It has seen phantoms only.** Nothing here says how well it does on people, and the figures above
  must not be quoted as if it did.
- Severity shows on a phantom by construction. A radiograph does not show the cord; that bone tells
  its compression is assumed.
- Children, fractures, tumours, fused levels and metal are outside of what it was shown; metal and
  what else the screen knows is refused, the rest is not told.
- Levels are numbered from C2. Where C2 is out of view there is no answer.
- The threshold was chosen at the prevalence of the phantoms, and is right for no other.
- Differences between sites, sexes, ages and postures are those that the simulation has, so fairness
  between groups of people cannot be read off it.
"""


def reference() -> str:
    """Return the card."""
    spec = load_spec(shipped_spec(NAME))
    log = json.loads((ASSETS / "train.json").read_bytes())
    reports = card.verdicts(NAME)
    return "\n".join(
        [
            f"# Model card: {NAME}\n",
            "Written by `python tests/unit/test_docs_model.py` from the pipeline file, the log of\n"
            "training and the verdicts on record.\n",
            f"{spec.title}: three networks, trained on simulated radiographs.\n",
            f"## Intended use\n\n{card.USE}\n> {spec.intended_use}\n",
            f"## Networks\n\n{card.networks(spec, log, assets=ASSETS)}",
            f"## Data\n\n{card.FILMS}\n{data(log)}",
            f"## Training\n\n{TRAINING}\n{recipe(log)}",
            f"## On the tuning patients\n\n{tuning(spec, log)}",
            f"## On the locked test\n\n{card.locked_figures(reports, FIELDS, answers='levels')}",
            f"## Limits\n\n{LIMITS}",
            "## Make it again\n\n```sh\nmake train    # the checkpoints and their log\n"
            "make verify   # the verdicts\npython tests/unit/test_docs_model.py\n```\n\n"
            f"`cspine phantom train {NAME} --size published` trains the classifier as a ResNet-50\n"
            "and writes a pipeline file beside it; no such checkpoint is shipped.\n",
        ]
    )


def data(log: dict[str, Any]) -> str:
    recipe = log["recipe"]
    seed = recipe["seed"]
    rows = [
        ["training", seed, f"{recipe['train_patients']} patients; for the localiser also "
         f"{recipe['frontal_films']} frontal films and {recipe['hidden_films']} with C7 hidden"],
        ["tuning", seed + 1, f"{recipe['tuning_patients']} patients"],
        ["training of the screen", seed + 2,
         f"{recipe['screen_clean']} clean films, {recipe['screen_of_each']} with each fault, twice "
         "as many of the subtle ones"],
        ["tuning of the screen", seed + 3,
         f"{recipe['screen_clean'] // 4} clean films, {recipe['screen_of_each'] // 5} with each"],
    ]  # fmt: skip
    return card.table(["set", "seed", "what"], rows)


def recipe(log: dict[str, Any]) -> str:
    recipe = log["recipe"]
    pace = {
        "screen": f"{recipe['screen_epochs']} epochs of batches of {recipe['screen_batch']}",
        "localise": f"{recipe['segment_steps']} batches of {recipe['segment_batch']}",
        "classify": f"{recipe['classify_epochs']} epochs of batches of {recipe['classify_batch']}",
    }
    rows = [
        [f"`{name}`", pace[name], f"{log[name]['minutes']} min",
         f"{log[name]['loss'][0]} to {log[name]['loss'][-1]}"]
        for name in pace
    ]  # fmt: skip
    return (
        f"Learning rate {recipe['learning_rate']}, weight decay {recipe['weight_decay']}, "
        f"PyTorch {log['torch']}, two CPU cores.\n\n"
        + card.table(["stage", "length", "time", "loss, means of 100 steps"], rows)
    )


def tuning(spec: PipelineSpec, log: dict[str, Any]) -> str:
    dice = log["localise"]["tuning_dice"]
    found = log["classify"]
    stage: Classify = spec.only(Classify)
    text = card.table(["Dice", *dice], [["", *(f"{value:.3f}" for value in dice.values())]])
    text += (
        f"\nClassifier, on {found['tuning_levels']} levels cut by the true label maps: AUC "
        f"{found['tuning_auc']:.3f}; at the best threshold,\n{found['tuning_threshold']:.3f}, "
        f"sensitivity {found['tuning_sensitivity']:.3f} and specificity "
        f"{found['tuning_specificity']:.3f}. The pipeline file has\n{stage.threshold:g}. "
        f"Prevalence in training: {found['prevalence']:.3f}.\n"
    )
    if screen := spec.screen:
        text += "\n" + signs(screen, log[screen.id]["tuning"])
    return text


def signs(screen: Screen, told: dict[str, Any]) -> str:
    rows = [
        [sign.label, sign.threshold, f"{told[sign.label]['auc']:.4f}",
         f"{told[sign.label]['told']:.3f}", f"{told[sign.label]['clean_told']:.3f}"]
        for sign in screen.sign
    ]  # fmt: skip
    text = f"Screen, on {told['films']} films, {told['clean']} of them clean:\n\n"
    return text + card.table(["sign", "threshold", "AUC", "told", "told of clean films"], rows)


def test_the_card_is_current() -> None:
    assert PAGE.read_text() == reference(), "run: python tests/unit/test_docs_model.py"


def test_the_verdicts_are_of_one_bundle_and_one_set() -> None:
    reports = card.verdicts(NAME)
    assert {report.backend for report in reports} == {"onnxruntime", "openvino"}
    assert len({(report.bundle, report.set_digest) for report in reports}) == 1


def test_the_checkpoints_are_small() -> None:
    sizes = [(ASSETS / f"{name}.safetensors").stat().st_size for name in ("localise", "classify")]
    assert sum(sizes) / 1e6 <= MEGABYTES


def test_the_threshold_is_that_of_the_tuning_patients() -> None:
    stage: Classify = load_spec(shipped_spec(NAME)).only(Classify)
    chosen = json.loads((ASSETS / "train.json").read_bytes())["classify"]["tuning_threshold"]
    assert stage.threshold == pytest.approx(chosen, abs=0.011)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(reference())
