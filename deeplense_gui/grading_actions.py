"""What a command is, and the commands that a project's scheme makes: one a grade, one a kind, on the keys it names."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deeplense_gui.session import Session

if TYPE_CHECKING:
    from deeplense_gui.main_window import MainWindow

Verb = Callable[["MainWindow"], Any]
Condition = Callable[[Session], bool]


@dataclass(frozen=True, slots=True)
class Action:
    """A command: ``keys`` are tried in the portable notation of QKeySequence, the first is shown.

    ``enabled`` says when it applies; ``toolbar`` puts it there too; ``menu`` is the title it stands under. ``checked``
    says whether what it switches is on, and ``shown`` whether this machine has it at all.
    """

    id: str
    text: str
    keys: tuple[str, ...]
    verb: Verb
    tip: str
    menu: str
    icon: str = ""
    enabled: Condition = lambda session: True
    toolbar: bool = False
    separator: bool = False
    checked: Condition | None = None
    shown: Condition = lambda session: True

    @property
    def key(self) -> str:
        """The key that is shown, "" for none."""
        return self.keys[0] if self.keys else ""


def can_grade(session: Session) -> bool:
    """Whether a candidate is selected that may be graded."""
    return session.can_grade


# Name, meaning and key before a project is open: what a new one has.
GRADES = (
    ("A", "certain lens", "A"),
    ("B", "probable lens", "B"),
    ("C", "possible lens", "C"),
    ("X", "not a lens", "X"),
)
KINDS = tuple(zip((
    "arc", "ring", "quad", "double", "group", "spiral", "ring galaxy", "merger", "companion", "artefact", "star",
    "elliptical",
), "QWTYPSDOKJLI", strict=True))  # fmt: skip


def grading_actions(scheme: Any | None, taken: Collection[str]) -> tuple[Action, ...]:
    """Commands of the grades and kinds of a scheme, those of a new project for None.

    A grade lies on its own key and, where no other command has ``taken`` it, on the digit of its rank from the last.
    """
    grades = GRADES if scheme is None else tuple((level.name, level.text, level.key) for level in scheme.grades)
    kinds = KINDS if scheme is None else tuple((kind.name, kind.key) for kind in scheme.subclasses)
    used = {*taken, *(key for *_, key in grades), *(key for _, key in kinds)}
    ranks = range(len(grades) - 1, -1, -1)
    digits = [str(rank) if rank < 10 and str(rank) not in used else "" for rank in ranks]
    return (
        *(_grade(*grade, digit) for grade, digit in zip(grades, digits, strict=True)),
        *(_kind(*kind) for kind in kinds),
    )


def _grade(name: str, text: str, key: str, digit: str) -> Action:
    meaning = f" ({text})" if text else ""
    return Action(
        f"level.{name}",
        f"Grade {name}: {text}" if text else f"Grade {name}",
        tuple(one for one in (key, digit) if one),
        lambda window: window.session.grade(name),
        f"Grade the selected candidate {name}{meaning} and go to the next without a grade",
        "Grade",
        "grade",
        can_grade,
    )


def _kind(name: str, key: str) -> Action:
    return Action(
        f"kind.{name}", f"Kind: {name}", (key,) if key else (), lambda window: window.session.classify(name),
        f"Say that it is: {name}; before the grade, since the grade brings the next", "Kind", "", can_grade,
    )  # fmt: skip
