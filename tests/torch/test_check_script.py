"""The script of a wrong answer: it runs without refgrad, exits with 1 while the answer is wrong, and with 0 for a right function."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence, Question  # noqa: E402  torch decides whether this module runs at all
from refgrad.testing.checks.script_text import run  # noqa: E402
from refgrad.testing.judging.verdict import DISAGREE, Element  # noqa: E402
from refgrad.torch.check_script import rerun  # noqa: E402
from tests import forked  # noqa: E402
from tests.torch.wrong_answers import RNG, X, evidence, script_of  # noqa: E402

SLOPE = 3.0
TABLE = torch.arange(200, dtype=torch.float64) / 7


def cube(x):
    """x³ / 3, whose derivative is x²."""
    return x**SLOPE / 3


class Square(torch.autograd.Function):
    """The backward forgets the 2."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * x * w, helper(x)

    @staticmethod
    def backward(ctx, g, h):
        x, w = ctx.saved_tensors
        return g * x * w + h, (g * x * x).sum(0)


class Derived(Square):
    """Its base is written out as well."""


def helper(x):
    return x * torch.nn.functional.relu(torch.ones(()))


def alone(text: str, folder: Path) -> tuple[int, str]:
    """Run a script in a process of its own, from a folder of its own, that cannot import refgrad."""
    path = folder / "script.py"
    blocked = "import sys\nsys.modules['refgrad'] = None\n"
    head, future, rest = text.partition("from __future__ import annotations\n")
    path.write_text(head + future + blocked + rest, encoding="utf-8")
    done = forked.run(path, folder=folder)
    return done.returncode, done.stdout + done.stderr


def closure():
    weight, names = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), {"k": 2}

    def inner(x):
        return x * weight ** names["k"]

    return inner


CALLABLES = {
    "a function": (cube, (X,)),
    "a Function": (Square.apply, (X, np.ones(3))),
    "a derived Function": (Derived.apply, (X, np.ones(3))),
    "a lambda": (lambda x: cube(x) * 2, (X,)),
    "one lambda of two": ([lambda x: x.sin(), lambda x: x.cos()][1], (X,)),
    "a closure": (closure(), (X,)),
    "a part of a function": (functools.partial(torch.mul, other=torch.tensor(2.0)), (X,)),
    "torch's own": (torch.nn.functional.silu, (X,)),
    "torch's own kernel": (torch.tanh, (X,)),
    "a large constant": (lambda x: x * TABLE[: x.shape[-1]], (X,)),
    "other arguments": (
        lambda x, i, n, d: x[..., i] * n if d else x,
        (X, torch.tensor([0, 2]), 3, {"a": (1,)}),
    ),
    "a number": (lambda x: x * x, (np.array(1.5),)),
    "packed": (lambda x: x.exp(), (RNG.standard_normal((20, 20)),)),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_the_script_shows_the_disagreement(name: str) -> None:
    fn, inputs = CALLABLES[name]
    text = script_of(fn, evidence(fn, inputs))
    assert text.startswith("# gradcheck(it): gradient of input 0 is wrong in float64 on cpu.")
    assert run(text)[0] == 1
    right = script_of(fn, evidence(fn, inputs, factor=1.0))
    assert right.startswith(
        "# When it was written, this script did not show the disagreement: it exits with 0"
    )


@pytest.mark.parametrize("name", ["a function", "a derived Function", "a lambda", "a closure", "packed"])
def test_it_needs_no_refgrad(name: str, tmp_path: Path) -> None:
    fn, inputs = CALLABLES[name]
    code, description = alone(script_of(fn, evidence(fn, inputs)), tmp_path)
    assert code == 1, description
    assert "WRONG" in description
    assert "got" in description


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("mode", ["value", "reverse", "forward"])
def test_each_mode_and_dtype(mode: str, dtype: str) -> None:
    fn = lambda x, w: (x @ w, x.sin())  # noqa: E731
    held = evidence(
        fn, (RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))), dtype=dtype, mode=mode, index=1
    )
    text = script_of(fn, held, dtype)
    assert run(text)[0] == 1
    held.expected = held.expected / 2
    assert run(script_of(fn, held, dtype))[0] == 0


class OnlySecond(torch.autograd.Function):
    """Wrong where the first output carries no cotangent."""

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x.clone(), x.clone()

    @staticmethod
    def backward(ctx, g, h):
        return 3 * h if g is None else g + (0 if h is None else h)


@pytest.mark.parametrize(("used", "seeds"), [((1,), (None, X)), ((1,), (X,))])
def test_outputs_that_carry_no_cotangent(used: tuple[int, ...], seeds: tuple[object, ...]) -> None:
    held = Evidence(
        Question("reverse", active=(0,), used=used),
        (X,),
        seeds,
        0,
        3 * X,
        np.asarray(X, np.longdouble),
        0 * X,
    )
    assert run(script_of(OnlySecond.apply, held))[0] == 1
    held.seeds, held.question = (X, X), Question("reverse", active=(0,))
    held.expected = np.asarray(2 * X, np.longdouble)
    assert run(script_of(OnlySecond.apply, held))[0] == 0


def test_a_gradient_that_does_not_come() -> None:
    cut = lambda x, w: x.detach() * w  # noqa: E731
    x = np.ones(2)
    held = Evidence(
        Question("reverse", active=(0, 1)), (x, x), (x,), 0, None, np.ones(2, np.longdouble), 0 * x
    )
    assert run(script_of(cut, held))[0] == 1
    held.expected = np.zeros(2, np.longdouble)
    assert run(script_of(cut, held))[0] == 0


def test_the_last_bits_of_what_is_expected_are_kept() -> None:
    # Two thirds in long double lie between two float64 numbers, off the middle. The farther one is within its own distance,
    # the next one is not.
    due = np.longdouble(2) / 3
    near = float(due)
    up = near < due
    farther = float(np.nextafter(near, 1.0 if up else 0.0))
    other = float(np.nextafter(near, 0.0 if up else 1.0))
    bound = abs(float(farther - due))
    if float(due - near) == 0:
        pytest.skip("long double is float64 here")
    x = np.array(1.0)
    for value, code in ((near, 0), (farther, 0), (other, 1)):
        fn = lambda x, value: x * value  # noqa: E731
        held = Evidence(
            Question("reverse", active=(0,)),
            (x, value),
            (x,),
            0,
            np.array(9.0),
            np.array(due),
            np.array(bound),
        )
        assert run(script_of(fn, held))[0] == code


def test_an_infinity_is_within_no_bound() -> None:
    x = np.array([0.0, 1.0])
    held = Evidence(
        Question("reverse", active=(0,)), (x,), (np.ones(2),), 0, np.array([np.inf, 0.5]),
        np.array([3.0, 0.5], np.longdouble), np.array([np.inf, 0.0]),
    )  # fmt: skip
    assert run(script_of(torch.sqrt, held))[0] == 1
    held.got, held.expected = np.array([0.0, 2.0]), np.array([3.0, 2.0], np.longdouble)
    assert run(script_of(torch.square, held))[0] == 0


def test_only_wrong_elements_are_listed_where_others_are_imprecise() -> None:
    x = np.ones(2)
    held = Evidence(
        Question("reverse", active=(0,)), (x,), (x,), 0, 2 * x, np.asarray([1, 1.9], np.longdouble), 0 * x
    )
    wrong = Element(2.0, 1.0, 1e-14, 1e14, 1.0, (0,))
    part = ArrayVerdict("gradient of input 0", DISAGREE, evidence=held, wrong=[wrong])
    text = rerun(torch.square, "it")("float64", "reverse", part)
    assert "((0,), 1.0, 0.0, 1e-14)" in text
    assert "((1,), 1.9" not in text
    part.wrong = [Element(2.0, 7.0, 1e-14, 1e14, 1.0, (0,))]  # of another answer
    assert "((1,), 1.9" in rerun(torch.square, "it")("float64", "reverse", part)


def test_zeros_are_given_where_the_question_had_zeros() -> None:
    used = Question("reverse", active=(0,), used=(0, 1))
    held = Evidence(used, (X,), (None, X), 0, 3 * X, np.asarray(X, np.longdouble), 0 * X)
    assert run(script_of(OnlySecond.apply, held))[0] == 0
    held.question = Question("reverse", active=(0,), used=(1,))
    assert run(script_of(OnlySecond.apply, held))[0] == 1


def test_of_what_is_not_about_numbers_the_note_is_told() -> None:
    held = evidence(cube, (X,))
    held.expected = None
    part = ArrayVerdict("gradient of input 0", DISAGREE, evidence=held, notes=["func wrote into input 0"])
    assert "cannot be written: func wrote into input 0." in rerun(cube, "it")("float64", "reverse", part)


class Holder:
    """A callable object has no source of its own."""

    def __call__(self, x):
        return x * x


@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (Holder(), "is no function with a source, but of type Holder"),
        (lambda x, rng=None: x * float(RNG.integers(3)), "RNG: a value of type Generator cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said(fn: object, why: str) -> None:
    assert why in script_of(fn, evidence(fn, (X,), factor=2.0))


def test_modes_that_no_script_asks_in_are_named() -> None:
    held = evidence(cube, (X,))
    assert "no script asks in the mode batched reverse" in script_of(cube, held, mode="batched reverse")


def test_a_function_without_a_source_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    made = type(sys)("of_a_project")
    exec("def f(x):\n    return x * x\n", made.__dict__)  # noqa: S102  a function that has no file
    monkeypatch.setitem(sys.modules, "of_a_project", made)
    text = script_of(made.f, evidence(made.f, (X,)))
    assert "from of_a_project import f" in text
    assert "# The function is imported: the source of f cannot be found" in text
    assert run(text)[0] == 1


def test_every_line_of_the_head_is_a_comment() -> None:
    held = evidence(cube, (X,))
    part = ArrayVerdict(
        "gradient of input 0", DISAGREE, evidence=held, explanation="every element\nimport os", notes=["a\nb"]
    )
    text = rerun(cube, "gradcheck(x)\nimport os")("float64", "reverse", part)
    head = text.partition("from __future__")[0].strip().splitlines()
    assert head
    assert all(line.startswith("#") for line in head)
