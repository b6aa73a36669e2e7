"""All of NumPy's public functions, and calls of them: tried ones, with arrays in every place, and written ones for words and shapes."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib import array_utils, scimath, stride_tricks
from numpy.polynomial import chebyshev, hermite, hermite_e, laguerre, legendre, polynomial, polyutils

from tests.numpy_calls import CALLS
from tests.numpy_walk import Call, plain_error

Array = Any
Function = Callable[..., Any]

M = [
    np.array(v)
    for v in (
        [[1.7, 0.3], [0.4, 2.1]],
        [[0.9, -1.3], [0.6, 1.45]],
        [[0.55, 1.25], [-0.35, 0.8]],
        [[2.6, -0.7], [0.15, 1.1]],
    )
]
V = [np.array(v) for v in ([0.7, -1.3, 2.1], [1.15, 0.475, -0.6], [-0.85, 1.9, 0.25], [2.35, 0.65, -1.75])]
Z = [np.array(v) for v in (0.6, 1.35, -0.45, 2.2)]
W = np.array([0.2, 0.5, 0.9])  # increasing

MODULES = {
    "np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.emath": scimath, "np.lib": np.lib, "np.lib.stride_tricks": stride_tricks,
    "np.lib.array_utils": array_utils, "np.polynomial": np.polynomial, "np.polynomial.polynomial": polynomial,
    "np.polynomial.chebyshev": chebyshev, "np.polynomial.legendre": legendre, "np.polynomial.hermite": hermite,
    "np.polynomial.hermite_e": hermite_e, "np.polynomial.laguerre": laguerre, "np.polynomial.polyutils": polyutils,
    "np.ma": np.ma, "np.char": np.char, "np.strings": np.strings, "np.rec": np.rec, "np.ctypeslib": np.ctypeslib, "np.testing": np.testing,
    "np.random": np.random,
}  # fmt: skip

# What no walk may call: files, settings, the machine's memory, the state of a generator, programs of their own.
APART = frozenset({
    "test", "save", "savez", "savez_compressed", "load", "memmap", "fromfile", "fromregex", "loadtxt", "genfromtxt", "savetxt",
    "setbufsize",
    "getbufsize", "seterr", "geterr", "seterrcall", "geterrcall", "errstate", "set_printoptions", "get_printoptions", "printoptions",
    "show_config", "show_runtime", "info", "get_include", "seed", "set_state", "get_state", "get_bit_generator", "set_bit_generator",
    "set_default_printstyle", "as_strided", "ndarray", "bmat", "measure", "runstring", "rundocs", "load_library", "add_docstring",
    "add_newdoc", "add_newdoc_ufunc", "disp", "tracemalloc_domain", "recarray", "chararray", "run_threaded", "break_cycles",
    "suppress_warnings", "clear_and_catch_warnings", "assert_no_gc_cycles", "nested_iters", "jiffies", "memusage", "tofile", "dump",
})  # fmt: skip
# Parameters with which NumPy leaves its input in a state that it does not define.
UNDEFINED = frozenset({"overwrite_input"})
# Arrays that nothing has written into yet.
UNWRITTEN = frozenset({"empty", "empty_like", "masked_all", "masked_all_like"})

# Functions that NumPy calls with no floating-point number in any place that the walk tries: of texts, integers, dtypes and sizes.
_WITHOUT_FLOATS = {
    "np": """
        binary_repr bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_shapes busday_count
        busdaycalendar can_cast character complexfloating datetime64 datetime_as_string datetime_data dtype eye finfo flatiter flexible
        floating fromfunction fromstring gcd generic identity iinfo indices inexact integer isdtype isnat issubdtype lcm mask_indices
        number ones packbits promote_types ravel_multi_index signedinteger timedelta64 typename ufunc unpackbits unravel_index
        unsignedinteger zeros
    """,
    "np.char": """
        capitalize center compare_chararrays count decode encode endswith equal expandtabs find greater greater_equal index isalnum
        isalpha isdecimal isdigit islower isnumeric isspace istitle isupper join less less_equal ljust lower lstrip mod multiply
        not_equal partition replace rfind rindex rjust rpartition rsplit rstrip slice split splitlines startswith str_len strings_multiply
        strings_partition strings_rpartition strip swapcase title translate upper zfill
    """,
    "np.ctypeslib": """
        as_ctypes_type c_intp ndpointer
    """,
    "np.lib": """
        NumpyVersion
    """,
    "np.lib.array_utils": """
        normalize_axis_index normalize_axis_tuple
    """,
    "np.ma": """
        apply_along_axis apply_over_axes bitwise_and bitwise_or bitwise_xor flatten_structured_array fromflex fromfunction identity
        indices left_shift make_mask_descr make_mask_none ones right_shift zeros
    """,
    "np.ndarray": """
        astype getfield setfield to_device
    """,
    "np.polynomial.chebyshev": """
        chebgauss chebinterpolate chebpts1 chebpts2
    """,
    "np.polynomial.hermite": """
        hermgauss
    """,
    "np.polynomial.hermite_e": """
        hermegauss
    """,
    "np.polynomial.laguerre": """
        laggauss
    """,
    "np.polynomial.legendre": """
        leggauss
    """,
    "np.polynomial.polynomial": """
        ABCPolyBase
    """,
    "np.random": """
        BitGenerator Generator MT19937 PCG64 PCG64DXSM RandomState SFC64 SeedSequence default_rng hypergeometric multinomial
        multivariate_normal rand randn random random_sample ranf sample standard_cauchy standard_exponential standard_normal triangular
        zipf
    """,
    "np.random.Generator": """
        hypergeometric multivariate_hypergeometric random standard_cauchy standard_exponential standard_normal zipf
    """,
    "np.rec": """
        format_parser fromstring
    """,
    "np.strings": """
        multiply partition rpartition slice
    """,
    "np.testing": """
        TestCase assert_array_almost_equal_nulp assert_array_compare assert_array_max_ulp assert_equal assert_no_warnings assert_raises
        assert_raises_regex assert_string_equal decorate_methods print_assert_equal
    """,
}
TAKES_NO_FLOATS = frozenset(
    f"{room}.{name}" for room, names in _WITHOUT_FLOATS.items() for name in names.split()
)


def functions() -> Iterator[tuple[str, Function]]:
    """Names and functions, each once."""
    seen: set[int] = set()
    for room, module in MODULES.items():
        for name in sorted(vars(module) if module is np.lib else dir(module)):
            with warnings.catch_warnings():  # of names that NumPy is about to drop
                warnings.simplefilter("ignore", DeprecationWarning)
                function = getattr(module, name, None)
            error = isinstance(function, type) and issubclass(function, BaseException)
            if (
                name.startswith("_")
                or name in APART | UNWRITTEN
                or not callable(function)
                or error
                or id(function) in seen
            ):
                continue
            seen.add(id(function))
            yield f"{room}.{name}", _seeded(function) if module is np.random else function
    for name in sorted(dir(np.random.Generator)):
        if not name.startswith("_") and name not in ("bit_generator", "spawn"):
            yield f"np.random.Generator.{name}", _fresh(name)
    for name in sorted(dir(np.ndarray)):
        if not name.startswith("_") and name not in APART and callable(getattr(np.ndarray, name)):
            yield f"np.ndarray.{name}", _method(name)


def _method(name: str) -> Function:
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    return call


def _seeded(function: Function) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        np.random.seed(7)  # noqa: NPY002 - the legacy functions are walked, too
        return function(*args, **kwargs)

    call.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return call


def _fresh(name: str) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(np.random.default_rng(7), name)(*args, **kwargs)

    call.__signature__ = _signature(getattr(np.random.default_rng(7), name))  # type: ignore[attr-defined]
    return call


def _signature(function: Function) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return inspect.Signature()


def tried(name: str, function: Function) -> Iterator[Call]:
    """Calls with one to four arrays of each rank, with a list of arrays, beside small integers, and with each parameter by name."""
    base = []
    for a, b, c, d in (M, V, Z):
        plain = [(a,), (a, b), (a, b, c), (a, b, c, d), (a, 1), (1, a), (a, b, 1), (a, 1, 0)]
        calls = [Call(name, function, args) for args in [*plain, ([a, b],), ([a, b], 0)]]
        found = [call for call in calls if plain_error(call) is None]
        yield from found
        base += found[:2] if a.ndim else []
    parameters = list(_signature(function).parameters.values())
    for call in base:
        for k, p in enumerate(parameters):
            by_name = p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) and k >= len(call.args)
            if by_name and p.name not in UNDEFINED:
                array = M[3] if np.ndim(call.args[0]) == 2 else V[3]
                values = {"out": _out(call), "where": [array]}.get(p.name, [0.6, Z[0], array])
                for value in values:
                    named = Call(name, function, call.args, {p.name: value})
                    if plain_error(named) is None:
                        yield named


def _out(call: Call) -> list[Array]:
    """An array that fits the result: NumPy writes beyond the end of some that do not."""
    args, kwargs = call.with_leaves({})
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = call.function(*args, **kwargs)
    return [np.zeros(y.shape)] if type(y) is np.ndarray and y.dtype == float else []


def on(function: Function, name: str, *args: Any, **kwargs: Any) -> Call:
    return Call(name, function, args, kwargs)


def written() -> Iterator[Call]:
    """Calls that need words, callables, tables or certain shapes."""
    (a, b), (u, v, w), z = M[:2], V[:3], Z[0]
    mask, order = np.array([True, False, True]), np.array([2, 0, 1])
    for function, examples in CALLS.items():
        yield from [Call(f"np.{function.__name__}", function, args, kwargs) for args, kwargs in examples]
    named: dict[str, list[tuple[Function, tuple[Any, ...], dict[str, Any]]]] = {
        "np.apply_along_axis": [(np.apply_along_axis, (np.sum, 0, a), {}), (np.apply_along_axis, (lambda r, s: r * s, 1, a, u[:2]), {})],
        "np.apply_over_axes": [(np.apply_over_axes, (np.sum, a, [0]), {})],
        "np.choose": [(np.choose, ([0, 1, 0], [u, v]), {}), (np.choose, (order, [u, v, w]), {"mode": "clip"})],
        "np.piecewise": [(np.piecewise, (u, [u > 0], [lambda t: t * t, 1.5]), {}), (np.piecewise, (u, [mask, ~mask], [v, 0.5]), {})],
        "np.select": [(np.select, ([mask, ~mask], [u, v]), {}), (np.select, ([mask], [u], z), {})],
        "np.digitize": [(np.digitize, (u, W), {})],
        "np.interp": [(np.interp, (W[:2] + 0.05, W, u), {}), (np.interp, (W + 0.05, W, u), {}),
                      (np.interp, (z, W, u), {"left": 0.5, "right": 0.75}),
                      (np.interp, (W + 0.05, W, u), {"period": 2.5})],
        "np.einsum": [(np.einsum, (s, *xs), {}) for s, xs in (("ij,jk", (a, b)), ("ii", (a,)), ("ij->", (a,)), ("i,j->ij", (u, v)))]
        + [(np.einsum, (a, [0, 1], b, [1, 2]), {}), (np.einsum, ("ij->j", a), {"dtype": float}), (np.einsum, ("...i->...", a), {})],
        "np.einsum_path": [(np.einsum_path, ("ij,jk", a, b), {})],
        "np.fromiter": [(np.fromiter, (u.tolist(), float), {})],
        "np.testing.assert_array_equal": [(np.testing.assert_array_equal, (u, u.copy()), {}), (np.testing.assert_equal, (u, u.copy()), {})],
        "np.random.Generator.triangular": [(_fresh("triangular"), (0.1, 0.5, 0.9), {}), (_fresh("triangular"), (u - 4, u, u + 4), {})],
        "np.random.Generator.multivariate_normal": [(_fresh("multivariate_normal"), (u[:2], a @ a.T), {})],
        "np.random.Generator.multinomial": [(_fresh("multinomial"), (5, np.array([0.25, 0.75])), {})],
        "np.random.Generator.choice": [(_fresh("choice"), (u,), {}), (_fresh("choice"), (3,), {"p": np.array([0.25, 0.25, 0.5])})],
        "np.ndarray.choose": [(_method("choose"), (order, [u, v, w]), {})],
        "np.frompyfunc": [(np.frompyfunc(lambda s, t: s * t, 2, 1), (u, v), {})],
        "np.vectorize": [(lambda x, k: np.vectorize(lambda s, t: s * t if s > 0 else t)(x, k) * 2.0, (u, v), {}),
                         (lambda x, k: np.vectorize(lambda s, t: (s * t, s), excluded=[1])(x, k)[0], (a, z), {}),
                         (lambda x: np.vectorize(lambda r: r * r[0], signature="(n)->(n)")(x) * 2.0, (a,), {})],
        "np.full": [(np.full, (3, z), {}), (np.full, ((2, 3), u), {}), (np.full, (3, 0.5), {})],
        "np.put_along_axis": [(np.put_along_axis, (a.copy(), np.array([[0, 1]]), b[:1], 0), {})],
        "np.take_along_axis": [(np.take_along_axis, (a, np.array([[0, 1]]), 0), {})],
        "np.moveaxis": [(np.moveaxis, (a, 0, 1), {})], "np.swapaxes": [(np.swapaxes, (a, 0, 1), {})],
        "np.dsplit": [(np.dsplit, (np.stack(M, 2), 2), {})],
        "np.bincount": [(np.bincount, (order, u), {}), (np.bincount, (order,), {"weights": v, "minlength": 5})],
        "np.histogramdd": [(np.histogramdd, ((u, v),), {"bins": 2}), (np.histogramdd, (a,), {"bins": 2, "weights": b[0]})],
        "np.histogram2d": [(np.histogram2d, (u, v), {"bins": 2, "weights": w})],
        "np.r_": [(lambda x, k: np.r_[x, k, 0.5], (u, v), {}), (lambda x, k: np.r_[0 : 1 : 5j, x, k], (u, v), {})],
        "np.c_": [(lambda x, k: np.c_[x, k], (u, v), {})],
        "np.s_": [(lambda x, k: x[np.s_[1:]], (u, v), {})],
        "np.ix_": [(lambda x: a[np.ix_([0, 1], [1])] * x, (z,), {}), (np.ix_, (u, v), {})],
        "np.mgrid": [(lambda x: np.mgrid[0:x:3j], (z,), {}), (lambda x: np.ogrid[0 : 2 : x + 0.4], (z,), {})],
        "np.nditer": [(lambda x: [e * 2 for e in np.nditer(x)], (a,), {})],
        "np.ndenumerate": [(lambda x: [e * 2 for _, e in np.ndenumerate(x)], (a,), {})],
        "np.ndindex": [(lambda x: [x[k] for k in np.ndindex(*np.shape(x))], (a,), {})],
        "np.broadcast": [(np.broadcast, (a, u[:2]), {})],
        "np.poly1d": [(np.poly1d, (u,), {}), (lambda p, x: np.poly1d(p)(x), (u, v), {})],
        "np.array": [(np.array, ([0.5, 1.5],), {}), (np.array, (u,), {"dtype": object}), (np.array, ([u, v],), {"dtype": float}),
                     (lambda x: np.array([x, x, 1.0]), (z,), {}), (lambda x: np.asarray([x[0], 2.0]), (u,), {}),
                     (lambda x: np.array(x, ndmin=2), (u,), {}), (lambda x: np.zeros(3, like=x), (u,), {})],
        "np.savetxt": [(lambda x: np.savetxt(io.StringIO(), x), (u,), {})],
        "np.save": [(lambda x: np.save(io.BytesIO(), x), (u,), {})],
        "np.copyto": [(np.copyto, (a.copy(), b), {})],
        "np.isscalar": [(lambda x: x * 2 if np.isscalar(x) else x * 3, (0.6,), {})],
        "np.iterable": [(lambda x: x * 2 if np.iterable(x) else x * 3, (u,), {}), (lambda x: x * 2 if np.iterable(x) else x * 3, (z,), {})],
        "np.ravel_multi_index": [(np.ravel_multi_index, ((0, 1), (2, 2)), {})],
        "np.vander": [(np.vander, (u, 3), {"increasing": True})],
        "np.linspace": [(np.linspace, (0.5, z, 4), {}), (np.linspace, (u, v, 3), {"axis": 1, "retstep": True}),
                        (np.linspace, (z, 2.0, 3), {"endpoint": False})],
        "np.pad": [(np.pad, (u, 1), {"mode": m}) for m in ("edge", "wrap", "mean", "maximum", "median", "linear_ramp")]
        + [(np.pad, (u, 1), {"constant_values": z})],
        "np.cov": [(np.cov, (a, b), {"aweights": np.array([0.6, 1.4])}), (np.cov, (u, v), {"ddof": 0})],
        "np.quantile": [(np.quantile, (u, 0.3), {"method": m}) for m in ("hazen", "nearest", "lower")],
        "divmod": [(divmod, (u, 0.6), {}), (lambda x, k: divmod(k, x), (u, 2.5), {})],
    }  # fmt: skip
    for name, calls in named.items():
        yield from [Call(name, function, args, kwargs) for function, args, kwargs in calls]
    for module in (chebyshev, hermite, hermite_e, laguerre, legendre, polynomial):
        short = module.__name__.rpartition(".")[2]
        for name in sorted(n for n in dir(module) if n.endswith(("vander2d", "vander3d"))):
            count = int(name[-2])
            yield Call(f"np.polynomial.{short}.{name}", getattr(module, name), (*V[:count], [1] * count))
    for kind in ("Polynomial", "Chebyshev", "Legendre", "Hermite", "HermiteE", "Laguerre"):
        for text in PROGRAMS:
            program = eval("lambda k, x: " + text.format(f"np.polynomial.{kind}"), {"np": np})  # noqa: S307 - the programs below
            yield Call(f"np.polynomial.{kind}", program, (u, v))
    yield from _ufunc_methods(a, b, u, v)


# Of a class of polynomials, with coefficients k and points x.
PROGRAMS = (
    "{0}(k)(x)", "{0}([k[0], 0.5, k[1]]).deriv()(x)", "{0}.fit(x, k, 1)(x)", "({0}(k) * {0}(x) - 2.0 * {0}(k)).coef",
    "{0}(k).integ(lbnd=x[0]).coef", "({0}(k, domain=[x[1], x[0]]) // {0}([0.4, x[1]], domain=[x[1], x[0]])).coef", "({0}(k) ** 2)(x)",
    "{0}(k).convert(kind=np.polynomial.Chebyshev).coef", "{0}.fromroots(k).coef * x[0]", "{0}(k)({0}(x[:2]))(0.3)",
    "{0}.fromroots(k).roots() * x",
)  # fmt: skip


def _ufunc_methods(a: Array, b: Array, u: Array, v: Array) -> Iterator[Call]:
    names = (
        "add",
        "subtract",
        "multiply",
        "divide",
        "maximum",
        "minimum",
        "logaddexp",
        "power",
        "hypot",
        "fmax",
        "greater",
        "arctan2",
    )
    for name in names:
        ufunc = getattr(np, name)
        many: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
            ("reduce", (a,), {}), ("reduce", (a, 1), {}), ("reduce", (a,), {"axis": None}), ("reduce", (a, 0, None, None, True), {}),
            ("reduce", (a,), {"initial": 0.5}), ("reduce", (a,), {"where": a > 0.35, "initial": 0.5}), ("reduce", (u,), {"axis": -1}),
            ("reduce", (a,), {"axis": (0, 1)}), ("reduce", (a, 0, "f8"), {}),
            ("accumulate", (a,), {}), ("accumulate", (a, 1), {}), ("accumulate", (u,), {"dtype": "f8"}), ("accumulate", (a, 0, "f8"), {}),
            ("reduceat", (u, [0, 1]), {}), ("reduceat", (a, [0, 1], 1), {}),
            ("outer", (u, v), {}), ("outer", (a, v), {}), ("outer", (u, 0.5), {}), ("at", (u.copy(), [0, 0, 2], v), {}),
        ]  # fmt: skip
        yield from [Call(f"np.{name}.{m}", getattr(ufunc, m), args, kwargs) for m, args, kwargs in many]
        yield Call(f"np.{name}", ufunc, (u, v), {"where": np.array([True, False, True]), "out": v.copy()})
        yield Call(f"np.{name}", ufunc, (u, v), {"out": (v.copy(),)})
        yield Call(f"np.{name}", ufunc, (u, v), {"dtype": "f8", "casting": "unsafe"})
    for name in ("exp", "negative", "sqrt", "modf", "frexp", "spacing"):
        yield Call(f"np.{name}.at", getattr(np, name).at, (u.copy(), [0, 2]))
