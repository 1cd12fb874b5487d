"""The panels of the window: each one QWidget that takes the session; a new one is one line here."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtWidgets import QWidget

from deeplense_gui.panels.candidates import CandidatesPanel
from deeplense_gui.panels.gallery import GalleryPanel
from deeplense_gui.panels.inspector import InspectorPanel
from deeplense_gui.panels.jobs import JobsPanel
from deeplense_gui.panels.lens import LensPanel
from deeplense_gui.panels.models import ModelsPanel
from deeplense_gui.panels.mosaic import MosaicPanel
from deeplense_gui.panels.online import OnlinePanel
from deeplense_gui.panels.sensitivity import SensitivityPanel
from deeplense_gui.panels.substructure import SubstructurePanel
from deeplense_gui.panels.vetting import VettingPanel


class Panel(NamedTuple):
    """A panel: its id (object name, settings), title, area of the window, and class.

    ``area`` is "centre" (exactly one), "right" or "bottom"; panels of one area stand under or beside each other, those
    ``tabbed`` share the place of the one before. ``shown`` says whether it is open at first.
    """

    id: str
    title: str
    area: str
    widget: type[QWidget]
    tabbed: bool = False
    shown: bool = True


PANELS: tuple[Panel, ...] = (
    Panel("inspector", "Inspector", "right", InspectorPanel),  # first: the next stamp before all else
    Panel("mosaic", "Mosaic", "centre", MosaicPanel),
    Panel("vetting", "Grade", "right", VettingPanel),
    Panel("candidates", "Candidates", "bottom", CandidatesPanel),
    Panel("gallery", "Gallery", "bottom", GalleryPanel, tabbed=True),
    Panel("lens", "Lens model", "bottom", LensPanel, tabbed=True),
    Panel("substructure", "Substructure", "bottom", SubstructurePanel, tabbed=True),
    Panel("sensitivity", "Sensitivity", "bottom", SensitivityPanel, tabbed=True),
    Panel("online", "Online", "bottom", OnlinePanel, tabbed=True),
    Panel("models", "Model", "bottom", ModelsPanel, tabbed=True),
    Panel("jobs", "Jobs", "bottom", JobsPanel, tabbed=True),
)
