"""The model card is the recipe, its log and the verdicts; run this file to write it anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cspine.files import sha256
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Classify, Network, PipelineSpec, Screen
from cspine_bench.accuracy.evidence import Report, read_evidence
from cspine_bench.accuracy.figure import Figure
from cspine_bench.accuracy.levels import LevelPerformance

ROOT = Path(__file__).parents[2]
NAME = "xray-compression"
PAGE = ROOT / "docs" / "models" / f"{NAME}.md"
ASSETS = ROOT / "assets" / NAME
RECORDS = ROOT / "benchmarks" / "records"
MEGABYTES = 15.0  # of localiser and classifier together: what a clone should have to carry

USE = """\
For developing, testing and measuring a chain from a checkpoint to a device. **Not for diagnosis**,
not for triage, not for any decision about a person: no regulator has cleared it, and it has never
been shown an image of one. Its intended use, as the pipeline file states it and every result
repeats, is that of a network which clinical data would have to train:
"""
DATA = """\
Simulated lateral cervical radiographs and nothing else: [phantoms](../phantoms.md). Four sites with
a system each, adults of both sexes, four postures. Prevalence, overlap of the classes and the best
AUC that anyone can reach are known. No patient is in two of the sets below.
"""
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
    reports = verdicts(NAME)
    return "\n".join(
        [
            f"# Model card: {NAME}\n",
            "Written by `python tests/unit/test_docs_model.py` from the pipeline file, the log of\n"
            "training and the verdicts on record.\n",
            f"{spec.title}: three networks, trained on simulated radiographs.\n",
            f"## Intended use\n\n{USE}\n> {spec.intended_use}\n",
            f"## Networks\n\n{networks(spec, log, assets=ASSETS)}",
            f"## Data\n\n{DATA}\n{data(log)}",
            f"## Training\n\n{TRAINING}\n{recipe(log)}",
            f"## On the tuning patients\n\n{tuning(spec, log)}",
            f"## On the locked test\n\n{locked_figures(reports, FIELDS, answers='levels')}",
            f"## Limits\n\n{LIMITS}",
            "## Make it again\n\n```sh\nmake train    # the checkpoints and their log\n"
            "make verify   # the verdicts\npython tests/unit/test_docs_model.py\n```\n\n"
            f"`cspine phantom train {NAME} --size published` trains the classifier as a ResNet-50\n"
            "and writes a pipeline file beside it; no such checkpoint is shipped.\n",
        ]
    )


def verdicts(pipeline: str) -> list[Report]:
    """Return the verdicts on record of a pipeline, one a backend."""
    return [read_evidence(path) for path in sorted((RECORDS / pipeline).glob("*.json"))]


def networks(spec: PipelineSpec, log: dict[str, Any], *, assets: Path) -> str:
    rows = []
    for stage in spec.networks:
        data = (assets / f"{stage.id}.safetensors").read_bytes()
        rows.append(
            [
                f"`{stage.id}`",
                architecture(stage),
                f"{log[stage.id]['parameters'] / 1e6:.2f} M",
                f"{len(data) / 1e6:.1f} MB",
                f"{stage.size_px[0]} x {stage.size_px[1]} at {stage.spacing_mm:g} mm",
                f"`{sha256(data)[:12]}`",
            ]
        )
    return table(["stage", "network", "weights", "float16 file", "input", "SHA-256"], rows)


def architecture(stage: Network) -> str:
    arguments = stage.architecture.arguments
    kind = stage.architecture.factory.partition(":")[2]
    if kind == "ResNet":
        layers = "-".join(map(str, arguments["layers"]))
        return (
            f"ResNet, {arguments['block']} blocks {layers}, from {arguments['block_inplanes'][0]}"
        )
    return f"{kind}, filters {'-'.join(map(str, arguments['filters']))}"


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
    return table(["set", "seed", "what"], rows)


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
        + table(["stage", "length", "time", "loss, means of 100 steps"], rows)
    )


def tuning(spec: PipelineSpec, log: dict[str, Any]) -> str:
    dice = log["localise"]["tuning_dice"]
    found = log["classify"]
    stage: Classify = spec.only(Classify)
    text = table(["Dice", *dice], [["", *(f"{value:.3f}" for value in dice.values())]])
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
    return text + table(["sign", "threshold", "AUC", "told", "told of clean films"], rows)


def locked_figures(
    reports: Sequence[Report], fields: Sequence[tuple[str, str]], *, answers: str
) -> str:
    first = reports[0].reference
    header = ["", "FP32", *(f"INT8, {report.backend}" for report in reports)]
    arms = [first, *(report.candidate for report in reports)]
    levels = [arm.levels for arm in arms if arm.levels]
    changes = [report.levels for report in reports if report.levels]
    rows = [
        ["must be refused, and are", *(figure(arm.unfit_refused) for arm in arms)],
        *([name, *(shown(each, field) for each in levels)] for name, field in fields),
        *(
            [
                f"{name} less FP32's, margin {-margin:g}",
                "",
                *(difference(report, name) for report in reports),
            ]
            for name, margin in reports[0].gate.margins.items()
        ),
    ]
    if levels[0].dice is not None:
        rows.append(
            ["Dice less FP32's", "", *(figure(each.dice_difference, sign="+") for each in changes)]
        )
    rows += [
        ["decisions flipped", "", *(figure(each.flip_rate) for each in changes)],
        ["verdict", "", *(report.verdict for report in reports)],
    ]
    return (
        f"{first.cases} patients, {first.refused} refused, {levels[0].labelled} {answers}; set "
        f"`{reports[0].set_digest[:12]}`, bundle `{reports[0].bundle[:12]}`.\n"
        "Intervals are at 95 %, clustered by patient. INT8 passes if that of each difference with "
        "a\nmargin lies above it.\n\n" + table(header, rows)
    )


def difference(report: Report, name: str) -> str:
    (found,) = (each for each in report.criteria if each.name == name)
    return figure(Figure(found.value, found.low, found.high), sign="+")


def shown(arm: LevelPerformance, field: str) -> str:
    value = getattr(arm, field)
    if isinstance(value, Figure):
        return figure(value)
    return "-" if value is None else f"{value:.3f}"


def figure(value: Figure, *, sign: str = "") -> str:
    if value.value is None or value.low is None or value.high is None:
        return "-"
    form = f"{sign}.4f" if sign else ".3f"
    return f"{value.value:{form}} [{value.low:{form}}, {value.high:{form}}]"


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def test_the_card_is_current() -> None:
    assert PAGE.read_text() == reference(), "run: python tests/unit/test_docs_model.py"


def test_the_verdicts_are_of_one_bundle_and_one_set() -> None:
    reports = verdicts(NAME)
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
