"""What Python and the standard library do with a traced number: each call is differentiated or says what to write instead.

A number that is read back out of a text would be a constant, whatever the text went through on its way.
"""

# ruff: noqa: FURB192, NPY002, PLW0108, RUF015, S301, S307, S324, UP031, UP032 - each call stands as people write it

from __future__ import annotations

import array
import ast
import bisect
import cmath
import collections
import contextlib
import copy
import csv
import ctypes
import datetime as dt
import decimal
import fractions
import functools
import hashlib
import heapq
import io
import json
import math
import operator
import pickle
import random
import re
import statistics
import string
import struct
import threading
import timeit
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, TracingError
from refgrad.tracing import shown_numbers
from tests.within import slopes

FORMAT = "%.17g"
X = 0.7


def printed(*parts: Any, write: Callable[..., Any] = lambda b, *p: print(*p, file=b)) -> str:
    """What is in a file in memory after printing."""
    file = io.StringIO()
    write(file, *parts)
    return file.getvalue()


# A text that shows x, and a number that is read from it.
READ_BACK: dict[str, Callable[[Any], Any]] = {
    '"%g" % x': lambda x: float("%.17g" % x),
    '"%g" % (x,)': lambda x: float("%.17g" % (x,)),
    '"%(a)g" % {"a": x}': lambda x: float("%(a).17g" % {"a": x}),
    '"%s" % x': lambda x: float("%s" % x),
    '"%.1f" % x': lambda x: float("%.1f" % x),
    '"%d" % x': lambda x: int("%d" % (10 * x)),
    "FORMAT % x": lambda x: float(FORMAT % x),
    'b"%g" % x': lambda x: float(b"%.17g" % x),
    "text.encode()": lambda x: float(f"{x:.17g}".encode()),
    "format(x)": lambda x: float(format(x, ".17g")),
    "str.format": lambda x: float("{:.17g}e0".format(x)),
    "format_map": lambda x: float("{a:.17g}".format_map({"a": x})),
    "an f-string with more": lambda x: float(f"{x:.17g}e1"),
    "text + text": lambda x: float(f"{x:.17g}" + "e0"),
    "join": lambda x: float("".join([f"{x:.17g}"])),
    "strip": lambda x: float(f" {x:.17g} ".strip()),
    "split": lambda x: float(f"{x:.17g} 1".split()[0]),
    "a slice": lambda x: float(f"{x:.17g}"[:4]),
    "map": lambda x: list(map(float, f"{x:.17g} 1".split()))[0],
    "re": lambda x: float(re.search(r"[\d.]+", f"{x:.17g}").group()),
    "repr": lambda x: float(repr(x).split("(")[-1].rstrip(")")),
    "complex": lambda x: complex(f"{x:.17g}").real,
    "np.float64": lambda x: np.float64("%.17g" % x),
    "np.array": lambda x: np.array([f"{x:.17g}"]).astype(float)[0],
    "np.fromstring": lambda x: np.fromstring(f"{x:.17g}", sep=" ")[0],
    "np.loadtxt": lambda x: np.loadtxt(io.StringIO(f"{x:.17g}")),
    "np.genfromtxt": lambda x: np.genfromtxt([f"{x:.17g}"]),
    "np.array2string": lambda x: float(np.array2string(x)),
    "np.format_float_positional": lambda x: float(np.format_float_positional(x)),
    "np.format_float_scientific": lambda x: float(np.format_float_scientific(x)),
    "Decimal": lambda x: float(decimal.Decimal(f"{x:.17g}")),
    "Fraction": lambda x: float(fractions.Fraction(f"{x:.17g}")),
    "json.loads": lambda x: json.loads(f"[{x:.17g}]")[0],
    "literal_eval": lambda x: ast.literal_eval(f"{x:.17g}"),
    "eval": lambda x: eval(f"{x:.17g}"),
    "string.Formatter": lambda x: float(string.Formatter().format("{:.17g}", x)),
    "print": lambda x: float(printed("%.17g" % x)),
}
# What would make a constant of x in another way.
REFUSED: dict[str, Callable[[Any], Any]] = {
    "float": float, "int": int, "complex": complex, "round to an int": round,
    "x.item()": lambda x: x.item(), "x.tolist()": lambda x: x.tolist(),
    "x.hex()": lambda x: x.hex(), "as_integer_ratio": lambda x: x.as_integer_ratio()[0], "operator.index": operator.index,
    "range": lambda x: len(range(x)), "hash": hash, "a key": lambda x: {x: 1.0}[x], "a look-up": lambda x: {X: 2.0}.get(x, 1.0),
    "a set": lambda x: list({x})[0], "Counter": lambda x: collections.Counter([x]).most_common(1)[0][0],
    "lru_cache": lambda x: functools.lru_cache(abs)(x),
    "math.sin": math.sin, "math.floor": math.floor, "math.fsum": lambda x: math.fsum([x, x]), "math.isclose": lambda x: math.isclose(x, X),
    "cmath.exp": lambda x: cmath.exp(x).real, "np.vectorize of math": lambda x: np.vectorize(math.sin)(x),
    "statistics.mean": lambda x: statistics.mean([x, x]), "statistics.fmean": lambda x: statistics.fmean([x, x]),
    "Decimal(x)": decimal.Decimal, "Fraction(x)": fractions.Fraction, "timedelta": lambda x: dt.timedelta(seconds=x).total_seconds(),
    "json.dumps": lambda x: json.loads(json.dumps(x)),
    "json.dumps by float": lambda x: json.loads(json.dumps({"x": x}, default=float))["x"],
    "pickle": lambda x: pickle.loads(pickle.dumps(x)), "csv": lambda x: float(printed([x], write=lambda b, r: csv.writer(b).writerow(r))),
    "print(x)": lambda x: float(printed(x)), "struct.pack": lambda x: struct.unpack("d", struct.pack("d", x))[0],
    "array.array": lambda x: array.array("d", [x])[0], "ctypes": lambda x: ctypes.c_double(x).value,
    "x.tobytes()": lambda x: np.frombuffer(x.tobytes())[0], "bytes": bytes, "memoryview": lambda x: memoryview(x)[()],
    "np.frombuffer": lambda x: np.frombuffer(x)[0], "hashlib": lambda x: hashlib.sha1(x).digest()[0],
    "np.savetxt": lambda x: float(printed([x], write=np.savetxt)), "np.save": lambda x: np.save(io.BytesIO(), x),
    "np.array of objects": lambda x: np.array([x], dtype=object)[0], "x.astype(str)": lambda x: float(x.astype(str)),
    "np.nditer": lambda x: sum(np.nditer(x)), "np.strings.mod": lambda x: float(np.strings.mod(np.array("%.17g"), x)),
    "random.seed": lambda x: random.Random(x).random(),
    "random.choices": lambda x: random.Random(0).choices([1.0, 2.0], weights=[x, 1 - x])[0],
    "random.gammavariate": lambda x: random.Random(0).gammavariate(x, 1.0),
    "rng.normal": lambda x: np.random.default_rng(0).normal(x, 1.0), "rng.poisson": lambda x: np.random.default_rng(0).poisson(x),
    "rng.choice": lambda x: np.random.default_rng(0).choice(2, p=[x, 1 - x]), "np.random.seed": lambda x: np.random.seed(x),
}  # fmt: skip
DIFFERENTIATED: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy, "deepcopy": copy.deepcopy, "round to digits": lambda x: round(x, 2) * x, "divmod": lambda x: divmod(x, 0.3)[1],
    "pow": lambda x: pow(x, 2), "abs": abs, "sum": lambda x: sum([x, x]), "max": lambda x: max(x, 0.1), "min": lambda x: min(x, 0.9),
    "sorted": lambda x: sorted([x, 0.1])[1], "sorted by a key": lambda x: sorted([0.1, 0.3], key=lambda t: -t * x)[0] * x,
    "heapq": lambda x: heapq.nlargest(1, [x, 0.1])[0], "bisect": lambda x: bisect.bisect([0.1, 0.6], x) * x,
    "math.prod": lambda x: math.prod([x, x]), "statistics.median": lambda x: statistics.median([x, x, 0.1]),
    "random.gauss": lambda x: random.Random(0).gauss(x, 1.0), "random.uniform": lambda x: random.Random(0).uniform(0, x),
    "np.float64(x)": lambda x: np.float64(x) * x, "np.nextafter": lambda x: np.nextafter(x, 1.0), "eval of names": lambda x: eval("x * x"),
    "bool": lambda x: bool(x) * x, "is_integer": lambda x: x if not x.is_integer() else 2 * x,
}  # fmt: skip


def ways(f: Callable[[Any], Any]) -> list[Callable[[], Any]]:
    """f times x in both modes, and twice."""

    def g(x: Any) -> Any:
        return f(x) * x

    return [lambda: rg.grad(g)(X), lambda: rg.jvp(g, (X,), (1.0,)), lambda: rg.grad(rg.grad(g))(X)]


@pytest.mark.parametrize("name", READ_BACK)
def test_a_number_is_not_read_back_out_of_a_text(name: str) -> None:
    for way in ways(READ_BACK[name]):
        with pytest.raises(
            TracingError,
            match=r"would lose its derivative. Use x itself|text of a traced number|handed a traced",
        ):
            way()


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_a_constant_is_refused(name: str) -> None:
    for way in ways(REFUSED[name]):
        with pytest.raises(
            (TracingError, NoRuleError),
            match=r"(?i)Write|Print|Use|Index|Iterate|Code in C|Compute|Pass|Store|Keep|np\.|plain",
        ):
            way()


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_what_keeps_x_is_differentiated(name: str) -> None:
    f = DIFFERENTIATED[name]
    want, error = slopes(lambda x: f(x) * x, (np.float64(X),), (1.0,))
    assert np.abs(rg.grad(lambda x: f(x) * x)(X) - want) <= error
    _, y_dot = rg.jvp(lambda x: f(x) * x, (X,), (1.0,))
    assert np.abs(y_dot - want) <= error


def test_other_numbers_are_read() -> None:
    """Numbers of the program's own, beside texts that show x; and the same texts after the transformation."""
    texts = []

    def f(x: Any) -> Any:
        texts.append("loss %.3f, x = %s" % (x, x))
        texts.append(f"{x:.4f}")
        first = float("0.25") + int("12") + float(3) + int(2.7) + float("inf" if x < 0 else "1e3")
        settings = json.loads('{"rate": 0.7, "steps": [1, 2]}')  # one digit among several is no evidence
        table = np.loadtxt(io.StringIO("0.5 0.25"))
        return x * (
            first
            + settings["rate"]
            + table[1]
            + ast.literal_eval("[1.5]")[0]
            + int("ff", 16)
            + int("7", base=8)
        )

    assert rg.grad(f)(X) == 0.25 + 12 + 3 + 2 + 1e3 + 0.7 + 0.25 + 1.5 + 255 + 7
    assert float(texts[1]) == X
    assert float(texts[0].split()[1].rstrip(",")) == X


def test_classes_of_numbers_are_classes_still() -> None:
    def f(x: Any) -> Any:
        kinds = [
            isinstance(2.0, float),
            issubclass(bool, int),
            isinstance(1, decimal.Decimal),
            float.fromhex("0x1p1") == 2.0,
        ]
        return x * sum(k << i for i, k in enumerate(kinds)) + np.sum(np.zeros(2, dtype=float)) * x

    assert rg.grad(f)(X) == 11.0


def test_a_text_that_is_caught_is_told_all_the_same() -> None:
    def f(x: Any) -> Any:
        try:
            return float("%.3f" % x) * x
        except TypeError:
            return x

    with pytest.raises(TracingError, match="caught an error of refgrad and went on"):
        rg.grad(f)(X)


def test_arrays_in_texts_are_remembered() -> None:
    with pytest.raises(TracingError, match="of a text that shows a traced number"):
        rg.grad(lambda x: np.sum(np.fromstring(f"{x}".split("[")[1].split("]")[0], sep=",") * x))(
            np.array([1.25, 2.125])
        )


def test_what_a_text_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(shown={}, may_be_here=lambda: True)
    monkeypatch.setattr(shown_numbers, "RUNS", [run])
    shown_numbers.remember("Var(np.float64(-0.125)) 1e-3", (1,))
    assert run.shown == {0.125: (1,), "125": (1,), 0.001: (1,)}
    run.shown.clear()
    shown_numbers.remember_formatted(0.0625, ("x: %5.3f y: %d%%",), (2,))
    assert run.shown == {0.062: (2,), 0.0: (2,)}
    run.shown.clear()
    shown_numbers.remember_formatted(math.inf, ("%d %g",), (2,))
    assert run.shown == {}
    shown_numbers.remember_formatted(2 / 3, (), (3,))
    assert {0.667, "667", 0.66667, 2 / 3} <= set(run.shown)
    assert not {0.67, 0.7} & set(run.shown)
    with pytest.raises(TracingError, match=r"float\(text\) of a text"):
        shown_numbers.refuse_read_back(b"0.66 and 66.7 cm", "float(text)")
    shown_numbers.refuse_read_back("0.66", "float(text)")
    shown_numbers.refuse_read_back(0.667, "float(text)")


def test_a_conversion_of_a_number_costs_little() -> None:
    """Beside one operation on a traced number."""
    convert = getattr(__builtins__, "__refgrad_float__", None) or __builtins__["__refgrad_float__"]
    took = min(timeit.repeat(lambda: convert(3), number=2000, repeat=5))
    step = min(timeit.repeat(lambda: rg.grad(lambda x: x * x)(X), number=200, repeat=5)) * 10
    assert took < step


def test_a_plain_call_in_another_thread_reads_its_own_numbers() -> None:
    begun, shown, read, found = threading.Event(), threading.Event(), threading.Event(), []

    def plain(n: Any) -> Any:
        return float("0.5") * n

    def other() -> None:
        begun.set()
        shown.wait(10)
        try:
            found.append(plain(2.0))
        except TracingError as error:
            found.append(error)
        read.set()

    def shows(x: Any) -> Any:
        print(f"{x:.1f}", file=io.StringIO())
        shown.set()
        read.wait(10)
        return x**2

    rg.grad(plain)(X)
    worker = threading.Thread(target=other)
    worker.start()
    begun.wait(10)
    assert rg.grad(shows)(0.5) == 1.0
    worker.join()
    assert found == [1.0]


def test_a_thread_of_the_function_cannot_read_a_number_back() -> None:
    def f(x: Any) -> Any:
        text, found = f"{x:.17g}", []

        def reads() -> None:
            with contextlib.suppress(TracingError):
                found.append(float("" + text[:]))

        worker = threading.Thread(target=reads)
        worker.start()
        worker.join()
        return x * (found[0] if found else 1.0)

    with pytest.raises(TracingError, match="of a text that shows a traced number"):
        rg.grad(f)(X)


y = "a global of the name of an argument"


def test_eval_finds_the_names_of_its_caller_after_a_transformation() -> None:
    def f(y: Any) -> Any:
        return eval("y * 2")

    def names(args: Any) -> Any:
        return eval("args * 2")

    for g in (f, names):
        assert g(1.5) == 3.0
        assert rg.grad(g)(1.5) == 2.0
        assert g(1.5) == 3.0
