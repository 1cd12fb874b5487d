"""What is drawn over the mosaic and done on it, by keys and mouse: go to, measure, grid, files, bands, saving."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog

from deeplense_gui.widgets.canvas import MosaicCanvas
from deeplense_gui.widgets.layers import LAYERS
from deeplense_gui.widgets.place_menu import PlaceMenu, positions
from deeplense_gui.widgets.readout import NOTATIONS
from deeplense_gui.widgets.stretch import LUPTON, PRESETS, Coder, Painter, Stretch
from deeplense_gui.widgets.stretch_bar import StretchBar
from engine.images.mosaic import open_mosaic
from tests.gui.parts import NONE, messages, press, write_sky

KEY, LEFT = Qt.Key, Qt.MouseButton.LeftButton
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def panel(qtbot, vetting):
    """The mosaic's panel, painted, with a scanned field of one band."""
    panel = vetting.panels["mosaic"]
    settle(qtbot, panel.canvas)
    return panel


@pytest.fixture
def colours(qtbot, window, band_files):
    """The mosaic's panel with three bands, painted."""
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.session.open_mosaic(band_files)
    panel = window.panels["mosaic"]
    settle(qtbot, panel.canvas)
    return panel


def settle(qtbot, canvas: MosaicCanvas) -> None:
    def complete() -> bool:
        canvas.grab()
        return canvas.is_complete

    qtbot.waitUntil(complete, timeout=10_000)


def typed(qtbot, window, text: str) -> None:
    press(qtbot, window, KEY.Key_G, CONTROL)
    line = window.panels["mosaic"].goto.line
    assert line.isVisible()
    line.clear()
    qtbot.keyClicks(line, text)
    qtbot.keyClick(line, KEY.Key_Return)


# going somewhere


@pytest.mark.parametrize("notation", range(4))
def test_a_position_is_typed_in_any_notation(qtbot, vetting, panel, notation):
    wanted = (123.0, 321.0)
    text = [text for _, text in positions(vetting.session.mosaic, *wanted) if "circle" not in text][notation]
    typed(qtbot, vetting, f"px {text}" if notation == 3 else text)
    view = panel.canvas.view
    assert (view.x, view.y) == pytest.approx(wanted, abs=0.3)
    assert not panel.goto.isVisible()
    assert panel.canvas.hasFocus()


def test_a_candidate_is_found_by_its_place_and_by_a_part_of_its_name(qtbot, vetting, panel):
    session = vetting.session
    wanted = session.rows(session.ids())[6]
    typed(qtbot, vetting, "#7")
    assert session.selection == wanted.id
    other = session.rows(session.ids())[11]
    typed(qtbot, vetting, other.name[-12:].lower())
    assert session.selection == other.id
    assert (panel.canvas.view.x, panel.canvas.view.y) == pytest.approx((other.x, other.y), abs=0.01)


def test_names_are_completed_while_typing(qtbot, vetting, panel):
    press(qtbot, vetting, KEY.Key_L, CONTROL)
    name = vetting.session.candidate().name
    qtbot.keyClicks(panel.goto.line, name[:-2])
    qtbot.waitUntil(lambda: name in panel.goto._names.stringList(), timeout=5_000)
    qtbot.keyClick(panel.goto.line, KEY.Key_Escape)


@pytest.mark.parametrize(
    ("text", "said"), [("nowhere", "neither a candidate"), ("10 20", "is not on"), ("#999", "#40"), ("px 1 900", "400")]
)
def test_what_cannot_be_found_is_told_where_it_was_typed(qtbot, vetting, panel, text, said):
    before = panel.canvas.view
    typed(qtbot, vetting, text)
    assert said in panel.goto.error.text()
    assert panel.goto.error.isVisible()
    assert panel.canvas.view == before
    qtbot.keyClick(panel.goto.line, KEY.Key_Escape)
    assert not panel.goto.isVisible()


def test_arrows_pan_with_ctrl(qtbot, panel):
    canvas = panel.canvas
    canvas.centre_on(200, 200, zoom=4.0)
    qtbot.keyClick(canvas, KEY.Key_Right, CONTROL)
    assert canvas.view.x == pytest.approx(200 + canvas.width() / 16)
    qtbot.keyClick(canvas, KEY.Key_Up, CONTROL | SHIFT)
    assert canvas.view.y == pytest.approx(200 + canvas.height() / 4)


# over the image


def test_a_dragged_line_measures_distance_and_position_angle(qtbot, vetting, panel):
    canvas, said = panel.canvas, messages(vetting.session)
    canvas.centre_on(200, 200, zoom=2.0)
    press(qtbot, vetting, KEY.Key_M)
    assert panel.ruler_button.isChecked()
    start, end = canvas.view.point(180, 190).toPoint(), canvas.view.point(230, 215).toPoint()
    qtbot.mousePress(canvas, LEFT, pos=start)
    canvas.mouseMoveEvent(move(canvas, end))
    qtbot.mouseRelease(canvas, LEFT, pos=end)
    first, last = (
        vetting.session.mosaic.wcs.pixel_to_world(*canvas.view.pixel(QPointF(point))) for point in (start, end)
    )
    text = said[-1][0]
    assert f"{first.separation(last).arcsec:.2f}″" in text
    assert f"PA {first.position_angle(last).deg:.1f}°" in text
    assert canvas.view.x == 200
    qtbot.keyClick(canvas, KEY.Key_Escape)
    assert not canvas.measuring
    assert not panel.ruler_button.isChecked()
    assert canvas.ruler.start is None


def move(canvas, point: QPoint):
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent

    at = QPointF(point)
    return QMouseEvent(QEvent.Type.MouseMove, at, canvas.mapToGlobal(at), Qt.MouseButton.NoButton, LEFT, NONE)


def test_the_grid_is_switched_by_its_key_and_lies_where_the_wcs_says(qtbot, vetting, panel):
    canvas = panel.canvas
    assert not canvas.shows("grid")
    press(qtbot, vetting, KEY.Key_G, SHIFT)
    qtbot.waitUntil(lambda: canvas._grid._lines != (), timeout=5_000)
    with_grid = canvas.grab().toImage()
    line = next(line for line in canvas._grid._lines if line.axis == "latitude" and inside(line, canvas))
    for x, y in line.xy:
        if 0 < x < 399 and 0 < y < 399:
            assert canvas.mosaic.wcs.pixel_to_world(x, y).dec.deg == pytest.approx(line.value, abs=1e-6)
    press(qtbot, vetting, KEY.Key_G, SHIFT)
    assert canvas.grab().toImage() != with_grid


def inside(line, canvas) -> bool:
    return bool(np.any((line.xy > 0).all(axis=1) & (line.xy < 399).all(axis=1)))


def test_a_grid_is_made_anew_only_when_the_view_leaves_it(qtbot, panel):
    canvas, asked = panel.canvas, []
    panel.overlays.show_layer("grid")
    canvas.centre_on(200, 200, zoom=4.0)
    qtbot.waitUntil(lambda: canvas._grid._asked is not None and canvas._grid._asked[2].zoom == 4.0, timeout=5_000)
    ask = canvas._reader.ask
    canvas._reader.ask = lambda kind, question, **options: (asked.append(kind), ask(kind, question, **options))
    for step in range(5):
        canvas.centre_on(200 + step, 200, zoom=4.0)
        canvas.grab()
    assert "grid" not in asked
    canvas.centre_on(300, 200, zoom=4.0)
    canvas.grab()
    assert "grid" in asked


def test_every_overlay_can_be_hidden_and_stays_so(panel):
    for layer in LAYERS:
        action = panel.overlays.layers[layer.id]
        assert action.isChecked() == layer.shown == (layer.id in panel.canvas.shown)
        action.trigger()
        assert (layer.id in panel.canvas.shown) != layer.shown
        kept = panel.session.preferences.settings.value(f"overlays/{layer.id}")
        assert str(kept).lower() == str(not layer.shown).lower()


def test_one_key_hides_every_overlay(qtbot, vetting, panel):
    canvas = panel.canvas
    for layer in LAYERS:
        panel.overlays.show_layer(layer.id)
    press(qtbot, vetting, KEY.Key_H)
    alone = canvas.grab().toImage()
    for layer in LAYERS:
        panel.overlays.show_layer(layer.id, False)
    press(qtbot, vetting, KEY.Key_H)
    assert canvas.grab().toImage() == alone


def test_coordinates_are_read_in_the_frame_of_choice(qtbot, vetting, panel):
    canvas = panel.canvas
    canvas.centre_on(200, 200, zoom=4.0)
    sky = vetting.session.mosaic.wcs.pixel_to_world(200, 200)

    def there() -> SkyCoord:
        text = panel.readout.sky.text().replace("°", "")
        if text.startswith("l"):
            _, longitude, _, latitude = text.split()
            return SkyCoord(float(longitude), float(latitude), unit="deg", frame="galactic")
        return SkyCoord(text, unit=("hourangle" if ":" in text else "deg", "deg"))

    for number in range(len(NOTATIONS)):
        panel.readout.choose(number)
        assert (canvas.frame, canvas.notation) == (NOTATIONS[number].frame, NOTATIONS[number].notation)
        panel.readout.sky.setText("")
        canvas.hover_at(canvas.view.point(200, 200))
        qtbot.waitUntil(lambda: panel.readout.sky.text() != "", timeout=5_000)
        assert there().separation(sky.transform_to(there())).arcsec < 0.15


def test_positions_are_copied_from_the_context_menu(qtbot, vetting, panel):
    mosaic = vetting.session.mosaic
    menu = PlaceMenu(mosaic, 100.0, 50.0)
    qtbot.addWidget(menu)
    sky = mosaic.wcs.pixel_to_world(100, 50)
    for action in menu.actions():
        action.trigger()
        copied = QGuiApplication.clipboard().text()
        if "RA Dec" in action.text():
            assert SkyCoord(copied, unit=("hourangle", "deg")).separation(sky).arcsec < 0.2
        elif "Galactic" in action.text():
            _, longitude, _, latitude = copied.split()
            there = SkyCoord(float(longitude), float(latitude), unit="deg", frame="galactic")
            assert there.separation(sky.galactic).arcsec < 0.1
    panel.canvas.menu_wanted.emit(QPoint(5, 5), 100.0, 50.0)
    opened = panel.findChildren(PlaceMenu)[-1]
    assert {"Centre here", "Measure"} <= {action.text() for action in opened.actions()}
    opened.close()


def test_regions_are_loaded_remembered_and_removed(qtbot, vetting, panel, tmp_path, monkeypatch):
    path = tmp_path / "arcs.reg"
    path.write_text('icrs\ncircle(215.5,52.7,10") # color=red text={arc}\n')
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))
    vetting.actions_by_id["mosaic.regions"].trigger()
    qtbot.waitUntil(lambda: bool(panel.canvas.regions.files), timeout=5_000)
    panel.canvas.fit()
    panel.canvas.grab()
    assert vetting.session.project.setting("overlay_files")[vetting.session.mosaic.id]["regions"] == [str(path)]
    mosaic = vetting.session.mosaic
    vetting.session.show_mosaic(None)
    vetting.session.show_mosaic(mosaic)
    qtbot.waitUntil(lambda: list(panel.canvas.regions.files) == [path], timeout=5_000)
    panel.overlays.regions_removed.emit()
    assert not panel.canvas.regions.files


def test_a_region_file_that_cannot_be_read_says_so(qtbot, vetting, panel, tmp_path):
    said = messages(vetting.session)
    (tmp_path / "odd.reg").write_text("nothing of the kind")
    panel.load_regions(tmp_path / "odd.reg")
    qtbot.waitUntil(lambda: any("odd.reg" in text for text, _, _ in said), timeout=5_000)


def test_known_objects_of_a_catalogue_are_shown(qtbot, vetting, panel, tmp_path):
    said = messages(vetting.session)
    inside = vetting.session.mosaic.world(np.array([[100.0, 150.0]]))[0]
    table = tmp_path / "lenses.csv"
    table.write_text(f"Name,RA,DEC\nnear,{inside[0]},{inside[1]}\nfar,10,-20\n")
    panel.load_known(table)
    qtbot.waitUntil(lambda: len(panel.canvas.known.xy) == 2, timeout=10_000)
    assert panel.canvas.known.xy[0] == pytest.approx([100, 150], abs=1e-3)
    assert [panel.canvas.known.names[k] for k in panel.canvas.known.inside(panel.canvas.view)] == ["near"]
    assert any("1 of 2" in text for text, _, _ in said)
    panel.canvas.grab()


def test_blind_mode_conceals_names_and_known_objects(qtbot, vetting, panel):
    name = vetting.session.candidate().name
    assert vetting.session.names_like(name) == [name]
    assert panel.canvas.shows("known")
    vetting.session.set_blind(True)
    assert vetting.session.names_like(name) == []
    assert not panel.canvas.shows("known")
    typed(qtbot, vetting, "#3")
    assert vetting.session.selection == int(vetting.session.ids()[2])
    vetting.session.set_blind(False)
    assert panel.canvas.shows("known")


def test_contours_enclose_the_sources(qtbot, panel):
    canvas = panel.canvas
    panel.overlays.show_layer("contours")
    qtbot.waitUntil(lambda: canvas._contours is not None, timeout=5_000)
    canvas.grab()
    path = canvas._contours.paths[2]
    place = canvas.markers.position(canvas.selection)
    assert path.contains(QPointF(*place))
    assert not path.contains(QPointF(place[0] + 25, place[1] + 25))


def test_the_footprint_tells_what_the_scan_has_covered(qtbot, vetting, panel):
    tiles = vetting.session.covered_tiles()
    assert sum((y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in tiles) == 400 * 400
    before = panel.canvas.grab().toImage()
    panel.overlays.show_layer("footprint")
    qtbot.waitUntil(lambda: panel.canvas.footprint._outline.elementCount() > 3, timeout=5_000)
    assert panel.canvas.grab().toImage() != before
    edges = panel.canvas.footprint._outline.boundingRect()
    assert (edges.left(), edges.top()) == pytest.approx((-0.5, -0.5))
    assert (edges.right(), edges.bottom()) == pytest.approx((399.5, 399.5))


# bands


def test_three_bands_are_shown_in_survey_colours(qtbot, colours):
    bar, canvas = colours.bar, colours.canvas
    assert canvas.stretch.is_lupton
    assert [canvas.mosaic.bands[k] for k in canvas.stretch.bands] == ["i", "r", "g"]
    assert {label.buddy().isHidden() for label in bar._labels if not label.isHidden()} <= {False}
    standard = canvas.grab().toImage()
    for preset in ("bluer", "brighter"):
        bar.preset.setCurrentText(preset)
        bar.preset.activated.emit(bar.preset.currentIndex())
        settle(qtbot, canvas)
        assert canvas.grab().toImage() != standard
    bar.preset.setCurrentText("standard")
    bar.preset.activated.emit(0)
    settle(qtbot, canvas)
    assert canvas.grab().toImage() == standard


def test_survey_colours_are_those_of_lupton():
    """Against the formula, written out: asinh of the mean, ratios kept, nothing beyond white."""
    random = np.random.default_rng(4)
    values = random.uniform(-5, 400, (3, 40, 50)).astype(np.float32)
    coders = {band: Coder(10.0 * band, 2.0 + band, np.sort(values[band], axis=None)) for band in range(3)}
    for preset, (gains, lift) in PRESETS.items():
        stretch = Stretch(kind=LUPTON, bands=(2, 1, 0), Q=5.0, alpha=0.1, preset=preset, noise=(1.0, 2.0, 3.0))
        painted = Painter(stretch, coders, "#000000").paint([coders[band].encode(values[band]) for band in (2, 1, 0)])
        unit = np.array([3.0, 2.0, 1.0])[:, None, None]
        sky = np.array([20.0, 10.0, 0.0])[:, None, None]
        noise = np.array([4.0, 3.0, 2.0])[:, None, None]
        planes = (values[::-1] - sky) / unit * np.array(gains)[:, None, None] + 0.5 * noise / unit
        mean = planes.mean(axis=0)
        colour = np.clip(planes * np.arcsinh(0.1 * lift * 5 * mean) / (5 * mean), 0, None)
        colour /= np.maximum(colour.max(axis=0), 1)
        wanted = np.where(mean > 0.05, colour * 255, np.nan)[:, ::-1]
        shown = np.stack([(painted >> shift) & 255 for shift in (16, 8, 0)]).astype(float)
        assert np.nanmax(np.abs(shown - wanted)) < 2.5


def test_bands_are_stepped_and_blinked_by_keys(qtbot, window, colours, monkeypatch):
    bar = colours.bar
    assert bar.view.currentText() == "Colour"
    press(qtbot, window, KEY.Key_Period)
    assert bar.view.currentText() == "g"
    assert not colours.canvas.stretch.is_colour
    assert bar.kind.currentText() != LUPTON
    press(qtbot, window, KEY.Key_Comma)
    assert colours.canvas.stretch.is_lupton
    colours._blink.setInterval(20)
    press(qtbot, window, KEY.Key_B, CONTROL)
    seen = set()
    bar.changed.connect(lambda stretch: seen.add(stretch.bands))
    qtbot.waitUntil(lambda: seen >= {(0,), (1,), (2,)}, timeout=5_000)
    press(qtbot, window, KEY.Key_B, CONTROL)
    assert bar.view.currentText() == "Colour"


def test_channels_and_numbers_are_chosen_and_kept_for_the_survey(qtbot, colours, band_files):
    bar = colours.bar
    qtbot.mouseClick(bar.colours_button, LEFT)
    assert bar.colours.isVisible()
    bar.colours.channels[0].setCurrentText("g")
    bar.colours.channels[0].activated.emit(0)
    bar.colours.contrast.setValue(12.5)
    bar.colours.hide()
    assert colours.canvas.stretch.bands[0] == colours.canvas.mosaic.bands.index("g")
    noise = colours.canvas.stretch.noise
    assert noise == pytest.approx([0.6, 1.0, 1.4], rel=0.2)
    bar.set_mosaic(open_mosaic(band_files[:1]))
    assert not bar.stretch().is_colour
    bar.set_mosaic(open_mosaic(band_files))
    kept = bar.stretch()
    assert (kept.Q, kept.bands[0], kept.noise) == (12.5, 0, noise)


def test_units_of_another_mosaic_of_the_survey_stay_unless_they_cannot_be_right(colours):
    bar = StretchBar(colours.session.preferences.settings)
    bar.set_mosaic(colours.canvas.mosaic)
    kept = bar.stretch().noise
    alike = {band: Coder(0.0, 1.5 * value, np.empty(0, np.float32)) for band, value in enumerate(kept)}
    bar.show_limits(alike)
    assert bar.stretch().noise == kept
    far = {band: Coder(0.0, 100 * value, np.empty(0, np.float32)) for band, value in enumerate(kept)}
    bar.show_limits(far)
    assert bar.stretch().noise == pytest.approx([100 * value for value in kept])


def test_units_stand_beside_the_values(qtbot, window, band_files):
    for path in band_files:
        fits.setval(path, "BUNIT", value="nmgy")
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.session.open_mosaic(band_files)
    panel = window.panels["mosaic"]
    settle(qtbot, panel.canvas)
    panel.canvas.hover_at(QPointF(panel.canvas.rect().center()))
    qtbot.waitUntil(lambda: panel.readout.values.text().endswith("nmgy"), timeout=5_000)


# files


def test_the_view_is_saved_as_a_picture_with_its_wcs_beside_it(qtbot, vetting, panel, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "view"), ""))
    canvas = panel.canvas
    canvas.centre_on(150, 220, zoom=3.0)
    settle(qtbot, canvas)
    press(qtbot, vetting, KEY.Key_P, CONTROL | SHIFT)
    picture, header = QImage(str(tmp_path / "view.png")), fits.getheader(tmp_path / "view.wcs")
    assert picture.size() == canvas.grab().toImage().size()
    sky = WCS(header)
    for x, y in ((150, 220), (190, 170)):
        point = canvas.view.point(x, y) * canvas.devicePixelRatioF()
        place = np.array(sky.world_to_pixel(canvas.mosaic.wcs.pixel_to_world(x, y)))
        assert place == pytest.approx([point.x() - 0.5, picture.height() - 0.5 - point.y()], abs=0.01)


def test_the_view_is_saved_as_fits(qtbot, vetting, panel, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "cut.fits"), ""))
    said = messages(vetting.session)
    panel.canvas.centre_on(200, 200, zoom=8.0)
    settle(qtbot, panel.canvas)
    x0, x1, y0, y1 = panel.canvas.view.edges()  # before the message, which may lay the window out anew
    vetting.actions_by_id["mosaic.cutout"].trigger()
    qtbot.waitUntil(lambda: any("cut.fits" in text for text, _, _ in said), timeout=10_000)
    cut = open_mosaic(tmp_path / "cut.fits")
    assert cut.shape == pytest.approx((y1 - y0, x1 - x0), abs=2)
    left, bottom = math.floor(x0 + 0.5), math.floor(y0 + 0.5)
    wanted = vetting.session.mosaic.read(bottom, bottom + 5, left, left + 5)
    np.testing.assert_array_equal(cut.read(0, 5, 0, 5), wanted)


def test_a_band_that_covers_a_part_of_the_mosaic_says_so_until_it_was_read(qtbot, window, tmp_path):
    green, red = write_sky(tmp_path / "field_g.fits"), write_sky(tmp_path / "field_r.fits")
    with fits.open(red) as file:
        part, wcs = file[0].data[:, 150:].copy(), WCS(file[0].header)[:, 150:]
    fits.writeto(red, part, wcs.to_header(), overwrite=True)
    seen = messages(window.session)
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([green, red])
    ((text, level, _),) = [message for message in seen if "field_r.fits" in message[0]]
    assert level == "warning"
    assert "lies on another grid" in text
    assert "covers 63%: the rest has no data" in text
    assert [notice.text for notice in window.notices.notices()] == [text]
