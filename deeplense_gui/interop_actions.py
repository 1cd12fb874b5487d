"""Commands to and from other programs and services: SAMP, DS9, look-ups on the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deeplense_gui.grading_actions import Action
from deeplense_gui.session import Session

if TYPE_CHECKING:
    from deeplense_gui.main_window import MainWindow


def can_send_table(session: Session) -> bool:
    """Whether there is a list that may leave: blind, it would tell scores and positions."""
    return session.samp.connected and not session.blind and len(session.ids()) > 0


def can_send_mosaic(session: Session) -> bool:
    """Whether there is a mosaic to send, and somebody to send it to."""
    return session.samp.connected and session.mosaic is not None


def can_send_stamp(session: Session) -> bool:
    """Whether the pixels of the selected candidate may leave."""
    return can_point(session) and session.mosaic_of(session.candidate()) is not None


def can_point(session: Session) -> bool:
    """Whether a place on the sky is selected that may be told."""
    return session.samp.connected and session.can_look_up


def _can_show_in_ds9(session: Session) -> bool:
    return session.has_ds9 and session.mosaic is not None and not session.blind


def _can_look_up(session: Session) -> bool:
    return session.can_look_up


def _look_up(window: MainWindow) -> None:
    """Look the selected candidate up, and show what comes."""
    if window.session.look_up() is not None:
        window.docks["online"].show()
        window.docks["online"].raise_()


INTEROP: tuple[Action, ...] = (
    Action(
        "samp.connect", "Connect to SAMP", (), lambda window: window.session.toggle_samp(),
        "Exchange tables, images and positions with TOPCAT, Aladin, DS9 and others on this machine", "Interop",
        checked=lambda session: session.samp.connected,
    ),
    Action(
        "samp.share", "Others follow the selection", (), lambda window: window.session.toggle_sharing(),
        "Point other programs at each candidate that is selected, and highlight its row", "Interop", "",
        lambda session: session.samp.connected, checked=lambda session: session.samp.sharing,
    ),
    Action(
        "samp.table", "Send the list to all", (), lambda window: window.session.send_table(),
        "Send the list, as filtered and sorted, to all programs that take tables; rows stay linked", "Interop", "",
        can_send_table, separator=True,
    ),
    Action(
        "samp.mosaic", "Send the mosaic to all", (), lambda window: window.session.send_mosaic(),
        "Send the shown mosaic to all programs that take images", "Interop", "", can_send_mosaic,
    ),
    Action(
        "samp.stamp", "Send the stamp to all", (), lambda window: window.session.send_stamp(),
        "Send the stamp of the selected candidate, FITS with WCS, to all programs that take images", "Interop", "",
        can_send_stamp,
    ),
    Action(
        "samp.point", "Point others at the candidate", ("Ctrl+J",), lambda window: window.session.point_others(),
        "Have all programs go to the position of the selected candidate, and highlight its row", "Interop", "",
        can_point,
    ),
    Action(
        "ds9.show", "Show in DS9", ("Ctrl+9",), lambda window: window.session.show_in_ds9(),
        "Open the mosaic in DS9 at the selected candidate, with the list as regions", "Interop", "", _can_show_in_ds9,
        separator=True, shown=lambda session: session.has_ds9,
    ),
    Action(
        "online.look_up", "Look up online", ("Ctrl+K",), _look_up,
        "Ask SIMBAD, NED and the lens catalogues of VizieR what is at the selected candidate", "Interop", "",
        _can_look_up, separator=True,
    ),
    Action(
        "online.picture", "Survey picture", ("Ctrl+Shift+K",), lambda window: window.session.fetch_picture(),
        "Fetch the picture of the Legacy Surveys, or the best there is, and show it with the views of the stamp",
        "Interop", "", _can_look_up,
    ),
)  # fmt: skip
