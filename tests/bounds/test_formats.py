"""Formats: the facts of their entries, what is judged on which device, and TF32 on numbers cut as its units cut them."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import DTYPES, FORMATS, GROSS, computed_on, declare, format_of, judged_on
from refgrad.bounds.profiles import CPU_ULP, CUDA_ULP
from refgrad.errors import DtypeError, RegistrationError
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import Observation


@pytest.mark.parametrize("dtype", computed_on())
def test_on_a_cpu_formats_are_the_plain_ones(dtype: str) -> None:
    assert format_of(dtype) == FORMATS[dtype]
    assert format_of(dtype).storage == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_function_has_its_error_on_cuda(dtype: str) -> None:
    table = format_of(dtype, "cuda:1").ulp_table
    assert table.keys() == format_of(dtype if dtype != "tf32" else "float32").ulp_table.keys()
    assert all(x >= 0.5 for x in table.values())
    assert format_of("float64", "cuda").ulp_table is CUDA_ULP["float64"]


@pytest.mark.parametrize("dtype", computed_on())
def test_half_formats_compute_in_float32_on_a_cpu(dtype: str) -> None:
    assert FORMATS[dtype].ulp_table is CPU_ULP["float64" if dtype == "float64" else "float32"]
    assert CPU_ULP["float32"]["sin"] > CPU_ULP["float64"]["sin"] == 1.0  # the faster sine is float32's alone


def test_what_is_not_judged_is_named() -> None:
    with pytest.raises(DtypeError, match=r"'int8' is not judged; one of \['float64'"):
        format_of("int8")
    with pytest.raises(
        DtypeError, match="tf32 is an arithmetic of CUDA devices, and device 'cpu' was asked for"
    ):
        format_of("tf32")
    assert not judged_on("cpu", "tf32")
    assert judged_on("cuda:0", "tf32")


def test_a_storage_format_is_judged_by_its_casts_alone() -> None:
    for name in ("float8_e4m3", "float8_e5m2"):
        assert name not in DTYPES
        assert not judged_on("cpu", name)
        assert not judged_on("cuda", name)
        with pytest.raises(DtypeError, match=f"'{name}' is a storage format.*The family casts judges casts"):
            format_of(name)


@pytest.mark.parametrize("dtype", [name for name, fmt in FORMATS.items() if fmt.carrier == fmt.name])
def test_the_facts_of_a_format_that_numpy_has_are_numpys(dtype: str) -> None:
    fmt, info = FORMATS[dtype], np.finfo(dtype)
    assert fmt.bits == info.nmant + 1
    assert fmt.u == float(info.eps) / 2
    assert fmt.max == float(info.max)
    assert fmt.least_normal == float(info.smallest_normal)
    assert fmt.least == float(info.smallest_subnormal)
    assert fmt.eta == max(float(info.smallest_subnormal) / 2, fmt.least if dtype == "float64" else 0)


@pytest.mark.parametrize("name", FORMATS)
def test_an_entry_fits_the_others(name: str) -> None:
    fmt, names = FORMATS[name], list(FORMATS)
    assert fmt.name == name
    if fmt.narrower:
        assert names.index(name) < names.index(fmt.narrower), "wide formats are listed first"
        assert FORMATS[fmt.narrower].bits < fmt.bits
    assert bool(fmt.required) == fmt.computed, "a format that is judged requires shares of planted errors"
    assert (GROSS in fmt.required) == fmt.computed
    assert fmt.holds(fmt)


def test_what_a_format_holds() -> None:
    assert FORMATS["float32"].holds(FORMATS["bfloat16"])
    assert not FORMATS["float16"].holds(FORMATS["bfloat16"])  # of a larger range
    assert not FORMATS["bfloat16"].holds(FORMATS["float16"])  # of more bits
    assert FORMATS["float16"].holds(FORMATS["float8_e5m2"])
    assert not FORMATS["float8_e4m3"].holds(FORMATS["float8_e5m2"])


FAULTY = {
    "declared already": {"name": "float16"},
    "accumulator 'float16'; one of": {"accumulator": "float16"},
    "60 significand bits; from 2 to 53 are expected": {"bits": 60},
    "largest number 27.5; a number of 3 significand bits": {"largest": 27.5},
    "largest number 0.125; a number of 3 significand bits above 0.25": {"largest": 0.125},
    "carrier 'float16'; a NumPy dtype that holds every number": {"carrier": "float16", "largest": 2.0**20},
    r"devices \('cuda',\) of a storage format": {"devices": ("cuda",)},
    "shares between 0 and 1": {"required": {GROSS: 1.0}},
}


@pytest.mark.parametrize("message", FAULTY)
def test_an_entry_that_contradicts_itself_is_refused(message: str) -> None:
    before = dict(FORMATS)
    facts = {"name": "float6_e3m2", "bits": 3, "exponent": -2, "computed": False, **FAULTY[message]}
    with pytest.raises(RegistrationError, match=message):
        declare(**facts)
    assert before == FORMATS


def cut(x: np.ndarray, bits: int = 10) -> np.ndarray:
    """float32 numbers without their last 23 - bits bits, as a tensor core reads them."""
    mask = np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
    return (np.asarray(x, np.float32).view(np.uint32) & mask).view(np.float32)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (cut(a).astype(float) @ cut(b).astype(float)).astype(np.float32)


def verdicts(dtype: str, seed: int, error: float = 1.0) -> list[str]:
    """A matrix product as a TF32 unit gives it, judged as one dtype or the other."""
    rng = np.random.default_rng(seed)
    a, b, a_dot, b_dot = (rng.standard_normal((8, 8)).astype(np.float32) for _ in range(4))
    y_bar = rng.integers(1, 5, (8, 8)).astype(np.float32)
    graph = Graph()
    x1, x2 = graph.input("a"), graph.input("b")
    graph.output(x1 @ x2)
    case = Case("matmul", graph, {"a": a, "b": b}, {"a": a_dot, "b": b_dot}, y_bar, dtype, device="cuda")
    y = graph.outputs[0]
    values, cotangents, tangents = ([None] * len(graph.nodes) for _ in range(3))
    for name, x, x_dot, x_bar in (("a", a, a_dot, product(y_bar, b.T)), ("b", b, b_dot, product(a.T, y_bar))):
        k = graph.inputs[name]
        values[k], tangents[k], cotangents[k] = (
            x.astype(float),
            x_dot.astype(float),
            error * x_bar.astype(float),
        )
    values[y], cotangents[y] = product(a, b).astype(float), y_bar.astype(float)
    tangents[y] = (product(a_dot, b) + product(a, b_dot)).astype(float)
    n = len(values)
    seen = Observation(
        values=values, cotangents=cotangents, tangents=tangents, dtypes={"values": ["float32"] * n}, devices={"values": ["cuda"] * n},
    )  # fmt: skip
    judge = NodeByNode(case, seen)
    return [judge.value().status, judge.reverse().status, judge.forward().status]


@pytest.mark.parametrize("seed", range(20))
def test_products_of_cut_operands_are_right_in_tf32_and_wrong_in_float32(seed: int) -> None:
    assert verdicts("tf32", seed) == ["agree"] * 3
    assert verdicts("float32", seed) == ["disagree"] * 3


def test_tf32_does_not_forgive_more_than_it_cuts() -> None:
    assert verdicts("tf32", 0, error=1.05)[1] == "disagree"
