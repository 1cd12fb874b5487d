"""What a recipe for a training set is: how a scene is made, what it is labelled, and what can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from engine.errors import DataError
from engine.types import FloatArray

Truth = dict[str, Any]
Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Example:
    """One stamp, (scale, band, size, size), with its label (index into the classes) and its row of the truth table."""

    cutouts: FloatArray
    label: int
    truth: Truth


@dataclass(frozen=True, slots=True)
class Option:
    """Something a recipe lets its user choose: the default, whose type it keeps, and a line of help.

    ``choices`` lists the allowed texts; ``lowest`` and ``highest`` bound a number.
    """

    default: Value
    help: str
    choices: tuple[str, ...] = ()
    lowest: float = -np.inf
    highest: float = np.inf

    def read(self, name: str, value: Value) -> Value:
        """The value in the type of the default.

        Raises
        ------
        DataError
            for what is no such value, or none of the allowed ones
        """
        kind = type(self.default)
        try:
            chosen = _TRUE_FALSE[str(value).lower()] if kind is bool else kind(value)
        except (KeyError, ValueError) as error:
            raise DataError(f"{name}={value} is no {_KINDS[kind]}; {self.help}.") from error
        if self.choices and chosen not in self.choices:
            raise DataError(f"{name}={value} is unknown; choose {' or '.join(self.choices)}.")
        if not isinstance(chosen, str) and not self.lowest <= chosen <= self.highest:
            raise DataError(f"{name}={value} is out of range; choose {self.lowest:g} to {self.highest:g}.")
        return chosen


_TRUE_FALSE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KINDS = {bool: "yes or no", int: "whole number", float: "number", str: "text"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of training set.

    ``make_scene(seed, index, *, size, pixel_scales, **options)`` gives the stamps of one scene: the same arguments give
    the same bytes. ``truth`` names the columns of the truth table with their types; all stamps that share a value of
    its column ``group`` stay on one side of a split. ``dtype`` is that of the stored pixels: half a float is too coarse
    where a pixel's signal is some hundred times its noise. ``version`` changes with the pixels.
    """

    name: str
    summary: str
    make_scene: Callable[..., Sequence[Example]]
    classes: tuple[str, ...]
    truth: Mapping[str, DTypeLike]
    version: int
    size: int
    pixel_scales: tuple[float, ...]
    bands: tuple[str, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    dtype: type[np.floating[Any]] = np.float16

    def choose(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        """Every option with its chosen or default value.

        Raises
        ------
        DataError
            for an option that the recipe does not know, with the ones it knows, or a value that cannot be
        """
        for name in chosen:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                near = get_close_matches(name, self.options, 1)
                hint = f", perhaps {near[0]}" if near else ""
                raise DataError(f"The recipe {self.name} has no option {name!r}{hint}; its options: {known}.")
        return {name: option.read(name, chosen.get(name, option.default)) for name, option in self.options.items()}
