"""Look-ups and pictures by the real client code, against a server on this machine that plays the services."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS

from engine.errors import ExchangeError
from engine.exchange import background, lookup, network, services, survey_image
from engine.images import disk_cache
from engine.images.mosaic import open_mosaic
from tests.service_parts import BROKEN, HTML, LEGACY, all_well, jpeg, picture, running_server, votable

RA, DEC = 215.5, 52.7


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "cache"))
    with running_server() as made:
        made.put_in_place(monkeypatch)
        all_well(made, RA, DEC)
        yield made


def answers(**options) -> dict[str, lookup.OnlineAnswer]:
    return {one.service: one for step in lookup.look_up(RA, DEC, **options) for one in step.items}


def test_three_services_answer_with_objects_the_nearest_first_each_with_its_reference(server):
    found = answers()
    assert set(found) == {"SIMBAD", "NED", "VizieR"}
    lens, star = found["SIMBAD"].objects
    assert (lens.name, lens.kind, lens.redshift, lens.reference) == ("SL2S J1422", "gLS", 0.55, "12 references")
    assert lens.separation == pytest.approx(0.3, abs=0.01)
    assert (star.name, star.redshift) == ("star", None)
    assert found["NED"].objects[0].redshift == pytest.approx(0.553)
    known = found["VizieR"].objects[0]
    assert (known.name, known.kind) == ("DESI-215.5", "grade A")
    assert known.reference == "J/ApJ/909/27: Strong lens candidates (Huang+, 2021)"
    assert known.separation == pytest.approx(0.5 * np.cos(np.radians(DEC)), abs=0.01)
    assert lens.link.startswith("https://simbad.cds.unistra.fr/simbad/sim-coo?Coord=215.500000d%2B52.7")


def test_rows_without_a_position_are_left_out(server):
    masked = Table(
        {"Name": ["a", "b"], "_RAJ2000": MaskedColumn([RA, 0.0], mask=[False, True]), "_DEJ2000": [DEC, DEC]}
    )
    server.replies["/VizieR"] = votable(
        masked, Table({"Name": ["no position"]}), names=("t", "u"), descriptions=("", "")
    )
    assert [one.ra for one in answers()["VizieR"].objects] == [RA]


def test_the_questions_are_cones_around_the_position(server):
    answers(radius=7.2)
    asked = dict(server.asked)
    assert "CIRCLE('ICRS', 215.5000000, 52.7000000, 0.00200000)" in asked["/SIMBAD/sync"]["QUERY"]
    assert "FROM objdir" in asked["/NED/sync"]["QUERY"]
    assert all(agent.startswith("DeepLense-GUI/") for agent in server.agents)
    assert asked["/VizieR"]["-kw.Astronomy"] == "Gravitational_lensing"
    assert (asked["/VizieR"]["-c"], asked["/VizieR"]["-c.rs"]) == ("215.5000000 +52.7000000", "7.2")


@pytest.mark.parametrize(
    ("reply", "text"), [(BROKEN, "answered with an error"), (HTML, "not understood"), (None, "did not answer in time")]
)
def test_a_service_in_trouble_says_so_and_the_others_answer(server, monkeypatch, reply, text):
    monkeypatch.setattr(network, "READ", 0.3)
    server.replies["/SIMBAD/sync"] = reply
    found = answers()
    assert text in found["SIMBAD"].trouble
    assert not found["SIMBAD"].objects
    assert found["NED"].objects
    assert found["VizieR"].objects


@pytest.mark.parametrize("reply", [BROKEN, HTML], ids=["error", "page"])
def test_vizier_in_trouble_says_so(server, reply):
    server.replies["/VizieR"] = reply
    found = answers()
    assert "VizieR answered with" in found["VizieR"].trouble
    assert found["SIMBAD"].objects


def test_without_a_network_one_line_says_so(server):
    server.close()
    with pytest.raises(ExchangeError, match=r"^No catalogue can be reached: check the network"):
        answers()


def test_what_hangs_is_given_up_at_once_when_cancelled(server):
    server.replies.pop("/NED/sync")
    steps = lookup.look_up(RA, DEC)
    for step in steps:
        if step.done == 2:
            break
    steps.close()  # returns: nothing waits for the thread that hangs


def test_a_deadline_ends_what_hangs():
    import threading

    never = threading.Event()
    steps = background.gather({"a": lambda: 1, "b": never.wait}, seconds=0.3)
    items = [item for step in steps for item in step.items]
    never.set()
    assert items[0] == ("a", 1)
    assert "b did not answer within 0.3 s" in str(items[1][1])


# pictures -------------------------------------------------------------------------------------------------------------


def image(**options) -> survey_image.SurveyImage:
    service = options.pop("service", services.IMAGES[0])
    return list(survey_image.survey_image(service, RA, DEC, **options))[-1].items[0]


def kept() -> list:
    folder = disk_cache.images_folder()
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_picture_is_fetched_once_and_then_taken_from_the_cache(server):
    first = image()
    assert first.pixels.shape == (230, 230, 3)
    assert first.side == pytest.approx(230 * 0.262)
    assert first.pixels[0].mean() > first.pixels[-1].mean()  # the top is the top
    assert np.array_equal(image().pixels, first.pixels)
    assert len(server.asked) == 1
    assert server.asked[0][1]["layer"] == "ls-dr10"
    assert len(kept()) == 1


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (BROKEN, r"answered with an error \(500\)"),
        (HTML, r"no picture \(text/html\)"),
        (lambda p: (200, "image/jpeg", jpeg(p)[2][:3000]), "no picture"),
        (picture(np.zeros((10, 10, 3), np.uint8)), "another size"),
        (picture(np.full((230, 230, 3), 32, np.uint8)), "has no data here; it covers declination"),
    ],
    ids=["error", "page", "cut off", "size", "blank"],
)
def test_what_is_no_picture_is_never_kept_and_the_next_try_asks_again(server, reply, text):
    server.replies[LEGACY] = reply
    with pytest.raises(ExchangeError, match=text):
        image()
    assert kept() == []
    server.replies[LEGACY] = jpeg
    assert image().pixels.any()


def test_a_service_that_does_not_answer_is_said(server, monkeypatch):
    monkeypatch.setattr(network, "READ", 0.3)
    server.replies.pop(LEGACY)
    with pytest.raises(ExchangeError, match="did not answer in time"):
        image()
    server.close()
    with pytest.raises(ExchangeError, match="cannot be reached: check the network"):
        image()
    assert kept() == []


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0])
def test_a_picture_lies_as_the_mosaic_does(server, tmp_path, angle):
    """Brighter to the north and redder to the east on the sky, however the mosaic is turned."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [RA, DEC], [101, 101]
    turn = np.radians(angle)
    wcs.wcs.cd = np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * 0.2 / 3600
    fits.writeto(tmp_path / "m.fits", np.ones((201, 201), np.float32), wcs.to_header())
    mosaic = open_mosaic([tmp_path / "m.fits"])
    pixels = image(mosaic=mosaic, xy=(100.0, 100.0)).pixels.astype(float)
    n = len(pixels)
    for colour, sky in ((1, (RA, DEC + 10 / 3600)), (0, (RA + 10 / 3600 / np.cos(np.radians(DEC)), DEC))):
        x, y = mosaic.pixel(np.array([sky]))[0] - 100
        column, row = (round((n - 1) / 2 + sign * d * 0.2 / 0.262) for sign, d in ((1, x), (-1, y)))
        other = (round((n - 1) / 2 - sign * d * 0.2 / 0.262) for sign, d in ((1, x), (-1, y)))
        opposite_column, opposite_row = other
        assert pixels[row, column, colour] > pixels[opposite_row, opposite_column, colour] + 50


def test_only_services_that_reach_a_declination_are_offered():
    assert [one.name for one in services.image_services(60.0)] == ["Legacy Surveys DR9", "Pan-STARRS DR1", "DSS2"]
    assert [one.name for one in services.image_services(-80.0)] == ["Legacy Surveys DR10", "DSS2"]


@pytest.mark.parametrize("link", services.LINKS, ids=lambda link: link.name)
def test_links_hold_the_position_and_nothing_unfilled(link):
    address = link.at(215.5, -3.25)
    assert "215.5" in address
    assert "-3.25" in address
    assert "{" not in address
    assert " " not in address
    assert link.tip
