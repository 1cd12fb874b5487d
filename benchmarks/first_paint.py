"""From opening a large mosaic to its first paint on the canvas, and until all is drawn, against reading it whole.

The reference reads everything with astropy or h5py and shows it in pyqtgraph's ImageView. DS9 (on a virtual screen,
where there is none) and ginga's view are measured in the same run where they are installed: ``ratio_ds9`` is DS9's
first paint over ours. All programs run already and show a small file when they are given the large one. Each
measurement has a process of its own. The file is in the page cache, or not (``--cold``). Peak private memory is that
of the process (Linux), which includes Qt and Python; ``cpu`` seconds, of all threads, tell on a machine that has other
work too. DS9 draws through a screen, whose work is not counted; its memory is that after the first paint.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from measure import KINDS, forget, in_process, private_mib, report, write_kind, write_sky

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
GOALS = {"plain": 10, "rice-256": 10, "rice-rows": 10, "hdf5": 1}
DS9_GOAL, DS9_COLD_GOAL = 10, 5
DS9_SCRIPT = """
proc spent {} {
    set file [open /proc/[pid]/stat]
    set fields [lindex [split [read $file] )] end]
    close $file
    expr {([lindex $fields 11] + [lindex $fields 12]) / 100.0}
}
proc open_mosaic {} {
    RealizeDS9
    update
    set start [clock microseconds]
    set used [spent]
    LoadFitsFile PATH {} {}
    FinishLoad
    ZoomToFit
    RealizeDS9
    update
    set first [expr {([clock microseconds] - $start) / 1e6}]
    set cpu [expr {[spent] - $used}]
    set file [open /proc/[pid]/status]
    regexp {RssAnon:\\s+(\\d+)} [read $file] all kib
    puts "{\\"first\\": $first, \\"first_cpu\\": $cpu, \\"private_mib\\": [expr {$kib / 1024}]}"
    flush stdout
    exit
}
after 1000 open_mosaic
"""


def pixels_arrive(
    widget: object, application: object, watch: list[int], ready: Callable[[], object] = lambda: True
) -> None:
    """Run events until the middle of the widget is no longer of one colour; looked at only once there is something."""
    while True:
        application.processEvents()
        watch.append(private_mib())
        if not ready():
            time.sleep(0.001)
            continue
        image = widget.grab().toImage()
        middle = {image.pixel(image.width() // 2 + k, image.height() // 2) for k in range(0, 60, 3)}
        if len(middle) > 3:
            return


def settled(canvas: object, application: object, watch: list[int]) -> None:
    """Run events until the reader has nothing more to read or to build."""
    quiet = 0
    while quiet < 3:
        application.processEvents()
        watch.append(private_mib())
        quiet = quiet + 1 if canvas._reader._thread is None and not canvas._reader._has_work() else 0
        time.sleep(0.002)


def ours(path: str) -> dict[str, float]:
    from PySide6.QtWidgets import QApplication

    from deeplense_gui.__main__ import SWITCH_SECONDS
    from deeplense_gui.widgets.canvas import MosaicCanvas
    from engine.images.mosaic import open_mosaic

    sys.setswitchinterval(SWITCH_SECONDS)  # as the program does
    application = QApplication([])
    canvas = MosaicCanvas()
    canvas.resize(1600, 900)
    canvas.show()
    canvas.set_mosaic(open_mosaic(Path(path).with_name("small.fits")))  # the program runs already
    pixels_arrive(canvas, application, [])
    before = private_mib()
    watch = [before]
    canvas.set_mosaic(None)
    application.processEvents()
    start, used = time.perf_counter(), time.process_time()
    canvas.set_mosaic(open_mosaic(path))
    pixels_arrive(canvas, application, watch, lambda: canvas._tiles.painter)
    times = {"first": time.perf_counter() - start, "first_cpu": time.process_time() - used}
    settled(canvas, application, watch)
    times |= {"settled": time.perf_counter() - start, "settled_cpu": time.process_time() - used}
    canvas.close_reader(wait=True)
    return times | {"private_mib": max(watch), "program_mib": before}


def reference(path: str) -> dict[str, float]:
    import h5py
    import pyqtgraph
    from astropy.io import fits
    from PySide6.QtWidgets import QApplication

    application = QApplication([])
    view = pyqtgraph.ImageView()
    view.resize(1600, 900)
    view.show()
    view.setImage(fits.getdata(Path(path).with_name("small.fits")).astype("float32"))
    pixels_arrive(view.ui.graphicsView, application, [])
    view.clear()
    application.processEvents()
    watch = [private_mib()]
    start, used = time.perf_counter(), time.process_time()
    if path.endswith(".h5"):
        with h5py.File(path) as file:
            data = file["image"][:]
    else:
        data = fits.getdata(path).astype("float32")
    view.setImage(data)
    pixels_arrive(view.ui.graphicsView, application, watch)
    times = {"first": time.perf_counter() - start, "first_cpu": time.process_time() - used}
    return times | {"private_mib": max(watch)}


def ginga(path: str) -> dict[str, float]:
    os.environ.setdefault("QT_API", "pyside6")
    from PySide6.QtWidgets import QApplication

    application = QApplication([])
    import logging

    from ginga.qtw.ImageViewQt import CanvasView
    from ginga.util.loader import load_data

    log = logging.getLogger("ginga")
    log.addHandler(logging.NullHandler())
    view = CanvasView(log)
    view.enable_autocuts("on")
    view.enable_autozoom("on")
    widget = view.get_widget()
    widget.resize(1600, 900)
    widget.show()
    view.set_image(load_data(str(Path(path).with_name("small.fits")), logger=log))
    pixels_arrive(widget, application, [])
    view.clear()
    application.processEvents()
    watch = [private_mib()]
    start, used = time.perf_counter(), time.process_time()
    view.set_image(load_data(path, logger=log))
    pixels_arrive(widget, application, watch)
    times = {"first": time.perf_counter() - start, "first_cpu": time.process_time() - used}
    return times | {"private_mib": max(watch)}


def ds9(path: str) -> dict[str, float]:
    """DS9 is driven by its own Tcl: nothing of its start, nor of talking to it, is measured."""
    folder = Path(path).parent
    script = folder / "ds9.tcl"
    script.write_text(DS9_SCRIPT.replace("PATH", path))
    screen = [] if "DISPLAY" in os.environ else ["xvfb-run", "-a", "-s", "-screen 0 1680x1200x24"]
    command = ["ds9", "-geometry", "1600x1150", folder / "small.fits", "-zoom", "to", "fit", "-source", script]
    done = subprocess.run([*screen, *map(str, command)], capture_output=True, text=True, timeout=180, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(way: str, path: str) -> None:
    print(json.dumps({"ours": ours, "reference": reference, "ginga": ginga, "ds9": ds9}[way](path)), flush=True)
    os._exit(0)  # nothing of Qt's end is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16_384, help="mosaic, pixels")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="from the disk, not the page cache")
    parser.add_argument("--folder", help="where the mosaics are written, and removed from (default: the temporary one)")
    parser.add_argument("--ginga", metavar="PYTHON", help="a Python that has ginga, where this one does not")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        write_sky(Path(folder) / "small.fits", 512, sources=20)
        for kind in options.kinds:
            measure_kind(folder, kind, options)


def measure_kind(folder: str, kind: str, options: argparse.Namespace) -> None:
    path = write_kind(folder, kind, options.side)
    ways = {"first": "ours", "again": "ours", "reference": "reference"}
    if (options.ginga or find_spec("ginga")) and kind != "hdf5":
        ways["ginga"] = "ginga"
    if shutil.which("ds9") and kind != "hdf5":
        ways["ds9"] = "ds9"
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            os.environ["DEEPLENSE_CACHE"] = cache
            for name, way in ways.items():
                if options.cold:
                    forget(path)
                else:
                    Path(path).read_bytes()
                if way in ("ours", "ds9") or not runs[name]:  # the others are slow, and the same each time
                    python = options.ginga or sys.executable if way == "ginga" else sys.executable
                    runs[name].append(in_process(__file__, "--child", way, path, python=python))
    middle = {
        name: {key: round(sorted(run[key] for run in found)[len(found) // 2], 3) for key in found[0]}
        for name, found in runs.items()
    }
    peers: dict[str, object] = {name: middle[name] for name in ("ginga", "ds9") if name in middle}
    if "ds9" in middle:
        goal = DS9_COLD_GOAL if options.cold else DS9_GOAL
        ratio = middle["ds9"]["first"] / middle["first"]["first"]
        peers |= {"ratio_ds9": round(ratio, 2), "goal_ds9": goal, "met_ds9": ratio >= goal}
    report(
        f"first paint, {kind}{', cold' if options.cold else ''}",
        ratio=middle["reference"]["first"] / middle["first"]["first"],
        goal=GOALS[kind],
        ours=middle["first"],
        second_opening=middle["again"],
        reference=middle["reference"],
        **peers,
        side=options.side,
        repeats=options.repeats,
    )
    if kind != "plain":
        path.unlink()


if __name__ == "__main__":
    main()
