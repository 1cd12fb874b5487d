"""Which candidates the list shows, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Filters:
    """Order and filter of the list.

    ``grades`` holds the letters to show, and None for the ungraded; None for the whole set means all.
    """

    order: str = "score"
    descending: bool = True
    grades: frozenset[str | None] | None = None
    min_score: float | None = None
    text: str = ""

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        grades = None if self.grades is None else sorted(self.grades, key=lambda grade: grade or "")
        return asdict(self) | {"grades": grades}

    @classmethod
    def restored(cls, stored: Mapping[str, Any] | None) -> Self:
        """From what ``stored`` gave; the default where there is nothing."""
        values = {name: value for name, value in (stored or {}).items() if name in cls.__slots__}
        if values.get("grades") is not None:
            values["grades"] = frozenset(values["grades"])
        return cls(**values)

    def query(self) -> dict[str, Any]:
        """The arguments of ``Project.ids``."""
        grades = None if self.grades is None else set(self.grades)
        return asdict(self) | {"grades": grades, "text": self.text or None}
