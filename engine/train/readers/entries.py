"""What a layout says of a published set: its labelled images, and what is missing from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from engine.train.readers.files import Files

TRAIN, VALIDATION, TEST, UNSAID = 0, 1, 2, -1
PART_NAMES: Mapping[str, int] = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A labelled image: one file, or one a band in the order of the bands.

    ``part`` is 0 train, 1 validation, 2 test, or -1 where the layout does not say; ``truth`` what a table says of it.
    """

    names: tuple[PurePosixPath, ...]
    label: int
    part: int = UNSAID
    truth: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its first file within the set."""
        return str(self.names[0])


@dataclass(frozen=True, slots=True)
class Found:
    """The labelled images of a set in the order of their names; ``missing`` says what the set lacks, a line each."""

    classes: tuple[str, ...]
    entries: list[Entry]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a published set lies on disk, and what is known of its images.

    ``find`` gives what a set holds of this layout, without classes if nothing. ``folders`` are the names of class
    folders, in the order of ``classes``; ``scales`` gives arcsec per pixel by the side of the images, where the
    publisher states it; ``blank`` is the value of pixels without data; ``target`` names the number that is pickled with
    an image; ``training`` holds the options of ``deeplense train`` that suit the set.
    """

    about: str
    find: Callable[[Files, Layout], Found]
    classes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = (".npy",)
    bands: tuple[str, ...] = ()
    scales: Mapping[int, float] = field(default_factory=dict)
    blank: float | None = None
    target: str = ""
    training: str = "--together"
