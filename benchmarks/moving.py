"""Frame times on the canvas: pan, zoom, restretch, a million markers; against pyqtgraph's ImageItem of the whole array.

Runs on Qt's offscreen platform, which paints with the processor as the window does, but puts nothing on a screen. A
frame is a move, the paint that follows, and what the reader has brought meanwhile; frames come 60 a second, so that the
reader works alongside as it does in the window. One line each, times in milliseconds; ``ratio`` is of medians.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from measure import report, write_sky

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
FRAME = 1 / 60
SIZE = (1600, 900)


def frames(moves: Iterable[Callable[[], None]], paint: Callable[[], None], application: object) -> np.ndarray:
    """Milliseconds of each frame (n, 2): on the clock, and of the processor in this thread, whatever else runs."""
    times = []
    for move in moves:
        start, spent = time.perf_counter(), time.thread_time()
        move()
        paint()
        application.processEvents()
        taken = time.perf_counter() - start
        times.append((1000 * taken, 1000 * (time.thread_time() - spent)))
        time.sleep(max(FRAME - taken, 0.001))
    return np.array(times)


def facts(times: np.ndarray) -> dict[str, object]:
    """Median, 95th and 99th percentile and the worst on the clock, and the first two of the processor's time."""
    median, p95, p99 = np.percentile(times[:, 0], [50, 95, 99])
    found = {"median": median, "p95": p95, "p99": p99, "worst": times[:, 0].max()}
    found |= {"cpu_median": np.median(times[:, 1]), "cpu_p95": np.percentile(times[:, 1], 95)}
    return {name: round(float(value), 2) for name, value in found.items()}


def path(side: int, count: int) -> Iterable[tuple[float, float]]:
    """Centres along a winding way over the mosaic, 24 pixels apart."""
    for k in range(count):
        along = k * 24 / (side * 0.8)
        yield side * (0.1 + 0.8 * (along % 1)), side * (0.5 + 0.3 * math.sin(7 * along))


def ours(file: Path, side: int, count: int, markers: int, application: object) -> dict[str, np.ndarray]:
    """Frame times of each kind of move on the canvas."""
    from dataclasses import replace

    from deeplense_gui.widgets.canvas import MosaicCanvas
    from deeplense_gui.widgets.stretch import Stretch
    from engine.images.mosaic import open_mosaic

    canvas = MosaicCanvas()
    canvas.resize(*SIZE)
    canvas.show()
    canvas.set_mosaic(open_mosaic(file))
    while not canvas.is_complete or canvas._reader._has_work():
        canvas.repaint()
        application.processEvents()
        time.sleep(0.002)
    found = {}
    canvas.centre_on(*next(iter(path(side, 1))), zoom=1.0)
    pans = [lambda x=x, y=y: canvas.centre_on(x, y) for x, y in path(side, count)]
    found["pan"] = frames(pans, canvas.repaint, application)
    canvas.show_layer("grid", True)
    found["pan with grid"] = frames(pans, canvas.repaint, application)
    canvas.show_layer("grid", False)
    canvas.fit()
    steps = int(math.log(8 / canvas.view.zoom) / math.log(1.05))
    zooms = [lambda f=f: canvas.zoom_by(f) for f in [*[1.05] * steps, *[1 / 1.05] * steps]]
    found["zoom"] = frames(zooms, canvas.repaint, application)
    canvas.centre_on(side / 2, side / 2, zoom=1.0)
    frames([lambda: None] * 60, canvas.repaint, application)
    looks = [replace(Stretch(), softening=0.3 + 0.4 * (k % 20) / 20) for k in range(min(count, 200))]
    found["restretch"] = frames([lambda s=s: canvas.set_stretch(s) for s in looks], canvas.repaint, application)
    random = np.random.default_rng(1)
    grades = random.choice(np.array([None, None, None, "A", "B", "C", "X"], object), markers)
    xy = random.uniform(0, side, (markers, 2))
    canvas.set_candidates(xy, np.arange(markers), grades, random.random(markers))
    for zoom in (1.0, canvas.height() / side):
        canvas.centre_on(side / 2, side / 2, zoom=zoom)
        name = "pan with markers" + ("" if zoom == 1.0 else ", all in view")
        found[name] = frames(pans, canvas.repaint, application)
    canvas.close_reader(wait=True)
    canvas.deleteLater()
    return found


def reference(file: Path, side: int, count: int, application: object) -> dict[str, np.ndarray]:
    """The same in pyqtgraph: the whole array in an ImageItem, scatter points for markers."""
    import pyqtgraph
    from astropy.io import fits

    pyqtgraph.setConfigOptions(imageAxisOrder="row-major")
    view = pyqtgraph.GraphicsLayoutWidget()
    view.resize(*SIZE)
    box = view.addViewBox(lockAspect=True)
    image = pyqtgraph.ImageItem(fits.getdata(file).astype(np.float32), autoDownsample=True, levels=(-3, 30))
    box.addItem(image)
    view.show()
    application.processEvents()
    width, height = SIZE

    def look(x: float, y: float, zoom: float = 1.0) -> None:
        box.setRange(
            xRange=(x - width / 2 / zoom, x + width / 2 / zoom), yRange=(y - height / 2 / zoom, y + height / 2 / zoom),
            padding=0,
        )  # fmt: skip

    def paint() -> None:
        view.viewport().repaint()

    look(side / 2, side / 2)
    paint()
    found = {"pan": frames([lambda x=x, y=y: look(x, y) for x, y in path(side, count)], paint, application)}
    zooms = [0.05 * 1.05**k for k in range(0, 100, 10)]
    found["zoom"] = frames([lambda z=z: look(side / 2, side / 2, z) for z in zooms], paint, application)
    look(side / 2, side / 2)
    stretches = [lambda k=k: image.setLevels((-3, 30 + k)) for k in range(8)]
    found["restretch"] = frames(stretches, paint, application)
    view.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=8192, help="mosaic, pixels")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--markers", type=int, default=1_000_000)
    parser.add_argument("--alone", action="store_true", help="without pyqtgraph, which takes gigabytes")
    options = parser.parse_args()
    from PySide6.QtWidgets import QApplication

    application = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEEPLENSE_CACHE"] = folder
        file = Path(folder) / "sky.fits"
        write_sky(file, options.side, sources=4000)
        mine = ours(file, options.side, options.frames, options.markers, application)
        other = {} if options.alone else reference(file, options.side, min(options.frames, 60), application)
    for name, times in mine.items():
        against = other.get(name.split(" with")[0] if "with grid" in name else name)
        line = {"side": options.side, "platform": application.platformName(), "milliseconds": facts(times)}
        line["load"] = os.getloadavg()[0]
        if "markers" in name:  # 30 frames a second at the least
            ratio = 1000 / 30 / float(np.percentile(times[:, 0], 95))
            report(name, ratio=ratio, goal=1, markers=options.markers, **line)
        elif against is None:  # a frame of a screen, for 95 of 100
            report(name, ratio=1000 * FRAME / float(np.percentile(times[:, 0], 95)), goal=1, **line)
        else:
            ratio = float(np.median(against[:, 0]) / np.median(times[:, 0]))
            report(name, ratio=ratio, goal=2 if name.startswith("pan") else 10, pyqtgraph=facts(against), **line)


if __name__ == "__main__":
    main()
