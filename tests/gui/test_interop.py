"""The window among other programs: SAMP by a real hub and a real second program, and DS9."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from PySide6.QtCore import Qt

from deeplense_gui.dialogs.crossmatch import CrossmatchDialog
from deeplense_gui.interop_menus import InteropMenus
from deeplense_gui.main_window import MainWindow
from deeplense_gui.session import Session
from engine.exchange.samp import HIGHLIGHT, IMAGE, POINT, SELECT, TABLE
from tests.ds9_parts import fake_ds9, told
from tests.gui.parts import dialog, messages, open_and_scan, press, write_sky
from tests.samp_parts import VIEWER, own_hub, program, running_hub

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture(autouse=True)
def _own_hub(monkeypatch, tmp_path):
    own_hub(monkeypatch, tmp_path)


@pytest.fixture
def hub():
    with running_hub() as made:
        yield made


@pytest.fixture
def topcat(hub):
    with program("TOPCAT") as made:
        yield made


@pytest.fixture
def connected(qtbot, topcat, vetting):
    """The window with a scanned mosaic, connected to a hub at which TOPCAT is."""
    vetting.actions_by_id["samp.connect"].trigger()
    link = vetting.session.samp
    qtbot.waitUntil(lambda: [one.name for one in link.others] == ["TOPCAT"], timeout=60_000)
    return vetting


@pytest.fixture
def linked(qtbot, topcat, scanned):
    """A session without a window, connected to a hub at which TOPCAT is."""
    scanned.connect_samp()
    qtbot.waitUntil(lambda: [one.name for one in scanned.samp.others] == ["TOPCAT"], timeout=60_000)
    return scanned


def path_of(parameters: dict[str, str]) -> Path:
    return Path(url2pathname(urlsplit(parameters["url"]).path))


def get(qtbot, other) -> tuple[str, dict[str, str]]:
    """The next message that another program gets; the window goes on meanwhile."""
    qtbot.waitUntil(lambda: not other.received.empty(), timeout=60_000)
    return other.next()


def sent(qtbot, window, action: str, other) -> dict[str, str]:
    window.actions_by_id[action].trigger()
    return get(qtbot, other)[1]


def test_connecting_is_shown_remembered_and_undone(qtbot, connected):
    session, badge = connected.session, connected.statusBar().findChild(object, "samp-badge")
    assert connected.actions_by_id["samp.connect"].isChecked()
    assert badge.text() == "SAMP: TOPCAT"
    assert int(session.preferences.get("samp/connect")) == 1
    connected.actions_by_id["samp.connect"].trigger()
    assert not session.samp.connected
    assert not badge.isVisible()
    assert not connected.actions_by_id["samp.table"].isEnabled()
    assert int(session.preferences.get("samp/connect")) == 0


def test_without_a_hub_one_is_started_only_when_asked(qtbot, vetting):
    session, said = vetting.session, messages(vetting.session)
    vetting.actions_by_id["samp.connect"].trigger()
    qtbot.waitUntil(lambda: any("No SAMP hub runs" in text for text, *_ in said), timeout=60_000)
    assert not session.samp.connected
    ways = {choice.label: choice for choice in said[-1][2]}
    ways["Start a hub here"].run()
    qtbot.waitUntil(lambda: session.samp.connected, timeout=60_000)
    with program("Aladin", VIEWER):
        qtbot.waitUntil(lambda: [one.name for one in session.samp.others] == ["Aladin"], timeout=60_000)


def test_it_connects_by_itself_only_where_it_was_connected_and_a_hub_runs(qtbot, hub, preferences, stand_in):
    session = Session(preferences=preferences)
    session.resume_samp()
    assert not session.jobs.unfinished
    preferences.set("samp/connect", 1)
    session.resume_samp()
    assert session.connect_samp() is None  # it is under way
    qtbot.waitUntil(lambda: session.samp.connected and not session.jobs.unfinished, timeout=60_000)
    assert session.samp.others == ()
    session.close()


def test_the_list_goes_out_and_rows_lead_both_ways(qtbot, connected, topcat):
    session = connected.session
    session.set_filters(order="y", descending=False)
    said = messages(session)
    table = sent(qtbot, connected, "samp.table", topcat)
    written = Table.read(path_of(table))
    assert list(written["id"]) == list(session.ids())
    qtbot.waitUntil(lambda: any("sent to TOPCAT" in text for text, *_ in said), timeout=60_000)
    topcat.tell(HIGHLIGHT, **{"table-id": table["table-id"], "row": "3"})
    qtbot.waitUntil(lambda: session.selection == session.ids()[3], timeout=60_000)
    topcat.client.enotify_all(SELECT, **{"url": table["url"], "row-list": ["5", "7", "900"]})
    qtbot.waitUntil(lambda: session.marked == {session.ids()[5], session.ids()[7]}, timeout=60_000)
    assert session.selection == session.ids()[5]
    session.select(int(session.ids()[2]))
    press(qtbot, connected, Qt.Key.Key_J, CONTROL)
    got = dict(get(qtbot, topcat) for _ in range(2))
    assert (got[HIGHLIGHT]["row"], got[HIGHLIGHT]["table-id"]) == ("2", table["table-id"])
    assert float(got[POINT]["ra"]) == pytest.approx(session.candidate().ra, abs=1e-6)


def test_rows_of_a_table_of_another_project_select_nothing(qtbot, linked, topcat, tmp_path):
    linked.send_table()
    table = get(qtbot, topcat)[1]
    qtbot.waitUntil(lambda: not linked.jobs.unfinished, timeout=60_000)
    linked.open_project(linked.project.save_as(tmp_path / "other.deeplense"))
    before = linked.selection
    topcat.tell(HIGHLIGHT, **{"table-id": table["table-id"], "row": "3"})
    topcat.tell(POINT, ra="10", dec="-30")  # comes after it
    said = messages(linked)
    qtbot.waitUntil(lambda: any("on no open mosaic" in text for text, *_ in said), timeout=60_000)
    assert linked.selection == before


def test_others_follow_the_selection_only_when_told_to(qtbot, linked, topcat):
    session = linked
    session.select(int(session.ids()[1]))
    session.toggle_sharing()
    assert float(get(qtbot, topcat)[1]["dec"]) == pytest.approx(session.candidate().dec, abs=1e-6)
    assert topcat.received.empty()
    session.select(int(session.ids()[4]))
    assert float(get(qtbot, topcat)[1]["dec"]) == pytest.approx(session.candidate().dec, abs=1e-6)
    led = session.rows([int(session.ids()[9])])[0]
    topcat.tell(POINT, ra=str(led.ra), dec=str(led.dec))
    qtbot.waitUntil(lambda: session.selection == led.id and not session.jobs.unfinished, timeout=60_000)
    assert topcat.received.empty()  # who leads need not be told
    session.set_blind(True)
    session.select(int(session.ids()[7]))
    qtbot.waitUntil(lambda: not session.jobs.unfinished, timeout=60_000)
    assert topcat.received.empty()


def test_mosaic_and_stamp_go_out_as_fits_to_one_program(qtbot, connected, topcat, sky):
    session = connected.session
    assert path_of(sent(qtbot, connected, "samp.mosaic", topcat)) == sky
    stamp = sent(qtbot, connected, "samp.stamp", topcat)
    assert fits.getheader(path_of(stamp))["CANDID"] == session.selection
    assert stamp["name"] == session.candidate().name
    with program("Viewer", VIEWER) as viewer:
        both = lambda: [one.accepts(POINT) for one in session.samp.others] == [True, True]  # noqa: E731
        qtbot.waitUntil(both, timeout=60_000)
        menus = connected.findChild(InteropMenus)
        menus.fill()
        (to_topcat, to_viewer) = (action.menu() for action in menus.send.actions())
        assert (to_topcat.title(), to_viewer.title()) == ("TOPCAT", "Viewer")
        assert [one.text() for one in to_viewer.actions()] == ["The mosaic", "The stamp", "The position"]
        assert to_topcat.actions()[0].text() == f"The list ({len(session.ids()):,})"
        to_viewer.actions()[0].trigger()
        assert get(qtbot, viewer)[0] == IMAGE
        qtbot.waitUntil(lambda: not session.jobs.unfinished, timeout=60_000)
        assert topcat.received.empty()


def test_what_a_program_cannot_read_is_told_in_its_words(qtbot, linked, topcat):
    def refuse(key, sender, message, kind, parameters, extra):
        topcat.client.ereply(message, "samp.error", error={"samp.errortxt": "no memory"})

    topcat.client.bind_receive_call(TABLE, refuse)
    said = messages(linked)
    linked.send_table()
    qtbot.waitUntil(lambda: any("TOPCAT did not take it (no memory)" in text for text, *_ in said), timeout=60_000)


def test_a_position_that_comes_in_moves_the_mosaic_and_selects_what_is_there(qtbot, connected, topcat):
    session, canvas = connected.session, connected.panels["mosaic"].canvas
    wanted = session.rows([int(session.ids()[6])])[0]
    topcat.tell(POINT, ra=str(wanted.ra + 0.5 / 3600), dec=str(wanted.dec))
    qtbot.waitUntil(lambda: session.selection == wanted.id, timeout=60_000)
    x0, x1, y0, y1 = canvas.view.edges()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((wanted.x, wanted.y), abs=4)
    said = messages(session)
    topcat.tell(POINT, ra="10", dec="-30")
    qtbot.waitUntil(lambda: any("on no open mosaic" in text for text, *_ in said), timeout=60_000)
    assert session.selection == wanted.id


def test_images_and_tables_come_in_after_asking(qtbot, connected, topcat, tmp_path):
    session, said = connected.session, messages(connected.session)
    other = tmp_path / "other sky.fits"
    fits.writeto(other, np.ones((30, 40), np.float32))
    topcat.tell(IMAGE, url=other.as_uri(), name="other")
    qtbot.waitUntil(lambda: any("sends the image other" in text for text, *_ in said), timeout=60_000)
    assert len(session.mosaics) == 1
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        said[-1][2][0].run()
    assert session.mosaic.shape == (30, 40)
    row = session.candidate()
    known = Table({"name": ["SL-9"], "ra": [row.ra], "dec": [row.dec], "ref": ["Doe 2020"]})
    known.write(tmp_path / "list.xml", format="votable")
    topcat.tell(TABLE, url=(tmp_path / "list.xml").as_uri(), name="Lenses of Doe")
    qtbot.waitUntil(lambda: any("sends the table Lenses of Doe" in text for text, *_ in said), timeout=60_000)
    assert session.matches(row) == []
    next(ways for text, _, ways in said if "sends the table" in text)[0].run()
    qtbot.waitUntil(lambda: any(one.isVisible() for one in connected.findChildren(CrossmatchDialog)), timeout=20_000)
    dialog(connected, CrossmatchDialog).accept()
    qtbot.waitUntil(lambda: bool(session.matches(row)), timeout=20_000)
    assert session.matches(row)[0].name == "SL-9"


def test_a_hub_that_goes_is_said_with_a_way_back(qtbot, connected, hub, topcat):
    said = messages(connected.session)
    hub.stop()
    qtbot.waitUntil(lambda: any("hub has gone" in text for text, *_ in said), timeout=60_000)
    assert not connected.session.samp.connected
    assert not connected.actions_by_id["samp.connect"].isChecked()
    topcat.close = lambda: None
    with running_hub():
        next(ways for text, _, ways in said if "hub has gone" in text)[0].run()
        qtbot.waitUntil(lambda: connected.session.samp.connected, timeout=60_000)
        connected.session.disconnect_samp()


def test_blind_mode_lets_nothing_out_that_tells(qtbot, connected, topcat):
    session = connected.session
    session.set_blind(True)
    for name in ("samp.table", "samp.stamp", "samp.point", "ds9.show", "online.look_up", "online.picture"):
        assert not connected.actions_by_id[name].isEnabled(), name
    assert session.send_table() is None
    assert session.send_stamp() is None
    assert session.show_in_ds9() is None
    assert session.look_up() is None
    assert session.fetch_picture() is None
    session.point_others()
    assert not session.jobs.unfinished
    before = session.selection
    other = session.rows([int(session.ids()[3])])[0]
    topcat.tell(POINT, ra=str(other.ra), dec=str(other.dec))
    said = messages(session)
    qtbot.waitUntil(lambda: any("blind mode does not tell" in text for text, *_ in said), timeout=60_000)
    assert session.selection == before
    assert topcat.received.empty()
    assert session.pages() == []
    session.grade("A")
    session.select(before)
    assert connected.actions_by_id["online.look_up"].isEnabled()
    assert connected.actions_by_id["samp.point"].isEnabled()


# DS9 ------------------------------------------------------------------------------------------------------------------


def test_ds9_shows_the_mosaic_at_the_candidate_with_the_list(qtbot, monkeypatch, tmp_path, scanned, sky):
    programs = fake_ds9(monkeypatch, tmp_path / "bin")
    assert scanned.has_ds9
    job = scanned.show_in_ds9()
    qtbot.waitUntil(lambda: job.reason is not None, timeout=20_000)
    assert job.error is None
    row, lines = scanned.candidate(), told(programs)
    assert f"file {{{sky}}}" in lines
    assert f"pan to {row.ra:.7f} {row.dec:.7f} wcs icrs degrees" in lines
    regions = next(line for line in lines if line.startswith("regions load")).split("{")[1].rstrip("}")
    assert Path(regions).read_text().count("circle(") == len(scanned.ids())


def test_ds9_is_offered_only_where_it_is(qtbot, monkeypatch, tmp_path, preferences, stand_in):
    for there in (False, True):
        if there:
            fake_ds9(monkeypatch, tmp_path / "bin")
        window = MainWindow(Session(preferences=preferences))
        qtbot.addWidget(window)
        window.show()
        assert window.actions_by_id["ds9.show"].isVisible() == there
        window.close()


def test_a_mosaic_without_wcs_points_nowhere(qtbot, window, hub, tmp_path):
    open_and_scan(qtbot, window.session, write_sky(tmp_path / "plain.fits", wcs=False))
    window.session.connect_samp()
    qtbot.waitUntil(lambda: window.session.samp.connected, timeout=60_000)
    assert not window.actions_by_id["samp.point"].isEnabled()
    assert not window.actions_by_id["online.look_up"].isEnabled()
    assert window.actions_by_id["samp.table"].isEnabled()
