"""Whole Jacobians and Hessians, put together from products with them: jacrev, jacfwd, hessian, hvp.

Arguments, results and errors are those of transforms.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refgrad.arguments import (
    Argnums,
    alike,
    argnums_of,
    array,
    chosen,
    function,
    leaves_of,
    names_of,
    opened_arguments,
    placed,
)
from refgrad.arrays import Array, Tree
from refgrad.auxiliary import split
from refgrad.containers import wordy
from refgrad.errors import DtypeError
from refgrad.pushforward import jvps_of, many_jvps, zeros
from refgrad.tracing.copies import snapshot
from refgrad.transforms import Function, grad, jvp_named, recorded_vjp
from refgrad.tree import flatten

MOST_NUMBERS = 2**18  # of one array, where rows of a Jacobian are computed together


def jacrev(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The function (*args, **kwargs) -> Jacobian of f, by reverse mode: one run of f, and a walk back for the elements of the output.

    A Jacobian has the shape output.shape + argument.shape and the dtype of the argument: J[i..., j...] is dy[i...]/dx[j...]. Where
    results or arguments are nested, it has the structure of the result, with that of the argument inside. Of several ``argnums`` the inner
    structure is a tuple. With ``has_aux`` f returns a pair (value, aux), and the new function (Jacobian, aux); aux has no derivative.

    An output of integers or booleans has a Jacobian of zeros. The returned function raises DtypeError for integer, boolean and complex
    arguments, and for complex results.

    Example::

        rg.jacrev(lambda x: np.stack([x[0] * x[1], x[2]]))(x)    # x (3,), Jacobian (2, 3)
    """
    function(f, "jacrev")
    argnums = argnums_of(argnums, "jacrev")
    if has_aux:
        return _with_aux(jacrev, f, argnums, "jacrev")

    def call(*args: Any, **kwargs: Any) -> Any:
        some, positions = chosen(args, argnums, "jacrev", kwargs)
        names = names_of(some, positions)
        _refuse_complex(leaves_of(some, names, "jacrev")[0], names, "jacrev")
        value, pullback, many = recorded_vjp(
            lambda *xs: f(*placed(args, positions, xs), **kwargs), some, names, "jacrev"
        )
        outputs, rebuild = flatten(value, wordy)
        _refuse_complex(outputs, ["what f returned"] * len(outputs), "jacrev")
        if len(outputs) == 1:
            leaves, rebuild_leaves = opened_arguments(some)
            found = _at_once(many, outputs[0], [array(x, "jacrev") for x in leaves])
            if found is not None:
                block = rebuild_leaves(found)
                return rebuild([block[0] if isinstance(argnums, int) else block])
        blocks = []
        for k, y in enumerate(outputs):
            rows = [
                pullback(rebuild([unit if j == k else zeros(v) for j, v in enumerate(outputs)]))
                for unit in _units(y)
            ]
            blocks.append(_stacked(rows, some, y, argnums))
        return rebuild(blocks)

    return call


def _with_aux(jacobian: Function, f: Function, argnums: Argnums, who: str) -> Function:
    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        first, aux = split(f, who)
        return (jacobian(first, argnums)(*args, **kwargs), *aux)

    return call


def jacfwd(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The function (*args, **kwargs) -> Jacobian of f, by forward mode: a tangent for each element of the argument.

    One run of f carries many tangents. It carries a single one where f calls a function with a rule of the user's (custom_jvp,
    custom_vjp), and where the tangents of an array would be many numbers: then f runs for each element.

    Shapes, structure, ``has_aux`` and errors are those of jacrev, but results may be complex; the dtype is that of the output. It is the
    cheaper one where the output has more elements than the argument.
    """
    if has_aux:
        function(f, "jacfwd")
        return _with_aux(jacfwd, f, argnums_of(argnums, "jacfwd"), "jacfwd")
    return _jacfwd(f, argnums, "jacfwd")


def _jacfwd(f: Function, argnums: Argnums, who: str) -> Function:
    function(f, who)
    argnums = argnums_of(argnums, who)

    def call(*args: Any, **kwargs: Any) -> Any:
        some, positions = chosen(args, argnums, who, kwargs)
        names = names_of(some, positions)
        leaves, rebuild = leaves_of(some, names, who)
        _refuse_complex(leaves, names, who)

        def g(*xs: Any) -> Any:
            return f(*placed(args, positions, xs), **kwargs)

        run = (g, leaves, rebuild, names, who)
        value, columns = _columns_together(*run) or _columns(*run) or (f(*args, **kwargs), [])
        outputs, rebuild_result = flatten(value, wordy)
        blocks = []
        for m, y in enumerate(outputs):
            jacobians, rest = [], iter(columns)
            for x in leaves:
                flat = (
                    np.stack([c[m] for c in itertools.islice(rest, x.size)], axis=-1)
                    if x.size
                    else np.zeros((*np.shape(y), 0), x.dtype)
                )
                jacobians.append(_shaped(flat, np.shape(y) + x.shape))
            block = rebuild(jacobians)
            blocks.append(block[0] if isinstance(argnums, int) else block)
        return rebuild_result(blocks)

    return call


def hessian(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The function (*args, **kwargs) -> second derivatives of f, forward over reverse: jacfwd of jacrev.

    A Hessian has the shape output.shape + argument.shape + argument.shape. Of several ``argnums`` it is a tuple of tuples: [i][k] is the
    derivative by argument i, then by argument k. With ``has_aux`` f returns a pair (value, aux), and the new function (Hessian, aux).
    Errors are those of jacrev.

    Example::

        rg.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))    # array([[ 6.,  0.], [ 0., 12.]])
    """
    function(f, "hessian")
    argnums = argnums_of(argnums, "hessian")
    if has_aux:
        return jacfwd(jacrev(f, argnums, has_aux=True), argnums, has_aux=True)
    return _jacfwd(jacrev(f, argnums), argnums, "hessian")


def hvp(f: Function, primals: Sequence[Tree], tangents: Sequence[Tree]) -> Tree:
    """The Hessian H of f at ``primals`` times ``tangents``, for an f that returns one real number. H itself is not formed.

    ``primals`` and ``tangents`` are tuples, with one entry for each argument of f. The result is a tuple of the structure, shapes and
    dtypes of ``primals``. It is the derivative of the gradient along ``tangents``, forward over reverse, and costs a small multiple of f.

    Raises what jvp and grad raise.

    Example::

        (Hv,) = rg.hvp(lambda x: np.sum(x**3), (x,), (v,))    # 6 * x * v

    Source: Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).
    """
    function(f, "hvp")
    count = len(primals) if isinstance(primals, (tuple, list)) else 1
    product = jvp_named(grad(f, tuple(range(count))), primals, tangents, "hvp")[1]
    return opened_arguments(primals)[1](alike(primals, product) or [])  # settings as they are in the primals


def _columns(
    f: Function, leaves: list[Array], rebuild: Callable[[list[Any]], Any], names: Sequence[str], who: str
) -> tuple[Any, list[list[Array]]] | None:
    """The value of f, and the tangents of its leaves for each element of ``leaves``, by a run for each; None where there is no element."""
    zero = [zeros(x) for x in leaves]
    directions = ([*zero[:k], unit, *zero[k + 1 :]] for k, x in enumerate(leaves) for unit in _units(x))
    value, columns = None, list[list[Array]]()
    for values, y_dots, rebuild_value in jvps_of(f, leaves, rebuild, names, directions, who):
        value = rebuild_value(values)
        columns.append(flatten(rebuild_value(y_dots), wordy)[0])
    return (value, columns) if columns else None


def _columns_together(
    f: Function, leaves: list[Array], rebuild: Callable[[list[Any]], Any], names: Sequence[str], who: str
) -> tuple[Any, list[list[Array]]] | None:
    """As _columns, by runs for many elements at a time; None where there have to be single ones."""
    size = sum(x.size for x in leaves)
    together = MOST_NUMBERS // max(size, 1)
    if size < 2 or together < 2 or not all(isinstance(x, (np.ndarray, np.generic)) for x in leaves):
        return None
    value, columns = None, list[list[Array]]()
    for start in range(0, size, together):
        count = min(together, size - start)
        found = many_jvps(f, leaves, rebuild, names, _unit_rows(leaves, start, count), MOST_NUMBERS, who)
        if found is None:
            return None
        values, y_dots, rebuild_value = found
        value, some = rebuild_value(values), flatten(rebuild_value(y_dots), wordy)[0]
        columns += [[rows[k] for rows in some] for k in range(count)]
    return value, columns


def _unit_rows(leaves: list[Array], start: int, count: int) -> list[Array]:
    """Unit tangents of all leaves for so many elements from ``start``, which counts through all leaves, along a leading axis."""
    rows, first = list[Array](), 0
    for x in leaves:
        unit = np.zeros((count, x.size), x.dtype)
        own = np.arange(max(first, start), min(first + x.size, start + count))
        unit[own - start, own - first] = 1
        rows.append(unit.reshape(count, *x.shape))
        first += x.size
    return rows


def _at_once(
    many: Callable[[Array], list[Array] | None], y: Array, leaves: list[Array]
) -> list[Array] | None:
    """The Jacobian of y in each leaf, by walks for many rows at a time; None where they have to be single."""
    size = y.size if isinstance(y, np.ndarray) else 1
    together = MOST_NUMBERS // max(size, *[x.size for x in leaves], 1)
    if size < 2 or together < 2 or not all(isinstance(x, (np.ndarray, np.generic)) for x in leaves):
        return None
    parts = []
    for start in range(0, size, together):
        count = min(together, size - start)
        units = np.zeros((count, size), y.dtype)
        units[np.arange(count), start + np.arange(count)] = 1
        part = many(units.reshape(count, *y.shape))
        if part is None:
            return None
        parts.append(part)
    return [
        _shaped(rows[0] if len(rows) == 1 else np.concatenate(rows), y.shape + x.shape)
        for rows, x in zip(zip(*parts, strict=True), leaves, strict=True)
    ]


def _shaped(flat: Array, shape: tuple[int, ...]) -> Array:
    """A new array in another shape; a reshaped one would not own its data."""
    return flat if flat.shape == shape else snapshot(np.reshape(flat, shape))


def _refuse_complex(arrays: Sequence[Array], names: Sequence[str], who: str) -> None:
    """Raises DtypeError for complex numbers, of which a Jacobian would have two derivatives for each element."""
    for x, name in zip(arrays, names, strict=True):
        if x.dtype.kind == "c":
            raise DtypeError(
                f"{who}: {name} has dtype {x.dtype}; real numbers are expected. A function of complex numbers has two derivatives, by z "
                "and by its conjugate: take real and imaginary parts as arguments and results, or use jvp and vjp."
            )


def _units(x: Array) -> Iterator[Array]:
    """The unit arrays of the shape of x, one at a time."""
    for k in range(x.size):
        unit = np.zeros(x.size, x.dtype)
        unit[k] = 1
        yield unit.reshape(x.shape)


def _stacked(rows: list[Any], some: tuple[Any, ...], y: Array, argnums: Argnums) -> Any:
    leaves, rebuild = opened_arguments(some)
    flat_rows = [opened_arguments(row)[0] for row in rows]
    jacobians = []
    for k, x in enumerate([array(leaf, "jacrev") for leaf in leaves]):
        flat = np.stack([row[k] for row in flat_rows]) if rows else np.zeros((0, *x.shape), x.dtype)
        jacobians.append(_shaped(flat, y.shape + x.shape))
    block = rebuild(jacobians)
    return block[0] if isinstance(argnums, int) else block
