"""What registration derives from the functions of a record: operands, parameters, and what each rule asks for."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from refgrad.arrays import Params
from refgrad.errors import NoRuleError, RegistrationError

Rule = Callable[..., Any]
Rules = Rule | Mapping[str, Rule] | None


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """A rule with the list of what its signature asks for, resolved to places."""

    rule: Rule
    # (kind, key): ("operand", i) ("y", 0) ("shape", i) ("param", name) ...
    inputs: tuple[tuple[str, Any], ...]

    def collect(
        self, operands: tuple[Any, ...], y: Any, params: Params, active: tuple[bool, ...]
    ) -> tuple[Any, ...]:
        """The arguments of the rule after its first one, in order."""
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
    """The shape of an operand; () for a Python number."""
    return x.shape if hasattr(x, "shape") else ()


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """The names of a function's parameters, in order.

    Those of a plain function are read from its code: registration asks for a thousand signatures, and inspect needs 20 us for each.
    """
    if not plain_function(function):
        return list(inspect.signature(function).parameters)
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount])


def plain_function(function: Any) -> TypeGuard[types.FunctionType]:
    """Whether all parameters of a function are positional ones that also have a name, and it wraps no other."""
    if type(function) is not types.FunctionType or function.__dict__:
        return False
    code = function.__code__
    return (
        not code.co_kwonlyargcount
        and not code.co_posonlyargcount
        and not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    )


@dataclass(frozen=True, slots=True)
class Signature:
    """The names of operands, the defaults of parameters, and the resolved rules by position of the operand.

    A variadic op has one name in ``operands``, and one rule.
    """

    operands: tuple[str, ...]
    variadic: bool
    defaults: Params
    jvp: tuple[RuleInputs | None, ...]
    vjp: tuple[RuleInputs | None, ...]
    differentiable: bool

    @staticmethod
    def of(name: str, forward: Callable[..., Any], jvp: Rules, vjp: Rules) -> Signature:
        """The signature of an op of this name. Raises RegistrationError where the functions do not fit each other."""
        if isinstance(forward, np.ufunc):  # its signature differs between NumPy versions
            parameters: list[inspect.Parameter] = []
            operands: tuple[str, ...] = ("x",) if forward.nin == 1 else ("x1", "x2")
        else:
            parameters = list(inspect.signature(forward).parameters.values())
            operands = tuple(p.name for p in parameters if p.default is p.empty)
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        if variadic and len(operands) != 1:
            raise RegistrationError(
                f"op {name!r}: a variadic op takes *{operands[-1]} alone, got operands {operands}"
            )
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        if (jvp is None) != (vjp is None):
            raise RegistrationError(
                f"op {name!r}: give both jvp and vjp, or neither (derivative zero wherever it exists)"
            )
        names = _Names(name, operands, variadic, frozenset(defaults))
        return Signature(
            operands,
            variadic,
            defaults,
            names.resolve("jvp", jvp),
            names.resolve("vjp", vjp),
            jvp is not None,
        )

    def bind(self, args: tuple[Any, ...], kwargs: Params) -> tuple[tuple[Any, ...], Params]:
        """Sort a call's arguments into operands and parameters as Python would for ``forward``.

        Raises TypeError for a missing operand or an argument that is given twice, NoRuleError for an unknown one.
        """
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

    def resolve(self, mode: str, rules: Rules) -> tuple[RuleInputs | None, ...]:
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
        names = parameter_names(rule)
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
