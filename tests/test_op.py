"""The record of one op: what registration refuses, what rules may ask for, how calls are bound."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad import bounds, ops
from refgrad.domain import POSITIVE_LINE, Domain, Interval, Special, between
from refgrad.errors import NoRuleError, RegistrationError
from refgrad.formula import Formula
from refgrad.op import BY_FUNCTION, BY_METHOD, REGISTRY, Op, Traced, apply, new_level, register, shape_of
from refgrad.op.traits import ELEMENTWISE, InGraphs, Notation


def op(forward: Any = lambda x, scale=1.0: scale * x, **fields: Any) -> Op:
    """An op that is not in the registry."""
    record = {"jvp": lambda x_dot: x_dot, "vjp": lambda y_bar: y_bar, "rounding": bounds.same} | fields
    return Op(name="probe", forward=forward, **record)


# --- registration ------------------------------------------------------------------------------------------------------


def two(x1: Any, x2: Any) -> Any:
    return x1 + x2


TWO = {
    "forward": two,
    "jvp": {"x1": lambda x1_dot: x1_dot, "x2": lambda x2_dot: x2_dot},
    "vjp": {"x1": lambda y_bar: y_bar, "x2": lambda y_bar: y_bar},
}
REFUSED = {
    "a variadic op takes \\*xs alone": {"forward": lambda a, *xs: a},
    "give both jvp and vjp, or neither": {"vjp": None},
    "a rounding rule is required .* got None": {"rounding": None},
    "jvp needs one rule for each of \\('x1', 'x2'\\), got a single one": {"forward": two},
    "vjp has a rule for \\['z'\\], but the operands are \\('x',\\)": {"vjp": {"z": lambda y_bar: y_bar}},
    "the first parameter of the jvp rule for 'x' is 'x_dot', got \\['t'\\]": {"jvp": lambda t: t},
    "the first parameter of the vjp rule for 'x' is 'y_bar', got \\[\\]": {"vjp": lambda: 0.0},
    "a jvp rule asks for 'axis'; it may ask for operands \\('x',\\), y, .* parameters \\['scale'\\]": {
        "jvp": lambda x_dot, axis: x_dot
    },
    "a vjp rule asks for 'z_shape'": {"vjp": lambda y_bar, z_shape: y_bar},
    "a vjp rule asks for 'active'": {"vjp": lambda y_bar, active: y_bar},
    # functions
    "the rounding rule takes one argument, an Evaluation .* got parameters \\('fmt', 'y'\\)": {
        "rounding": lambda fmt, y: None
    },
    "no library's ULP figure of 'expp' is recorded. Is 'exp' meant\\? Give the figure as a number": {
        "rounding": lambda run: run.fmt.ulp("expp")
    },
    "the twin takes \\('torch', 'x', 'scale'\\) like forward, got parameters \\('torch', 'x'\\)": {
        "torch": lambda torch, x: x
    },
    "numpy lists functions, got 'exp'": {"numpy": ("exp",)},
    "reduces names a NumPy ufunc of two operands, got <ufunc 'exp'>": {"reduces": np.exp},
    "accumulates names a NumPy ufunc of two operands, got <built-in function sum>": {"accumulates": sum},
    # domain
    "the domain has 2 intervals for 1 operand \\('x',\\)": {"domain": Domain((POSITIVE_LINE, POSITIVE_LINE))},
    "the domain has no interval": {"domain": Domain(())},
    "the interval from 2.0 to 1.0; the lower end comes first": {"domain": between(2.0, 1.0)},
    "from 0.0 to 1.0 leaves out 3.0, which does not lie inside": {"domain": Domain((Interval(0.0, 1.0, 3.0),))},
    # special points
    "special point 'pole': at gives 2 operands, expected 1": {"special": (Special((0.0, 1.0), 0.0, (None, None), "pole"),)},
    "special point 'pole': allowed gives 2 intervals for 1 operands": {
        "special": (Special((0.0,), 0.0, (None, None), "pole"),)
    },
    "unknown parameter \\['base'\\]; the op has \\('scale',\\)": {
        "special": (Special((0.0,), 0.0, (None,), "pole", (("base", 2.0),)),)
    },
    "allowed is an interval \\(low, high\\), got \\(1.0,\\)": {"special": (Special((0.0,), 0.0, ((1.0,),), "kink"),)},
    "reversed interval \\(1.0, 0.0\\)": {"special": (Special((0.0,), 0.0, ((1.0, 0.0),), "kink"),)},
    # traits
    "operands broadcast against each other, and there is one: \\('x',\\)": {"broadcasts": True},
    "commutes speaks of the order of operands": {"commutes": True},
    "core=2 .* needs broadcasts=True": {"core": 2},
    "core=2 contradicts elementwise=True": {**TWO, "core": 2, "broadcasts": True, "elementwise": True},
    "an elementwise op of several operands broadcasts them": {**TWO, "elementwise": True},
    "complex_rules is one of .* a function or None, got 'conjugate'": {"complex_rules": "conjugate"},
    "by_parts says how complex values are bounded, and the op refuses": {"by_parts": lambda op, operands, params: operands},
    "singular is one of .* got 'raises'": {"singular": "raises"},
    "singular='pole' speaks of matrices": {"singular": "pole", "elementwise": True},
    "view says that the value shares the memory of its one operand": {**TWO, "view": True},
    "a helper stands in rules alone, and numpy=": {"helper": True, "numpy": (np.sin,)},
    "notation.with_number is for ops of two operands": {"notation": Notation(with_number=("{}", "{}"))},
    "in_graphs names the pool 'many'; one of": {"in_graphs": InGraphs("many", 0)},
    "in_graphs draws the op for a comparison with torch, and it has no twin": {"in_graphs": InGraphs(ELEMENTWISE, 0)},
    "in_graphs has weight 0": {
        "in_graphs": InGraphs(ELEMENTWISE, 0, weight=0), "torch": lambda torch, x, scale: scale * x
    },
    "picks speaks of derivatives, and the op has none": {"picks": True, "jvp": None, "vjp": None},
    "branch_free contradicts picks": {"picks": True, "branch_free": True},
    "branch_free contradicts the special point 'kink'": {
        "branch_free": True, "special": (Special((0.0,), 0.0, ((0.0, 1.0),), "kink"),)
    },
    "slopes and unit_slopes both say": {"slopes": (lambda mp, x: 1,), "unit_slopes": True, "elementwise": True},
    "slopes gives 2 functions for the operands \\('x',\\)": {"slopes": (lambda mp, x: 1, lambda mp, x: 1), "elementwise": True},
    "a slope takes mpmath and the operands \\('x',\\), got parameters \\('x',\\)": {"slopes": (lambda x: 1,), "elementwise": True},
    "the first parameter of the vjp rule for 'x' is 'y_bar', got \\['g'\\]": {
        "usual": (Formula("short", jvp=lambda x_dot: x_dot, vjp=lambda g: g),)
    },
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_a_record_that_contradicts_itself_is_refused(message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        op(**REFUSED[message])


@pytest.mark.parametrize(
    "word", [bounds.monotone, lambda name: bounds.smooth(name, np.cos, 1.0), bounds.corners]
)
def test_a_word_for_rounding_takes_a_figure_that_is_recorded(word: Any) -> None:
    with pytest.raises(
        RegistrationError, match=r"no library's ULP figure of 'arcsine' is recorded. Is 'arcsin' meant"
    ):
        word("arcsine")
    assert callable(word("arcsin"))
    assert callable(word(1.5))


def test_figures_are_looked_up_in_every_table() -> None:
    tables = [set(fmt.ulp_table) for fmt in bounds.FORMATS.values()]
    assert tables
    assert all(table == tables[0] for table in tables)


def test_a_sound_record_is_accepted() -> None:
    assert op().signature.operands == ("x",)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(RegistrationError, match="op 'add' is registered twice"):
        register("add", lambda x: x, jvp=None, vjp=None, rounding=bounds.same)


def test_a_numpy_function_leads_to_one_op_and_a_refusal_leaves_no_trace() -> None:
    def fresh(x: Any) -> Any:
        return x

    with pytest.raises(RegistrationError, match="op 'probe': <ufunc 'add'> already leads to op 'add'"):
        register("probe", lambda x: x, jvp=None, vjp=None, rounding=bounds.same, numpy=(fresh, np.add))
    assert "probe" not in REGISTRY
    assert fresh not in BY_FUNCTION


def test_a_method_of_a_ufunc_leads_to_one_op() -> None:
    with pytest.raises(RegistrationError, match=r"op 'probe': np.add.reduce already leads to op 'sum'"):
        register("probe", lambda x: x, jvp=None, vjp=None, rounding=bounds.same, reduces=np.add)
    assert "probe" not in REGISTRY
    assert BY_METHOD[np.add, "accumulate"].name == "cumsum"


def test_the_home_of_a_record_is_the_module_that_registers_it() -> None:
    assert REGISTRY["sum"].home == "refgrad.ops.reduction"
    assert REGISTRY["exp"].home == "refgrad.ops.exponential"


def test_the_registry_is_consistent() -> None:
    calls = [
        call
        for path in Path(ops.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "register"
    ]
    named = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    assert sorted(named) == sorted(REGISTRY)  # a record that no import reaches is missing here
    assert all(record.name == name for name, record in REGISTRY.items())
    assert {id(o) for o in BY_FUNCTION.values()} <= {id(o) for o in REGISTRY.values()}


# --- what rules ask for ------------------------------------------------------------------------------------------------


def test_a_rule_receives_what_it_names() -> None:
    seen: list[Any] = []

    def rule(y_bar: Any, x_shape: Any, y: Any, scale: Any, x: Any) -> Any:
        seen.append((x_shape, y, scale, x))
        return y_bar

    needs = op(vjp=rule).signature.vjp[0]
    assert needs is not None
    x, y = np.ones(3), np.zeros(2)
    needs.rule(1.0, *needs.collect((x,), y, {"scale": 7.0}, (True,)))
    assert seen[0][0] == (3,)
    assert seen[0][1] is y
    assert seen[0][2] == 7.0
    assert seen[0][3] is x


def test_a_variadic_rule_receives_all_operands_their_shapes_and_who_is_active() -> None:
    record = op(
        forward=lambda *xs: sum(xs), jvp=lambda xs_dot: xs_dot[0], vjp=lambda y_bar, xs, xs_shape, active: ()
    )
    needs = record.signature.vjp[0]
    assert needs is not None
    xs = (np.ones(2), 3.0)
    assert needs.collect(xs, None, {}, (True, False)) == (xs, ((2,), ()), (True, False))


def test_an_operand_without_a_rule_has_none() -> None:
    record = op(forward=two, jvp={"x1": lambda x1_dot: x1_dot}, vjp={"x1": lambda y_bar: y_bar})
    assert record.signature.vjp[1] is None
    assert record.signature.jvp[1] is None


def test_an_op_without_rules_is_not_differentiable() -> None:
    assert not op(jvp=None, vjp=None).signature.differentiable
    assert op().signature.differentiable


@pytest.mark.parametrize(("x", "shape"), [(2.0, ()), (np.float32(1), ()), (np.ones((2, 3)), (2, 3))])
def test_shape_of(x: Any, shape: tuple[int, ...]) -> None:
    assert shape_of(x) == shape


# --- calls -------------------------------------------------------------------------------------------------------------


def weighted(x1: Any, x2: Any, scale: float = 1.0, shift: float = 0.0) -> Any:
    return scale * (x1 - x2) + shift


WEIGHTED = op(
    forward=weighted,
    jvp={"x1": lambda x1_dot, scale: scale * x1_dot, "x2": lambda x2_dot, scale: -scale * x2_dot},
    vjp={"x1": lambda y_bar, scale: scale * y_bar, "x2": lambda y_bar, scale: -scale * y_bar},
)


def test_calls_bind_as_python_binds_forward() -> None:
    assert WEIGHTED(5.0, 3.0) == 2.0
    assert WEIGHTED(5.0, 3.0, 10.0) == 20.0
    assert WEIGHTED(5.0, 3.0, 10.0, 1.0) == 21.0
    assert WEIGHTED(5.0, x2=3.0, shift=1.0) == 3.0
    assert WEIGHTED(x2=3.0, x1=5.0) == 2.0


def test_a_missing_operand_is_named() -> None:
    with pytest.raises(TypeError, match="missing operand 'x2': expected operands \\('x1', 'x2'\\), got 1"):
        WEIGHTED(5.0)


def test_an_unknown_argument_is_never_passed_over() -> None:
    with pytest.raises(
        NoRuleError, match="argument \\['where'\\] is not supported; refgrad knows \\('scale', 'shift'\\)"
    ):
        WEIGHTED(5.0, 3.0, where=True)
    with pytest.raises(NoRuleError, match="argument 5 is not supported"):
        WEIGHTED(5.0, 3.0, 1.0, 0.0, 9.0)


def test_an_argument_given_twice_is_refused() -> None:
    with pytest.raises(TypeError, match="'scale' is given twice"):
        WEIGHTED(5.0, 3.0, 2.0, scale=3.0)


def test_the_highest_level_interprets() -> None:
    class Probe(Traced):
        def __init__(self, level: int) -> None:
            self._level = level

        @classmethod
        def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Any, top: Any) -> Any:
            return op, operands, params, top

    inner, outer = Probe(new_level()), Probe(new_level())
    record = op(forward=two, jvp=None, vjp=None)
    for operands in ((inner, outer), (outer, inner)):
        assert apply(record, operands, {"p": 1}) == (record, operands, {"p": 1}, outer)


def test_levels_rise() -> None:
    assert 0 < new_level() < new_level()


# --- order -------------------------------------------------------------------------------------------------------------

TABLES = """
import importlib, pkgutil, sys
import refgrad.ops
names = [m.name for m in pkgutil.iter_modules(refgrad.ops.__path__)]
import refgrad.op.registry as registry
for table in (registry.REGISTRY, registry.BY_FUNCTION, registry.BY_METHOD):
    table.clear()
for name in [m for m in sys.modules if m.startswith("refgrad.ops.")]:
    del sys.modules[name]
for name in sorted(names, reverse={reverse}):
    importlib.import_module("refgrad.ops." + name)
print(sorted(registry.REGISTRY))
print(sorted((f.__name__, op.name) for f, op in registry.BY_FUNCTION.items()))
print(sorted((f.__name__, method, op.name) for (f, method), op in registry.BY_METHOD.items()))
"""


def test_files_may_register_in_any_order() -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    printed = [
        subprocess.run(
            [sys.executable, "-c", TABLES.format(reverse=reverse)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for reverse in (False, True)
    ]
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 3
