"""NumPy functions on traced arrays: the calls of NumPy's two protocols are dispatched to ops.

``__array_ufunc__`` and ``__array_function__`` pass the function that was called and its arguments. The function is an op, a method of an op
(``np.add.reduce``), a composition that ``implements`` registered, or it has no rule and raises NoRuleError.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.errors import NoRuleError, OperandError, TracingError
from refgrad.op import BY_FUNCTION, BY_METHOD, Op, Traced, apply, refuse_traced
from refgrad.operands import USUAL, admitted, ordinary, overrides
from refgrad.ops import indexing
from refgrad.ops.shape import integers
from refgrad.tracing import views
from refgrad.tracing.assembling import assembled
from refgrad.tracing.call_failures import UNNAMED, answered
from refgrad.tracing.differentiable_arguments import INTO_PLAIN, SEQUENCES, Guard, guard_of, holds_traced
from refgrad.tracing.differentiable_arguments import plain as plain  # noqa: PLC0414 - array.py and others import it from here
from refgrad.tracing.unbuffered import at

Function = Callable[..., Any]

# NumPy functions written as compositions of ops; refgrad/functions fills the table.
FUNCTIONS: dict[Function, Function] = {}
OUT_PLACES: dict[Function, int] = {}  # of those that write to ``out``, its place among the arguments
# Methods of ufuncs that are no op: called with the ufunc first.
METHODS: dict[str, Function] = {}
GUARDS: dict[Function, Guard] = {}  # which of their arguments may be traced; see differentiable_arguments.py
# Functions whose result may share the memory of an argument, or be the argument. All others make new arrays.
VIEWING = frozenset({
    np.reshape, np.ravel, np.transpose, np.permute_dims, np.matrix_transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.squeeze,
    np.expand_dims, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_to, np.broadcast_arrays, np.fliplr, np.flipud, np.rot90,
    np.diagonal, np.diag, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.real, np.imag, np.einsum, np.astype,
    np.linalg.diagonal, np.linalg.matrix_transpose, np.real_if_close, np.nan_to_num, np.trim_zeros,
    np.lib.stride_tricks.sliding_window_view, *[getattr(np, name) for name in ("unstack",) if hasattr(np, name)],
})  # fmt: skip


def implements(*functions: Function) -> Callable[[Function], Function]:
    """Register a composition of ops as the meaning of NumPy functions on traced arrays. Its parameter ``out`` stays None."""

    def register(composition: Function) -> Function:
        for function in functions:
            FUNCTIONS[function] = _with_out(composition, function.__name__)
            guard = guard_of(function, composition)
            if guard is not None:
                GUARDS[function] = guard
        return composition

    return register


def _with_out(composition: Function, name: str) -> Function:
    """The composition, whose result is written into ``out`` where that is given; itself where it has no such parameter."""
    try:
        parameters = inspect.signature(composition).parameters
    except ValueError:  # NumPy's own function of plain values, written in C, and older than NumPy 2.4
        return composition
    if "out" not in parameters:
        return composition
    by_name = parameters["out"].kind is inspect.Parameter.KEYWORD_ONLY
    place = sys.maxsize if by_name else list(parameters).index("out")

    @functools.wraps(composition)
    def call(*args: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        if len(args) > place:
            out, args = args[place], (*args[:place], None, *args[place + 1 :])
        y = composition(*args, **kwargs)
        return y if out is None else written(y, out, name)

    OUT_PLACES[call] = place
    return call


def implements_method(name: str) -> Callable[[Function], Function]:
    """Register the meaning of a method of ufuncs (``reduce``, ``at``) on traced arrays."""

    def register(composition: Function) -> Function:
        METHODS[name] = composition
        return composition

    return register


def operand(x: Any, name: str = "NumPy") -> Any:
    """An operand of an op: traced, an array or a number; anything else becomes an array, a sequence that holds traced numbers as well.

    Raises OperandError for what holds no real numbers; ``name`` is that of the function in messages.
    """
    if type(x) in USUAL or isinstance(x, (Traced, np.ndarray, np.generic)):
        return x
    if isinstance(x, SEQUENCES) and holds_traced(x):
        return assembled(x)
    return admitted(x, f"{name}: an operand")


def array(x: Any) -> Any:
    """An operand of an op that takes arrays alone."""
    if isinstance(x, (Traced, np.ndarray)):
        return x
    return assembled(x) if isinstance(x, SEQUENCES) and holds_traced(x) else np.asarray(x)


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A NumPy ufunc met a traced array. NotImplemented where another operand computes ufuncs in its own way."""
    for x in inputs:
        if type(x) not in USUAL and not isinstance(x, Traced) and overrides(x):
            return NotImplemented
    try:
        return _ufunc(ufunc, method, inputs, dict(kwargs))
    except UNNAMED as error:
        return answered(getattr(ufunc, method), inputs, kwargs, error)


def _ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    inputs, kwargs = _by_name(method, inputs, kwargs)
    out = kwargs.pop("out", None)
    given = [o for o in out if o is not None] if isinstance(out, tuple) else []
    if method == "__call__" and given and all(isinstance(o, Traced) for o in given):
        return _into(out, ufunc, inputs, kwargs)
    if out is not None and any(o is not None for o in (out if isinstance(out, tuple) else (out,))):
        (target,) = out if isinstance(out, tuple) and len(out) == 1 else (out,)
        if isinstance(target, Traced) and method != "__call__":
            return written(_ufunc(ufunc, method, inputs, kwargs), target, f"{ufunc.__name__}.{method}")
        raise TracingError(
            f"np.{ufunc.__name__} was asked to write a traced result in place (out=, or an in-place operator on a plain array): "
            f"{INTO_PLAIN} Or write a = a + x instead of a += x, and leave out= away."
        )
    if method == "__call__":
        return _elementwise(ufunc, inputs, kwargs)
    op = BY_METHOD.get((ufunc, method))
    if op is not None and kwargs.keys() <= {"dtype", *op.signature.defaults} and _has_plain_start(kwargs):
        if method == "reduce":
            kwargs = {"axis": 0, **kwargs}
            if not inputs[0].ndim and kwargs["axis"] in (0, -1):  # which NumPy accepts of a 0-d array
                kwargs["axis"] = None
        else:
            kwargs = {**kwargs, "axis": _one_axis(ufunc.accumulate, inputs[0], kwargs.get("axis", 0))}
        return _function(op, inputs, kwargs)
    if method == "reduceat" and ufunc is np.add:
        return _sums_from(*inputs, **kwargs)
    if method == "at":
        at(ufunc, *inputs)
        return None
    if method not in METHODS:
        raise NoRuleError(
            f"np.{ufunc.__name__}.{method} has no rule in refgrad. Write it with functions that have one: `refgrad ops` lists them."
        )
    return _separate(METHODS[method](ufunc, *inputs, **kwargs), inputs)


def _has_plain_start(kwargs: dict[str, Any]) -> bool:
    """Whether a reduction starts from a plain number, or from the identity: None beside a mask is an error of NumPy's."""
    initial = kwargs.get("initial", 0)
    return not isinstance(initial, Traced) and not ("where" in kwargs and initial is None)


def _into(out: tuple[Any, ...], ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The traced arrays ``out``, after a ufunc has written to them: everywhere, or where a mask holds. A result in place of None."""
    targets = [x for x in out if x is not None]
    for target in targets:
        _refuse_number(target)
    if kwargs.get("where", True) is not True and len(targets) == len(out):
        mask = np.broadcast_to(plain(kwargs.pop("where")), out[0].shape)
        inputs = tuple([np.broadcast_to(x, mask.shape)[mask] for x in inputs])  # the rest may be undefined
        results = ufunc(*inputs, **kwargs)
        for x, y in zip(out, results if isinstance(results, tuple) else (results,), strict=True):
            x[mask] = y
        return out if len(out) > 1 else out[0]
    results = ufunc(*inputs, **kwargs)
    found = results if isinstance(results, tuple) else (results,)
    for x, y in zip(out, found, strict=True):
        if x is not None:
            x._receive(y if ufunc.signature else views.spread(y, x.shape), f"np.{ufunc.__name__}(out=x)")
    shape = targets[0].shape  # of all results: NumPy broadcasts the operands to it
    done = tuple(views.spread(y, shape).copy() if x is None else x for x, y in zip(out, found, strict=True))
    return done if len(out) > 1 else done[0]


_BY_POSITION = {
    "reduce": ("axis", "dtype", "out", "keepdims", "initial", "where"),
    "accumulate": ("axis", "dtype", "out"),
    "reduceat": ("indices", "axis", "dtype", "out"),
}


def _by_name(
    method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The operand of reduce, accumulate and reduceat alone, and their other arguments by name; those left at None or unset away."""
    names = _BY_POSITION.get(method)
    if names is None:
        return inputs, kwargs
    kwargs = {**dict(zip(names, inputs[1:], strict=False)), **kwargs}
    unset = (np._NoValue, None)
    return inputs[:1], {
        k: v
        for k, v in kwargs.items()
        if not any(v is u for u in unset) or (k in ("axis", "initial") and v is None)
    }


def _one_axis(call: Function, x: Any, axis: Any) -> int:
    """The axis of accumulate and reduceat, after NumPy has raised what it raises for an array of this shape."""
    call(np.zeros(x.shape), axis=axis)
    first = axis[0] if isinstance(axis, (tuple, list)) else axis
    return 0 if first is None else int(first)


def _sums_from(x: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    """np.add.reduceat: sums of the elements from each index to the next; of one element where the next is not larger."""
    axis = _one_axis(lambda z, axis: np.add.reduceat(z, indices, axis), x, axis)
    x, starts = np.moveaxis(x if dtype is None else x.astype(dtype), axis, 0), np.asarray(indices)
    ends = np.append(starts[1:], len(x))
    lengths = np.maximum(ends - starts, 1)
    sums = np.repeat(np.arange(len(starts)), lengths)
    elements = (
        np.arange(len(sums)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(starts, lengths)
    )
    y = indexing.put_add(x[elements], shape=(len(starts), *x.shape[1:]), key=sums)
    return np.moveaxis(y, 0, axis)


def _elementwise(ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    dtype, where, casting = [
        kwargs.pop(k, unset) for k, unset in (("dtype", None), ("where", True), ("casting", None))
    ]
    order, _ = kwargs.pop("order", "K"), kwargs.pop("subok", True)
    along = {"axis": kwargs.pop("axis")} if ufunc.signature == "(n),(n)->()" and "axis" in kwargs else {}
    if kwargs:
        raise NoRuleError(
            f"np.{ufunc.__name__}: argument {sorted(kwargs)} is not supported on traced arrays; dtype is"
        )
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise NoRuleError(
            f"np.{ufunc.__name__}: argument dtype is {np.dtype(dtype)}; floating-point dtypes have rules. Convert the result: "
            "y.astype(dtype)."
        )
    if isinstance(where, Traced) and where.dtype.kind != "b":
        raise TracingError(
            f"np.{ufunc.__name__}: argument where is a traced array of dtype {where.dtype}; write a comparison, such as x > 0."
        )
    if where is not True and not np.all(plain(where)):
        raise TracingError(
            f"np.{ufunc.__name__}(where=...) without out= leaves elements uninitialised. "
            "Use np.where(mask, f(np.where(mask, x, safe)), other)."
        )
    operands = tuple([operand(x, ufunc.__name__) for x in inputs])
    if casting is not None or order not in {"K", "A"}:  # NumPy raises for what it does not cast
        samples = [np.ones(1, x.dtype) if hasattr(x, "dtype") else x for x in operands]
        ufunc(*samples, dtype=dtype, casting=casting or "same_kind", order=order)
    if dtype is not None:
        operands = tuple(
            [x.astype(dtype) if isinstance(x, Traced) else np.asarray(x, dtype) for x in operands]
        )
    op = BY_FUNCTION.get(ufunc)
    if op is None and ufunc not in FUNCTIONS:
        raise _no_rule(f"np.{ufunc.__name__}")
    y = FUNCTIONS[ufunc](*operands, **along) if op is None else apply(op, operands, op.signature.defaults)
    return y.copy(order) if order in {"C", "F"} and not isinstance(y, (tuple, np.generic)) else y


def _no_rule(name: str) -> NoRuleError:
    return NoRuleError(
        f"{name} has no rule in refgrad, so its derivative is unknown. Write it with functions that have one (`refgrad ops` lists "
        "them), or add an op: one record in refgrad/ops."
    )


def _of_ndarray(x: Any, function: Any) -> Any:
    """An argument of a function without a subclass of np.ndarray. Raises OperandError for a masked array or a matrix."""
    if isinstance(x, Traced) or not isinstance(x, np.ndarray):
        return x
    name = getattr(function, "__name__", None) or getattr(function, "name", "NumPy")
    return ordinary(x, f"{name}: an operand", OperandError)


def call_function(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A NumPy function (or an op under NumPy's calling convention) met a traced array."""
    try:
        return _function(function, args, kwargs)
    except UNNAMED as error:
        return answered(function, args, kwargs, error)


def _function(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for x in args:
        if type(x) is not np.ndarray and not isinstance(x, Traced) and isinstance(x, np.ndarray):
            args = tuple([_of_ndarray(x, function) for x in args])
            break
    composition = FUNCTIONS.get(function)
    if composition is not None:
        guard = GUARDS.get(function)
        if guard is not None:
            args, kwargs = guard.admitted(args, kwargs)
        y = composition(*args, **kwargs)
        if function in VIEWING or (y is not None and y is _out_of(composition, args, kwargs)):
            return y
        return _separate(y, args)
    op = function if isinstance(function, Op) else BY_FUNCTION.get(function)
    if op is None:
        raise _no_rule(
            f"{getattr(function, '__module__', None) or 'numpy'}.{getattr(function, '__name__', function)}"
        )
    sig = op.signature
    count, kwargs = len(sig.operands), integers(kwargs)
    if (
        len(args) == count
        and kwargs.keys() <= sig.defaults.keys()
        and not isinstance(kwargs.get("initial"), Traced)
        and not any(v is np._NoValue for v in kwargs.values())
    ):
        refuse_traced(op, kwargs)
        operands = tuple([operand(x, op.name) if op.broadcasts else array(x) for x in args])
        y = apply(op, operands, {**sig.defaults, **kwargs})  # the usual call, without sorting arguments
        return _seen(op, args[0], y, kwargs)
    names = _parameters(function)  # in NumPy's own order of positional arguments
    kwargs = integers({**kwargs, **dict(zip(names[count:], args[count:], strict=False))})
    args = args[:count] + tuple([kwargs.pop(name) for name in names[len(args) : count] if name in kwargs])
    kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue and not (k == "out" and v is None)}
    if kwargs.get("out") is not None:
        out = kwargs.pop("out")
        return written(_function(function, args, kwargs), out, op.name)
    if op.reduces is not None and isinstance(kwargs.get("initial"), Traced):
        return METHODS["reduce"](op.reduces, *args, **{"axis": None, **kwargs})
    dtype = kwargs.pop("dtype", None)
    args = tuple([operand(x, op.name) if op.broadcasts else array(x) for x in args])
    if dtype is not None:
        args = tuple([x.astype(dtype) if isinstance(x, Traced) else np.asarray(x, dtype) for x in args])
    y = op(*args, **kwargs) if dtype is None else op(*args, **kwargs).astype(dtype)
    return _seen(op, args[0], y, kwargs)


def _out_of(composition: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The array that a call writes its result to."""
    place = OUT_PLACES.get(composition, sys.maxsize)
    out = args[place] if place < len(args) else kwargs.get("out")
    return out[0] if isinstance(out, tuple) and out else out


def written(y: Any, out: Any, name: str) -> Any:
    """The array ``out``, after the result y of the function ``name`` has been written into it.

    Raises TracingError for a plain array, NoRuleError where NumPy would compute in another dtype, ArgumentError where the shapes differ.
    """
    (target,) = out if isinstance(out, tuple) and len(out) == 1 else (out,)
    if not isinstance(target, Traced):
        raise TracingError(
            f"np.{name}(out=...) would write to a plain array: {INTO_PLAIN} Or leave out= away."
        )
    _refuse_number(target)
    dtype = np.result_type(y) if not hasattr(y, "dtype") else y.dtype
    if dtype != target.dtype:
        raise NoRuleError(
            f"np.{name}(out=x): the result has dtype {dtype} and x has {target.dtype}; refgrad writes results of the same dtype. Write "
            f"x[...] = np.{name}(...)."
        )
    target._receive(y, f"np.{name}(out=x)")  # type: ignore[attr-defined]
    return target


def _refuse_number(out: Any) -> None:
    """Raises NumPy's error for a number in the place of an array to write to."""
    if out._scalar:
        raise TypeError("return arrays must be of ArrayType")


def _separate(y: Any, args: tuple[Any, ...]) -> Any:
    """A result of a function that makes new arrays, where refgrad's own code came to an argument or a view of one."""
    if isinstance(y, Traced):
        return y._snapshot() if hasattr(y, "_shared") or any(y is x for x in args) else y
    if type(y) in (tuple, list):
        return type(y)([_separate(part, args) for part in y])
    return y


def _seen(op: Op, x: Any, y: Any, params: dict[str, Any]) -> Any:
    """The result of an op, which may be a view of its operand."""
    if op.view and hasattr(x, "_view"):
        return x._view(y, lambda base: op(base, **params))
    return y


@functools.cache
def _parameters(function: Function) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function.forward if isinstance(function, Op) else function).parameters)
    except ValueError:  # written in C, and older than NumPy 2.4: np.where
        signature = BY_FUNCTION[function].signature
        return (*signature.operands, *signature.defaults)
