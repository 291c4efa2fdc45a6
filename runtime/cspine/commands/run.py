"""``cspine run``: findings, or a refusal, for each study."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from cspine.bundle import Bundle
from cspine.console import (
    EXIT_BAD_INPUT,
    bundle_argument,
    emit_json,
    json_option,
    progress,
    table,
    threads_option,
)
from cspine.device import this_device
from cspine.dicom.media import dicom_files
from cspine.dicom.select import Study, read_studies
from cspine.errors import StudyError
from cspine.files import sha256, write_atomic
from cspine.findings import Findings
from cspine.outcome import Outcome
from cspine.pipeline import Pipeline
from cspine.precision import Precision, choose
from cspine.tune import tuned


@click.command()
@bundle_argument
@click.argument("studies", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for results.")
@click.option(
    "--backend",
    type=click.Choice(["onnxruntime", "openvino", "tensorrt"]),
    help="[default: what `tune` found fastest here, else onnxruntime]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8"]),
    help="[default: int8 where its verdict is pass, else fp32]",
)
@threads_option
@json_option
def run(
    bundle: Path,
    studies: tuple[Path, ...],
    output: Path | None,
    backend: str | None,
    precision: Precision | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Judge STUDIES (DICOM files, or folders of them) with BUNDLE.

    Each study gives findings or a refusal with its code and reason; both are results. With -o,
    each gets a folder, named by a digest and never by the patient, with findings.json and,
    unless refused, overlay.png.

    \b
    Example:
      cspine run build/xray.cspine study1/ study2.dcm -o results/
    """
    opened = Bundle.open(bundle)
    device = this_device()
    found_fastest = tuned(opened, device) if backend is None and precision is None else None
    if found_fastest:
        chosen, threads = found_fastest.choice, threads or found_fastest.threads
    else:
        chosen = choose(opened, device, backend=backend or "onnxruntime", precision=precision)
    found, unreadable = _studies(studies)
    pipeline = Pipeline.open(opened, chosen, threads=threads)
    findings: list[Findings] = []
    places: list[Path | None] = []
    outcomes = pipeline.stream(_handed_over(found))
    for outcome in progress(outcomes, label="studies", length=len(found)):
        findings.append(outcome.findings)  # the view holds the image: it goes once it is drawn
        places.append(write_outcome(outcome, output) if output else None)
    pipeline.close()
    for error in unreadable:
        click.echo(f"cspine: {error}", err=True)
    if as_json:
        emit_json(findings)
    else:
        click.echo(f"{chosen.backend}, {chosen.precision}: {chosen.reason}\n")
        click.echo(findings_table(findings))
        if output:
            click.echo("\n" + "\n".join(str(place) for place in places))
    sys.exit(EXIT_BAD_INPUT if unreadable else 0)


def findings_table(findings: list[Findings]) -> str:
    """Lay out one row per study: a probability per level, ``*`` where positive, or the refusal."""
    answered = {level.label for found in findings for level in found.levels}
    withheld = {item.label for found in findings for item in found.withheld}
    names = sorted(answered | withheld)
    rows = []
    for number, found in enumerate(findings, 1):
        shown = {
            level.label: f"{level.probability:.2f}{'*' if level.positive else ' '}"
            for level in found.levels
        } | dict.fromkeys((item.label for item in found.withheld), "withheld")
        answer = f"{found.refusal.code}: {found.refusal.reason}" if found.refusal else found.status
        rows.append([number, *(shown.get(name, "") for name in names), answer])
    return table(["study", *names, "answer"], rows)


def _studies(paths: tuple[Path, ...]) -> tuple[deque[Study], list[StudyError]]:
    """Read every path; what cannot be read does not stop the others."""
    found: deque[Study] = deque()
    unreadable: list[StudyError] = []
    for path in paths:
        try:
            studies, errors = read_studies(dicom_files(path))
        except StudyError as error:
            unreadable.append(error)
        else:
            found += studies
            unreadable += errors
    return found, unreadable


def _handed_over(studies: deque[Study]) -> Iterator[Study]:
    """Yield the studies and keep none: once judged, a study holds the pixels it read."""
    while studies:
        yield studies.popleft()


def write_outcome(outcome: Outcome, folder: Path) -> Path:
    """Write a study's results into a folder of their own.

    It is named by the digest of what was judged: the same input lands in the same place, and
    nothing of the patient is in the name.
    """
    findings = outcome.findings
    name = sha256(msgspec.json.encode([findings.source, findings.identity]))[:12]
    if outcome.view is not None:
        from cspine.overlay import overlay_png  # drawing is not needed for a refusal

        write_atomic(folder / name / "overlay.png", overlay_png(findings, outcome.view))
    write_atomic(folder / name / "findings.json", findings.to_json())
    return folder / name
