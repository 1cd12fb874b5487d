"""Object arrays in .npy files, such as ``[image, mass]``, without running what a pickle asks for.

``numpy.load`` refuses them, rightly: a pickle may call anything, and even numpy's own ``__setstate__`` can be led to
take bytes for pointers. Here the few names that numpy writes stand for descriptions, which are checked and made into
arrays after the pickle has been read; every other name is refused before it is imported.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from engine.errors import DataError
from engine.images.damage import DAMAGE, reason

_DTYPE = re.compile(r"[?biufSU]\d{0,6}|O8?")
_BROKEN: tuple[type[Exception], ...] = (*DAMAGE, pickle.UnpicklingError)
_DEEPEST = 16
_MOST = 1_000_000  # items outside of plain arrays; nested references to one list grow without bound


class _Dtype:
    """A dtype of numbers, texts or objects; never one with fields, whose flags could lie about its contents."""

    __slots__ = ("dtype",)

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise DataError(f"it holds an array of type {str(code)[:20]!r}, which is no plain number")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order, rest = state[1], state[2:5]
        if order not in ("<", ">", "|", "=") or any(value is not None for value in rest):
            raise DataError("it holds an array with fields: save the image and the numbers alone")
        self.dtype = self.dtype if order == "|" else self.dtype.newbyteorder(order)


class _Array:
    """An array that is made once all of its contents are known."""

    __slots__ = ("state",)

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        self.state = tuple(state)


class _Scalar:
    """A number of numpy's."""

    __slots__ = ("data", "dtype")

    def __init__(self, dtype: object, data: object = b"") -> None:
        self.dtype, self.data = dtype, data

    def __setstate__(self, state: Any) -> NoReturn:
        raise DataError("it changes a number after it was made")


class _Name:
    """What a name of the pickle stands for; nothing can be set on it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise DataError("it changes a function")


def _encoded(text: str, encoding: str) -> bytes:
    """How old pickles write bytes."""
    if encoding != "latin1" or not isinstance(text, str):
        raise DataError(f"it encodes a text as {str(encoding)[:20]!r}")
    return text.encode("latin1")


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # numpy 1 and numpy 2
_ALLOWED: Mapping[tuple[str, str], Callable[..., Any]] = {
    **{(module, "_reconstruct"): _Array for module in _MULTIARRAY},
    **{(module, "scalar"): _Scalar for module in _MULTIARRAY},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """One of the names allowed; nothing is imported."""
        if (module, name) not in _ALLOWED:
            raise DataError(f"it asks for {module}.{name}, which no image needs")
        return _Name(_ALLOWED[module, name])


def read_objects(data: bytes) -> Any:
    """The contents of a .npy file of dtype object: arrays, numbers and texts, in lists and tuples.

    Parameters
    ----------
    data : the bytes of the file

    Raises
    ------
    DataError : damaged, or it holds anything but arrays of numbers, numbers, texts, lists and tuples
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header or read_header[version](file)[2] != np.dtype(object):
            raise DataError("it is not a .npy file of objects")
        return _Plain().made(_Unpickler(file, encoding="latin1").load())
    except DataError as error:
        raise DataError(f"the pickled array is refused, {error}: convert it where you trust it") from error
    except _BROKEN as error:
        raise DataError(f"the pickled array is damaged ({reason(error)}): get the file again") from error


class _Plain:
    """Makes descriptions into what they describe, counting items."""

    def __init__(self) -> None:
        self._count = 0

    def made(self, value: Any, depth: int = 0) -> Any:
        """The value with arrays and numbers in place of their descriptions; all else is refused."""
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST:
            raise DataError("it is nested too deeply or holds too many items")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) in (list, tuple):
            return type(value)(self.made(item, depth + 1) for item in value)
        if isinstance(value, _Array):
            return self._array(value, depth)
        if isinstance(value, _Scalar) and isinstance(value.dtype, _Dtype):
            return self._numbers(value.dtype.dtype, value.data, 1)[0]
        raise DataError(f"it holds a {type(value).__name__.strip('_')}")

    def _array(self, array: _Array, depth: int) -> Any:
        if len(array.state) != 5:
            raise DataError("it holds an array without contents")
        _, shape, dtype, fortran, data = array.state
        if not isinstance(dtype, _Dtype) or not all(type(side) is int and side >= 0 for side in shape):
            raise DataError("it holds an array without a type or a shape")
        count = math.prod(shape)
        if dtype.dtype == np.dtype(object):
            if type(data) is not list or len(data) != count:
                raise DataError("it holds an array of other objects than it says")
            flat = np.empty(count, object)
            for index, item in enumerate(data):
                flat[index] = self.made(item, depth + 1)
        else:
            flat = self._numbers(dtype.dtype, data, count)
        return flat.reshape(shape, order="F" if fortran else "C")

    def _numbers(self, dtype: np.dtype[Any], data: object, count: int) -> Any:
        raw = data.encode("latin1") if isinstance(data, str) else data  # of Python 2
        if type(raw) is not bytes or dtype.hasobject or len(raw) != count * dtype.itemsize:
            raise DataError("it holds an array of another length than it says")
        return np.frombuffer(raw, dtype, count) if raw else np.empty(count, dtype)
