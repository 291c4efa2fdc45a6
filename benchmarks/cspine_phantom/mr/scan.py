"""The series of one study: the two that are wanted, and others that are always there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cspine_phantom.mr.axials import Axials
from cspine_phantom.mr.disease import Disease, generator
from cspine_phantom.mr.faults import Fault, spoil
from cspine_phantom.mr.geometry import Stack, across, sagittal
from cspine_phantom.mr.grades import Narrowing
from cspine_phantom.mr.necks import neck
from cspine_phantom.mr.receive import received
from cspine_phantom.mr.scanners import LOCALISER, Protocol, Scanner, axial_of, close_of, stir_of
from cspine_phantom.mr.series import TITLES, Series, Title, assemble
from cspine_phantom.mr.slices import Signal, Wanted, signals
from cspine_phantom.mr.tissue import Table, tissues
from cspine_phantom.patients import Patient
from cspine_phantom.volume.anatomy import Anatomy
from cspine_phantom.volume.brain import brain
from cspine_phantom.volume.lying import Lying, Vector, lie
from cspine_phantom.volume.tissue import LABEL

_SHUFFLED = 0.5  # of all series: their frames are stored in no order


@dataclass(frozen=True)
class _Planned:
    """One series before it is taken."""

    title: Title
    protocol: Protocol
    stacks: tuple[Stack, ...]
    moved: Lying | None = None  # how the patient lay, if otherwise than before


def scan(
    patient: Patient,
    disease: Disease | Narrowing,
    scanner: Scanner,
    *,
    axials: Axials | None = None,
    fault: Fault | None = None,
    only: Sequence[Title] = TITLES,
) -> tuple[Series, ...]:
    """Return the series of a patient that are of some titles, in the order of their numbers.

    What a slice shows does not depend on which others are taken.

    Parameters
    ----------
    axials
        The axial T2 series of a study that is to be graded; by the habit of the site unless given.
    """
    # Streams of their own, so that a fault or a series more leaves the others' pixels as they were.
    study = generator(patient.seed, patient.number, stream="study")
    rng, lain, coming, order, spoilt = study.spawn(5)
    anatomy = neck(patient, disease)
    if fault == "brain":
        anatomy = brain(patient, rng=generator(patient.seed, patient.number, stream="anatomy"))
    lying = lie(lain)
    tissue = tissues(scanner.field_t, severity=patient.severity, rng=rng)
    planned = _planned(anatomy, scanner, axials, fault, rng, coming)
    planned = [each for each in planned if each.title in only]
    tables = [tissue.signal(each.protocol.sequence) for each in planned]
    found = _signals(anatomy, planned, tables)
    picture = generator(patient.seed, patient.number, stream="picture")
    noise = dict(zip(TITLES, picture.spawn(len(TITLES)), strict=True))
    change = spoil(fault, spoilt)
    numbers = _numbers(planned, order)
    series = []
    for each, table, seen, number in zip(planned, tables, found, numbers, strict=True):
        own = noise[each.title]
        cord, fat = float(table[LABEL["cord"]]), float(table[LABEL["fat"]])
        images = [
            received(
                change(signal, stack), stack, each.protocol, scanner, cord=cord, fat=fat, rng=own
            )
            for stack, signal in zip(each.stacks, seen, strict=True)
        ]
        shuffled = order.random() < _SHUFFLED
        series.append(
            assemble(
                each.title, list(zip(each.stacks, images, strict=True)), each.protocol,
                number=number, lying=each.moved or lying, moved=each.moved is not None,
                shuffle=order if shuffled else None,
            )
        )  # fmt: skip
    return tuple(sorted(series, key=lambda one: one.number))


def lying_of(patient: Patient) -> Lying:
    """Return how a patient lies while all series but a moved one are taken."""
    study = generator(patient.seed, patient.number, stream="study")
    return lie(study.spawn(2)[1])


def _planned(
    anatomy: Anatomy,
    scanner: Scanner,
    axials: Axials | None,
    fault: Fault | None,
    rng: np.random.Generator,
    coming: np.random.Generator,
) -> list[_Planned]:
    """Return where the slices of every series lie."""
    roll, pitch = np.deg2rad(np.clip(rng.normal(0, (1.2, 2.0)), -4, 4))
    middle = np.array([rng.normal(0, 1.2), -4.0 + rng.normal(0, 3), rng.normal(0, 5.0)])
    sagittals: list[tuple[Title, Protocol]] = [
        ("sag T2", _varied(scanner.t2, rng)), ("sag T1", _varied(scanner.t1, rng)),
        ("sag STIR", _varied(stir_of(scanner), rng)),
    ]  # fmt: skip
    axial = _varied(axial_of(scanner) if axials is None else close_of(scanner), rng)
    titles = taken(scanner, fault, coming)
    planned = [
        _Planned(title, each, (_sagittal(each, scanner, roll, pitch, middle),))
        for title, each in sagittals
        if title in titles
    ]
    if axials is not None:
        stacks = axials.stacks(axial, anatomy, middle_mm=middle)
        planned += [_Planned("ax T2", axial, stacks, axials.lying)] if stacks else []
    elif "ax T2" in titles:
        planned.append(_Planned("ax T2", axial, _axials(axial, anatomy, middle)))
    if "localiser" in titles:
        planned.append(_Planned("localiser", LOCALISER, _three_planes(LOCALISER, middle)))
    return planned


def taken(scanner: Scanner, fault: Fault | None, rng: np.random.Generator) -> set[Title]:
    """Return which series a study has: T2 and T1, and by chance what else the site takes."""
    chances = {"sag STIR": scanner.stir, "ax T2": scanner.axial, "localiser": scanner.localiser}
    others: tuple[Title, ...] = ("sag STIR", "ax T2", "localiser")
    drawn = dict(zip(others, rng.random(3), strict=True))
    titles: set[Title] = {title for title in others if drawn[title] < chances[title]}
    if fault == "axial only":
        return titles - {"sag STIR"} | {"ax T2"}
    wanted: set[Title] = {"sag T2", "sag T1"}
    return titles | wanted - ({"sag T2"} if fault == "no T2" else set())


def _sagittal(
    protocol: Protocol, scanner: Scanner, roll: float, pitch: float, middle: Vector
) -> Stack:
    return sagittal(
        slices=protocol.slices, shape=(protocol.rows, protocol.columns),
        pixel_mm=protocol.pixel_mm, thickness_mm=protocol.thickness_mm, gap_mm=protocol.gap_mm,
        roll=roll, pitch=pitch, middle_mm=middle, upward=scanner.upward,
    )  # fmt: skip


def _axials(protocol: Protocol, anatomy: Anatomy, middle: Vector) -> tuple[Stack, ...]:
    """Return a few slices along each of the discs."""
    return tuple(
        _across(protocol, np.array([middle[0], *at]), -rise) for at, rise in anatomy.sections
    )


def _three_planes(protocol: Protocol, middle: Vector) -> tuple[Stack, ...]:
    seen = sagittal(
        slices=protocol.slices, shape=(protocol.rows, protocol.columns),
        pixel_mm=protocol.pixel_mm, thickness_mm=protocol.thickness_mm, gap_mm=protocol.gap_mm,
        roll=0.0, pitch=0.0, middle_mm=middle, upward=True,
    )  # fmt: skip
    return seen, _across(protocol, middle, np.pi / 2), _across(protocol, middle, 0.0)


def _across(protocol: Protocol, middle: Vector, rise: float) -> Stack:
    return across(
        slices=protocol.slices, shape=(protocol.rows, protocol.columns),
        pixel_mm=protocol.pixel_mm, thickness_mm=protocol.thickness_mm, gap_mm=protocol.gap_mm,
        rise=rise, middle_mm=middle,
    )  # fmt: skip


def _signals(
    anatomy: Anatomy, planned: Sequence[_Planned], tables: Sequence[Table]
) -> list[list[Signal]]:
    """Return the signal of every stack of every series; the planes are drawn once for all."""
    wanted = [
        Wanted(stack, table)
        for each, table in zip(planned, tables, strict=True)
        for stack in each.stacks
    ]
    found = iter(signals(anatomy, wanted))
    return [[next(found) for _ in each.stacks] for each in planned]


def _numbers(planned: Sequence[_Planned], rng: np.random.Generator) -> list[int]:
    """Return series numbers: the localiser's comes first, the others' in any order."""
    rest = iter((2 + rng.permutation(len(planned))).tolist())
    return [1 if each.title == "localiser" else next(rest) for each in planned]


def _varied(protocol: Protocol, rng: np.random.Generator) -> Protocol:
    """Return a protocol as it was set for one study: times and field of view differ a little."""
    field, repetition, echo = rng.uniform((0.93, 0.94, 0.95), (1.06, 1.08, 1.06))
    sequence = protocol.sequence
    return replace(
        protocol,
        pixel_mm=round(protocol.pixel_mm * field, 4),
        sequence=replace(
            sequence,
            repetition_ms=round(sequence.repetition_ms * repetition, 1),
            echo_ms=round(sequence.echo_ms * echo, 1),
        ),
    )
