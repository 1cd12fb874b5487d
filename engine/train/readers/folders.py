"""Sets whose classes are folders, with or without a part of the set above or before them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from engine.train.readers.entries import PART_NAMES, UNSAID, Entry, Found, Layout
from engine.train.readers.files import Files


def find_folders(files: Files, layout: Layout) -> Found:
    """Images by the folder they lie in: one of ``layout.folders``, or, where it names none, any.

    A part is a word of a folder above (``train/lens``, ``model_test/lens``) or a prefix (``train_lens``). Without names
    the classes are in the order of the alphabet, but those that say "no" come first, so that the lenses are the higher
    class.
    """
    found: list[tuple[PurePosixPath, str, int]] = []
    for name in files.members:
        if name.suffix.lower() not in layout.suffixes:
            continue
        above = (files.name, *name.parts[:-1])
        prefix, kind = _without_part(above[-1])
        parts = (prefix, *map(_part, reversed(above)))
        part = next((number for number in parts if number != UNSAID), UNSAID)
        if kind in layout.folders or (not layout.folders and len(above) > 1 and kind.lower() not in PART_NAMES):
            found.append((name, kind, part))
    kinds = {kind for _, kind, _ in found}
    folders = layout.folders or tuple(sorted(kinds, key=lambda kind: (not _negative(kind), kind)))
    if len(kinds) < len(folders) or not (layout.folders or len(folders) > 1):
        return Found((), [])
    entries = [Entry((name,), folders.index(kind), part) for name, kind, part in found]
    return Found(layout.classes or folders, entries)


def _without_part(name: str) -> tuple[int, str]:
    match = re.fullmatch(r"(train|test|val)_(.+)", name)
    return (PART_NAMES[match[1]], match[2]) if match else (UNSAID, name)


def _part(folder: str) -> int:
    """The part that a word of a folder's name says."""
    return next((PART_NAMES[word] for word in re.split("[^a-z]+", folder.lower()) if word in PART_NAMES), UNSAID)


def _negative(kind: str) -> bool:
    return kind.lower().startswith(("no", "not", "non"))
