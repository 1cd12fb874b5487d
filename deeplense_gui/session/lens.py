"""A lens model of the selected candidate: asked for, under way, and what came of each."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.errors import EngineError
from engine.types import LensFit

_KIND = "lens model"
_KEPT = 256  # candidates whose fit is remembered; each takes some 200 KiB


class LensVerbs(Core):
    """Fit a lens; ``lens_fitted(id)`` follows. It runs in a process of its own, beside a scan."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lens_fits: OrderedDict[int, LensFit | EngineError] = OrderedDict()
        self.project_opened.connect(self._forget_lenses)

    def fit_lens(self, *, band: int = 0, side: float | None = None, seeing: float | None = None) -> JobHandle | None:
        """Fit a lens to the selected candidate; the newest request wins.

        ``band`` is the index of a band, ``side`` the field in arcsec and ``seeing`` the FWHM in arcsec, None for what
        the engine measures or usually takes. It begins at the Einstein radius that was measured with the ring.
        """
        candidate = self.candidate()
        mosaic = None if candidate is None else self.mosaic_of(candidate)
        if candidate is None or mosaic is None or self.conceals(candidate):
            return None

        def take(found: LensFit | EngineError) -> None:
            self.lens_fits[candidate.id] = found
            self.lens_fits.move_to_end(candidate.id)
            while len(self.lens_fits) > _KEPT:
                self.lens_fits.popitem(last=False)
            self.lens_fitted.emit(candidate.id)

        handle = self.jobs.submit(
            f"Fitting a lens to {candidate.name}",
            lambda: work.fit_lens(mosaic, candidate, min(band, len(mosaic.bands) - 1), side, seeing),
            priority=True,
            kind=_KIND,
            outside=True,
        )
        self._results[handle.id] = take
        return handle

    @property
    def is_fitting(self) -> bool:
        """Whether a lens is being fitted."""
        return any(job.kind == _KIND for job in self.jobs.unfinished)

    def stop_fitting(self) -> None:
        """Give the fit up that is under way."""
        for job in self.jobs.unfinished:
            if job.kind == _KIND:
                self.jobs.cancel(job)

    def _forget_lenses(self, _project: object) -> None:
        """Another project numbers its candidates anew."""
        self.lens_fits.clear()
