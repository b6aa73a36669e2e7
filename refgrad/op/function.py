"""Functions: compositions of ops that a framework computes by one call, such as a normalization layer or a loss.

A function is no op. Users call it like any other NumPy code, and its derivatives are those of the ops in it. A case treats a call of it
like one op: the framework is asked for its own function, and value, derivatives of first and second order and error bounds are those of
the composition. The record of a function stands beside its definition (``twin``), and nothing else lists it. Its name has a dot
("nn.layer_norm"), which the name of an op has not.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from refgrad.arrays import Params
from refgrad.domain import REAL_LINE, Domain, Sample
from refgrad.errors import RegistrationError
from refgrad.formula import Formula
from refgrad.op.draws import Draws, Seeded
from refgrad.op.record import OpRecord
from refgrad.op.registry import REGISTRY, Op
from refgrad.op.signature import Signature
from refgrad.op.traits import NO_MISTAKES, Mistakes

Composition = TypeVar("Composition", bound=Callable[..., Any])
Drawer = Callable[[Draws], Mapping[str, Any]]

FUNCTIONS: dict[str, Function] = {}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Function(OpRecord):
    """A composition of ops with a twin. ``twin`` makes and registers it; its fields are those of an op's record that hold for both.

    A call of it has operands, the arguments that are arrays, and parameters, all others. A node binds its operands, in order, to the names
    that its parameters leave open: without a bias, ``bias`` is a parameter that is None. ``forward`` and ``torch`` take calls in this form.

    composition  the function as users call it
    names        the names of its arguments, in order
    draw         draws the arguments of a call
    plain        the operands of floating-point numbers that are not differentiated
    formats      the formats in which the framework is asked for it; empty: all
    grid         whether calls on a grid are drawn, where a call may round nothing
    """

    composition: Callable[..., Any]
    names: tuple[str, ...]
    draw: Drawer
    plain: frozenset[str]
    formats: frozenset[str]
    grid: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", Signature(self.names, False, {}, (), (), True))

    def __repr__(self) -> str:
        return f"<function {self.name}>"

    @property
    def of_whole(self) -> tuple[Formula, ...]:
        """The other formulas of the whole function. Before them ``usual`` has the one by the other formulas of its ops."""
        return self.usual[1:]

    def operands(self, params: Params) -> tuple[str, ...]:
        """The names of the operands of a call with these parameters."""
        return tuple([name for name in self.names if name not in params])

    def completed(self, params: Params, count: int) -> Params:
        """The parameters of a call with ``count`` operands, with defaults for the last arguments that neither operands nor they give."""
        absent = self.operands(params)[count:]
        defaults = _defaults(self.composition)
        return {**params, **{name: defaults[name] for name in absent if name in defaults}}

    def drawn(self, draws: Draws) -> Params:
        """The arguments of a call, all by name. Raises RegistrationError where the drawer gives others than the function takes."""
        given = {**_defaults(self.composition), **self.draw(draws)}
        if given.keys() != {*self.names}:
            raise RegistrationError(
                f"function {self.name!r}: draw returned the arguments {sorted(given)}, the function takes {list(self.names)}"
            )
        return {name: given[name] for name in self.names}


def twin(
    *,
    torch: Callable[..., Any],
    draw: Drawer,
    plain: Iterable[str] = (),
    usual: tuple[Formula, ...] = (),
    mistakes: Mistakes = NO_MISTAKES,
    sums: bool = True,
    formats: Iterable[str] = (),
    output: int | None = None,
    grid: bool = True,
) -> Callable[[Composition], Composition]:
    """Declare the decorated function for the suite; it stays as it is.

    torch     receives the torch module, and then the arguments of the function in their order
    draw      draws the arguments of a call from ``Draws``: a mapping by name. Arrays are operands, everything else is a parameter. An
              argument that is left out has its default. Operands of floating-point numbers are differentiated.
    plain     the names of such operands that are not, because the framework has no derivative in them
    usual     other formulas in use for the whole function, as functions of its arguments by name (refgrad.formula). The other formulas
              of the ops in it need no entry.
    mistakes  errors that kernels of it have had
    sums      whether the value, or a derivative in one operand, adds up many terms
    formats   the formats in which the framework has it; by default all, and its refusals are recorded
    output    of a function that returns a tuple for all or some arguments, the place in it of the array that is judged; ``torch`` returns
              that array alone
    grid      whether calls on a grid are drawn, where a call may round nothing. Not where the integers make all probabilities 0 or 1: that
              tells little, and half formats overflow on the way

    Raises RegistrationError where the arguments contradict each other, or the function is declared twice.
    """

    def declare(composition: Composition) -> Composition:
        name, names = _name(composition), _names(composition)
        if name in FUNCTIONS:
            raise RegistrationError(f"function {name!r} is declared twice")
        if len(_names(torch)) != 1 + len(names):
            raise RegistrationError(
                f"function {name!r}: torch= takes the torch module and the arguments {list(names)}, got {list(_names(torch))}"
            )
        if set(plain) - {*names}:
            raise RegistrationError(
                f"function {name!r}: plain names {sorted(set(plain) - {*names})}, its arguments are {list(names)}"
            )
        judged = composition if output is None else functools.partial(_chosen, composition, output)
        forward = functools.partial(_called, judged, names)
        others = [Formula("its ops by other formulas", function=forward)]
        for f in usual:
            if f.function is None:
                raise RegistrationError(
                    f"function {name!r}: formula {f.why!r} has rules; give a composition, function="
                )
            others.append(
                Formula(f.why, function=functools.partial(_called, f.function, names), blind=f.blind)
            )

        def sampled(rng: np.random.Generator) -> Sample:
            arguments = FUNCTIONS[name].drawn(Draws(Seeded(rng)))
            operands, params = split(arguments)
            return tuple(operands.values()), params

        FUNCTIONS[name] = Function(
            name=name,
            forward=forward,
            jvp=None,
            vjp=None,
            rounding=_no_rule,
            torch=functools.partial(_twin_called, torch, names),
            # At a jump of one of its ops the value lies on one side of it.
            domain=Domain((REAL_LINE,), sampled, smooth=False),
            usual=tuple(others),
            sums=sums,
            mistakes=mistakes,
            home=composition.__module__,
            composition=composition,
            names=names,
            draw=draw,
            plain=frozenset(plain),
            formats=frozenset(formats),
            grid=grid,
        )
        return composition

    return declare


def known(name: str) -> Op | Function | None:
    """The op or function of a name, as a case names it; None where there is none."""
    return REGISTRY.get(name) or FUNCTIONS.get(name)


def split(arguments: Params) -> tuple[Params, Params]:
    """Arguments of a call as operands, which are arrays, and parameters."""
    operands = {name: x for name, x in arguments.items() if isinstance(x, np.ndarray)}
    return operands, {name: x for name, x in arguments.items() if name not in operands}


def _name(composition: Callable[..., Any]) -> str:
    """What users call the function below refgrad, such as "nn.layer_norm"; of a module elsewhere the whole path."""
    room, _, rest = composition.__module__.partition(".")
    return f"{rest.partition('.')[0] if room == 'refgrad' else composition.__module__}.{composition.__name__}"


def _called(composition: Callable[..., Any], names: tuple[str, ...], *operands: Any, **params: Any) -> Any:
    """A composition called with operands for the names that the parameters leave open."""
    return composition(**_bound(names, operands, params))


def _chosen(composition: Callable[..., Any], output: int, **arguments: Any) -> Any:
    found = composition(**arguments)
    return found[output] if isinstance(found, tuple) else found


def _twin_called(
    twin_: Callable[..., Any], names: tuple[str, ...], module: Any, *operands: Any, **params: Any
) -> Any:
    """A twin called so. It receives the framework's module, and all arguments in their order."""
    given = _bound(names, operands, params)
    return twin_(module, *[given[name] for name in names])


def _bound(names: tuple[str, ...], operands: tuple[Any, ...], params: Params) -> Params:
    vacant = [name for name in names if name not in params]
    return {**dict(zip(vacant, operands, strict=False)), **params}


def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments of a function. Raises RegistrationError for one that takes any number of them."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY) for p in parameters):
        raise RegistrationError(f"{function!r}: every argument has to have a name")
    return tuple([p.name for p in parameters])


def _defaults(function: Callable[..., Any]) -> Params:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _no_rule(_: Any) -> Any:
    raise NotImplementedError("a function has no rounding rule: its bounds are those of the ops in it")


__all__ = ["FUNCTIONS", "Function", "known", "split", "twin"]
