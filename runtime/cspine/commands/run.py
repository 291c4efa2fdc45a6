"""``cspine run``: findings, or a refusal, for each study."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from cspine.bundle import Bundle
from cspine.choose import choose
from cspine.console import (
    BACKENDS,
    EXIT_BAD_INPUT,
    bundle_argument,
    emit_json,
    json_option,
    progress,
    table,
    threads_option,
)
from cspine.device import this_device
from cspine.dicom.collect import PassedOver
from cspine.dicom.isolate import IsolatedReader, IsolatedStudy
from cspine.dicom.select import Readable, Study, find_studies
from cspine.errors import CspineError
from cspine.files import sha256, sync_folder, write_atomic
from cspine.findings import Decision, Findings, Level
from cspine.outcome import Outcome
from cspine.pipeline import Pipeline
from cspine.precision import Choice, Precision
from cspine.tune import tuned


@click.command()
@bundle_argument
@click.argument("studies", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for results.")
@click.option(
    "--also",
    "others",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Another bundle to judge the same studies with; may be given several times.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="[default: what `tune` found fastest here, else onnxruntime]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="[default: the lowest whose verdict is pass, else fp32]; FP16 is TensorRT's alone.",
)
@click.option(
    "--isolate",
    is_flag=True,
    help="Read files in a process of its own, within limits on memory and time.",
)
@threads_option
@json_option
def run(
    bundle: Path,
    studies: tuple[Path, ...],
    output: Path | None,
    others: tuple[Path, ...],
    backend: str | None,
    precision: Precision | None,
    threads: int | None,
    isolate: bool,
    as_json: bool,
) -> None:
    """Judge STUDIES (DICOM files, folders, ZIP archives or DICOMDIRs) with BUNDLE.

    A study is judged once, wherever its files lie; of several lateral images one is chosen by a
    fixed rank, and the findings say which rule decided. Each study gives findings or a refusal
    with its code and reason; both are results. With -o, each gets a folder, named by a digest and
    never by the patient, with findings.json and, unless refused, overlay.png. With --also, a study
    is judged with every bundle: those whose pipeline does not accept it refuse it and say why.

    Files that are not DICOM, as a CD holds beside its images, are counted and passed over. What
    cannot be read or judged is reported, and the others are judged all the same; the exit code is
    2 then. With --isolate this holds for a file that stalls or crashes its reader, too.

    \b
    Example:
      cspine run build/xray.cspine study1/ study2.dcm cd.zip -o results/
      cspine run build/xray.cspine --also build/sagittal.cspine inbox/ -o results/
    """
    chosen = [
        _chosen(Bundle.open(each), backend=backend, precision=precision, threads=threads)
        for each in dict.fromkeys((bundle, *others))
    ]
    found: Sequence[Study] | Sequence[IsolatedStudy]
    if isolate:
        reader = click.get_current_context().with_resource(IsolatedReader())
        found, unreadable = reader.find_studies(studies)
    else:
        found, unreadable = find_studies(studies)
    answers: list[Judged] = []
    failed: list[CspineError] = []
    for each in chosen:
        judged = _judged(each, found, failed=failed, output=output)
        if not as_json:
            click.echo(f"{judged}\n")
        answers.append(judged)
    for error in (*unreadable, *failed):
        click.echo(f"cspine: {error}", err=True)
    if as_json:
        emit_json([found for judged in answers for found in judged.findings if found])
    elif output:
        click.echo("\n".join(str(place) for judged in answers for place in judged.places))
    faults = failed or [error for error in unreadable if not isinstance(error, PassedOver)]
    sys.exit(EXIT_BAD_INPUT if faults else 0)


@dataclass(frozen=True)
class Chosen:
    """A bundle, and how it answers here."""

    bundle: Bundle
    choice: Choice
    threads: int | None


@dataclass(frozen=True)
class Judged:
    """What one bundle answers, ``None`` for a study that it could not judge, and where it lies."""

    chosen: Chosen
    findings: Sequence[Findings | None]
    places: Sequence[Path]

    def __str__(self) -> str:
        choice = self.chosen.choice
        head = f"{self.chosen.bundle.spec.name}: {choice.backend}, {choice.precision}: "
        return f"{head}{choice.reason}\n\n{findings_table(self.findings)}"


def _chosen(
    bundle: Bundle, *, backend: str | None, precision: Precision | None, threads: int | None
) -> Chosen:
    """Choose what `tune` found fastest here, unless something is asked for."""
    device = this_device()
    fastest = tuned(bundle, device) if backend is None and precision is None else None
    if fastest:
        return Chosen(bundle, fastest.choice, threads or fastest.threads)
    choice = choose(bundle, device, backend=backend or "onnxruntime", precision=precision)
    return Chosen(bundle, choice, threads)


def _judged(
    chosen: Chosen,
    studies: Sequence[Readable],
    *,
    failed: list[CspineError],
    output: Path | None,
) -> Judged:
    """Judge all studies with one bundle, and keep what it answers if that was asked for."""
    pipeline = Pipeline.open(chosen.bundle, chosen.choice, threads=chosen.threads)
    findings: list[Findings | None] = []
    places: list[Path] = []
    outcomes = _outcomes(pipeline, studies, failed)
    for outcome in progress(outcomes, label="studies", length=len(studies)):
        # The view holds the image: it goes once it is drawn.
        findings.append(outcome.findings if outcome else None)
        if output and outcome:
            places.append(write_outcome(outcome, output))
    pipeline.close()
    return Judged(chosen, findings, places)


def findings_table(findings: Sequence[Findings | None]) -> str:
    """Lay out one row per study: a probability per level, ``*`` where positive, or the refusal.

    What was measured stands with its unit. ``None`` is a study that could not be judged.
    """
    shown = [_cells(found) if found else {} for found in findings]
    names = sorted({name for cells in shown for name in cells})
    rows = []
    for number, (found, cells) in enumerate(zip(findings, shown, strict=True), 1):
        answer = "not judged"
        if found:
            refusal = found.refusal
            answer = f"{refusal.code}: {refusal.reason}" if refusal else found.status
        rows.append([number, *(cells.get(name, "") for name in names), answer])
    return table(["study", *names, "answer"], rows)


def _cells(found: Findings) -> dict[str, str]:
    """Return what is shown of each level and measurement of a study, by its name."""
    return {
        **{
            level.label: f"{level.probability:.2f}{'*' if level.positive else ' '}{_grade(level)}"
            for level in found.levels
        },
        **{each.name: each.shown for each in found.measurements},
        **{
            each.question: f"{each.probability:.2f} {each.decision}{_grade(each)}"
            for each in found.decisions
        },
        **{item.label: "withheld" for item in found.withheld},
    }


def _grade(answer: Level | Decision) -> str:
    return f" ({answer.grade})" if answer.grade is not None else ""


def _outcomes(
    pipeline: Pipeline, studies: Sequence[Readable], failed: list[CspineError]
) -> Iterator[Outcome | None]:
    """Yield the outcome of each study; ``None``, and an error, where one cannot be judged."""
    done = 0
    while done < len(studies):
        try:
            for outcome in pipeline.stream(studies[done:]):
                done += 1
                yield outcome
        except CspineError as error:  # of a model, or of files that changed
            done += 1
            failed.append(type(error)(f"study {done} of {len(studies)}: {error}"))
            yield None


def write_outcome(outcome: Outcome, folder: Path) -> Path:
    """Write a study's results into a folder of their own.

    It is named by the digest of what was judged: the same input lands in the same place, and
    nothing of the patient is in the name. A picture never lies beside findings that it does not
    show, not even after a power cut: an older one goes first, and the new one comes last.
    """
    findings = outcome.findings
    name = sha256(msgspec.json.encode([findings.source, findings.identity]))[:12]
    place = folder / name
    picture = None
    if outcome.view is not None:
        from cspine.overlay import overlay_png  # drawing is not needed for a refusal

        picture = overlay_png(findings, outcome.view)
    if (place / "overlay.png").exists():
        (place / "overlay.png").unlink()
        sync_folder(place)
    write_atomic(place / "findings.json", findings.to_json())
    if picture is not None:
        write_atomic(place / "overlay.png", picture)
    return place
