"""A stand-in for DS9 and XPA on the PATH, which writes down what it is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.exchange import ds9
from engine.exchange.ds9 import PROGRAMS

_PROGRAM = """#!{python}
import pathlib, sys
folder = pathlib.Path({folder!r})
name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with (folder / "log").open("a") as log:
    log.write(" ".join([name, *words]) + "\\n")
running = folder / "running"
if name == "ds9":
    running.touch()
elif name == "xpaaccess":
    print("yes" if running.exists() else "no")
elif name == "xpaget" and (folder / "file").exists():
    print((folder / "file").read_text())
elif name == "xpaset" and words[2] == "file":
    (folder / "file").write_text(words[3].strip("{{}}"))
if name == "xpaset" and (folder / "refuses").exists() and words[2] in (folder / "refuses").read_text():
    print("XPA$ERROR unknown command", file=sys.stderr)
    sys.exit(1)
"""


def fake_ds9(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Put ds9 and XPA's programs on the PATH, alone; ``folder`` holds the log of what they were told."""
    folder.mkdir()
    monkeypatch.setattr(ds9, "PROGRAMS", PROGRAMS)
    for name in PROGRAMS:
        program = folder / name
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def told(folder: Path) -> list[str]:
    """The commands that were given so far, without the questions."""
    lines = (folder / "log").read_text().splitlines()
    return [line.removeprefix("xpaset -p DeepLense ") for line in lines if not line.startswith(("xpaget", "xpaaccess"))]
