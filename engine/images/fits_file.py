"""FITS images: which HDU, and its pixels by region.

Plain HDUs are memory-mapped by us, scaled or not; tile-compressed ones are read through astropy's sections.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from engine.errors import ImageError
from engine.images.bands import header_band, plane_bands
from engine.images.damage import DAMAGE, reason
from engine.images.fits_tiles import TilePlane, tile_layout
from engine.images.planes import Layer, MappedPlane, Section, SectionPlane, Source
from engine.images.sky import read_sky
from engine.images.unpack import plain
from engine.types import Plane

_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_PREFERRED = {"vis": 2, "sci": 1, "science": 1, "image": 1, "primary": 1, "flux": 1, "data": 1, "coadd": 1, "drz": 1}
_AUXILIARY = frozenset(
    re.findall(
        r"\w+",
        """
        rms psf wht weight weights err error errors sigma std noise var variance ivar invvar mask msk dq
        flag flags seg segm segmentation segmap ctx con context exp expmap exposure bkg background sky model
        residual d2imarr wcsdvarr area samp cov kernel nexp chi2
        """,
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class Hdu:
    """An image HDU as its header describes it; ``problem`` says why it cannot be opened."""

    index: int
    name: str
    shape: tuple[int, ...]
    bitpix: int
    compressed: bool
    offset: int
    header: fits.Header
    problem: str = ""

    @property
    def words(self) -> frozenset[str]:
        """The words of its name, in lower case."""
        text = f"{self.name} {self.header.get('IMAGETYP', '')} {self.header.get('EXTTYPE', '')}"
        return frozenset(re.split(r"[^a-z0-9]+", text.lower()))

    @property
    def auxiliary(self) -> bool:
        """A weight, an error, a mask or a PSF by its name, rather than the sky."""
        return bool(self.words & _AUXILIARY)

    @property
    def rank(self) -> tuple[bool, int, int, int]:
        """The largest is the image to open, unless its name speaks against it."""
        ny, nx = self.shape[-2:]
        return (
            not self.auxiliary,
            ny * nx,
            max((_PREFERRED.get(word, 0) for word in self.words), default=0),
            -self.index,
        )


@contextmanager
def _open(path: Path, local: Path, **options: Any) -> Iterator[fits.HDUList]:
    """The headers of a file; whatever is wrong with them ends in an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Opened here, for astropy leaves a file open whose headers it cannot read.
            with local.open("rb") as handle, fits.open(handle, memmap=False, **options) as file:
                yield file
    except DAMAGE as error:
        raise ImageError(f"{path.name} is not a readable FITS file ({reason(error)}): get the file again") from error


def list_hdus(path: Path) -> list[Hdu]:
    """All image HDUs of a file, those that cannot be opened too.

    Raises
    ------
    ImageError : not FITS, or damaged beyond reading its headers
    """
    local = plain(path)
    size = local.stat().st_size
    # Compressed images are tables on disk: seen as such, their place and length are known without unpacking.
    with _open(path, local, disable_image_compression=True) as file:
        found = [_describe(index, hdu, size) for index, hdu in enumerate(file)]
    return [hdu for hdu in found if hdu is not None]


def _describe(index: int, hdu: Any, size: int) -> Hdu | None:
    header = hdu.header
    compressed = bool(header.get("ZIMAGE", False))
    if not compressed and not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.GroupsHDU):
        return None
    prefix = "Z" if compressed else ""
    axes = int(header.get(f"{prefix}NAXIS", 0))
    shape = tuple(int(header.get(f"{prefix}NAXIS{axis}", 0)) for axis in range(axes, 0, -1))
    bitpix = int(header.get(f"{prefix}BITPIX", 0))
    if not shape:
        return None
    offset = int(hdu.fileinfo()["datLoc"])
    if compressed:
        length = int(header["NAXIS1"]) * int(header["NAXIS2"]) + int(header.get("PCOUNT", 0))
    else:
        length = int(np.prod([float(side) for side in shape])) * abs(bitpix) // 8
    problem = ""
    if isinstance(hdu, fits.GroupsHDU) or header.get("GROUPS") is True:
        problem = "holds random groups, not an image"
    elif len(shape) < 2:
        problem = f"has one axis only ({shape[0]} values)"
    elif 0 in shape:
        problem = f"has no pixels ({' x '.join(map(str, shape))})"
    elif bitpix not in _DTYPES:
        problem = f"has BITPIX {bitpix}, which FITS does not know"
    elif offset + length > size:
        problem = f"is cut short: {max(size - offset, 0):,} of {length:,} bytes are there"
    return Hdu(index, str(hdu.name), shape, bitpix, compressed, offset, header, problem)


def pick_hdu(path: Path, hdus: Sequence[Hdu], hdu: int | None = None) -> Hdu:
    """The HDU asked for, or the one that most likely is the sky.

    Raises
    ------
    ImageError : none can be opened; the message says why, and which there are
    """
    if hdu is not None:
        chosen = next((one for one in hdus if one.index == hdu), None)
        if chosen is None:
            there = ", ".join(f"{one.index} {one.name}".strip() for one in hdus) or "none"
            raise ImageError(f"{path.name}: HDU {hdu} is not an image; images are: {there}")
        if chosen.problem:
            raise ImageError(f"{path.name}: HDU {hdu} {chosen.problem}: choose another")
        return chosen
    usable = [one for one in hdus if not one.problem]
    if usable:
        return max(usable, key=lambda one: one.rank)
    if not hdus:
        raise ImageError(f"{path.name} holds no image, only headers or tables: choose a file with an image")
    worst = next((one for one in hdus if "cut short" in one.problem), hdus[0])
    raise ImageError(f"{path.name}: HDU {worst.index} {worst.problem}: get the file again or choose another")


def find_bands(hdus: Sequence[Hdu], bands: Sequence[str]) -> list[Hdu] | None:
    """One HDU for each band, by name or filter; None unless every band is found once."""
    found = []
    for band in bands:
        name = band.lower()
        matches = [
            one
            for one in hdus
            if not one.problem and not one.auxiliary and (name in one.words or header_band(one.header).lower() == name)
        ]
        if not matches:
            return None
        found.append(matches[0])
    return found if len({one.index for one in found}) == len(found) else None


def read_hdu(path: Path, hdu: Hdu) -> Layer:
    """An image HDU as a layer; a cube has a plane for each step of its third axis."""
    local = plain(path)
    with _open(path, local) as file:
        own = file[hdu.index].header
        shared = file[0].header
        ny, nx = hdu.shape[-2:]
        wcs, scale, notes = read_sky(own, (ny, nx), file)
        squeezed = tuple(side for side in hdu.shape[:-2] if side > 1)
        count = squeezed[-1] if squeezed else 1
        planes: tuple[Plane, ...]
        planes = _compressed_planes(local, hdu, count) if hdu.compressed else _plain_planes(local, hdu, count)
        if count > 1:
            bands = plane_bands({**shared, **own}, count)
        else:
            bands = (header_band(own) or header_band(shared) or _named_band(hdu),)
        if wcs is None and scale is None and hdu.index:
            scale = read_sky(shared, (ny, nx))[1]
    if len(squeezed) > 1:
        notes += (f"Only the first of {squeezed[0]} cubes is shown ({' x '.join(map(str, hdu.shape))})",)
    unit = str(own.get("BUNIT", "")).strip()
    return Layer(path, hdu.index, hdu.name, planes, bands, wcs, scale, notes, unit)


def _named_band(hdu: Hdu) -> str:
    """An HDU named after a filter of a space telescope, such as F115W."""
    return hdu.name if re.fullmatch(r"F\d{3,4}[A-Z]+\d?|VIS", hdu.name) else ""


def _plain_planes(local: Path, hdu: Hdu, count: int) -> tuple[MappedPlane, ...]:
    ny, nx = hdu.shape[-2:]
    blank = hdu.header.get("BLANK") if hdu.bitpix > 0 else None
    return tuple(
        MappedPlane(
            local,
            offset=hdu.offset + index * ny * nx * abs(hdu.bitpix) // 8,
            dtype=_DTYPES[hdu.bitpix],
            shape=(ny, nx),
            scale=float(hdu.header.get("BSCALE", 1.0)),
            zero=float(hdu.header.get("BZERO", 0.0)),
            blank=blank if isinstance(blank, int) else None,
        )
        for index in range(count)
    )


def _compressed_planes(local: Path, hdu: Hdu, count: int) -> tuple[Plane, ...]:
    source = Source(local, hdu.index, open_section)
    ny, nx = hdu.shape[-2:]
    tile, tile_width = int(hdu.header.get("ZTILE2", 1)), int(hdu.header.get("ZTILE1", nx))
    spare = len(hdu.shape) - 2
    leading = [(0,) * (spare - 1) + (index,) if spare else () for index in range(count)]
    if spare and count > 1:  # the axis that is not of length one, the last of them
        axis = max(i for i, side in enumerate(hdu.shape[:-2]) if side > 1)
        leading = [tuple(index if i == axis else 0 for i in range(spare)) for index in range(count)]
    layout = tile_layout(local, hdu.header, hdu.offset)
    if layout is not None:
        return tuple(TilePlane(layout, index) for index in leading)
    return tuple(SectionPlane(source, index, (ny, nx), tile=tile, tile_width=tile_width) for index in leading)


def open_section(path: Path, key: int | str) -> tuple[Any, Section]:
    """Open a compressed HDU for reading by region; the first of the two is to be closed."""
    handle = path.open("rb")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Sections are read tile by tile without a map too, and a map fails where BZERO is set.
            return handle, fits.open(handle, memmap=False)[key].section
    except DAMAGE:
        handle.close()
        raise
