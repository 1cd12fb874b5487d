"""A lens model of the selected candidate and its substructure: asked for, under way, and what came of each."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.errors import EngineError
from engine.types import LensFit, Substructure

_KIND, _TELLING = "lens model", "substructure"
_KEPT = 256  # candidates whose fit is remembered; each takes some 200 KiB, and as much for its substructure


class LensVerbs(Core):
    """Fit a lens, tell its substructure; both in a process of their own, beside a scan."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lens_fits: OrderedDict[int, LensFit | EngineError] = OrderedDict()
        self.substructures: OrderedDict[int, Substructure | EngineError] = OrderedDict()
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
        handle = self.jobs.submit(
            f"Fitting a lens to {candidate.name}",
            lambda: work.fit_lens(mosaic, candidate, min(band, len(mosaic.bands) - 1), side, seeing),
            priority=True,
            kind=_KIND,
            outside=True,
        )
        self._results[handle.id] = lambda found: self._take_fit(candidate.id, found)
        return handle

    def _take_fit(self, identity: int, found: LensFit | EngineError) -> None:
        remember(self.lens_fits, identity, found)
        self.lens_fitted.emit(identity)

    @property
    def is_fitting(self) -> bool:
        """Whether a lens is being fitted."""
        return any(job.kind == _KIND for job in self.jobs.unfinished)

    def stop_fitting(self) -> None:
        """Give the fit up that is under way."""
        for job in self.jobs.unfinished:
            if job.kind == _KIND:
                self.jobs.cancel(job)

    # substructure ---------------------------------------------------------------------------------------------------

    def tell_substructure(
        self, *, band: int = 0, side: float | None = None, seeing: float | None = None
    ) -> JobHandle | None:
        """Fit a lens to the selected candidate, and tell its substructure among copies of that lens.

        As ``fit_lens``; ``lens_fitted`` comes first, then ``substructure_told(id)``. Copies are made in a process of
        their own, beside a scan; networks compare them between two steps of it.
        """
        candidate = self.candidate()
        mosaic = None if candidate is None else self.mosaic_of(candidate)
        if candidate is None or mosaic is None or self.conceals(candidate):
            return None
        models, fitted = self._models, []

        def told(found: Substructure | EngineError) -> None:
            remember(self.substructures, candidate.id, found)
            self.substructure_told.emit(candidate.id)

        def take(made: Any) -> None:
            if isinstance(made, LensFit):
                fitted.append(made)
                self._take_fit(candidate.id, made)
            elif isinstance(made, EngineError):
                if not fitted:
                    self._take_fit(candidate.id, made)
                told(made)
            else:
                name = f"Telling the substructure of {candidate.name}"
                self._ask(name, lambda: models.tell_substructure(made), told, kind=_TELLING)

        handle = self.jobs.submit(
            f"Making copies of {candidate.name}",
            lambda: work.lens_copies(mosaic, candidate, min(band, len(mosaic.bands) - 1), side, seeing),
            priority=True,
            kind=_TELLING,
            outside=True,
        )
        self._results[handle.id] = take
        return handle

    @property
    def is_telling(self) -> bool:
        """Whether copies of a lens are made or compared."""
        return any(job.kind == _TELLING for job in self.jobs.unfinished)

    def stop_telling(self) -> None:
        """Give up what is under way."""
        for job in self.jobs.unfinished:
            if job.kind == _TELLING:
                self.drop(job)

    def _forget_lenses(self, _project: object) -> None:
        """Another project numbers its candidates anew."""
        self.lens_fits.clear()
        self.substructures.clear()


def remember(found: OrderedDict[int, Any], identity: int, what: Any) -> None:
    """Put something to those that are remembered, and forget the oldest where there are too many."""
    found[identity] = what
    found.move_to_end(identity)
    while len(found) > _KEPT:
        found.popitem(last=False)
