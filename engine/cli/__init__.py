"""The command line: ``deeplense scan | score | export | simulate | patches | train | committee | models | demo``.

Exit status: 0 done, 2 bad input (one line on standard error says what and what to do), 130 cancelled. Progress goes to
standard error when that is a terminal. Commands import what they need when they run, so that ``--help`` is instant.
"""

from __future__ import annotations

from engine.cli import labelled, learning, patches, sky  # noqa: F401  (they add their commands to the application)
from engine.cli.program import app

main = app
