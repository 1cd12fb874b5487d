"""The command line: ``deeplense`` and its commands on the sky and of learning; ``deeplense --help`` lists them.

Exit status: 0 done, 2 bad input (one line on standard error says what and what to do), 130 cancelled. Progress goes to
standard error: a bar on a terminal, else a line now and then of what takes long. Commands import what they need when
they run, so that ``--help`` is instant.
"""

from __future__ import annotations

# Each adds its commands to the application.
from engine.cli import (  # noqa: F401
    calibration,
    exporting,
    injection,
    judging,
    labelled,
    learning,
    lenses,
    patches,
    sending,
    sky,
    survey,
    teams,
    tuning,
)
from engine.cli.program import app

main = app
