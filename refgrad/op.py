"""The record of one op, the registry of all of them, and the checks at registration.

An op is one mathematical function with everything refgrad knows about it in one place. Its rules are plain
functions whose *parameter names say what they need*:

    x, x1, ...        the operand of that name (the names of ``forward``'s first parameters)
    y                 the value of the op
    x_shape           the shape of operand x (asking for it keeps no array alive)
    axis, ...         a parameter of the op (the remaining parameters of ``forward``)
    active            variadic ops: a tuple of booleans, which operands are differentiated

The first parameter of a JVP rule is ``<operand>_dot``, of a VJP rule ``y_bar``. Reverse mode keeps exactly what
the signature names, and nothing else.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.domain import REAL, Domain, Special
from refgrad.errors import DtypeError, NoRuleError, RegistrationError, TracingError
from refgrad.formula import Formula, taken
from refgrad.operands import admitted, usual

Rule = Callable[..., Any]
Params = dict[str, Any]

new_level = itertools.count(1).__next__  # levels of nested transformations; Ball, the innermost, is level 0

REGISTRY: dict[str, Op] = {}
BY_FUNCTION: dict[Callable[..., Any], Op] = {}


class Traced:
    """An array with something attached: a tangent, a place on a tape, an error radius, a node of a graph.

    ``value`` is what is below (a NumPy array or another traced array) and ``level`` says which of two traced arrays is
    the inner one: each transformation takes a higher level than those it runs in. tracing/array.py and tracing/dispatch.py hold
    NumPy's protocols.
    """

    __slots__: tuple[str, ...] = ()
    _value: Any
    _level: int
    shape: tuple[int, ...]
    dtype: Any

    def astype(self, dtype: Any) -> Any:
        """The same numbers in another dtype."""
        raise NotImplementedError

    def _snapshot(self) -> Any:
        """An array of the same content, which stays as it is when this one is written to."""
        raise NotImplementedError

    @property
    def _ended(self) -> str:
        """The transformation that traced it, by name, where that one has ended; empty while it runs."""
        return ""

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        """Apply ``op``; ``top`` is the operand of the highest level, which decides the interpreter."""
        raise NotImplementedError

    def _levels(self) -> tuple[int, ...]:
        """The level of this array and of those below it."""
        return (self._level, *(self._value._levels() if isinstance(self._value, Traced) else ()))

    def _sample(self) -> Any:
        """A plain array of this shape, dtype and layout: the values, where they may be looked at. None before data is bound to a graph."""
        return self._value._sample() if isinstance(self._value, Traced) else self._value

    def __format__(self, spec: str) -> str:
        return format(self._value, spec) if spec else str(self)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls where one of its functions meets a traced array."""
        raise TracingError(
            f"torch's {getattr(function, '__name__', function)} was called with an array that refgrad traces. Write the function in "
            "NumPy (np.sin, not torch.sin; rg.nn.softmax and others for what NumPy lacks)."
        )


def reject_complex(x: Any, op: Op) -> Any:
    """x, a tangent, a cotangent or an operand. Raises DtypeError where it is complex: a cast to a real dtype would lose its half."""
    if x.dtype.kind == "c":
        raise DtypeError(
            f"op {op.name!r} met an operand of dtype {x.dtype}. Complex numbers are not differentiated: compute with real and "
            "imaginary parts as two real arrays."
        )
    return x


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One op. ``op(*operands, **params)`` applies it to arrays, traced or not.

    forward    raw NumPy: operands first, then parameters with defaults; ``*xs`` for a variadic op
    jvp, vjp   one rule an operand (a mapping by operand name; a lone rule for a single or variadic operand);
               None for an op whose derivative is zero wherever it exists (comparisons, floor, sign)
    rounding   how an error radius passes through, and what rounding adds (see bounds.py)
    torch      the twin: receives the torch module, then operands and parameters like ``forward``; None where torch has none
    numpy      the NumPy callables that lead here
    domain     where the op is defined, and how to draw operands for it
    special    points where no ordinary derivative exists, with the set of acceptable ones
    broadcasts operands broadcast against each other: the engine sums cotangents back to operand shapes
    picks      each element of the value is one of the operands' elements: at a tie its tangent lies between theirs
    usual      other formulas in use for it, within whose bounds a result is imprecise and not wrong
    """

    name: str
    forward: Callable[..., Any]
    jvp: Rule | Mapping[str, Rule] | None
    vjp: Rule | Mapping[str, Rule] | None
    rounding: Rule
    torch: Callable[..., Any] | None = None
    numpy: tuple[Callable[..., Any], ...] = ()
    domain: Domain = REAL
    special: tuple[Special, ...] = ()
    broadcasts: bool = False
    picks: bool = False
    usual: tuple[Formula, ...] = ()
    signature: Signature = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", Signature.of(self))

    def __call__(self, *operands: Any, **params: Any) -> Any:
        sig = self.signature
        if (
            not params
            and len(operands) == len(sig.operands)
            and type(operands[0]) is type(operands[-1]) is np.ndarray
            and len(operands) < 3
        ):
            return self.forward(*operands)  # as rules call the ops that they are made of
        if not sig.variadic and (
            len(operands) != len(sig.operands) or any(p not in sig.defaults for p in params)
        ):
            operands, params = sig.bind(operands, params)
        refuse_traced(self, params)
        return apply(self, operands, {**sig.defaults, **params} if sig.defaults else params)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


_PLAIN = frozenset({int, bool, float, str, slice, type(None), np.ndarray})


def refuse_traced(op: Op, params: Params) -> None:
    """Raises TracingError for a parameter that is being differentiated: rules exist for operands alone."""
    for name, value in params.items():
        if type(value) not in _PLAIN and _holds_traced(value):
            raise TracingError(
                f"{op.name}: argument {name} is a traced array and has no rule, so its derivative would be lost. Pass plain numbers; "
                "for a mask write np.where(mask, x, 0.0), for an initial value a sum or a product with it."
            )


def _holds_traced(x: Any) -> bool:
    if isinstance(x, (tuple, list)):
        return any(type(element) not in _PLAIN and _holds_traced(element) for element in x)
    return isinstance(x, Traced)


def apply(op: Op, operands: tuple[Any, ...], params: Params) -> Any:
    """Apply ``op`` to operands of any levels: the highest level interprets, raw arrays just compute."""
    top, level, others = None, -1, False
    for x in operands:
        if not isinstance(x, Traced):
            others = True
        elif x._level > level:
            top, level = x, x._level
    if top is None:
        return op.forward(*operands, **params)
    if others:
        for x in operands:
            if not isinstance(x, Traced) and not usual(x):
                operands = tuple([_admitted(op, x) for x in operands])
                break
    formula = taken(op)
    return (
        type(top)._interpret(op, operands, params, top) if formula is None else formula(*operands, **params)
    )


def _admitted(op: Op, x: Any) -> Any:
    return x if isinstance(x, Traced) else admitted(x, f"{op.name}: an operand")


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """A rule with the list of what its signature asks for, resolved to places."""

    rule: Rule
    # (kind, key): ("operand", i) ("y", 0) ("shape", i) ("param", name) ...
    inputs: tuple[tuple[str, Any], ...]

    def collect(
        self, operands: tuple[Any, ...], y: Any, params: Params, active: tuple[bool, ...]
    ) -> tuple[Any, ...]:
        """What the rule needs after its first argument, in order."""
        return tuple([_pick(kind, key, operands, y, params, active) for kind, key in self.inputs])


def _pick(
    kind: str, key: Any, operands: tuple[Any, ...], y: Any, params: Params, active: tuple[bool, ...]
) -> Any:
    if kind == "operand":
        return operands[key]
    if kind == "y":
        return y
    if kind == "param":
        return params[key]
    if kind == "shape":
        return shape_of(operands[key])
    if kind == "operands":
        return operands
    if kind == "shapes":
        return tuple([shape_of(x) for x in operands])
    return active


def shape_of(x: Any) -> tuple[int, ...]:
    """Shape of an operand; Python numbers are 0-d."""
    return x.shape if hasattr(x, "shape") else ()


@dataclass(frozen=True, slots=True)
class Signature:
    """What registration derives from a record: names, defaults, resolved rules, by operand position."""

    operands: tuple[str, ...]
    variadic: bool
    defaults: Params
    jvp: tuple[RuleInputs | None, ...]
    vjp: tuple[RuleInputs | None, ...]
    differentiable: bool

    @staticmethod
    def of(op: Op) -> Signature:
        if isinstance(op.forward, np.ufunc):  # its signature differs between NumPy versions
            parameters: list[inspect.Parameter] = []
            operands: tuple[str, ...] = ("x",) if op.forward.nin == 1 else ("x1", "x2")
        else:
            parameters = list(inspect.signature(op.forward).parameters.values())
            operands = tuple(p.name for p in parameters if p.default is p.empty)
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        if variadic and len(operands) != 1:
            raise RegistrationError(
                f"op {op.name!r}: a variadic op takes *{operands[-1]} alone, got operands {operands}"
            )
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        names = _Names(op.name, operands, variadic, frozenset(defaults))
        if (op.jvp is None) != (op.vjp is None):
            raise RegistrationError(
                f"op {op.name!r}: give both jvp and vjp, or neither (derivative zero wherever it exists)"
            )
        if not callable(op.rounding):
            raise RegistrationError(
                f"op {op.name!r}: a rounding rule is required (see refgrad.bounds), got {op.rounding!r}"
            )
        return Signature(
            operands,
            variadic,
            defaults,
            names.resolve("jvp", op.jvp),
            names.resolve("vjp", op.vjp),
            op.jvp is not None,
        )

    def bind(self, args: tuple[Any, ...], kwargs: Params) -> tuple[tuple[Any, ...], Params]:
        """Sort a call's arguments into operands and parameters as Python would for ``forward``."""
        operands, params = list(args), dict(kwargs)
        for name, value in zip(self.defaults, args[len(self.operands) :], strict=False):
            if name in params:
                raise TypeError(f"argument {name!r} is given twice, by position and by name")
            params[name] = value
        del operands[len(self.operands) :]
        for name in self.operands[len(operands) :]:
            if name not in params:
                raise TypeError(
                    f"missing operand {name!r}: expected operands {self.operands}, got {len(args)} positional"
                )
            operands.append(params.pop(name))
        unknown = params.keys() - self.defaults.keys()
        if unknown or len(args) > len(self.operands) + len(self.defaults):
            raise NoRuleError(
                f"argument {sorted(unknown) or len(args)} is not supported; refgrad knows {tuple(self.defaults)}"
            )
        return tuple(operands), params


@dataclass(frozen=True, slots=True)
class _Names:
    """Resolves the parameter names of rules for one op."""

    op: str
    operands: tuple[str, ...]
    variadic: bool
    params: frozenset[str]

    def resolve(self, mode: str, rules: Rule | Mapping[str, Rule] | None) -> tuple[RuleInputs | None, ...]:
        if rules is None:
            return (None,) * len(self.operands)
        if callable(rules):
            if len(self.operands) != 1:
                raise RegistrationError(
                    f"op {self.op!r}: {mode} needs one rule for each of {self.operands}, got a single one"
                )
            rules = {self.operands[0]: rules}
        unknown = set(rules) - set(self.operands)
        if unknown:
            raise RegistrationError(
                f"op {self.op!r}: {mode} has a rule for {sorted(unknown)}, but the operands are {self.operands}"
            )
        return tuple(
            self._inputs(mode, name, rules[name]) if name in rules else None for name in self.operands
        )

    def _inputs(self, mode: str, operand: str, rule: Rule) -> RuleInputs:
        names = list(inspect.signature(rule).parameters)
        first = f"{operand}_dot" if mode == "jvp" else "y_bar"
        if not names or names[0] != first:
            raise RegistrationError(
                f"op {self.op!r}: the first parameter of the {mode} rule for {operand!r} is {first!r}, got {names[:1]}"
            )
        return RuleInputs(rule, tuple(self._pick(mode, name) for name in names[1:]))

    def _pick(self, mode: str, name: str) -> tuple[str, Any]:
        if self.variadic:
            special = {
                self.operands[0]: "operands",
                f"{self.operands[0]}_shape": "shapes",
                "active": "active",
            }
            if name in special:
                return special[name], 0
        elif name in self.operands:
            return "operand", self.operands.index(name)
        elif name.removesuffix("_shape") in self.operands:
            return "shape", self.operands.index(name.removesuffix("_shape"))
        if name == "y":
            return "y", 0
        if name in self.params:
            return "param", name
        raise RegistrationError(
            f"op {self.op!r}: a {mode} rule asks for {name!r}; it may ask for operands {self.operands}, y, "
            f"their shapes (x_shape), or parameters {sorted(self.params)}"
        )


def register(name: str, forward: Callable[..., Any], **fields: Any) -> Op:
    """Make an op, check its record and enter it in the registry.

    Raises RegistrationError when the record contradicts itself or a name or NumPy function is taken.
    """
    op = Op(name=name, forward=forward, **fields)
    if name in REGISTRY:
        raise RegistrationError(f"op {name!r} is registered twice")
    for function in op.numpy:
        if function in BY_FUNCTION:
            raise RegistrationError(
                f"op {name!r}: {function!r} already leads to op {BY_FUNCTION[function].name!r}"
            )
    BY_FUNCTION.update(dict.fromkeys(op.numpy, op))
    REGISTRY[name] = op
    return op
