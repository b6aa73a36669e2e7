"""What is known of an op stands in its record: no other module lists ops, or compares with their names.

Found are, outside the module of the record: a name of the registry as an operand of a comparison, as an element of a collection, as a key
or as a subscript; and an op itself in a comparison or beside another one in a collection. An op that is called is no such fact.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import refgrad.ops  # noqa: F401 - fills the registry
from refgrad.op import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("refgrad", "conformance")
WORKERS = "refgrad/workers/"  # tables of twins: a worker runs without refgrad, so it imports no record
PARAMETERS = {p for op in REGISTRY.values() for p in op.signature.defaults}
NAMES = REGISTRY.keys() - PARAMETERS  # "where" is a parameter of many ops, and a word of records
MODULES = {op.home.rpartition(".")[2] for op in REGISTRY.values()}

# Where such a word is no op, or is one by purpose; with the reason.
ALLOWED = {
    "conformance/families/restricted.py": "what a program writes out in other ops where a backend lacks an op",
    "refgrad/__init__.py": "public names, with the modules that define them",
    "refgrad/bounds/profiles.py": "figures that libraries document for their functions",
    "refgrad/functions/applying.py": "a value of NumPy's parameter mode",
    "refgrad/functions/padding.py": "values of NumPy's parameter mode",
    "refgrad/functions/statistics.py": "the functions that the ops stand for, called with a traced parameter",
    "refgrad/functions/elementwise.py": "arguments of np.clip",
    "refgrad/functions/writing.py": "a value of NumPy's parameter mode",
    "refgrad/ops/fourier.py": "NumPy's parameter norm",
    "refgrad/ops/fourier_bounds.py": "NumPy's parameter norm",
    "refgrad/nn/activations.py": "a value of torch's parameter approximate",
    "refgrad/nn/alignment_losses.py": "a value of the parameter reduction",
    "refgrad/nn/arguments.py": "values of the parameter reduction",
    "refgrad/nn/classification_losses.py": "values of the parameter reduction",
    "refgrad/nn/distance_draws.py": "values of torch's parameter reduction, and names of draws",
    "refgrad/nn/embeddings.py": "values of torch's parameter mode",
    "refgrad/nn/layer_draws.py": "values of torch's parameters mode and reduce",
    "refgrad/nn/loss_draws.py": "the name of an operand of gaussian_nll_loss",
    "refgrad/nn/losses.py": "values of the parameter reduction",
    "refgrad/nn/place_draws.py": "values of torch's parameter reduce",
    "refgrad/nn/places.py": "values of torch's parameter reduce",
    "refgrad/nn/window_draws.py": "the name of a draw of the function pad",
    "refgrad/testing/deviations/loss_formulas.py": "values of the parameter reduction",
    "refgrad/tracing/caller_instruction.py": "the name of the function of the module operator",
    "refgrad/testing/power/array_mutations.py": "names of planted errors",
    "refgrad/testing/power/graph_mutations.py": "names of planted errors",
    "refgrad/testing/power/thresholds.py": "names of planted errors",
    "refgrad/testing/checks/report_json.py": "kinds of numbers",
    "refgrad/torch/recording.py": "operators of Python",
    "refgrad/torch/checking/roundings.py": "functions of torch",
    "refgrad/tracing/caught_refusals.py": "functions of other libraries",
    "refgrad/tracing/differentiable_arguments.py": "functions of NumPy and their arguments",
    "refgrad/tracing/methods.py": "methods of NumPy's arrays",
    "refgrad/tracing/fast_path.py": "operators of Python, for which there is a shorter way",
    "conformance/families/arrays.py": "styles of numbers",
    "conformance/families/__init__.py": "names of families",
    "conformance/families/matmul.py": "forms of a product that the family draws",
    "conformance/families/mlp.py": "activations of the networks that the family draws",
    "conformance/families/softmax.py": "forms and kinds of logits that the family draws",
    "conformance/families/graphs.py": "styles of numbers",
    "conformance/textbook/graphs.py": "a gate of the textbook's graph that is planted wrong",
    "conformance/textbook/judge.py": "the name of a planted error",
}


def _elements(node: ast.AST) -> list[ast.expr]:
    """The expressions that a node compares, collects or looks up."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return node.elts
    if isinstance(node, ast.Dict):
        return [e for e in (*node.keys, *node.values) if e is not None]
    if isinstance(node, ast.Subscript):
        return [node.slice]
    return []


def _is_op(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in MODULES
        and node.attr in REGISTRY
    )


def facts(text: str) -> Iterator[tuple[int, str]]:
    """(line, name) of every op that the text compares with, lists or looks up."""
    tree = ast.parse(text)
    exported = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    }
    for node in ast.walk(tree):
        if id(node) in exported:
            continue
        elements = _elements(node)
        for element in elements:
            if isinstance(element, ast.Constant) and element.value in NAMES:
                yield element.lineno, str(element.value)
        ops = [ast.unparse(e) for e in elements if _is_op(e)]
        if len(ops) > (0 if isinstance(node, ast.Compare) else 1):
            yield node.lineno, ", ".join(ops)  # type: ignore[attr-defined]


def modules() -> list[str]:
    homes = {op.home.replace(".", "/") + ".py" for op in REGISTRY.values()}
    found = [
        p.relative_to(ROOT).as_posix() for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))
    ]
    return [name for name in found if name not in homes and not name.startswith(WORKERS)]


def test_no_module_lists_ops() -> None:
    found = {name: sorted(facts((ROOT / name).read_text(encoding="utf-8"))) for name in modules()}
    assert len(found) > 100
    wrong = [f"{name}:{line}: {op}" for name, ops in found.items() if name not in ALLOWED for line, op in ops]
    assert not wrong, "say it in the record of the op, and read it from there:\n" + "\n".join(wrong)
    idle = [name for name in ALLOWED if not found.get(name)]
    assert not idle, f"nothing to allow there any more: {idle}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('SMOOTH = {"sin", "cos"}', ["cos", "sin"]),
        ('KINDS = {"sin": 1}', ["sin"]),
        ('if op.name == "relu": pass', ["relu"]),
        ('if op.name in ("relu", "other"): pass', ["relu"]),
        ('REGISTRY["relu"]', ["relu"]),
        ("if op is arithmetic.add: pass", ["arithmetic.add"]),
        ("FAST = (arithmetic.add, shape.reshape)", ["arithmetic.add, shape.reshape"]),
        ("REDUCES = {np.add: reduction.sum, np.multiply: reduction.prod}", ["reduction.sum, reduction.prod"]),
        ("y = arithmetic.add(x, shape.reshape(x))", []),
        ('refuse("relu", x)', []),
        ('__all__ = ["add", "relu"]', []),
        ('params["where"]', []),
    ],
)  # fmt: skip
def test_facts_of_ops_are_found(text: str, names: list[str]) -> None:
    assert sorted(name for _, name in facts(text)) == names
