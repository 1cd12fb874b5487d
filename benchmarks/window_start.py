"""From the start of the process to the first paint of the window, against merely importing torch and timm."""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from measure import compare

PAINTED = """
import sys
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication
from deeplense_gui.__main__ import parse, start

class Watch(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.UpdateRequest:
            print("painted", flush=True)
        return False

application, watch = QApplication(sys.argv[:1]), Watch()
application.installEventFilter(watch)
window = start(parse([]), application)
sys.exit(application.exec())
"""


def until_painted(environment: dict[str, str]) -> None:
    """Start the window, wait for its first paint, end it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PAINTED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    if process.stdout is None or process.stdout.readline() != b"painted\n":
        raise SystemExit("the window did not come up")
    process.kill()
    process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
        compare(
            "window start",
            lambda: until_painted(environment),
            lambda: subprocess.run([sys.executable, "-c", "import torch, timm"], check=True, env=environment),
            goal=1.5,
            repeats=options.repeats,
        )
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "engine.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
        sys.stderr.write(f"deeplense --help: {time.perf_counter() - start:.2f} s\n")


if __name__ == "__main__":
    main()
