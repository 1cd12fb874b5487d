"""Make the screenshots of the guide from the running program: ``python docs/make_screenshots.py [FOLDER]``.

They show a field like the demo's, smaller, as any user sees it: scanned, a lens explained, the first candidates graded
(A what the truth table says is a lens, X what is none), a report, blind mode, a model taught those grades. Nothing is
drawn by hand. Needs no display, and some minutes of a processor.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
PATIENCE = 3600  # seconds
SETTLE = 2.0
GRADED = 14
TAUGHT = 90  # candidates that are graded before the model is taught
NEAR = 8  # pixels from a lens
QUALITY = 82  # of WebP


def wait(application: object, condition: Callable[[], object], what: str) -> None:
    """Run the window until something has happened."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited too long for {what}")
        application.processEvents()
        time.sleep(0.01)


def settle(application: object) -> None:
    """Run the window for a moment, so that tiles and stamps are drawn."""
    deadline = time.monotonic() + SETTLE
    wait(application, lambda: time.monotonic() > deadline, "a moment")


def field(folder: Path, side: int) -> list[Path]:
    """A field as crowded as the demo's."""
    from engine.simulate.field import FieldRequest, make_field

    demo = FieldRequest()
    share = (side / demo.side) ** 2
    request = FieldRequest(side, demo.seed, *(round(share * n) for n in (3 * demo.lenses, demo.galaxies, demo.stars)))
    paths: list[Path] = []
    for step in make_field(folder, request):
        paths = [Path(path) for path in step.items] or paths
    return paths


def lens_at(x: float, y: float, folder: Path) -> float:
    """The Einstein radius (arcsec) of the lens at a pixel, 0 where there is none."""
    from astropy.table import Table

    truth = Table.read(folder / "truth.ecsv")
    near = truth[(truth["x"] - x) ** 2 + (truth["y"] - y) ** 2 < NEAR**2]
    return float(near["einstein_radius"][0]) if len(near) else 0.0


def save_page(path: Path) -> None:
    """Have the first page of stamps of a PDF report saved as a picture as well."""
    from matplotlib.backends import backend_pdf

    class Pages(backend_pdf.PdfPages):
        def savefig(self, figure: object, **options: object) -> None:
            super().savefig(figure, **options)
            if self.get_pagecount() == 2:
                figure.savefig(path, dpi=80, pil_kwargs={"quality": QUALITY})

    backend_pdf.PdfPages = Pages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "images")
    parser.add_argument("--side", type=int, default=1600, help="of the field, pixels")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="deeplense-") as work:
        os.environ["DEEPLENSE_CACHE"] = os.environ["XDG_DATA_HOME"] = work
        take_pictures(options.folder, field(Path(work), options.side), Path(work))


def take_pictures(folder: Path, paths: list[Path], work: Path) -> None:
    """Go through the window as a user does, and save what is seen."""
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication, QWidget

    from deeplense_gui import style
    from deeplense_gui.main_window import MainWindow
    from deeplense_gui.preferences import Preferences
    from deeplense_gui.session import Session

    preferences = Preferences(QSettings(str(work / "settings.ini"), QSettings.Format.IniFormat))
    preferences.grader = "Vera"
    application = QApplication(sys.argv[:1])
    style.apply(application, preferences.theme)
    session = Session(preferences=preferences)
    session.crashed.connect(lambda title, trace: sys.exit(f"{title}: {trace}"))
    window = MainWindow(session)
    window.resize(1440, 900)
    window.show()

    def take(name: str, part: QWidget = window) -> None:
        settle(application)
        part.grab().save(str(folder / f"{name}.webp"), "WEBP", QUALITY)

    session.open_mosaic(paths)
    wait(application, lambda: session.mosaic is not None, "the field")
    session.scan()
    wait(application, lambda: session.scan_job is None, "the scan")
    explained: list[object] = []
    session.explained.connect(lambda *found: explained.append(found))
    *best, following = session.rows(session.ids()[: GRADED + 1])
    lenses = {row.id: radius for row in best if (radius := lens_at(row.x, row.y, paths[0].parent))}
    session.select(max(lenses, key=lambda identity: lenses[identity]))
    window.panels["mosaic"].canvas.centre_on_selection()
    session.explain(session.saliency_methods()[0])
    wait(application, lambda: explained, "the saliency map")
    take("window")
    window.probe()
    wait(application, lambda: not session.is_probing, "the probes")
    take("sensitivity", window.panels["sensitivity"])
    for row in best:
        session.select(row.id)
        session.grade("A" if row.id in lenses else "X")
    window.docks["gallery"].raise_()
    window.spread_list()
    take("gallery")
    save_page(folder / "report.webp")
    session.set_filters(grades=frozenset("ABCX"))
    ended: list[object] = []
    session.jobs.finished.connect(lambda job, *_: ended.append(job.name))
    session.export(work / "report.pdf")
    wait(application, lambda: any("report.pdf" in str(name) for name in ended), "the report")
    session.clear_filters()
    window.spread_list()
    window.swap_list()
    session.set_blind(True)
    session.select(following.id)
    window.panels["mosaic"].canvas.centre_on(following.x, following.y)
    window.statusBar().clearMessage()
    take("blind")
    session.set_blind(False)
    for row in session.rows(session.ids()[GRADED:TAUGHT]):
        session.select(row.id)
        session.grade("A" if lens_at(row.x, row.y, paths[0].parent) else "X")
    window.show_model()
    session.fine_tune(session.free_model_name(), painted=300, simulated=900, epochs=4)
    wait(application, lambda: not session.is_tuning, "the model")
    take("model", window.panels["models"])
    window.close()


if __name__ == "__main__":
    main()
