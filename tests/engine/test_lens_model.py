"""Quick lens models: what was put in comes out, and what is no lens is said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from scipy.ndimage import gaussian_filter

from engine.catalogue import Project
from engine.errors import ImageError
from engine.images.mosaic import open_mosaic
from engine.interpret.lens_model import stamps as lens_stamps
from engine.interpret.lens_model.fit import fit_lens
from engine.interpret.lens_model.stamps import WIDEST, fit_lenses, fit_request, usual_side
from engine.interpret.lens_model.view import FitRequest
from engine.types import LensFit, Step, Substructure
from tests.engine.catalogue_parts import detection
from tests.engine.cli_parts import CommandLine
from tests.engine.sky_parts import mosaic_of

SCALE, SIDE, FWHM = 0.14, 36, 0.3
MASS = [
    {"theta_E": 1.2, "e1": 0.1, "e2": -0.05, "center_x": 0.0, "center_y": 0.0},
    {"gamma1": 0.03, "gamma2": 0.01, "ra_0": 0.0, "dec_0": 0.0},
]
SOURCE = {"amp": 300.0, "R_sersic": 0.15, "n_sersic": 1.0, "e1": 0.1, "e2": 0.1, "center_x": 0.15, "center_y": 0.1}
GALAXY = {"amp": 60.0, "R_sersic": 0.8, "n_sersic": 3.0, "e1": 0.1, "e2": -0.05, "center_x": 0.0, "center_y": 0.0}

EMPTY = np.zeros((2, 2), np.float32)
NO_FIT = LensFit(*[0.0] * 12, *[EMPTY] * 5)


def stamp(*, lensed: bool = True, side: int = SIDE, seed: int = 1) -> np.ndarray:
    """A lens drawn with three rays a pixel, blurred and with noise of one; its light is far above that."""
    axis = (np.arange(3 * side) - (3 * side - 1) / 2) * SCALE / 3
    x, y = (one.ravel() for one in np.meshgrid(axis, axis))
    light = LightModel(["SERSIC_ELLIPSE"])
    image = light.surface_brightness(x, y, [GALAXY])
    if lensed:
        image = image + light.surface_brightness(*LensModel(["SIE", "SHEAR"]).ray_shooting(x, y, MASS), [SOURCE])
    image = image.reshape(side, 3, side, 3).mean((1, 3))
    blurred = gaussian_filter(image, FWHM / SCALE / 2.3548)
    return (blurred + np.random.default_rng(seed).normal(0, 1, blurred.shape) + 40).astype(np.float32)


def fitted(pixels: np.ndarray, **settings: object) -> LensFit:
    *_, last = fit_lens(FitRequest(pixels, SCALE, FWHM, **settings))  # type: ignore[arg-type]
    return last.items[0]


@pytest.fixture(scope="module")
def found() -> LensFit:
    return fitted(stamp())


def test_the_lens_that_was_drawn_comes_out(found: LensFit) -> None:
    assert found.einstein_radius == pytest.approx(1.2, abs=0.02)
    assert found.axis_ratio == pytest.approx((1 - 0.1118) / (1 + 0.1118), abs=0.08)
    assert np.hypot(found.shear - 0.0316, 0) < 0.03
    assert found.source_radius == pytest.approx(0.15, rel=0.25)
    assert found.notes == ()


def test_the_error_holds_the_truth(found: LensFit) -> None:
    assert 0.0001 < found.einstein_radius_error < 0.02
    assert abs(found.einstein_radius - 1.2) < 5 * found.einstein_radius_error + 0.005


def test_the_model_reaches_the_noise_and_the_deflector_alone_does_not(found: LensFit) -> None:
    assert found.chi2 < 1.3
    assert found.chi2_alone > 2 * found.chi2
    assert np.nanstd(found.residual) < 1.3


def test_the_parts_of_the_model_add_up(found: LensFit) -> None:
    inside = np.isfinite(found.residual)
    assert inside.sum() > 0.7 * SIDE**2
    assert not inside[0, 0]  # beyond the circle nothing is fitted
    light = found.model - found.arcs
    assert light[SIDE // 2, SIDE // 2] > 5 * found.arcs[SIDE // 2, SIDE // 2]
    ring = np.hypot(*(np.indices((SIDE, SIDE)) - (SIDE - 1) / 2)) * SCALE
    assert found.arcs[(ring > 0.9) & (ring < 1.5)].sum() > 0.7 * found.arcs.sum()
    assert found.side == pytest.approx(SIDE * SCALE)


def test_the_magnification_is_that_of_the_lens(found: LensFit) -> None:
    fine = (np.arange(800) - 399.5) * 0.01
    x, y = (one.ravel() for one in np.meshgrid(fine, fine))
    light = LightModel(["SERSIC_ELLIPSE"])
    lensed = light.surface_brightness(*LensModel(["SIE", "SHEAR"]).ray_shooting(x, y, MASS), [SOURCE]).sum()
    assert found.magnification == pytest.approx(lensed / light.surface_brightness(x, y, [SOURCE]).sum(), rel=0.2)


def test_a_galaxy_alone_is_no_lens_and_what_was_assumed_is_said() -> None:
    notes = fitted(stamp(lensed=False), note="No star is near").notes
    assert notes[0] == "No star is near"
    assert any("may be no lens" in note for note in notes)


def test_turned_it_is_the_same_lens(found: LensFit) -> None:
    turned = fitted(np.rot90(stamp()))
    assert turned.einstein_radius == pytest.approx(found.einstein_radius, abs=0.01)
    assert turned.axis_ratio == pytest.approx(found.axis_ratio, abs=0.03)
    difference = (turned.angle - found.angle - 90) % 180
    assert min(difference, 180 - difference) < 8


def test_missing_pixels_neighbours_and_hot_pixels_hardly_matter() -> None:
    pixels = stamp()
    pixels[:, 26:29] = np.nan
    pixels[8, 20], pixels[24, 9] = 5000, 8000
    pixels[3:6, 4:8] += 300
    assert fitted(pixels).einstein_radius == pytest.approx(1.2, abs=0.04)


def test_a_fit_stays_near_the_ring_that_was_drawn() -> None:
    found = fitted(stamp(), einstein_radius=0.6)
    assert 0.4 <= found.einstein_radius <= 0.9
    assert any("draw it anew" in note for note in found.notes)


def test_a_large_stamp_is_searched_coarsely_and_fitted_finely() -> None:
    large = fitted(stamp(side=83), einstein_radius=1.0)
    assert large.data.shape == (83, 83)
    assert large.einstein_radius == pytest.approx(1.2, abs=0.02)


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.zeros((8, 8)), "square stamp"),
        (np.zeros((40, 30)), "square stamp"),
        (np.full((40, 40), np.nan), "hardly any data"),
    ],
)
def test_what_cannot_be_fitted_is_said(pixels: np.ndarray, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        fitted(pixels)


def test_a_stamp_without_light_ends_with_a_note() -> None:
    assert fitted(np.zeros((40, 40))).notes


def test_a_stamp_of_a_mosaic_has_its_own_pixels_and_psf() -> None:
    image = np.random.default_rng(3).normal(0, 1, (300, 320))
    y, x = np.indices(image.shape)
    for k in range(12):  # stars of 3 pixels FWHM
        image += 800 * np.exp(-4 * np.log(2) * ((x - 30 - 22 * k) ** 2 + (y - 40 - 19 * k) ** 2) / 3**2)
    mosaic = mosaic_of(image.astype(np.float32), pixel_scale=SCALE)
    request = fit_request(mosaic, 200.0, 80.0, side=4.0)
    assert request.pixels.shape == (29, 29)
    assert request.kernel is not None
    assert request.fwhm == pytest.approx(3 * SCALE, rel=0.15)
    assert request.kernel.shape[0] % 2 == 1
    assert fit_request(mosaic, 200.0, 80.0, seeing=0.5).fwhm == 0.5


def test_without_stars_the_psf_is_assumed_and_said() -> None:
    mosaic = mosaic_of(np.random.default_rng(3).normal(0, 1, (100, 100)).astype(np.float32), pixel_scale=SCALE)
    request = fit_request(mosaic, 50.0, 50.0)
    assert request.kernel is None
    assert "No star is near" in request.note


def test_a_mosaic_without_pixel_scale_has_no_rings() -> None:
    mosaic = mosaic_of(np.zeros((100, 100), np.float32), pixel_scale=SCALE)
    with pytest.raises(ImageError, match="no pixel scale"):
        fit_request(replace(mosaic, pixel_scale=None), 50.0, 50.0)


def test_the_usual_side_grows_with_the_ring_within_reason() -> None:
    mosaic = mosaic_of(np.zeros((100, 100), np.float32), pixel_scale=SCALE)
    assert usual_side(mosaic) == pytest.approx(12.0)
    assert usual_side(mosaic, 1.5) == pytest.approx(9.0)
    assert usual_side(mosaic, 50.0) == pytest.approx(WIDEST * SCALE)
    assert usual_side(mosaic, 0.1) == pytest.approx(32 * SCALE)


def test_many_are_fitted_in_processes_and_errors_come_with_their_request(found: LensFit) -> None:
    requests = [FitRequest(stamp(), SCALE, FWHM), FitRequest(np.full((40, 40), np.nan, np.float32), SCALE, FWHM)]
    items = dict(item for step in fit_lenses(requests) for item in step.items)
    assert items[0].einstein_radius == pytest.approx(found.einstein_radius, abs=1e-6)
    assert isinstance(items[1], ImageError)


_ASKS = """
from engine.interpret import aside

if __name__ == "__main__":
    print(aside._pool(1).submit(aside.os.getpid).result(), flush=True)
    input()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_no_process_outlives_the_one_that_asked(tmp_path: Path) -> None:
    script = tmp_path / "asks.py"
    script.write_text(_ASKS)
    command = [sys.executable, str(script)]
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}
    ) as asking:
        assert asking.stdout is not None
        worker = int(asking.stdout.readline())
        os.kill(worker, 0)  # it is there
        asking.kill()
    deadline = time.monotonic() + 30
    while _is_there(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_there(worker)


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not (state.exists() and ") Z " in state.read_text())  # dead, and not yet buried


def test_the_command_writes_a_table_with_units(tmp_path: Path, mosaic_file: Path, monkeypatch, capsys) -> None:
    def answers(requests: Sequence[FitRequest], _: int) -> Iterator[Step]:
        """The second is answered first."""
        assert [request.fwhm for request in requests] == [0.8, 0.8]
        yield Step(1, 2, ((1, ImageError("There are hardly any data")),))
        yield Step(2, 2, ((0, replace(NO_FIT, einstein_radius=1.5, notes=("Much is left over",))),))

    monkeypatch.setattr(lens_stamps, "fit_lenses", answers)
    project, out = tmp_path / "night.deeplense", tmp_path / "lenses.ecsv"
    with Project.create(project) as opened:
        run = opened.start_run(open_mosaic(mosaic_file), "finder-1")
        opened.add(run, [detection(60.0, 70.0, 0.9), detection(100.0, 40.0, 0.5)])
    done = CommandLine(capsys)("fit", project, "--out", out, "--seeing", "0.8", "--processes", "1")
    assert done.status == 0, done.err
    table = Table.read(out)
    assert table["einstein_radius"].tolist()[0] == 1.5
    assert np.isnan(table["einstein_radius"][1])
    assert str(table["einstein_radius"].unit) == "arcsec"
    assert table["notes"].tolist() == ["Much is left over", "There are hardly any data"]
    assert "1 of 2 candidates could not be fitted" in done.err


def test_the_command_adds_substructure(tmp_path: Path, mosaic_file: Path, capsys, monkeypatch) -> None:
    from engine.interpret import substructure
    from engine.models import predict

    def fits(requests, processes):
        yield Step(3, 3, ((0, NO_FIT), (1, ImageError("There are hardly any data")), (2, NO_FIT)))

    def tells(requests, fits, classifiers, processes):
        assert (len(requests), len(fits)) == (2, 2)
        places, labels = np.zeros((3, 2)), np.arange(3)
        told = Substructure("mine", ("no_sub", "cdm", "axion"), (0.1, 0.7, 0.2), 0.8, 1 / 3, 0.4, places[0], places,
                            labels, EMPTY, EMPTY[None], (0.0, 1.0, 0.1), 2.0)  # fmt: skip
        yield Step(1, 2, ((1, replace(told, notes=("The stamp is like no copy",))),))
        yield Step(2, 2, ((0, told),))

    monkeypatch.setattr(lens_stamps, "fit_lenses", fits)
    monkeypatch.setattr(substructure, "tell_all", tells)
    monkeypatch.setattr(substructure, "substructure_models", list)
    monkeypatch.setattr(predict, "load_classifier", None)
    project, out = tmp_path / "night.deeplense", tmp_path / "lenses.ecsv"
    with Project.create(project) as opened:
        run = opened.start_run(open_mosaic(mosaic_file), "finder-1")
        opened.add(run, [detection(60.0, 70.0, 0.9), detection(100.0, 40.0, 0.8), detection(30.0, 40.0, 0.7)])
    done = CommandLine(capsys)("fit", project, "--out", out, "--seeing", "0.8", "--substructure", "--processes", "1")
    assert done.status == 0, done.err
    table = Table.read(out)
    assert table["p_cdm"][0] == 0.7
    assert np.isnan(table["p_cdm"][1])
    assert np.isnan(table["p_cdm"][2])  # no kind is named where nothing can be told
    assert table["copies_right"].tolist()[0] == 0.8
    assert table["copies_right"].tolist()[2] == 0.8
    assert table["notes"].tolist()[1:] == ["There are hardly any data", "The stamp is like no copy"]


def test_the_command_refuses_before_it_works(tmp_path: Path, mosaic_file: Path, capsys) -> None:
    project = tmp_path / "night.deeplense"
    with Project.create(project) as opened:
        run = opened.start_run(open_mosaic(mosaic_file), "finder-1")
        opened.add(run, [detection(60.0, 70.0, 0.9)])
    command_line = CommandLine(capsys)
    assert "no table format ends in '.txt'" in command_line("fit", project, "--out", tmp_path / "a.txt").err
    assert "choose others" in command_line("fit", project, "--out", tmp_path / "a.csv", "--grades", "A").err
    assert command_line("fit", project, "--out", tmp_path / "a.csv", "--band", "Z").status == 2
    assert not (tmp_path / "a.csv").exists()
