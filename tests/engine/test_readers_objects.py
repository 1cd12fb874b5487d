"""Object arrays are read, and a pickle that asks for anything else is refused before it does anything."""

import builtins
import contextlib
import io
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from engine.errors import DataError
from engine.train.readers.objects import read_objects

IMAGE = np.arange(12.0).reshape(3, 4)


def pair(image: object, value: object) -> np.ndarray:
    out = np.empty(2, object)
    out[:] = [image, value]
    return out


def saved(array: np.ndarray, protocol: int | None = None, payload: bytes | None = None) -> bytes:
    """A .npy file of objects; with another pickle in it where one is given."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": array.shape})
    file.write(pickle.dumps(array, protocol) if payload is None else payload)
    return file.getvalue()


class Calls:
    """Pickles to a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> object:
        return self.call


def test_what_numpy_saves_is_read() -> None:
    file = io.BytesIO()
    np.save(file, pair(IMAGE, np.float64(0.25)), allow_pickle=True)
    image, mass = read_objects(file.getvalue())
    np.testing.assert_array_equal(image, IMAGE)
    assert mass == 0.25


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("image", [IMAGE, np.asfortranarray(IMAGE.astype(">f4")), [[1, 2], [3, 4]]])
def test_every_protocol_and_both_names_of_numpy(protocol: int, image: object) -> None:
    data = saved(pair(image, 3), protocol)
    found, value = read_objects(data)
    np.testing.assert_array_equal(found, image)
    assert value == 3
    if protocol <= 3:  # names end at a newline there: another length is the same pickle
        other = data.replace(b"numpy._core", b"numpy.core")
        np.testing.assert_array_equal(read_objects(other)[0], image)


@given(
    arrays(np.dtype("f4"), array_shapes(max_dims=3, max_side=5)),
    st.recursive(
        st.none() | st.integers() | st.floats(allow_nan=False) | st.text(), lambda inner: st.lists(inner, max_size=4)
    ),
)
def test_arrays_and_plain_values_come_back(image: np.ndarray, value: object) -> None:
    found = read_objects(saved(pair(image, value)))
    np.testing.assert_array_equal(found[0], image)
    assert found[1] == value


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("function", [os.system, builtins.eval, builtins.exec, subprocess.call, builtins.open])
def test_calls_are_refused_without_effect(function: object, depth: int, protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"open({str(mark)!r}, 'w')" if function in (builtins.eval, builtins.exec) else f"touch {mark}"
    arguments = (str(mark), "w") if function is builtins.open else (text,)
    evil: object = Calls(function, *arguments)
    for _ in range(depth):
        evil = pair(IMAGE, [evil])
    with pytest.raises(DataError, match=r"refused, it asks for"):
        read_objects(saved(pair(IMAGE, 1), payload=pickle.dumps(evil, protocol)))
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1},
        {1},
        b"bytes",
        np.zeros(2, [("a", "f4")]),
        np.dtype("f4"),
        Calls(getattr, "text", "upper"),
        Calls(np.load, "x.npy"),
        np.ndarray,
    ],
)
def test_other_things_are_refused(value: object) -> None:
    with pytest.raises(DataError, match="refused"):
        read_objects(saved(pair(IMAGE, value)))


def test_a_pointer_in_disguise_is_refused() -> None:
    """Bytes given for the contents of an array of objects would be taken for addresses by numpy itself."""
    state = (1, (1,), np.dtype("O"), False, b"AAAAAAAA")
    crafted = Calls(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b")
    crafted.call = (*crafted.call, state)
    with pytest.raises(DataError, match="other objects"):
        read_objects(saved(pair(IMAGE, 1), payload=pickle.dumps(crafted)))


def test_functions_cannot_be_changed() -> None:
    payload = b"cnumpy\nndarray\n}S'__defaults__'\n(I1\ntsb."
    with pytest.raises(DataError, match="changes a function"):
        read_objects(saved(pair(IMAGE, 1), payload=payload))


def test_what_grows_without_bound_is_refused() -> None:
    value: object = [1] * 50
    for _ in range(8):
        value = [value] * 50
    with pytest.raises(DataError, match="too many"):
        read_objects(saved(pair(IMAGE, value)))
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(DataError, match="too deeply"):
        read_objects(saved(pair(IMAGE, loop)))


@given(st.binary(max_size=80), st.integers(0, 200))
def test_damage_ends_in_an_error_that_names_it(junk: bytes, at: int) -> None:
    data = saved(pair(IMAGE, 1))
    with contextlib.suppress(DataError):
        read_objects(data[:at] + junk)
