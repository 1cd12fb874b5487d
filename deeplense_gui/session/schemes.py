"""The grades and kinds of a project: choosing others, and which are in use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from deeplense_gui import style
from deeplense_gui.session.core import EVERYTHING, Core
from engine.errors import EngineError
from engine.types import Candidate, Changes


class SchemeVerbs(Core):
    """Read and change the scheme of the project."""

    def scheme(self) -> Any:
        """The grades and subclasses of the project, None without one."""
        return self.listing.scheme()

    def ready_schemes(self) -> Mapping[str, Any]:
        """The schemes that there are ready-made, by name."""
        from engine.catalogue.scheme import SCHEMES

        return SCHEMES

    def grade_names(self) -> list[str]:
        """The grades of the scheme, best first, then those of another scheme that candidates still have."""
        scheme = self.scheme()
        names = [] if scheme is None else [level.name for level in scheme.grades]
        return names + sorted(grade for grade in self.listing.counts() if grade is not None and grade not in names)

    def graded(self, ids: Collection[int] | None = None) -> list[Candidate]:
        """Of some candidates, or all, those that have a grade or a kind; in blind mode only what one said oneself."""
        if self.project is None:
            return []
        eyes = self.preferences.grader if self.blind else None
        if ids is None:
            given = [grade for grade in self.project.counts(seen_by=eyes) if grade is not None]
            kinds = [kind.name for kind in self.scheme().subclasses]
            found = (self.project.ids(grades=given, seen_by=eyes), self.project.ids(subclasses=kinds, seen_by=eyes))
            ids = {int(identity) for part in found for identity in part}
        rows = self.project.rows(sorted(ids), seen_by=eyes)
        return [row for row in rows if not row.kind and (row.grade or row.subclass)]

    def names_in_use(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many candidates somebody has given each grade, and each kind."""
        given = [grade for grade in self.project.counts() if grade is not None]
        graded = self.project.ids(grades=given, calibration=True)
        named = self.project.ids(subclasses=[kind.name for kind in self.scheme().subclasses], calibration=True)
        opinions = self.project.opinions(sorted({*map(int, graded), *map(int, named)}))
        grades: dict[str, int] = {}
        kinds: dict[str, int] = {}
        for said in opinions.values():
            for name in {one.grade for one in said if one.grade}:
                grades[name] = grades.get(name, 0) + 1
            for name in {one.subclass for one in said if one.subclass}:
                kinds[name] = kinds.get(name, 0) + 1
        return grades, kinds

    def set_scheme(self, scheme: Any) -> None:
        """Choose grades and kinds; what was given before stays as it was."""
        if self.read_only:
            self.say("This project is open read-only. Save it as another file to change its grades.", "warning")
            return
        try:
            changes = self.project.set_scheme(scheme, grader=self.preferences.grader)
        except EngineError as error:
            self.say(str(error), "error")
            return
        self._renew_scheme(changes)
        self.say(f"Grades are now {', '.join(level.name for level in scheme.grades)}; what was given before stays.")

    def _renew_scheme(self, changes: Changes) -> None:
        """Read everything anew: grades and kinds are others."""
        self.listing.forget()
        self._announce_scheme()
        self.changed.emit(Changes(changes.operation, (), changes.kinds | EVERYTHING))
        self.filtered.emit()

    def _announce_scheme(self) -> None:
        """Colours first: whoever hears of the grades draws them at once."""
        scheme = self.scheme()
        style.set_grades(() if scheme is None else [(level.name, level.lens) for level in scheme.grades])
        self.scheme_changed.emit()
