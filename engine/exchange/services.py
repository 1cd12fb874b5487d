"""Services on the network: their addresses, and which sky they cover. None is asked before a person asks it.

``CATALOGUES`` are searched around a position, ``IMAGES`` give a picture of the sky, ``LINKS`` open in the browser.
In an address ``{ra}`` and ``{dec}`` are ICRS degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

LENSING = "Gravitational_lensing"  # VizieR's keyword for catalogues of lenses


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A service that is searched in a cone.

    ``protocol`` is "tap", with the ``query`` to ask (``{radius}`` in degrees), or "asu" for VizieR, which answers with
    one table a catalogue. ``columns`` says where name, ra, dec, type, redshift and count of references are.
    """

    name: str
    address: str
    protocol: str
    covers: str
    link: str
    query: str = ""
    columns: tuple[str, str, str, str, str, str] = ("", "", "", "", "", "")


@dataclass(frozen=True, slots=True)
class ImageService:
    """A service of pictures: ``address`` has also ``{side}`` (pixels), ``{scale}`` (arcsec) and ``{fov}`` (degrees).

    It covers declinations of ``south`` to ``north``; ``covers`` says so in words. North is up, east is left. ``scale``
    is the finest of use, ``title`` a short name.
    """

    name: str
    title: str
    address: str
    scale: float
    covers: str
    south: float = -90.0
    north: float = 90.0


@dataclass(frozen=True, slots=True)
class Link:
    """A page of a position, for the browser."""

    name: str
    address: str
    tip: str

    def at(self, ra: float, dec: float) -> str:
        """The page of a position, ICRS degrees."""
        return self.address.format(ra=f"{ra:.6f}", dec=f"{dec:.6f}", signed=quote(f"{dec:+.6f}"))


_CONE = "CONTAINS(POINT('{frame}', ra, dec), CIRCLE('{frame}', {{ra}}, {{dec}}, {{radius}})) = 1"
SIMBAD_PAGE = (
    "https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={ra}d{signed}d&CooFrame=ICRS&Radius=10&Radius.unit=arcsec"
)
NED_PAGE = (
    "https://ned.ipac.caltech.edu/conesearch?search_type=Near%20Position%20Search&coordinates={ra}d%20{signed}d"
    "&radius=0.17&in_csys=Equatorial&in_equinox=J2000.0"
)
VIZIER_PAGE = "https://vizier.cds.unistra.fr/viz-bin/VizieR-4?-c={ra}{signed}&-c.rs=10&-kw.Astronomy=" + LENSING

CATALOGUES: tuple[Catalogue, ...] = (
    Catalogue(
        "SIMBAD", "https://simbad.cds.unistra.fr/simbad/sim-tap", "tap", "objects of the literature, whole sky",
        SIMBAD_PAGE,
        "SELECT TOP 50 main_id, ra, dec, otype, rvz_redshift, nbref FROM basic WHERE " + _CONE.format(frame="ICRS"),
        ("main_id", "ra", "dec", "otype", "rvz_redshift", "nbref"),
    ),
    Catalogue(
        "NED", "https://ned.ipac.caltech.edu/tap", "tap", "extragalactic objects, whole sky", NED_PAGE,
        "SELECT TOP 50 * FROM objdir WHERE " + _CONE.format(frame="J2000"),
        ("prefname", "ra", "dec", "pretype", "z", "n_crosref"),
    ),
    Catalogue(
        "VizieR", "https://vizier.cds.unistra.fr/viz-bin/votable", "asu",
        "published catalogues with the keyword gravitational lensing", VIZIER_PAGE,
    ),
)  # fmt: skip

_LEGACY = "https://www.legacysurvey.org/viewer/cutout.jpg?ra={ra}&dec={dec}&size={side}&pixscale={scale}&layer="
_HIPS = (
    "https://alasky.cds.unistra.fr/hips-image-services/hips2fits?ra={ra}&dec={dec}&fov={fov}&width={side}&height={side}"
    "&projection=TAN&coordsys=icrs&format=jpg&hips="
)
IMAGES: tuple[ImageService, ...] = (
    ImageService(
        "Legacy Surveys DR10",
        "Legacy 10",
        _LEGACY + "ls-dr10",
        0.262,
        "declination below +34°, off the Galactic plane",
        north=34.5,
    ),
    ImageService(
        "Legacy Surveys DR9",
        "Legacy 9",
        _LEGACY + "ls-dr9",
        0.262,
        "declination -69° to +85°, off the Galactic plane",
        -69,
        85,
    ),
    ImageService(
        "Pan-STARRS DR1",
        "PS1",
        _HIPS + "CDS%2FP%2FPanSTARRS%2FDR1%2Fcolor-z-zg-g",
        0.25,
        "declination above -30°",
        south=-30.5,
    ),
    ImageService("DSS2", "DSS2", _HIPS + "CDS%2FP%2FDSS2%2Fcolor", 1.0, "whole sky, as seen on photographic plates"),
)

LINKS: tuple[Link, ...] = (
    Link("SIMBAD", SIMBAD_PAGE, "Objects of the literature within 10″, at CDS"),
    Link("NED", NED_PAGE, "Extragalactic objects within 10″, at IPAC"),
    Link("VizieR lens catalogues", VIZIER_PAGE, "Published catalogues of lenses, within 10″, at CDS"),
    Link(
        "Legacy Surveys viewer",
        "https://www.legacysurvey.org/viewer?ra={ra}&dec={dec}&layer=ls-dr10&zoom=16&mark={ra},{dec}",
        "The sky around it in g, r, i and z",
    ),
    Link(
        "ESASky", "https://sky.esa.int/?target={ra}%20{dec}&fov=0.02&cooframe=J2000&sci=true",
        "Images, spectra and catalogues of ESA's and other missions",
    ),
    Link(
        "Aladin Lite", "https://aladin.cds.unistra.fr/AladinLite/?target={ra}%20{dec}&fov=0.02",
        "Any survey of the sky as HiPS, at CDS",
    ),
)  # fmt: skip


def image_services(dec: float) -> tuple[ImageService, ...]:
    """Those that may have a picture at a declination, the best first."""
    return tuple(service for service in IMAGES if service.south <= dec <= service.north)
