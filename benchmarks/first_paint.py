"""From opening a large FITS file to its first paint on the canvas, against reading it whole into pyqtgraph's ImageView.

Both warm: the file is in the page cache. ``private_mib`` is the private memory the canvas took (Linux).
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from measure import report, summary, write_sky

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def private_mib() -> int:
    """Private memory of this process."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024


def pixels_arrive(widget: object, application: object) -> None:
    """Run events until the middle of the widget is no longer of one colour."""
    while True:
        application.processEvents()
        image = widget.grab().toImage()
        middle = {image.pixel(image.width() // 2 + k, image.height() // 2) for k in range(0, 60, 3)}
        if len(middle) > 3:
            return


def ours(path: Path, application: object) -> tuple[float, int]:
    from deeplense_gui.widgets.canvas import MosaicCanvas
    from engine.images.mosaic import open_mosaic

    canvas = MosaicCanvas()
    canvas.resize(1600, 900)
    canvas.show()
    application.processEvents()
    before, start = private_mib(), time.perf_counter()
    canvas.set_mosaic(open_mosaic(path))
    pixels_arrive(canvas, application)
    taken, grown = time.perf_counter() - start, private_mib() - before
    canvas.close_reader()
    canvas.deleteLater()
    return taken, grown


def reference(path: Path, application: object) -> float:
    import pyqtgraph
    from astropy.io import fits

    view = pyqtgraph.ImageView()
    view.resize(1600, 900)
    view.show()
    application.processEvents()
    start = time.perf_counter()
    view.setImage(fits.getdata(path).astype("float32"))
    pixels_arrive(view.ui.graphicsView, application)
    taken = time.perf_counter() - start
    view.close()
    view.deleteLater()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=8192, help="mosaic, pixels")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    from PySide6.QtWidgets import QApplication

    application = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sky.fits"
        write_sky(path, options.side, sources=2000)
        first, grown = zip(*(ours(path, application) for _ in range(options.repeats + 1)), strict=True)
        second = [reference(path, application) for _ in range(options.repeats + 1)][1:]
        fast, slow = summary(list(first[1:]), 1), summary(second, 1)
        report(
            "first paint",
            ratio=slow["seconds"] / fast["seconds"],
            goal=10,
            ours=fast,
            reference=slow,
            side=options.side,
            private_mib=max(grown),
        )


if __name__ == "__main__":
    main()
