"""Facts about a dtype stand in its record (refgrad/bounds/formats.py): no other module names one.

A name is a string that is the name of a format or of the dtype that stores it, an attribute of torch for such a dtype, or one of NumPy's
types of 16 and 32 bits. np.float64 and np.longdouble are no names in this sense: they are the arithmetic that the reference computes in.
The default of a parameter may be a name, for a default is a choice of its function and no fact about a dtype.
"""

from __future__ import annotations

import ast
from pathlib import Path

from refgrad.bounds.formats import FORMATS

ROOT = Path(__file__).resolve().parents[1]
NAMES = {*FORMATS, *(fmt.storage for fmt in FORMATS.values())}
NUMPY = {"float16", "float32", "half", "single"}
RECORDS = ("refgrad/bounds/formats.py", "refgrad/bounds/profiles.py")
STATED = {  # folders that say in which dtypes a problem is posed, or a framework computes
    "refgrad/workers/": "a worker says in which dtypes its framework computes; it runs without refgrad, so it imports no record",
    "conformance/textbook/": "an item of the textbook states the dtypes that its numbers are given for",
    "conformance/mutants/": "a mutant is wrong in some dtypes, by the arithmetic that it plants",
}
ALLOWED = {
    "refgrad/nn/normalizations.py": "torch takes eps of the format in which it computes, float32 at least",
    "refgrad/tracing/stand_ins.py": "the types that programs call: NumPy's scalars",
    "refgrad/functions/complex_eigenvalues.py": "np.linalg refuses float16",
    "refgrad/functions/quantiles.py": "whether NumPy keeps the dtype of a row of NaN is asked of NumPy in float32",
    "refgrad/functions/ufunc_methods.py": "NumPy adds up narrow types in its own way",
    "refgrad/operands.py": "the types that users pass: NumPy's scalars",
    "refgrad/tracing/copies.py": "the types whose copies are known: NumPy's scalars",
    "refgrad/ops/torch_convolution.py": "torch ends the process in float16 alone",
    "refgrad/special/bessel_twins.py": "torch has no kernel of Bessel functions in half formats",
    "refgrad/special/zeta_twins.py": "torch has no kernel of zeta in half formats",
    "refgrad/encode.py": "the dtypes of NumPy that a case file may hold",
    "refgrad/ops/dense_linalg.py": "np.linalg refuses float16, so NumPy's own arithmetic stands in",
    "refgrad/ops/hyperbolic.py": "NumPy's cosh rounds narrow types badly: its next wider type is called",
    "refgrad/ops/trigonometric.py": "NumPy's tan rounds narrow types badly: its next wider type is called",
    "refgrad/testing/checks/array_verdict.py": "a report keeps numbers in the shorter of two types of NumPy that holds them",
    "refgrad/testing/deviations/framework_formulas.py": "the formula of a framework that rounds exponents to float32",
    "refgrad/testing/deviations/loss_formulas.py": "formulas of kernels that round a constant to float32",
    "refgrad/testing/deviations/mxnet_formulas.py": "formulas of a framework that rounds numbers and constants to float32",
    "refgrad/testing/deviations/paddle_formulas.py": "formulas of a framework that rounds exponents and constants to float32",
    "refgrad/testing/deviations/special_formulas.py": "formulas of kernels whose constants are numbers of float32",
    "refgrad/testing/deviations/wrong_formulas.py": "the formula of a kernel that rounds a constant to float32",
}


def named(text: str) -> list[tuple[int, str]]:
    """Lines and names of the dtypes that a module names, defaults of parameters aside."""
    tree = ast.parse(text)
    defaults = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for default in (*node.args.defaults, *node.args.kw_defaults)
        if default is not None
        for inner in ast.walk(default)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in defaults:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES:
            found.append((node.lineno, repr(node.value)))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = node.value.id
            if (owner == "torch" and node.attr in NAMES) or (owner == "np" and node.attr in NUMPY):
                found.append((node.lineno, f"{owner}.{node.attr}"))
    return sorted(found)


def modules() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("refgrad", "conformance")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def test_the_walker_sees_every_way_of_naming_a_dtype() -> None:
    # The test below is worth nothing if this one fails.
    text = """
SHARES = {"bfloat16": 0.9}
def f(x, dtype="float64", *, other=("float32",)):
    '''In float32.'''
    if dtype == "tf32" or x.dtype == torch.float8_e5m2 or x.dtype == np.float16:
        return np.float64(x), f"float32 {x}"
"""
    assert named(text) == [(2, "'bfloat16'"), (5, "'tf32'"), (5, "np.float16"), (5, "torch.float8_e5m2")]


def test_dtypes_are_named_in_their_records_alone() -> None:
    files = modules()
    checked = {p for p in files if p not in RECORDS and p not in ALLOWED and not p.startswith(tuple(STATED))}
    assert len(checked) > len(files) / 2
    wrong = [f"{p}:{line} names {name}" for p in sorted(checked) for line, name in named(files[p])]
    assert not wrong, "state it in the entry of the format in FORMATS, and ask for it:\n" + "\n".join(wrong)


def test_every_allowance_is_used() -> None:
    files = modules()
    unused = [p for p in ALLOWED if p not in files or not named(files[p])]
    assert not unused, f"these name no dtype any more; take them off the list: {unused}"
