"""How mosaics were last shown: alike for all of them, and for each survey."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QSettings

from engine.types import Mosaic


class StretchMemory:
    """What was chosen, kept in the user's settings; what somebody spoiled there by hand counts as not chosen."""

    def __init__(self, settings: QSettings | None = None) -> None:
        self.settings = settings or QSettings("DeepLense", "DeepLense GUI")
        self._survey = ""

    def turn_to(self, mosaic: Mosaic) -> dict[str, Any]:
        """What was chosen for the survey of a mosaic, which is told by its bands, pixel scale and units."""
        scale = f"{mosaic.pixel_scale:.3g}" if mosaic.pixel_scale else ""
        self._survey = "-".join([*mosaic.bands, scale, *dict.fromkeys(mosaic.units)]).replace("/", "|")
        try:
            stored = json.loads(str(self.settings.value(f"survey/{self._survey}", "{}")))
        except json.JSONDecodeError:
            return {}
        return stored if isinstance(stored, dict) else {}

    def keep_for_survey(self, chosen: Mapping[str, Any]) -> None:
        """Keep what is chosen for the survey turned to."""
        self.settings.setValue(f"survey/{self._survey}", json.dumps(chosen))

    def of_all(self, name: str, otherwise: Any) -> str:
        """What was chosen for all mosaics, as text."""
        return str(self.settings.value(f"stretch/{name}", otherwise))

    def keep_for_all(self, chosen: Mapping[str, Any]) -> None:
        """Keep what is chosen for all mosaics."""
        for name, value in chosen.items():
            self.settings.setValue(f"stretch/{name}", value)
