"""Fixtures for all tests; nothing here or in a test touches the user's own files.

Environment: ``DEEPLENSE_TEST_DISPLAY=1`` runs the window tests on the real display, ``DEEPLENSE_REAL_DATA`` names the
folder of real survey images (default: ``shared/data`` beside the checkout).
"""

import os
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

# Qt, numpy, torch and platformdirs read these once, when they are first imported.
_HOME = Path(tempfile.mkdtemp(prefix="deeplense-tests-"))
for _name in ("config", "data", "cache", "state"):
    (_HOME / _name).mkdir()
    os.environ[f"XDG_{_name.upper()}_HOME"] = str(_HOME / _name)
os.environ["HOME"] = os.environ["USERPROFILE"] = os.environ["APPDATA"] = os.environ["LOCALAPPDATA"] = str(_HOME)
os.environ["DEEPLENSE_CACHE"] = str(_HOME / "cache" / "deeplense")
os.environ["MPLBACKEND"] = "Agg"
# Processes that test beside each other would wait for one another's threads.
_THREADS = 1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, os.cpu_count() or 1)
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = str(_THREADS)
os.environ["DEEPLENSE_PRECISION"] = "float32"  # the same scores on every processor
os.environ["DEEPLENSE_RUNTIME"] = "torch"  # and whatever else is installed
if os.environ.get("DEEPLENSE_TEST_DISPLAY") != "1":
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from astropy.io import fits  # noqa: E402
from astropy.wcs import WCS  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests import server_parts  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]

# The same examples in every run: whoever breaks something learns it at once, and nobody else does.
settings.register_profile("the same in every run", derandomize=True)
settings.load_profile("the same in every run")


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


def real_data_folder() -> Path | None:
    """The folder of real survey images, if there is one; for tests that are made from its files."""
    folder = Path(os.environ.get("DEEPLENSE_REAL_DATA") or ROOT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


@pytest.fixture
def real_data() -> Path:
    """The folder of real survey images; a test that asks for it is skipped where there is none."""
    folder = real_data_folder()
    if folder is None:
        pytest.skip("no real images here: set DEEPLENSE_REAL_DATA to their folder")
    return folder


def sky_header(shape: tuple[int, int], pixel_scale: float = 0.2) -> fits.Header:
    """The header of a north-up gnomonic image of ``shape`` (ny, nx), ``pixel_scale`` in arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [215.53, 52.78]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-pixel_scale / 3600, pixel_scale / 3600]
    return wcs.to_header()


@pytest.fixture(scope="session")
def synthetic_sky() -> tuple[np.ndarray, np.ndarray]:
    """A small sky and its truth: image (300, 400) float32 of noise 1, and galaxies (n, 2) as (x, y) pixels.

    Not square, so that a swapped axis shows; the galaxies are Gaussians of sigma 2.5 px and peaks of 30 to 300.
    """
    random = np.random.default_rng(7)
    image = random.normal(10.0, 1.0, (300, 400))
    columns, rows = np.meshgrid(np.arange(40, 380, 40), np.arange(40, 280, 40))
    xy = np.column_stack([columns.ravel(), rows.ravel()]) + random.uniform(-5, 5, (columns.size, 2))
    y, x = np.mgrid[:300, :400]
    for (x0, y0), peak in zip(xy, random.uniform(30, 300, len(xy)), strict=True):
        image += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * 2.5**2))
    return image.astype(np.float32), xy


@pytest.fixture
def mosaic_file(tmp_path: Path, synthetic_sky: tuple[np.ndarray, np.ndarray]) -> Path:
    """The synthetic sky as a single-band FITS file with a WCS of 0.2 arcsec a pixel."""
    path = tmp_path / "sky.fits"
    image = synthetic_sky[0]
    fits.PrimaryHDU(image, sky_header(image.shape)).writeto(path)
    return path


@pytest.fixture
def band_files(tmp_path: Path, synthetic_sky: tuple[np.ndarray, np.ndarray]) -> list[Path]:
    """The synthetic sky in g, r and i: three files on one grid, brighter to the red."""
    image = synthetic_sky[0]
    paths = []
    for band, gain in (("g", 0.6), ("r", 1.0), ("i", 1.4)):
        header = sky_header(image.shape)
        header["FILTER"] = band
        paths.append(tmp_path / f"sky_{band}.fits")
        fits.PrimaryHDU((image * gain).astype(np.float32), header).writeto(paths[-1])
    return paths


@pytest.fixture(scope="session")
def server() -> Iterator[server_parts.Server]:
    """A PostgreSQL server of the tests' own; a test that asks for it is skipped where the programs are missing."""
    binaries = server_parts.programs()
    if binaries is None:
        pytest.skip("no PostgreSQL server here: install it, on Debian with: sudo apt-get install postgresql")
    with server_parts.running(binaries) as made:
        yield made


@pytest.fixture(autouse=True)
def _window_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each window test its own settings, and fail one that leaves a QThread running, saying where it started."""
    if not {"qapp", "qtbot"} & set(request.fixturenames):
        yield
        return
    import shiboken6
    from PySide6.QtCore import QSettings, QThread

    settings = tempfile.mkdtemp(dir=_HOME)
    for kind in (QSettings.Format.NativeFormat, QSettings.Format.IniFormat):
        QSettings.setPath(kind, QSettings.Scope.UserScope, settings)
    started: list[tuple[QThread, str]] = []
    start = QThread.start

    def recorded(thread: QThread, *arguments: object) -> None:
        started.append((thread, "".join(traceback.format_stack(limit=6)[:-1])))
        start(thread, *arguments)

    monkeypatch.setattr(QThread, "start", recorded)
    yield
    leaked = [(t, stack) for t, stack in started if shiboken6.isValid(t) and t.isRunning() and not t.wait(3000)]
    for thread, _ in leaked:
        thread.requestInterruption()
        thread.quit()
        thread.wait(3000)
    if leaked:
        pytest.fail("QThreads still running after the test, started at:\n" + "\n".join(stack for _, stack in leaked))
