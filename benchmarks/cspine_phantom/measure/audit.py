"""Whether phantoms look as radiographs do, and whether anything but the spine tells the label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from cspine.dicom.read import read_image
from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.imaging.radiograph import signal
from cspine_phantom.measure.appearance import contrast, greys, muscle_noise
from cspine_phantom.measure.ideal import drawn_auc, ideal_auc
from cspine_phantom.measure.leakage import background, leak, one_hot
from cspine_phantom.measure.literature import (
    DQE,
    FILM_SPEED_UGY,
    SOURCES,
    Source,
    contrast_range,
    fall_range,
    half_range,
    noise_range,
)
from cspine_phantom.measure.noise import NoisePower, flat_field, half_transfer, quantum_efficiency
from cspine_phantom.patients import SITES, Patient
from cspine_phantom.pool import spread
from cspine_phantom.scene.anatomy import lateral
from cspine_phantom.study import phantom

KERMA_UGY = 2.5
"""Air kerma at the detector at which flat fields are taken, as quality control does."""

Range = tuple[float, ...]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity at one site.

    ``value`` is the median of the site's films, ``low`` and ``high`` are their 5th and 95th
    percentile; a flat field has one value. ``published`` is None where no range was found.
    """

    quantity: str
    unit: str
    site: str
    value: float
    low: float
    high: float
    published: Range | None
    source: str

    @property
    def inside(self) -> bool | None:
        """Whether the median lies in the published range."""
        if self.published is None:
            return None
        low, high = self.published
        return low <= self.value <= high


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How well something tells the labels; the interval has 95 %, clustered by patient."""

    what: str
    auc: float
    low: float
    high: float


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one run; ``ideal`` is the area of the ideal observer of all phantoms."""

    seed: int
    patients: int
    measured: tuple[Measured, ...]
    told: tuple[Told, ...]
    ideal: float
    sources: dict[str, Source]


@dataclass(frozen=True)
class _Film:
    """What is kept of one patient's film."""

    patient: Patient
    facts: dict[str, float]
    muscle: tuple[float, NoisePower]
    background: Map


def measure_phantoms(
    *, patients: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> Audit:
    """Simulate clean films on all cores and measure them.

    Raises
    ------
    ModelError
        If the patients are too few for both labels to be there.
    ValueError
        If `seed` is negative.
    """
    jobs = [(seed, number) for number in range(patients)]
    films = list(spread(_film, jobs, progress=progress))
    measured = [row for site in SITES for row in _of_site(site, films, seed)]
    return Audit(
        seed=seed,
        patients=patients,
        measured=tuple(measured),
        told=tuple(_told(films)),
        ideal=ideal_auc(),
        sources=SOURCES,
    )


def _film(job: tuple[int, int]) -> _Film:
    seed, number = job
    case = phantom(seed=seed, number=number)
    patient = case.patient
    device = DEVICES[patient.site]
    linear = signal(lateral(patient), patient, device)
    return _Film(
        patient=patient,
        facts=contrast(linear, case.points, device) | greys(case.dataset),
        muscle=muscle_noise(linear, case.points, device, scale=patient.scale),
        background=background(case, read_image(case.dataset)),
    )


def _of_site(site: str, films: Sequence[_Film], seed: int) -> list[Measured]:
    device = DEVICES[site]
    detector = device.detector
    flat = flat_field(device, kerma_ugy=KERMA_UGY, seed=seed)
    dqe = quantum_efficiency(flat, device, kerma_ugy=KERMA_UGY, frequency=0.5)
    *dqe_range, dqe_source = DQE[detector.material]
    rows = [
        _one(site, "NNPS at 0.5 mm⁻¹, 2.5 µGy", "mm²", [flat.at(0.5)],
             noise_range(detector, kerma_ugy=KERMA_UGY), "Marshall 2011"),
        _one(site, "NNPS at 2 over 0.5 mm⁻¹", "", [flat.at(2.0) / flat.at(0.5)],
             fall_range(detector), "Nakano 2002"),
        _one(site, "MTF is one half at", "mm⁻¹", [half_transfer(device)],
             half_range(detector), "Marshall 2011"),
        _one(site, "DQE at 0.5 mm⁻¹", "", [dqe], (dqe_range[0], dqe_range[1]), dqe_source),
    ]  # fmt: skip
    shown = [film for film in films if film.patient.site == site]
    if not shown:
        return rows
    facts = {name: [film.facts[name] for film in shown] for name in shown[0].facts}
    rows += [
        _one(site, f"noise behind the neck over a flat field's, {at:g} mm⁻¹", "",
             [power.at(at) * level * device.kerma_ugy / (flat.at(at) * KERMA_UGY)
              for level, power in (film.muscle for film in shown)],
             # The tube gives 0.7 to 1.4 times what it gives in the mean.
             (1 / 1.4, 1 / 0.7), "IEC 62220-1")
        for at in (1.0, 2.0)
    ]  # fmt: skip
    return [
        *rows,
        _one(site, "kerma behind the neck", "µGy", facts["kerma_ugy"],
             FILM_SPEED_UGY, "Canon CXDI-50G"),
        _one(site, "bone to soft tissue, ln", "", facts["contrast"],
             contrast_range(device), "Curylo 1996"),
        # Published figures of these are of other parts of the body, or of none.
        _one(site, "contrast to noise of a pixel", "", facts["cnr"], None, ""),
        _one(site, "black pixels", "", facts["black"], None, ""),
        _one(site, "white pixels", "", facts["white"], None, ""),
        _one(site, "bits used", "", facts["bits"], None, ""),
        _one(site, "5th percentile of the greys", "of white", facts["low"], None, ""),
        _one(site, "median grey", "of white", facts["middle"], None, ""),
        _one(site, "95th percentile of the greys", "of white", facts["high"], None, ""),
    ]  # fmt: skip


def _one(
    site: str,
    quantity: str,
    unit: str,
    values: Sequence[float],
    published: Range | None,
    source: str,
) -> Measured:
    low, middle, high = _rounded(*np.percentile(values, [5, 50, 95]))
    return Measured(
        quantity=quantity,
        unit=unit,
        site=site,
        value=middle,
        low=low,
        high=high,
        published=_rounded(*published) if published else None,
        source=source if published else "",
    )


def _rounded(*values: float) -> tuple[float, ...]:
    """Keep four digits, so that a record does not change with the last bits of a machine."""
    return tuple(float(f"{value:.4g}") for value in values)


def _told(films: Sequence[_Film]) -> list[Told]:
    patients = [film.patient for film in films]
    labels = np.array([patient.labels for patient in patients])
    tried = {
        "site": one_hot([patient.site for patient in patients]),
        "device": one_hot([DEVICES[patient.site].name for patient in patients]),
        "age and sex": np.array(
            [(patient.age, patient.sex == "F") for patient in patients], np.float64
        ),
        "background": np.stack([film.background.ravel() for film in films]).astype(np.float64),
    }
    found = {what: leak(features, labels) for what, features in tried.items()}
    area, interval = drawn_auc(patients)
    rows = [(what, each.auc, each.interval) for what, each in found.items()]
    rows.append(("severity, the ideal observer", area, interval))
    return [
        Told(what=what, auc=round(area, 4), low=round(span.low, 4), high=round(span.high, 4))
        for what, area, span in rows
    ]
