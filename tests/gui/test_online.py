"""Look-ups, pictures of surveys and pages for the browser, by the real client code against services played here."""

from __future__ import annotations

import pytest
from astropy.table import Table
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices, QGuiApplication

from deeplense_gui.interop_menus import InteropMenus
from tests.gui.parts import messages, press
from tests.service_parts import BROKEN, LEGACY, Server, all_well, running_server, votable

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The services, with objects at the field's middle."""
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "cache"))
    with running_server() as made:
        made.put_in_place(monkeypatch)
        all_well(made, 215.5, 52.7)
        yield made


@pytest.fixture
def looking(scanned, server) -> tuple:
    """A session without a window, at its best candidate, and the services around it."""
    row = scanned.candidate()
    all_well(server, row.ra, row.dec)
    return scanned, server


def around(session, server: Server) -> None:
    row = session.candidate()
    all_well(server, row.ra, row.dec)


def test_a_candidate_is_looked_up_and_what_comes_is_shown(qtbot, vetting, server):
    panel, session = vetting.panels["online"], vetting.session
    around(session, server)
    assert "Nothing was looked up" in panel.message.text()
    assert server.asked == []
    press(qtbot, vetting, Qt.Key.Key_K, CONTROL)
    qtbot.waitUntil(lambda: panel.table.rowCount() == 4 and not session.jobs.unfinished, timeout=20_000)
    assert panel.isVisible()
    lines = [[panel.table.item(row, column).text() for column in range(6)] for row in range(4)]
    assert ["SIMBAD", "SL2S J1422", "gLS", "0.5500", "0.30″", "12 references"] in lines
    assert any(line[5].startswith("J/ApJ/909/27: Strong lens candidates") for line in lines)
    session.step_selection(1)
    assert "Nothing was looked up" in panel.message.text()
    session.step_selection(-1)
    assert panel.table.isVisible()
    server.replies["/NED/sync"] = BROKEN
    server.replies["/VizieR"] = votable(Table(names=("Name",), dtype=("U1",)))
    vetting.actions_by_id["online.look_up"].trigger()
    qtbot.waitUntil(lambda: panel.table.rowCount() == 4 and not session.jobs.unfinished, timeout=20_000)
    texts = {panel.table.item(row, 0).text(): panel.table.item(row, 1).text() for row in range(4)}
    assert texts["NED"].startswith("NED answered with an error (500)")
    assert texts["VizieR"] == "nothing within 5″"


def test_a_look_up_can_be_cancelled_while_a_service_hangs(qtbot, looking):
    session, server = looking
    server.replies.pop("/NED/sync")
    job = session.look_up()
    qtbot.waitUntil(lambda: job.step.done == 2, timeout=20_000)
    session.jobs.cancel(job)
    qtbot.waitUntil(lambda: job.reason is not None, timeout=5_000)
    assert job.reason.value == "cancelled"


def test_without_a_network_one_line_says_so(qtbot, looking):
    session, server = looking
    server.close()
    said = messages(session)
    session.look_up()
    qtbot.waitUntil(lambda: any("No catalogue can be reached" in text for text, *_ in said), timeout=20_000)
    assert len([text for text, level, _ in said if level == "error"]) == 1


def test_a_survey_picture_is_a_view_of_the_stamp(qtbot, vetting, server):
    grid, session = vetting.panels["inspector"].grid, vetting.session
    qtbot.waitUntil(lambda: grid.large.picture is not None, timeout=20_000)
    vetting.actions_by_id["online.picture"].trigger()
    name = "Legacy 9"  # DR10 ends south of this field
    qtbot.waitUntil(lambda: grid.large.picture is not None and grid.large.picture.title == name, timeout=20_000)
    assert grid.large.picture.side == pytest.approx(230 * 0.262)
    session.step_selection(1)
    qtbot.waitUntil(lambda: grid.large.picture is not None and grid.large.picture.title != name, timeout=20_000)


def test_a_failed_picture_is_said_and_shows_no_view(qtbot, looking):
    session, server = looking
    said = messages(session)
    server.replies[LEGACY] = BROKEN
    session.fetch_picture()
    qtbot.waitUntil(lambda: any("answered with an error" in text for text, *_ in said), timeout=20_000)
    assert session.online.pictures == {}


def test_pages_open_in_the_browser_or_are_copied(monkeypatch, vetting):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()) or True)
    menus = vetting.findChild(InteropMenus)
    menus.fill()
    assert [one.text() for one in menus.pages.actions()][:2] == ["SIMBAD", "NED"]
    for action in menus.pages.actions():
        assert "http" in action.toolTip()
        action.trigger()
    assert len(opened) == len(menus.pages.actions())
    ra = f"{vetting.session.candidate().ra:.6f}"
    assert all(ra in address for address in opened)
    menus.links.actions()[-1].trigger()
    assert QGuiApplication.clipboard().text().startswith("https://aladin.cds.unistra.fr/AladinLite/?target=" + ra)
    assert [one.text() for one in menus.surveys.actions()] == ["Legacy Surveys DR9", "Pan-STARRS DR1", "DSS2"]
    vetting.session.set_blind(True)
    menus.fill()
    assert not menus.pages.isEnabled()
    assert menus.pages.actions() == []
