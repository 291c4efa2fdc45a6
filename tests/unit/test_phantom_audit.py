"""The instruments of the audit read what was put in; what they say of the phantoms is a record.

Run this file to write the tables of docs/phantoms.md anew from benchmarks/records/phantoms.json,
which ``cspine phantom audit --patients 400 --seed 3003 --record`` makes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from cspine.dicom.read import read_image
from cspine_phantom.commands import audit
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.imaging.radiograph import signal
from cspine_phantom.measure.appearance import contrast, greys
from cspine_phantom.measure.audit import Audit, Measured
from cspine_phantom.measure.leakage import AROUND_MM, background, leak, one_hot
from cspine_phantom.measure.literature import DQE, SOURCES, contrast_range, noise_range
from cspine_phantom.measure.noise import (
    flat_field,
    half_transfer,
    noise_power,
    quantum_efficiency,
    transfer,
)
from cspine_phantom.patients import LEVELS, SITES
from cspine_phantom.scene.anatomy import lateral
from cspine_phantom.study import phantom, phantoms

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "records" / "phantoms.json"
PAGE = ROOT / "docs" / "phantoms.md"
FIRST, LAST = "<!-- audit -->", "<!-- /audit -->"


def tables(record: Audit) -> str:
    """Return the Markdown tables of a record: what was measured, what tells the label, by whom."""
    made = f"`cspine phantom audit --patients {record.patients} --seed {record.seed}`"
    by_quantity: dict[str, list[Measured]] = {}
    for row in record.measured:
        by_quantity.setdefault(row.quantity, []).append(row)
    measured = [cells(quantity, rows) for quantity, rows in by_quantity.items()]
    told = [(row.what, f"{row.auc:.3f}", f"{row.low:.3f} to {row.high:.3f}") for row in record.told]
    told.append(("ideal observer of all phantoms, by quadrature", f"{record.ideal:.4f}", ""))
    named = [(name, source.citation, source.read) for name, source in record.sources.items()]
    return "\n".join([
        f"By {made}, one film a patient: the median,\nand the 5th to the 95th percentile where "
        "films differ. A star marks what lies outside of what\nis published.\n",
        table(("quantity", "unit", *SITES, "published", "by"), *measured),
        "What is not the spine tells no label. Backgrounds have no column and nothing within 20 mm "
        "of it;\nthe score is a logistic regression's on their principal components, fitted to "
        "other patients.\n",
        table(("what is seen", "AUC", "95 % interval"), *told),
        table(("name", "source", "read"), *named),
    ])  # fmt: skip


def cells(quantity: str, rows: list[Measured]) -> tuple[str, ...]:
    sites = {row.site: row for row in rows}
    ranges = {row.site: between(row.published) for row in rows if row.published}
    if len(ranges) == len(rows) and len(set(ranges.values())) == 1:
        published = ranges[rows[0].site]
    else:
        groups = {
            each: [site for site in ranges if ranges[site] == each] for each in ranges.values()
        }
        published = "; ".join(f"{', '.join(where)}: {each}" for each, where in groups.items())
    by = ", ".join(dict.fromkeys(row.source for row in rows if row.source))
    shown = (value(sites[site]) if site in sites else "" for site in SITES)
    return quantity, rows[0].unit, *shown, published or "none found", by


def value(row: Measured) -> str:
    spread = "" if row.low == row.high else f" ({between((row.low, row.high))})"
    return f"{row.value:.3g}{spread}{' *' if row.inside is False else ''}"


def between(ends: tuple[float, ...]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"


def table(*rows: tuple[object, ...]) -> str:
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def page() -> str:
    """Return docs/phantoms.md with the tables of the record between its two marks."""
    before, _, rest = PAGE.read_text().partition(FIRST)
    _, _, after = rest.partition(LAST)
    record = msgspec.json.decode(RECORD.read_bytes(), type=Audit)
    return f"{before}{FIRST}\n{tables(record)}{LAST}{after}"


@pytest.mark.skipif(not RECORD.exists(), reason="nothing is measured yet")
def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python tests/unit/test_phantom_audit.py"


@pytest.mark.skipif(not RECORD.exists(), reason="nothing is measured yet")
def test_what_is_not_the_spine_tells_no_label() -> None:
    record = msgspec.json.decode(RECORD.read_bytes(), type=Audit)
    told = {row.what: row for row in record.told}
    assert record.patients >= 200
    for what in ("site", "device", "background"):
        assert told[what].auc <= 0.55, what
    assert 0.95 <= record.ideal <= 0.995


def test_white_noise_has_the_power_of_its_variance() -> None:
    rng = np.random.default_rng(0)
    field = (200 + 10 * rng.standard_normal((1024, 1024))).astype(np.float32)
    power = noise_power(field, pitch_mm=0.1)
    for frequency in (0.5, 2.0, 4.0):
        assert power.at(frequency) == pytest.approx((10 / 200) ** 2 * 0.1**2, rel=0.05)


def test_a_slope_and_a_bulge_are_no_noise_and_a_blur_takes_of_it() -> None:
    rng = np.random.default_rng(0)
    field = (200 + 10 * rng.standard_normal((512, 512))).astype(np.float32)
    y, x = np.mgrid[-1:1:512j, -1:1:512j].astype(np.float32)
    plain, bent = (
        noise_power(each, pitch_mm=0.1) for each in (field, field + 20 * x - 30 * (y * y - 1 / 3))
    )
    assert bent.at(0.2) == pytest.approx(plain.at(0.2), rel=0.02)
    sigma_mm = 0.12
    soft = noise_power(cv2.GaussianBlur(field, (0, 0), sigma_mm / 0.1), pitch_mm=0.1)
    falls = np.exp(-((2 * np.pi * 1.5 * sigma_mm) ** 2))
    assert soft.at(1.5) / plain.at(1.5) == pytest.approx(falls, rel=0.1)


@pytest.mark.parametrize("site", SITES)
def test_a_flat_field_gives_back_what_the_device_states(site: str) -> None:
    """Up to electronic noise, a few per cent at this kerma, and the spread of an estimate."""
    device = DEVICES[site]
    power = flat_field(device, kerma_ugy=10.0, seed=1)
    efficiency = quantum_efficiency(power, device, kerma_ugy=10.0, frequency=0.15)
    assert efficiency == pytest.approx(device.detector.efficiency, rel=0.08)
    assert transfer(device, half_transfer(device)) == pytest.approx(0.5, abs=1e-3)
    # Quanta: four times the kerma, a quarter of the power.
    fewer = flat_field(device, kerma_ugy=2.5, seed=1)
    assert fewer.at(1.0) / power.at(1.0) == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("site", SITES)
def test_detectors_are_as_published(site: str) -> None:
    device = DEVICES[site]
    power = flat_field(device, kerma_ugy=2.5, seed=2)
    low, high, names = DQE[device.detector.material]
    found = quantum_efficiency(power, device, kerma_ugy=2.5, frequency=0.5)
    assert 0.95 * low <= found <= 1.05 * high  # what either measurement errs by
    assert set(names.split(", ")) <= set(SOURCES)
    expected = noise_range(device.detector, kerma_ugy=2.5)
    if expected:
        assert expected[0] <= power.at(0.5) <= expected[1]


def test_contrast_is_that_of_the_bone_put_in() -> None:
    """A neck whose signal is 1, with bodies that halve it and noise of a hundredth."""
    case = phantom(seed=31, number=1)
    device = DEVICES[case.patient.site]
    bodies = (case.mask > 0) & (case.mask < 8)
    rng = np.random.default_rng(0)
    field = np.where(bodies, 0.5, 1.0) + 0.01 * rng.standard_normal(bodies.shape)
    found = contrast(field.astype(np.float32), case.points, device)
    assert found["contrast"] == pytest.approx(np.log(2), abs=0.01)
    assert found["cnr"] == pytest.approx(50, rel=0.1)
    assert found["kerma_ugy"] == pytest.approx(device.kerma_ugy, rel=0.01)


def test_bone_stands_out_of_soft_tissue_as_its_mineral_does() -> None:
    for case in phantoms(patients=3, seed=31):
        device = DEVICES[case.patient.site]
        linear = signal(lateral(case.patient), case.patient, device)
        low, high = contrast_range(device)
        assert low < contrast(linear, case.points, device)["contrast"] < high


def test_greys_are_those_of_the_picture_as_shown() -> None:
    dataset = phantom(seed=31, number=0).dataset
    top = 2**dataset.BitsStored - 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    stored = np.full((dataset.Rows, dataset.Columns), top // 2, np.uint16)
    stored[: dataset.Rows // 4] = 0
    stored[-dataset.Rows // 8 :] = top
    dataset.PixelData = stored.tobytes()
    found = greys(dataset)
    assert found["black"] == pytest.approx(0.25, abs=0.01)
    assert found["white"] == pytest.approx(0.125, abs=0.01)
    assert found["bits"] == pytest.approx(dataset.BitsStored)
    assert found["low"] == found["middle"] == found["high"] == pytest.approx(0.5, abs=0.01)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    assert greys(dataset)["black"] == found["white"]


def test_the_background_has_nothing_of_the_column() -> None:
    for case in phantoms(patients=2, seed=31):
        image = read_image(case.dataset)
        before = background(case, image)
        assert np.any(before)
        # Painted over the column, and half as far about it as nothing may be seen.
        reach = 2 * round(AROUND_MM / 2 / image.spacing.row_mm) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        near = cv2.dilate((case.mask > 0).astype(np.uint8), disc) > 0
        painted = np.where(near, 0, image.levels()).astype(np.float32)
        after = background(case, replace(image, pixels=painted, grey=None))
        assert np.allclose(after, before, atol=2e-3)
        away = replace(image, pixels=(image.levels() * ~near + 1), grey=None)
        assert np.allclose(background(case, away), before, atol=2e-3)


def test_a_background_faces_left() -> None:
    case = phantom(seed=31, number=0)
    image = read_image(case.dataset)
    last = case.mask.shape[1] - 1
    mirrored = replace(
        case,
        face="left" if case.face == "right" else "right",
        mask=case.mask[:, ::-1],
        points={name: np.array([last - x, y]) for name, (x, y) in case.points.items()},
    )
    other = background(mirrored, replace(image, pixels=image.levels()[:, ::-1], grey=None))
    before = background(case, image)
    assert np.corrcoef(before.ravel(), other.ravel())[0, 1] > 0.99
    assert np.corrcoef(before.ravel(), other[:, ::-1].ravel())[0, 1] < 0.9


def test_a_leak_is_found_and_noise_is_none() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal(200)
    labels = hidden[:, None] + rng.standard_normal((200, len(LEVELS))) > 0.8
    picture = rng.standard_normal((200, 300)) + 0.5 * hidden[:, None] * rng.standard_normal(300)
    assert leak(picture, labels).auc > 0.7
    noise = leak(rng.standard_normal((200, 300)), labels)
    assert noise.interval.low < 0.5 < noise.interval.high
    sites = ["A" if value > 0 else "B" for value in hidden]
    assert leak(one_hot(sites), labels).auc > 0.65


def test_a_half_with_more_positives_tells_nothing() -> None:
    """Without a feature that helps, the halves' prevalences alone would score below chance."""
    rng = np.random.default_rng(0)
    labels = np.zeros((100, 6), bool)
    labels[::2] = rng.random((50, 6)) < 0.5
    labels[1::2] = rng.random((50, 6)) < 0.1
    assert leak(np.zeros((100, 3)), labels).auc == pytest.approx(0.5)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    record = tmp_path_factory.mktemp("audit") / "phantoms.json"
    words = ["--patients", "20", "--seed", "31", "--record", str(record)]
    result = CliRunner().invoke(audit, words)
    assert result.exit_code == 0
    assert "Marshall 2011" in result.output
    return msgspec.json.decode(record.read_bytes(), type=Audit)


def test_an_audit_names_who_published_each_range(measured: Audit) -> None:
    assert {row.site for row in measured.measured} == set(SITES)
    for row in measured.measured:
        assert bool(row.source) == (row.published is not None) == (row.inside is not None)
        assert set(filter(None, row.source.split(", "))) <= set(measured.sources)
        assert row.low <= row.value <= row.high
    assert [row.what for row in measured.told][:2] == ["site", "device"]


def test_the_tables_have_every_row(measured: Audit) -> None:
    text = tables(measured)
    quantities = {row.quantity for row in measured.measured}
    assert all(f"| {quantity} |" in text for quantity in quantities)
    assert text.count("\n| ") == len(quantities) + len(measured.told) + 1 + len(SOURCES) + 3
    assert "| A, B: 0.6 to 0.78; C: 0.2 to 0.38; D: 0.18 to 0.43 |" in text


if __name__ == "__main__":
    PAGE.write_text(page())
