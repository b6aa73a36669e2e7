"""Attributes of NumPy's arrays and scalars on traced arrays: shape, dtype, memory layout, parts and transposes."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from refgrad.errors import TracingError
from refgrad.ops import complex_numbers
from refgrad.tracing.dispatch import plain
from refgrad.tracing.methods import Methods
from refgrad.tracing.unavailable import Only


class Flat:
    """``x.flat``: the elements of a traced array from the first to the last, to read, to write and to walk through."""

    def __init__(self, x: Any) -> None:
        self.base = x
        self.index = 0

    def __len__(self) -> int:
        return int(self.base.size)

    @property
    def coords(self) -> tuple[int, ...]:
        """The index of the element that comes next."""
        rest, found = self.index, []
        for n in reversed(self.base.shape):
            found.append(rest % max(n, 1))
            rest //= max(n, 1)
        return tuple(reversed(found))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.index >= len(self):
            raise StopIteration
        self.index += 1
        return self[self.index - 1]

    def _places(self, key: Any) -> Any:
        """Where the elements are that an index of ``x.flat`` names: indices for each axis."""
        chosen = np.arange(len(self))[key if not isinstance(key, list) else np.asarray(key)]
        return np.unravel_index(chosen, self.base.shape)

    def __getitem__(self, key: Any) -> Any:
        key = plain(key)
        if isinstance(key, tuple) and key != ():
            raise IndexError("unsupported iterator index")
        if not self.base.shape:
            return self.base.reshape(1)[key]
        try:
            place = operator.index(key)
        except TypeError:
            return self.base[self._places(key)]
        return self.base[tuple([int(k) for k in self._places(place)])]

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self.base.shape:
            np.zeros(1)[key] = 0.0  # NumPy's error
            self.base[()] = np.ravel(value)[0]
            return
        places = self._places(plain(key))
        count = np.size(places[0])
        values = np.ravel(value)
        if count and not values.size:
            raise ValueError("Error setting single item of array.")
        if count:  # a shorter value is repeated, of a longer one the rest is left
            chosen = values[np.arange(count) % values.size]
            self.base[places] = chosen if np.ndim(places[0]) else chosen[0]

    def copy(self) -> Any:
        """The elements as a new array with one axis."""
        return self.base.flatten()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.base.__array__(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<the elements of {self.base!r}>"


class Attributes(Methods):
    """Attributes as on np.ndarray and np.float64."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return self._value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._value.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        return self._sample().strides

    @property
    def flags(self) -> Any:
        value = self._sample()
        return value.flags if self._scalar else value.view().flags  # to set a flag there changes nothing here

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def T(self) -> Any:
        return self.transpose()

    @property
    def mT(self) -> Any:
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return self.swapaxes(-1, -2)

    @property
    def real(self) -> Any:
        if self.dtype.kind == "c":
            return self._view(complex_numbers.real(self), complex_numbers.real, writeable=False)
        return self

    @real.setter
    def real(self, value: Any) -> None:
        self[...] = value if self.dtype.kind != "c" else complex_numbers.from_parts(value, self.imag)

    @property
    def imag(self) -> Any:
        if self.dtype.kind == "c":
            return self._view(complex_numbers.imag(self), complex_numbers.imag, writeable=False)
        if self._scalar:
            return self.dtype.type(0)
        zeros = np.zeros(self.shape, self.dtype)
        zeros.flags.writeable = False
        return zeros

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        self[...] = complex_numbers.from_parts(self.real, value)

    @property
    def flat(self) -> Flat:
        return Flat(self.reshape(1) if self._scalar else self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[:] = value


Attributes.mT = Only(Attributes.mT, "mT", of_scalars=False)  # type: ignore[assignment, method-assign]


def _unwritable(name: str, message: str) -> None:
    """Refuse ``x.name = value``, which NumPy takes for a change of the array in place."""

    def refuse(self: Attributes, value: Any) -> None:
        raise TracingError(f"x.{name} = ... {message}", self._levels())

    setattr(Attributes, name, vars(Attributes)[name].setter(refuse))


_unwritable("shape", "changes an array in place. Write x = x.reshape(...).")
_unwritable("strides", "changes an array in place. Write x = x.reshape(...), x.transpose(...) or x[::step].")
_unwritable("dtype", "reads the bytes of x as other numbers. Write x = x.astype(dtype).")
