"""The registry of recipes: sets keep their bytes, options are read and checked, the file says how it was made."""

import hashlib

import h5py
import numpy as np
import pytest

from engine.errors import DataError
from engine.simulate.dataset import RECIPES, simulate
from engine.simulate.finder import FIRST, SECOND, make_scene
from engine.simulate.recipe import Option
from tests.engine.cli_parts import CommandLine

# What is in the file is a function of the pixels and of these alone, so a set keeps the hash by which cards name it.
FINDER_ATTRIBUTES = {"recipe", "seed", "version", "pixel_scales", "bands"}


@pytest.mark.usefixtures("threads_as_processes")
@pytest.mark.parametrize(("name", "mixture"), [("finder", SECOND), ("finder-1", FIRST)])
def test_the_finders_sets_are_their_scenes_and_nothing_else(tmp_path, name, mixture):
    path = tmp_path / "set.h5"
    list(simulate(name, path, count=20, seed=5, processes=1))
    scenes = [make_scene(5, k, size=64, pixel_scales=(0.1, 0.3), recipe=mixture) for k in range(20)]
    examples = [example for scene in scenes for example in scene][:20]
    with h5py.File(path) as file:
        stamps = np.stack([example.cutouts for example in examples]).clip(-6.5e4, 6.5e4).astype(np.float16)
        np.testing.assert_array_equal(file["cutouts"][()], stamps)
        assert list(file["label"][()]) == [example.label for example in examples]
        assert set(file.attrs) == FINDER_ATTRIBUTES
        assert (file.attrs["recipe"], file.attrs["version"], list(file.attrs["bands"])) == (name, 2, ["any"])
    list(simulate(name, tmp_path / "again.h5", count=20, seed=5, processes=2))
    hashes = [hashlib.sha256(one.read_bytes()).hexdigest() for one in (path, tmp_path / "again.h5")]
    assert hashes[0] == hashes[1]


def test_options_keep_the_type_of_their_default():
    assert Option(True, "x").read("a", "no") is False
    assert Option(3, "x").read("a", "4") == 4
    assert Option(0.5, "x").read("a", "1e-3") == pytest.approx(1e-3)
    for option, value, message in (
        (Option(3, "x"), "many", "whole number"),
        (Option(True, "x"), "perhaps", "yes or no"),
        (Option("b", "x", choices=("b", "c")), "d", "b or c"),
        (Option(3, "x", lowest=0, highest=9), "10", "0 to 9"),
    ):
        with pytest.raises(DataError, match=message):
            option.read("a", value)


def test_the_command_line_lists_recipes_and_their_options(capsys):
    listed = CommandLine(capsys)("simulate", "--list").out.splitlines()
    assert [line.split()[0] for line in listed] == list(RECIPES)


def test_a_file_to_write_and_settings_are_asked_for(capsys, tmp_path):
    for words, message in (
        (("simulate", "finder"), "--out"),
        (("simulate", "finder", "--out", str(tmp_path / "a.h5"), "--set", "depth"), "name=value"),
        (("simulate", "finder", "--out", str(tmp_path / "a.h5"), "--set", "depth=3"), "no option 'depth'"),
        (("simulate", "nonsense", "--out", str(tmp_path / "a.h5")), "choose one of"),
    ):
        ended = CommandLine(capsys)(*words)
        assert ended.status == 2
        assert message in ended.err


# The pixels of the first scenes of each recipe as float16, by which a training set of an earlier day is made again.
PINNED = {
    "finder": "330984eb9beb573d",
    "finder-1": "1028b6557f24f5bc",
    "finder-gri": "6aa3d8bb24cbca01",
    "finder-euclid": "05fdcac05cbcc9e2",
    "model-1": "a31f55ca5670db3a",
    "model-2": "c6777407ddf79334",
    "model-3": "0e8a528d835b5851",
    "model-4": "ccbf98754154e9cc",
    "mass": "b27ebe63619967a9",
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_keep_their_bytes(name):
    recipe, digest = RECIPES[name], hashlib.sha256()
    scenes = range(12) if name.startswith("finder") else range(3)
    for index in scenes:
        for example in recipe.make_scene(
            11, index, size=recipe.size, pixel_scales=recipe.pixel_scales, **recipe.choose({})
        ):
            digest.update(example.cutouts.astype(np.float16).tobytes())
            digest.update(bytes([example.label]))
    assert digest.hexdigest()[:16] == PINNED[name], f"the pixels of {name} changed: raise its version"
