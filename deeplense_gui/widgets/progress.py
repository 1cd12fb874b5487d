"""Progress bars that are drawn with the next frame."""

from __future__ import annotations

from PySide6.QtWidgets import QProgressBar


def set_progress(bar: QProgressBar, value: int, most: int = 1000) -> None:
    """Show ``value`` of ``most``; a ``most`` of 0 makes the bar busy.

    Qt paints a bar at once when it is set, and with it all that waits to be painted: a hitch. Here it waits with them.
    """
    if (bar.maximum(), bar.value()) == (most, value):
        return
    bar.setUpdatesEnabled(False)
    bar.setRange(0, most)
    bar.setValue(value)
    bar.setUpdatesEnabled(True)
