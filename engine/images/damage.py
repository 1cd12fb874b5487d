"""What the readers of the formats are known to raise on files that are not what they claim."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zlib
from importlib import import_module

from astropy.io import fits
from astropy.wcs import WcsError


def _decoder_error() -> type[Exception]:
    """The exception of astropy's tile decoders: a plain Exception, in a place that has moved between its versions."""
    for name in ("astropy.io.fits.hdu.compressed._compression", "astropy.io.fits._tiled_compression._compression"):
        try:
            found: type[Exception] = import_module(name).CfitsioException
        except (ImportError, AttributeError):
            continue
        return found
    return OSError


# Found by changing bytes of real files at random: FITS of each compression, HDF5, .npy and packed ones.
DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    fits.VerifyError,
    WcsError,
    _decoder_error(),
)


def reason(error: BaseException) -> str:
    """The gist of an error in part of a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    first = lines[0].split(". ")[0].rstrip(".")
    return first if len(first) <= 120 else f"{first[:117]}..."
