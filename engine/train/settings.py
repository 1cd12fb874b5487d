"""Arguments of the loss, the optimiser and the scheduler by name, as texts such as ``loss.gamma=3``."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from engine.errors import ModelError

SECTIONS = ("loss", "optimizer", "scheduler")


def arguments(settings: Sequence[str], section: str) -> dict[str, Any]:
    """The arguments that some settings give one section.

    A value is a Python literal (a number, True, None), several joined by commas are a tuple, anything else is a text.

    Raises
    ------
    ModelError
        A setting that is not ``section.name=value``.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        part, dot, argument = name.strip().partition(".")
        if not (equals and dot and argument and part in SECTIONS):
            raise ModelError(
                f"{setting!r} is no setting: write {', '.join(SECTIONS[:-1])} or {SECTIONS[-1]}.NAME=VALUE"
            )
        if part == section:
            found[argument] = _literal(value.strip())
    return found


def take_only(given: dict[str, Any], of: Callable[..., Any], what: str, reserved: Iterable[str] = ()) -> None:
    """Refuse arguments that a callable does not take, naming those it does.

    ``reserved`` are those that are set elsewhere (the learning rate has an option of its own).

    Raises
    ------
    ModelError
        An unknown argument.
    """
    parameters = inspect.signature(of).parameters.values()
    named = (p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    known = [name for name in named if name not in {"self", *reserved}]
    for name in given:
        if name not in known:
            raise ModelError(f"{what} takes no {name!r}: it takes {', '.join(known) or 'no arguments'}")


def unknown(kind: str, name: str, known: Iterable[str]) -> ModelError:
    """The error for a name that is none of those known: it names near matches, or all."""
    names = sorted(known)
    lower = {other.lower(): other for other in names}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, 4, 0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(names)}"
    return ModelError(f"unknown {kind} {name!r}: {hint}")


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
