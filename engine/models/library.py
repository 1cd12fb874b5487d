"""Where models lie: those that come with the program, the user's own, and any folder."""

from __future__ import annotations

import difflib
import logging
from importlib.resources import files
from pathlib import Path

import platformdirs

from engine.errors import ModelError
from engine.models.card import CARD, load_card
from engine.types import ModelCard

_log = logging.getLogger(__name__)


def bundled_models() -> Path:
    """The folder of the models that come with the program."""
    return Path(str(files("resources") / "weights"))


def user_models() -> Path:
    """The folder of the user's own models; it may not exist yet."""
    return Path(platformdirs.user_data_dir("deeplense-gui", appauthor=False)) / "models"


def model_folders() -> dict[str, Path]:
    """Name and folder of every model, the bundled ones first; a user's model hides a bundled one of its name."""
    found: dict[str, Path] = {}
    for home in (bundled_models(), user_models()):
        if home.is_dir():
            found |= {path.parent.name: path.parent for path in sorted(home.glob(f"*/{CARD}"))}
    return found


def model_folder(name: str | Path) -> Path:
    """The folder of a model by its name, or the folder itself when a path is given.

    Raises
    ------
    ModelError
        No such model; the message names those that come close.
    """
    path = Path(name)
    known = model_folders()
    if str(name) in known:
        return known[str(name)]
    if (path / CARD).is_file():
        return path
    if path.name == CARD and path.is_file():
        return path.parent
    if path.is_dir():
        raise ModelError(f"the folder {path} holds no model ({CARD} is missing): choose the folder of a trained model")
    if not known:
        raise ModelError(f"there is no model {name!r}, nor any other: train one, or give the folder of a model")
    matches = difflib.get_close_matches(str(name), known, 3, 0.5)
    hint = f"did you mean {' or '.join(matches)}?" if matches else f"there are {', '.join(known)}"
    raise ModelError(f"there is no model {str(name)!r}: {hint}")


def list_models() -> list[ModelCard]:
    """Cards of every model that can be read, in the order of ``model_folders``."""
    cards = []
    for name, folder in model_folders().items():
        try:
            cards.append(load_card(folder))
        except ModelError as error:
            # One damaged model must not hide the others; whoever asks for it by name is told what is wrong.
            _log.warning("the model %s is left out: %s", name, error)
    return cards
