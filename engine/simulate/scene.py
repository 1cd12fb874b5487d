"""A scene in one band or several: its light before the telescope, and the stamps that are observed of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.images.cutouts import cut_array
from engine.simulate import sky
from engine.simulate.palette import ONE_COLOUR, ZERO_POINT, Palette
from engine.simulate.recipe import Example, Truth
from engine.simulate.sky import Conditions, Generator, Grid, Image
from engine.simulate.spectra import Fluxes


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How a band is observed.

    ``noise`` is that of a pixel, in the unit of the stamps; ``slope`` says how much of the scene's sky gradient the
    band has; a ``missing`` band holds no data.
    """

    conditions: Conditions
    kernel: Image
    noise: float = 1.0
    slope: float = 1.0
    missing: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Where the light of one object goes, (size, size): its old stars (or all of it), and its young ones if apart."""

    old: Image
    young: Image | None


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """What is observed: the kind of stamp, its label, its light as the telescope sees it (band, size, size), truth."""

    kind: str
    label: int
    light: Image
    truth: Truth


@dataclass(slots=True)
class Scene:
    """The light of a scene before noise, (band, size, size) in its own grid, and how it is observed.

    Light is in units of each band's own noise. Without a palette there is one band. ``conditions`` are those of the
    band in which fluxes and sizes are drawn; ``middle`` is the flux of the galaxy in the middle, (band,).
    """

    grid: Grid
    views: tuple[View, ...]
    truth: Truth
    palette: Palette | None = None
    light: Image = field(init=False)
    middle: Fluxes = field(init=False)

    def __post_init__(self) -> None:
        self.light = np.zeros((len(self.views), self.grid.size, self.grid.size))
        self.middle = np.full(len(self.views), np.nan)

    @property
    def conditions(self) -> Conditions:
        """Those of the reference band."""
        return self.views[self.palette.reference if self.palette else 0].conditions

    @property
    def gain(self) -> Image:
        """Electrons a noise unit, (band, 1, 1)."""
        return np.array([view.conditions.gain for view in self.views])[:, None, None]

    @contextmanager
    def brush(self, kind: str, flux: float, *, middle: bool = False, apart: bool = False) -> Iterator[Layers]:
        """Layers to draw an object of this kind on, which become light in every band, in its colours.

        ``flux`` in the reference band tells about how far away it is; ``middle`` marks what the stamp shows, ``apart``
        what has nothing to do with it and lies at a redshift of its own.
        """
        if self.palette is None:
            yield Layers(self.light[0], None)
            return
        shape = self.light.shape[1:]
        layers = Layers(np.zeros(shape), None if kind in ONE_COLOUR else np.zeros(shape))
        yield layers
        old, young = self.palette.colours(kind, flux, apart)
        total = old * layers.old.sum()
        self.light += old[:, None, None] * layers.old
        if layers.young is not None:
            total += young * layers.young.sum()
            self.light += young[:, None, None] * layers.young
        if middle:
            self.middle = total

    def seen(self, light: Image) -> Image:
        """Light (band, size, size) through the point spread function of each band."""
        return np.stack([sky.convolve(one, view.kernel) for one, view in zip(light, self.views, strict=True)])

    def magnitudes(self, prefix: str, flux: Fluxes) -> Truth:
        """The columns of the truth table for a flux (band,) in noise units; none in one band, which has no scale."""
        if self.palette is None:
            return {}
        with np.errstate(divide="ignore"):
            magnitude = ZERO_POINT - 2.5 * np.log10(np.maximum(flux, 0) * self.palette.noise)
        return {f"{prefix}_{band}": value for band, value in zip(self.palette.bands, magnitude, strict=True)}

    def inside(self) -> NDArray[np.bool_]:
        """Where the stamp holds data, (band, size, size)."""
        axis = np.abs(np.arange(self.grid.size) - (self.grid.size - 1) / 2) * self.grid.scale
        near = axis <= self.conditions.field_of_view / 2
        there = np.array([not view.missing for view in self.views])
        return np.asarray(there[:, None, None] & np.logical_and.outer(near, near))

    def struck(self, alone: float) -> Sequence[int]:
        """Bands in which an artefact shows: with the probability ``alone`` one of them, else all."""
        if self.palette is None or self.palette.random.random() >= alone:
            return range(len(self.views))
        return (int(self.palette.random.integers(len(self.views))),)


def observe(
    random: Generator, scene: Scene, made: Sequence[Stamp], size: int, pixel_scales: tuple[float, ...]
) -> list[Example]:
    """Add noise and detector effects, the same for each stamp of the scene, and cut at the model's scales."""
    grid, conditions = scene.grid, scene.conditions
    hits = int(random.integers(1, 40)) if conditions.space and random.random() < 0.3 else 0
    hits = hits if scene.palette is None else hits // 8  # what is left where several exposures were joined
    gradient = random.normal(0, 1.5, 2) if random.random() < 0.25 else np.zeros(2)
    saturation = np.exp(random.uniform(np.log(200), np.log(5000))) if random.random() < 0.1 else 6e4
    border = random.uniform(0.1, 0.9) if random.random() < 0.04 else 1.0
    turns = int(random.integers(4))
    inside, ramp = scene.inside(), np.linspace(-1, 1, grid.size)
    middle = (grid.size - 1) / 2
    state = random.bit_generator.state
    examples = []
    for stamp in made:
        random.bit_generator.state = state  # the same noise for each stamp of the scene
        bands = []
        for light, view, held in zip(stamp.light, scene.views, inside, strict=True):
            slope = gradient * view.slope
            image = light + sky.noise(random, light, view.conditions) + slope[0] * ramp[:, None] + slope[1] * ramp
            sky.add_cosmic_rays(random, image, hits)
            bands.append(np.where(held, np.clip(image, -1e3, saturation) * view.noise, np.nan))
        image = np.stack(bands)
        image[:, int(np.ceil(grid.size * (0.5 + border / 2))) :] = np.nan
        stamps = cut_array(
            np.rot90(image, turns, (1, 2)).astype(np.float32),
            np.array([[middle, middle]]),
            native_scale=grid.scale,
            size=size,
            pixel_scales=pixel_scales,
            ordered=True,
        )
        examples.append(Example(stamps[0], stamp.label, stamp.truth | {"kind": stamp.kind.encode()}))
    return examples
