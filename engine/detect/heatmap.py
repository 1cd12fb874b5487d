"""Where lenses may be, by a dense network: tiles of a mosaic at the model's pixel scale, merged by position.

The tiles lie on a grid of their own, fixed to the mosaic: what is found does not depend on how a scan is tiled. Of a
tile only its peaks are kept, so memory does not depend on the mosaic's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.detect.sources import SOURCE, measure_sources
from engine.detect.tiles import Core
from engine.errors import ModelError
from engine.images.cutouts import cut
from engine.models.local_sky import CELL
from engine.types import FloatArray, ModelCard, Mosaic, Positions, ScanRequest

if TYPE_CHECKING:
    from engine.models.heatmap import Peaks

DETECTORS = ("sources", "heatmap", "both")
_TILE = 1024  # pixels of the model across a tile without its border
_WIDEST = 4096  # pixels of the mosaic across a tile with its border
_APERTURE = 2.0  # rms radius in pixels of the ellipse a peak is measured in


class Dense(Protocol):
    """What a search asks of a dense detector; engine.models.heatmap.HeatmapDetector is one."""

    @property
    def card(self) -> ModelCard:
        """What the model expects."""

    @property
    def border(self) -> int:
        """Pixels of the model around a region that decide on its peaks."""

    def find(self, pixels: FloatArray, *, lowest: float | None = None) -> Peaks:
        """The peaks of a region (band, y, x) but those within ``border`` of its edges."""


class HeatmapSearch:
    """Peaks of a dense detector on a mosaic, found tile by tile when a core first needs them."""

    def __init__(self, mosaic: Mosaic, detector: Dense) -> None:
        self.mosaic, self.detector = mosaic, detector
        scale = detector.card.pixel_scales[0]
        self.ratio = round(scale / (mosaic.pixel_scale or scale), 9)  # pixels of the mosaic in one of the model
        border = detector.border
        room = int(_WIDEST / self.ratio - 2 * border) // CELL * CELL
        self.side = int(np.clip(room, CELL, _TILE))
        self._peaks: dict[tuple[int, int], Positions] = {}

    def search(self, core: Core) -> Iterator[float]:
        """Scan the tiles that a core (y0, y1, x0, x1) of the mosaic touches; yields the fraction done.

        Peaks of rows of tiles above the core are forgotten: cores come from the top.
        """
        (y0, x0), (y1, x1) = (
            [int(edge / self.ratio) // self.side for edge in core[::2]],
            [(int(np.ceil(edge / self.ratio)) - 1) // self.side for edge in core[1::2]],
        )
        self._peaks = {place: found for place, found in self._peaks.items() if place[0] >= y0}
        wanted = [(j, i) for j in range(y0, y1 + 1) for i in range(x0, x1 + 1) if (j, i) not in self._peaks]
        for count, place in enumerate(wanted):
            yield count / len(wanted)
            self._peaks[place] = self._scan_tile(*place)

    def within(self, core: Core) -> Positions:
        """The peaks (n, 2) in pixels (x, y) of the mosaic whose centre lies in a core that was searched."""
        y0, y1, x0, x1 = core
        xy = np.concatenate([np.empty((0, 2)), *(self._peaks[place] for place in sorted(self._peaks))])
        x, y = xy.T + 0.5
        inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
        return np.asarray(xy[inside])

    def _scan_tile(self, row: int, column: int) -> Positions:
        size = self.side + 2 * self.detector.border
        corner = np.array([column, row]) * self.side - self.detector.border
        if self.ratio == 1:
            pixels = self.mosaic.read(corner[1], corner[1] + size, corner[0], corner[0] + size)
        else:
            # The edges of the first pixel of the model are those of the mosaic's first.
            centre = (corner + size / 2) * self.ratio - 0.5
            scales = self.detector.card.pixel_scales[:1]
            pixels = cut(self.mosaic, centre[None], size=size, pixel_scales=scales).pixels[0, 0]
        return np.asarray((corner + self.detector.find(pixels).xy + 0.5) * self.ratio - 0.5)


def heatmap_search(request: ScanRequest, detector: Dense | None = None) -> HeatmapSearch | None:
    """The search a scan asks for, its model loaded unless ``detector`` is that; None where it looks for sources alone.

    Raises
    ------
    ModelError : an unknown detector, or a model that is none
    """
    check_detector(request.detector)
    if request.detector == "sources":
        return None
    if detector is None:
        from engine.models.heatmap import load_detector

        detector = load_detector(request.heatmap_model)
    return HeatmapSearch(request.mosaic, detector)


def check_detector(name: str) -> None:
    """Refuse what is no way to choose where stamps are cut.

    Raises
    ------
    ModelError : an unknown detector
    """
    if name not in DETECTORS:
        raise ModelError(f"there is no detector {name!r}: choose one of {', '.join(DETECTORS)}")


def measured_peaks(xy: Positions, image: FloatArray, light: FloatArray) -> NDArray[np.void]:
    """Peaks (n, 2) as sources: centre, flux and size measured around them, of dtype SOURCE (see measure_sources)."""
    inside = np.all((xy >= 0) & (np.rint(xy) < np.array(image.shape[::-1])), axis=1)
    row, column = np.rint(xy[inside][:, 1]).astype(int), np.rint(xy[inside][:, 0]).astype(int)
    xy = xy[inside][np.isfinite(image[row, column])]
    found = np.zeros(len(xy), SOURCE)
    found["x"], found["y"], found["a"], found["b"] = xy[:, 0], xy[:, 1], _APERTURE, _APERTURE
    return measure_sources(found, image, light)


def joined(sources: NDArray[np.void], peaks: NDArray[np.void], radius: float) -> NDArray[np.void]:
    """Sources and the peaks that are farther than ``radius`` (pixels) from any of them."""
    if not len(sources) or not len(peaks):
        return np.concatenate([sources, peaks])
    tree = cKDTree(np.column_stack([sources["x"], sources["y"]]))
    distance, _ = tree.query(np.column_stack([peaks["x"], peaks["y"]]), distance_upper_bound=radius)
    return np.concatenate([sources, peaks[~np.isfinite(distance)]])
