"""Grades and subclasses: which there are, what they are worth, and on which keys they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from engine.errors import ProjectError


@dataclass(frozen=True, slots=True)
class GradeLevel:
    """A grade: what is stored, what it means, its worth in means and differences, and its key.

    ``lens`` says whether it calls the candidate a lens; None where it leaves that open.
    """

    name: str
    text: str
    value: float
    lens: bool | None
    key: str


@dataclass(frozen=True, slots=True)
class Subclass:
    """What kind of lens it is, or what else."""

    name: str
    lens: bool
    key: str


@dataclass(frozen=True, slots=True)
class Scheme:
    """The grades and subclasses of a project, best grade first."""

    grades: tuple[GradeLevel, ...]
    subclasses: tuple[Subclass, ...]

    def __post_init__(self) -> None:
        if len(self.grades) < 2:
            raise ProjectError("a scheme has two grades at least: add one")
        for what, names in (
            ("grade", [grade.name for grade in self.grades]),
            ("subclass", [one.name for one in self.subclasses]),
            ("key", [key.casefold() for key in self._keys() if key]),
        ):
            twice = _twice(names)
            if twice or "" in names:
                raise ProjectError(f"the {what} {twice or 'without a name'!r} cannot be told apart: choose another")

    def _keys(self) -> list[str]:
        return [grade.key for grade in self.grades] + [one.key for one in self.subclasses]

    def level(self, name: str | None) -> GradeLevel | None:
        """The level of a grade; one with more to it, such as A2, counts as its first letter. None if unknown."""
        if not name:
            return None
        by_name = {grade.name: grade for grade in self.grades}
        return by_name.get(name) or by_name.get(name[0])

    @property
    def labels(self) -> dict[str, int]:
        """Which grades call a candidate a lens (1) and which do not (0); those that leave it open are left out."""
        return {level.name: int(level.lens) for level in self.grades if level.lens is not None}

    def value(self, name: str | None) -> float | None:
        """What a grade is worth, None for one of another scheme."""
        level = self.level(name)
        return None if level is None else level.value

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        """From what ``stored`` gave."""
        try:
            return cls(
                tuple(GradeLevel(**grade) for grade in stored["grades"]),
                tuple(Subclass(**one) for one in stored["subclasses"]),
            )
        except (KeyError, TypeError) as error:
            raise ProjectError(f"the grades of this project cannot be read ({error}): choose a scheme anew") from error


def _twice(names: Iterable[str]) -> str:
    return next((name for name, count in Counter(names).items() if count > 1), "")


SUBCLASSES = (
    *(Subclass(name, True, key) for name, key in zip(("arc", "ring", "quad", "double", "group"), "QWTYP", strict=True)),
    *(
        Subclass(name, False, key)
        for name, key in zip(
            ("spiral", "ring galaxy", "merger", "companion", "artefact", "star", "elliptical"), "SDOKJLI", strict=True
        )
    ),
)

#: Four letters, what a new project has.
LETTERS = Scheme(
    (
        GradeLevel("A", "certain lens", 3.0, True, "A"),
        GradeLevel("B", "probable lens", 2.0, True, "B"),
        GradeLevel("C", "possible lens", 1.0, None, "C"),
        GradeLevel("X", "not a lens", 0.0, False, "X"),
    ),
    SUBCLASSES,
)

#: The same four as numbers.
NUMBERS = Scheme(
    (
        GradeLevel("3", "certain lens", 3.0, True, "3"),
        GradeLevel("2", "probable lens", 2.0, True, "2"),
        GradeLevel("1", "possible lens", 1.0, None, "1"),
        GradeLevel("0", "not a lens", 0.0, False, "0"),
    ),
    SUBCLASSES,
)

SCHEMES: Mapping[str, Scheme] = {"letters": LETTERS, "numbers": NUMBERS}
