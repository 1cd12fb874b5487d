"""What is drawn where tiles are not read yet: the quarter of a coarser tile, else the overview."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtGui import QImage, QPainter

from deeplense_gui.widgets.stretch import Coder, Stretch
from deeplense_gui.widgets.tile_layer import TileLayer
from deeplense_gui.widgets.tiles import Overview
from deeplense_gui.widgets.view import View

SIDE = 64  # of a tile; the mosaic is two tiles wide and high at level 0, one at level 1
CODER = Coder(0.0, 1.0, np.linspace(-3, 30, 100, dtype=np.float32))


@pytest.fixture
def layer(qapp) -> TileLayer:
    pyramid = SimpleNamespace(tile_size=SIDE, levels=2)
    mosaic = SimpleNamespace(shape=(2 * SIDE - 10, 2 * SIDE - 20))
    reader = SimpleNamespace(pyramid=pyramid, mosaic=mosaic, want=lambda bands, keys: None, drawn=lambda: None)
    made = TileLayer(reader, Stretch())
    dark = CODER.encode(np.zeros((2, 2), np.float32))
    made.take_overview(Overview(0, SIDE, CODER, dark))
    return made


def greys(layer: TileLayer, zoom: float) -> np.ndarray:
    """The middle of each quarter of the mosaic as drawn, row by row from the bottom."""
    ny, nx = layer.reader.mosaic.shape
    view = View((nx - 1) / 2, (ny - 1) / 2, zoom, round(nx * zoom), round(ny * zoom))
    image = QImage(view.width, view.height, QImage.Format.Format_RGB32)
    image.fill(0)
    painter = QPainter(image)
    layer.draw(painter, view, 1.0)
    painter.end()
    places = [(x, y) for y in (30, 90) for x in (30, 90)]
    return np.array([image.pixelColor(view.point(*place).toPoint()).red() for place in places])


def quarters() -> np.ndarray:
    """A coarse tile, cut short at two edges, whose quarters differ; the first row is the bottom of the sky."""
    values = np.empty((SIDE - 5, SIDE - 10), np.float32)
    values[:32, :32], values[:32, 32:], values[32:, :32], values[32:, 32:] = 2, 6, 12, 24
    return CODER.encode(values)


def test_a_coarser_tile_stands_in_quarter_by_quarter(layer):
    layer.take_tile((1, 0, 0, 0), quarters())
    coarse = greys(layer, 0.5)
    assert np.all(np.diff(coarse) > 0)
    np.testing.assert_array_equal(greys(layer, 1.0), coarse)


def test_a_tile_that_is_read_takes_its_place(layer):
    layer.take_tile((1, 0, 0, 0), quarters())
    coarse = greys(layer, 0.5)
    layer.take_tile((0, 1, 0, 0), CODER.encode(np.full((SIDE - 10, SIDE), 24, np.float32)))
    fine = greys(layer, 1.0)
    assert fine[2] == coarse[3]
    np.testing.assert_array_equal(fine[[0, 1, 3]], coarse[[0, 1, 3]])


def test_without_any_tile_there_is_the_overview(layer):
    found = greys(layer, 1.0)
    assert len(set(found.tolist())) == 1
    assert found[0] > 0


def test_while_a_slider_is_dragged_no_tile_keeps_old_colours_for_long(layer, monkeypatch):
    for row in (0, 1):
        for column in (0, 1):
            layer.take_tile((0, row, column, 0), CODER.encode(np.full((SIDE, SIDE), 6, np.float32)))
    first = greys(layer, 1.0)
    ticks = iter(range(10_000))
    # Each look at the clock takes a second of a frame that has one and a half: two tiles a frame.
    monkeypatch.setattr("deeplense_gui.widgets.tile_layer.time.perf_counter", lambda: next(ticks))
    monkeypatch.setattr("deeplense_gui.widgets.tile_layer._PAINT_SECONDS", 2.5)
    seen = []
    for softening in (0.3, 0.35):
        layer.set_stretch(Stretch(softening=softening))
        seen.append(greys(layer, 1.0) != first)
    assert 0 < seen[0].sum() < 4
    assert seen[1].all()
