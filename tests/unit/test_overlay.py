from __future__ import annotations

from dataclasses import replace

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from cspine.findings import Findings, Landmark, Measurement, Spacing
from cspine.image import Image
from cspine.outcome import View
from cspine.overlay import HEIGHT, SMALL_PRINT, overlay_png
from cspine.picture.canvas import PANEL
from cspine.transform import Affine, Floats

Canvas = npt.NDArray[np.uint8]


def view(*, column_mm: float = 0.5, heat: float = 0.0) -> View:
    """Return a radiograph of 220 x 200 pixels with two crops of 40 x 40 facing left."""
    pixels = np.random.default_rng(5).random((220, 200)).astype(np.float32)
    spacing = Spacing(row_mm=0.5, column_mm=column_mm, flag="detector plane")
    crops = tuple(Affine(np.array([[1.0, 0, 80], [0, 1, y]])) for y in (40, 130))
    maps: Floats = np.zeros((2, 5, 5), np.float32)
    maps[:, 2, 2] = heat
    return View(
        title="Cord compression on a lateral cervical radiograph",
        image=Image(pixels, spacing),
        crops=crops,
        crop_px=(40, 40),
        heat=maps,
    )


def drawn(findings: Findings, seen: View) -> Canvas:
    png = np.frombuffer(overlay_png(findings, seen), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)


def red(canvas: Canvas) -> npt.NDArray[np.bool_]:
    """Return where a picture is clearly more red than green and blue."""
    blue, green, redness = (canvas[..., i].astype(int) for i in range(3))
    return np.asarray((redness - green > 60) & (redness - blue > 60))


def with_positive(findings: Findings, *positive: bool) -> Findings:
    levels = tuple(
        msgspec.structs.replace(level, positive=is_positive)
        for level, is_positive in zip(findings.levels, positive, strict=True)
    )
    return msgspec.structs.replace(findings, levels=levels)


def test_the_same_findings_are_the_same_bytes(findings: Findings) -> None:
    png = overlay_png(findings, view(heat=2))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert overlay_png(findings, view(heat=2)) == png


@pytest.mark.parametrize("column_mm", [0.5, 0.25])
def test_both_directions_have_one_scale(findings: Findings, column_mm: float) -> None:
    canvas = drawn(findings, view(column_mm=column_mm))
    width = round(HEIGHT * 200 * column_mm / (220 * 0.5))
    assert canvas.shape == (HEIGHT, width + PANEL, 3)


def test_a_positive_level_is_boxed_where_its_crop_lies(findings: Findings) -> None:
    seen = red(drawn(findings, view())[:, :1000])
    # One image pixel is five of the picture's: rows 40 to 80, columns 80 to 120.
    for y in (200, 400):
        assert seen[y - 3 : y + 4, 420:580].any(axis=0).all()
    for x in (400, 600):
        # The mark across the level crosses the box near its front.
        assert seen[220:280, x - 3 : x + 4].any(axis=1).all()
        assert seen[320:380, x - 3 : x + 4].any(axis=1).all()
    assert not seen[500:].any()


def test_a_negative_level_has_no_box_and_no_heat(findings: Findings) -> None:
    negative = with_positive(findings, False, False)
    assert not red(drawn(negative, view(heat=9))[:, :1000]).any()
    assert overlay_png(negative, view(heat=9)) == overlay_png(negative, view())


def test_a_picture_without_levels_has_no_box(findings: Findings) -> None:
    bare = msgspec.structs.replace(findings, levels=(), withheld=(), notes=())
    plain = replace(view(), crops=(), heat=np.zeros((0, 5, 5), np.float32))
    assert not red(drawn(bare, plain)[:, :1000]).any()


def test_heat_is_shown_inside_the_positive_crop_only(findings: Findings) -> None:
    cold, hot = (drawn(findings, view(heat=heat)).astype(int) for heat in (0, 3))
    changed = np.abs(hot - cold).max(axis=2) > 8
    rows, columns = np.nonzero(changed)
    assert rows.size
    assert (rows.min() >= 195, rows.max() <= 405) == (True, True)
    assert (columns.min() >= 395, columns.max() <= 605) == (True, True)
    assert abs(rows.mean() - 300) < 15
    assert abs(columns.mean() - 500) < 15


def test_the_panel_says_what_the_findings_say(findings: Findings) -> None:
    panel = drawn(findings, view())[:, 1000:]
    for other in (
        with_positive(findings, True, True),
        msgspec.structs.replace(findings, withheld=()),
        msgspec.structs.replace(findings, notes=()),
        msgspec.structs.replace(findings, threshold=0.4),
    ):
        assert not np.array_equal(drawn(other, view())[:, 1000:], panel)


def test_many_notes_leave_the_small_print_alone(findings: Findings) -> None:
    few, many = (
        drawn(msgspec.structs.replace(findings, notes=("A note of some length.",) * count), view())
        for count in (1, 80)
    )
    assert not np.array_equal(few, many)
    np.testing.assert_array_equal(few[SMALL_PRINT - 16 :], many[SMALL_PRINT - 16 :])


def test_the_picture_is_not_written_into_the_radiograph(findings: Findings) -> None:
    seen = view(heat=3)
    before = seen.image.pixels.copy()
    overlay_png(findings, seen)
    assert np.array_equal(seen.image.pixels, before)


def test_a_measurement_is_drawn_where_its_lines_lie(findings: Findings) -> None:
    bare = msgspec.structs.replace(findings, levels=(), withheld=(), notes=())
    plain = replace(view(), crops=(), heat=None)
    chord = Measurement(
        name="CCI",
        value=12.5,
        unit="%",
        definition="from here to there",
        lines_px=(((60.0, 30.0), (60.0, 190.0)),),
        calibration=None,
    )
    corner = Landmark(name="C2PI", position_px=(140.0, 100.0), confidence=0.9)
    empty = drawn(bare, plain)
    shown = drawn(msgspec.structs.replace(bare, measurements=(chord,), landmarks=(corner,)), plain)
    changed = np.abs(shown.astype(int) - empty.astype(int)).max(axis=2) > 40
    # One image pixel is five of the picture's.
    assert changed[200:940, 299:306].any(axis=1).all()
    assert (shown[501:504, 701:704] > 220).all()
    assert not changed[:, 400:690].any()
    assert changed[:, 1000:].any()


def test_a_line_outside_of_the_picture_is_not_named(findings: Findings) -> None:
    bare = msgspec.structs.replace(findings, levels=())
    plain = replace(view(), crops=(), heat=None)
    far = Measurement(
        name="CCI",
        value=1.0,
        unit="%",
        definition="",
        lines_px=(((900.0, 30.0), (900.0, 190.0)),),
        calibration=None,
    )
    shown = drawn(msgspec.structs.replace(bare, measurements=(far,)), plain)
    assert np.array_equal(shown[:, :1000], drawn(bare, plain)[:, :1000])
