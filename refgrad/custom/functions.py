"""custom_vjp and custom_jvp: a function with a user-defined derivative, which replaces the derivative of its code.

The rule is NumPy code like any other: outer transformations differentiate it, and over Balls it carries its own rounding. One rule
gives both modes, the second by transposition (see transpose.py). Names and signatures are those of JAX.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arguments import called, function
from refgrad.custom.call import Call, Pull
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.quiet import quiet
from refgrad.tracing.copies import snapshot
from refgrad.tracing.forward import Dual
from refgrad.tracing.reverse import VARIABLES

Function = Callable[..., Any]


class _Custom:
    """What both share: arguments by position, those without a derivative, and which level interprets the call."""

    kind = ""
    setter = ""

    def __init__(self, f: Function, nondiff_argnums: int | Sequence[int] = ()) -> None:
        function(f, self.kind)
        self.f = f
        self.nondiff = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        self.name = getattr(f, "__name__", repr(f))
        functools.update_wrapper(self, f, updated=())

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def _has_rule(self) -> bool:
        raise NotImplementedError

    def _forward(self, call: Call) -> Any:
        raise NotImplementedError

    def _reverse(self, call: Call) -> Any:
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._has_rule():
            raise NoRuleError(
                f"{self.kind}: {self.name} has no rule yet. Give it one: {self.name}.{self.setter}"
            )
        args = self._by_position(args, kwargs)
        call = Call(f"{self.kind} {self.name}", args, self._positions(len(args)))
        if isinstance(call.top, Dual):
            call.top._alone()
            return self._forward(call)
        if type(call.top) in VARIABLES:
            return self._reverse(call)
        if call.level > 0:
            raise NoRuleError(
                f"{self.kind}: {self.name} was called with {type(call.top).__name__} arrays. A graph is made of ops and cannot hold "
                "the derivative of a function of your own, and a rule may not apply such a function to tangents or cotangents. "
                "Record or apply the code inside."
            )
        y = called(self.f, args)
        call.refuse_strangers(y, "the value")
        return y

    def _by_position(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, with defaults: the form in which rules get them. Functions of NumPy get what was passed."""
        signature = None
        if not isinstance(self.f, np.ufunc) and not str(getattr(self.f, "__module__", "")).startswith(
            "numpy"
        ):
            with contextlib.suppress(ValueError):  # written in C
                signature = inspect.signature(self.f)
        if signature is None:
            if kwargs:
                raise ArgumentError(
                    f"{self.kind}: {self.name} was called with {sorted(kwargs)} by name; pass all arguments by position"
                )
            return args
        bound = signature.bind(*args, **kwargs)
        if bound.kwargs:
            raise ArgumentError(
                f"{self.kind}: {self.name} takes {sorted(bound.kwargs)} by name alone; rules get arguments by position. "
                "Leave out the * in its signature."
            )
        bound.apply_defaults()
        return bound.args

    def _positions(self, count: int) -> tuple[int, ...]:
        for k in self.nondiff:
            if not -count <= k < count:
                raise ArgumentError(
                    f"{self.kind}: nondiff_argnums={self.nondiff} names argument {k}, but {self.name} has {count}"
                )
        return tuple(sorted(k % count for k in self.nondiff))


class custom_vjp(_Custom):  # noqa: N801 - the field's name
    """A function with a backward of its own, as ``jax.custom_vjp``.

    ::

        @rg.custom_vjp
        def f(x, scale): ...

        def fwd(x, scale): ...             # the value, and anything that the backward needs: (y, residuals)
        def bwd(residuals, y_bar): ...     # one cotangent for each argument: (x_bar, scale_bar)

        f.defvjp(fwd, bwd)

    y_bar has the structure, shapes and dtypes of y, each cotangent those of its argument; None stands for zeros. Arguments and
    results may be nested containers of arrays. For an integer array, and for anything that is no array, the cotangent
    is ignored. ``nondiff_argnums`` are the positions of arguments that may not be differentiated; bwd gets them first:
    ``bwd(scale, residuals, y_bar)``.

    Reverse mode calls bwd. Forward mode applies the transpose of bwd, which has to be linear in y_bar. Outer transformations differentiate
    fwd and bwd. A call with plain arrays runs ``f`` itself. The transpose: Radul and others, "You only linearize once", POPL 2023.

    Raises NoRuleError without a rule, ArgumentError for cotangents of the wrong number, structure or shape and, in forward mode, for a bwd
    that is not linear, TracingError for traced arrays that f or a rule reads from outside its arguments.
    """

    kind = "custom_vjp"
    setter = "defvjp(fwd, bwd)"

    def __init__(self, f: Function, nondiff_argnums: int | Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.fwd: Function | None = None
        self.bwd: Function | None = None

    def defvjp(self, fwd: Function, bwd: Function) -> None:
        """Set the rule: ``fwd(*args) -> (y, residuals)`` and ``bwd(residuals, y_bar) -> tuple of cotangents``."""
        function(fwd, f"defvjp of {self.name}, fwd")
        function(bwd, f"defvjp of {self.name}, bwd")
        self.fwd, self.bwd = fwd, bwd

    def _has_rule(self) -> bool:
        return self.bwd is not None

    def _run(self, call: Call) -> Pull:
        assert self.fwd is not None
        y, residuals = call.pair(called(self.fwd, call.lowered), "fwd", "(y, residuals)")
        call.refuse_strangers(residuals, "a residual of fwd")
        call.result(y, "fwd")
        residuals, nondiff = snapshot(residuals), snapshot(call.nondiff)

        def back(y_bars: list[Any]) -> list[Any]:
            assert self.bwd is not None
            answer = called(self.bwd, (*nondiff, snapshot(residuals), call.cotangent_tree(y_bars)))
            return call.cotangents(answer, y_bars)

        return back

    def _forward(self, call: Call) -> Any:
        back = self._run(call)
        with quiet():
            push = call.transpose_of_backward(back, f"custom_vjp: the bwd of {self.name} in its cotangents")
            return call.duals(push(call.tangents()))

    def _reverse(self, call: Call) -> Any:
        return call.variables(self._run(call))


class custom_jvp(_Custom):  # noqa: N801 - the field's name
    """A function with a tangent rule of its own, as ``jax.custom_jvp``.

    ::

        @rg.custom_jvp
        def f(x, scale): ...

        @f.defjvp
        def f_jvp(primals, tangents):      # tuples, with one entry for each argument
            x, scale = primals
            x_dot, scale_dot = tangents
            return y, y_dot                # y_dot is linear in the tangents

    Tangents have the structure, shapes and dtypes of their primals, y_dot those of y. Arguments and results may be nested
    containers of arrays. The tangent of an integer array is zeros of float64, of anything that is no array None.
    ``nondiff_argnums`` are the positions of arguments that may not be differentiated; the rule gets them first:
    ``f_jvp(scale, primals, tangents)``.

    Forward mode calls the rule. Reverse mode applies the transpose of the rule in its tangents. Outer transformations differentiate the
    rule. A call with plain arrays runs ``f`` itself. The transpose: Radul and others, "You only linearize once", POPL 2023.

    Raises NoRuleError without a rule, ArgumentError for a tangent of the wrong structure or shape and, in reverse mode, for a rule
    that is not linear in its tangents, TracingError for traced arrays that f or the rule reads from outside its arguments.
    """

    kind = "custom_jvp"
    setter = "defjvp(rule)"

    def __init__(self, f: Function, nondiff_argnums: int | Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.rule: Function | None = None

    def defjvp(self, rule: Function) -> Function:
        """Set the rule ``rule(primals, tangents) -> (y, y_dot)`` and return it, so that this is a decorator."""
        function(rule, f"defjvp of {self.name}, the rule")
        self.rule = rule
        return rule

    def _has_rule(self) -> bool:
        return self.rule is not None

    def _push(self, call: Call) -> Pull:
        def push(x_dots: list[Any]) -> list[Any]:
            assert self.rule is not None
            answer = called(self.rule, (*call.nondiff, call.primals, call.tangent_trees(x_dots)))
            y, y_dot = call.pair(answer, "its rule", "(y, y_dot)")
            call.result(y, "the rule")
            return call.result_tangents(y_dot, x_dots)

        return push

    def _forward(self, call: Call) -> Any:
        with quiet():
            y_dots = self._push(call)(call.tangents())
        return call.duals(y_dots)

    def _reverse(self, call: Call) -> Any:
        with quiet():
            pull = call.transpose_of_push(
                self._push(call), f"custom_jvp: the rule of {self.name} in its tangents"
            )
        return call.variables(pull)
