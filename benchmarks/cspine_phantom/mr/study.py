"""One MR study and its truth, simulated when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataset import Dataset

from cspine_phantom.mr.anatomy import Neck, neck
from cspine_phantom.mr.classic import classic
from cspine_phantom.mr.disease import Disease, draw_disease, generator
from cspine_phantom.mr.geometry import Lying, Stack, lie, sagittal
from cspine_phantom.mr.receive import received
from cspine_phantom.mr.scanners import SCANNERS, Protocol, Scanner
from cspine_phantom.mr.series import Series, Title, assemble
from cspine_phantom.mr.slices import Wanted, sagittal_signals
from cspine_phantom.mr.tissue import LABEL, tissues
from cspine_phantom.patients import Patient, draw_patient


@dataclass(frozen=True)
class MrPhantom:
    """One study and its truth."""

    patient: Patient
    disease: Disease
    series: tuple[Series, ...]
    datasets: tuple[Dataset, ...]


def mr_phantom(*, seed: int, number: int) -> MrPhantom:
    """Return patient `number` of `seed`, newly scanned.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.
    """
    patient, disease = draw_patient(seed, number), draw_disease(seed, number)
    scanner = SCANNERS[patient.site]
    series = scan(patient, disease, scanner)
    datasets = tuple(
        each for one in series for each in classic(patient, scanner, one, study="mr")
    )
    return MrPhantom(patient, disease, series, datasets)


def scan(patient: Patient, disease: Disease, scanner: Scanner) -> tuple[Series, ...]:
    """Return the series of a patient."""
    rng = generator(patient.seed, patient.number, stream="study")
    noise = generator(patient.seed, patient.number, stream="picture")
    own, lying = neck(patient, disease), lie(rng)
    seen = tissues(scanner.field_t, discs_t2_ms=rng.uniform(45, 95, 9), rng=rng)
    roll, pitch = np.deg2rad(rng.normal(0, (1.2, 2.0)))
    middle = np.array([rng.normal(0, 1.5), -4.0, rng.normal(0, 5.0)])
    titles: tuple[Title, ...] = ("sag T2", "sag T1")
    protocols = [_varied(each, rng) for each in (scanner.t2, scanner.t1)]
    wanted = [
        Wanted(
            sagittal(
                slices=each.slices, shape=(each.rows, each.columns), pixel_mm=each.pixel_mm,
                thickness_mm=each.thickness_mm, gap_mm=each.gap_mm, roll=roll, pitch=pitch,
                middle_mm=middle, upward=scanner.upward,
            ),
            seen.signal(each.sequence),
        )
        for each in protocols
    ]  # fmt: skip
    signals = sagittal_signals(own, wanted)
    found = []
    for number, (title, protocol, one, signal) in enumerate(
        zip(titles, protocols, wanted, signals, strict=True), 2
    ):
        images = received(
            signal, one.stack, protocol, scanner, cord=float(one.table[LABEL["cord"]]),
            fat=float(one.table[LABEL["fat"]]), rng=noise,
        )  # fmt: skip
        found.append(
            assemble(title, [(one.stack, images)], protocol, number=number, lying=lying,
                     shuffle=rng if rng.random() < 0.5 else None)
        )  # fmt: skip
    return tuple(found)


def _varied(protocol: Protocol, rng: np.random.Generator) -> Protocol:
    """Return a protocol as it was set for one study: times and field of view differ a little."""
    sequence = protocol.sequence
    return replace(
        protocol,
        pixel_mm=round(protocol.pixel_mm * rng.uniform(0.93, 1.06), 4),
        sequence=replace(
            sequence,
            repetition_ms=round(sequence.repetition_ms * rng.uniform(0.94, 1.08), 1),
            echo_ms=round(sequence.echo_ms * rng.uniform(0.95, 1.06), 1),
        ),
    )
