"""The state of the window and its verbs: open, scan, select, grade, explain, export.

The session and the jobs are the only callers of the engine; panels and dialogs listen to the session's signals and
call its verbs. It runs in the GUI thread; what takes longer than a frame goes to ``jobs``. Each module here holds the
verbs of one kind over the state in ``core``.
"""

from __future__ import annotations

from deeplense_gui.session.blinding import OF_OTHERS, TELLING
from deeplense_gui.session.choosing import ChoosingVerbs
from deeplense_gui.session.core import GRADES, PROJECT_SUFFIX, Choice
from deeplense_gui.session.deciding import DecidingVerbs
from deeplense_gui.session.exporting import ExportVerbs
from deeplense_gui.session.hearing import HearingVerbs
from deeplense_gui.session.lens import LensVerbs
from deeplense_gui.session.looking import LookingVerbs
from deeplense_gui.session.mixing import MixingVerbs
from deeplense_gui.session.mosaics import MosaicVerbs
from deeplense_gui.session.online import OnlineVerbs
from deeplense_gui.session.projects import ProjectVerbs
from deeplense_gui.session.scanning import ScanVerbs
from deeplense_gui.session.stamps import StampVerbs
from deeplense_gui.session.teams import TeamVerbs
from deeplense_gui.session.tuning import Tuning, TuningVerbs, verdict
from deeplense_gui.session.viewing import ViewVerbs

__all__ = ["GRADES", "OF_OTHERS", "PROJECT_SUFFIX", "TELLING", "Choice", "Session", "Tuning", "verdict"]


class Session(
    TeamVerbs,
    StampVerbs,
    MosaicVerbs,
    ProjectVerbs,
    ScanVerbs,
    ChoosingVerbs,
    DecidingVerbs,
    MixingVerbs,
    LookingVerbs,
    LensVerbs,
    TuningVerbs,
    ViewVerbs,
    ExportVerbs,
    HearingVerbs,
    OnlineVerbs,
):
    """One window's work: a project, its mosaics, one selection, and all that can be done with them."""

    def close(self) -> None:
        """Remember the place, close the project, and join the worker."""
        self.close_project()
        self.samp.close()
        self.jobs.stop()
        self._models.close()
