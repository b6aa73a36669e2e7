"""Every module of refgrad that holds logic has a test module of its name, or is listed with the one that tests it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from tests.imports import ROOT, sources

# Modules without a test module of their own name, and the one that holds them to what they are for.
TESTED_BY = {
    # A record of an op is asked everything by the registry's tests; what is said here of a family is asked of all its ops.
    **dict.fromkeys(
        (
            "ops/activation", "ops/arithmetic", "ops/entropy", "ops/exponential", "ops/exponential_shares", "ops/extremes",
            "ops/error_functions", "ops/gamma_functions", "ops/running_logsumexp", "ops/scaled_modified_bessel", "ops/zeta",
            "ops/gated_activations", "ops/gelu", "ops/gelu_erf", "ops/hyperbolic", "ops/modified_bessel",
            "ops/normal",
            "ops/logic", "ops/piecewise_activations", "ops/plane",
            "ops/products", "ops/selection", "ops/smooth_activations", "ops/stop_gradient",
            "ops/trigonometric", "ops/undefined", "ops/variance", "ops/convolution", "ops/convolution_draws", "ops/windows",
        ),
        "ops/test_every_op",
    ),
    **dict.fromkeys(
        ("testing/deviations/matrix_conditions", "testing/deviations/row_conditions"),
        "testing/deviations/test_operand_conditions",
    ),
    "ops/complex_numbers": "tracing/test_complex_operands",
    "ops/by_parts": "tracing/test_complex_ball",
    **dict.fromkeys(("ops/complex_products", "ops/complex_systems"), "ops/test_complex_functions"),
    **dict.fromkeys(("complex/algebra", "complex/elementary", "complex/fourier"), "complex/test_parts"),
    "ops/fourier": "functions/test_fourier",
    "torch/checking/complex_tensors": "torch_side/test_complex",
    **dict.fromkeys(("ops/contraction", "ops/dense_linalg", "ops/solving"), "ops/test_linalg"),
    **dict.fromkeys(
        (
            "ops/dense_factors", "ops/dense_spectra", "ops/eigenvalues", "ops/matrix_exponential", "ops/orthogonal_triangular",
            "ops/pseudoinverse", "ops/real_eigenvalues", "ops/singular_values", "ops/triangular",
        ),
        "ops/test_every_op",
    ),
    **dict.fromkeys(("linalg/arguments", "linalg/exponential"), "linalg/test_triangular"),
    # A composition is compared with NumPy and with differences of NumPy's own function.
    **dict.fromkeys(("functions/binning", "functions/joining", "functions/shapes"), "test_functions"),
    **dict.fromkeys(
        (
            "nn/activations", "nn/alignment_losses", "nn/arguments", "nn/distances", "nn/formats",
            "nn/further_activations", "nn/regression_losses", "nn/layers", "nn/logarithms", "nn/losses", "nn/normalized_exponentials",
        ),
        "test_nn",
    ),
    # Every type of record is written and read back with every field set.
    **dict.fromkeys(
        (
            "records/audit", "records/element", "records/header", "records/lifecycle", "records/result",
            "records/rounding", "records/textbook_items",
        ),
        "records/test_record",
    ),
    # Registration is where the parts of a record meet.
    **dict.fromkeys(("op/checks", "op/record", "op/registry", "op/signature", "bounds/figures"), "test_op"),
    # The traits of a record, and its mistakes, are compared with what the op does.
    **dict.fromkeys(("op/traits", "ops/branches"), "ops/test_traits"),
    "nn/spatial": "nn/test_convolution",
    **dict.fromkeys(
        (
            "nn/activation_draws", "nn/alignment_draws", "nn/attention_draws", "nn/distance_draws", "nn/image_draws", "nn/layer_draws",
            "nn/loss_draws", "nn/place_draws", "nn/recurrent_draws", "nn/window_draws",
        ),
        "conformance/families/test_functions",
    ),
    **dict.fromkeys(("ops/exact_bessel", "ops/exact_slopes"), "ops/test_slopes"),
    # Plain functions that several records share are compared with mpmath as the forward functions of these.
    **dict.fromkeys(
        (
            "ops/bessel_series", "ops/gamma_series", "ops/macdonald_moments", "ops/modified_bessel_moments",
            "ops/modified_bessel_series", "ops/normal_distribution", "ops/scaled_error_function",
        ),
        "ops/test_special_values",
    ),
    "ops/zeta_series": "special/test_zeta_function",
    **dict.fromkeys(
        ("ops/incomplete_gamma_series", "special/incomplete_gamma_twins"), "special/test_incomplete_gamma"
    ),
    **dict.fromkeys(("ops/bessel", "ops/modified_bessel_second", "ops/spherical_bessel"), "ops/test_every_op"),
    "special/bessel_twins": "test_special",
    "special/zeta_twins": "special/test_zeta_function",
    "op/real_arrays": "test_special",
    **dict.fromkeys(
        (
            "special/arguments", "special/bessel_functions", "special/error_functions", "special/gamma_functions", "special/logarithms",
        ),
        "test_special",
    ),
    "ops/params_in_graphs": "conformance/test_families",
    "bounds/factors": "bounds/test_rules",
    "ops/weighted_rows": "ops/test_normalization",
    "backends/shipped": "backends/test_worker",
    "bounds/evaluation": "bounds/test_rules",
    "draw/rendering": "test_draw",
    "pytest_plugin": "test_pytest_report",
    "report/analysis/mode_groups": "report/analysis/test_coverage",
    # What is counted while a file is read is compared with the table or the drawing that shows it.
    "report/analysis/error_bins": "report/page/test_histogram",
    **dict.fromkeys(("report/analysis/op_errors", "report/analysis/op_tally"), "report/page/test_heat_map"),
    "report/analysis/row_tally": "report/page/test_table_rows",
    "report/analysis/way_tally": "report/page/test_textbook",
    **dict.fromkeys(("report/storage/line_json", "report/storage/run_reader"), "report/storage/test_load"),
    "suite/report": "report/test_publish_backends",
    "testing/judging/judge": "testing/judging/test_node_by_node",
    "testing/judging/mode_agreement": "testing/judging/test_modes",
    "testing/judging/concatenated": "testing/judging/test_compare",
    "testing/judging/contributions": "testing/judging/test_node_by_node",
    "testing/judging/derived_formats": "testing/judging/test_node_by_node",
    "testing/judging/settlement": "testing/runs/test_judgement",
    "torch/checking/answered": "torch/checking/test_further_calls",
    "torch/checking/point": "torch/checking/test_evaluation",
    "torch/further_modes": "testing/judging/test_modes",
    "torch/script_calls": "torch/test_case_script",
    "tracing/unavailable": "tracing/test_methods",
}  # fmt: skip


def has_logic(text: str) -> bool:
    """Whether a module defines a function or a class; one that only gathers names, or holds constants, does not."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(text)))


def own_test(place: str) -> str:
    """The test module of a module of refgrad, both as paths without their ending."""
    folder, _, name = place.rpartition("/")
    return f"{folder}/test_{name}" if folder else f"test_{name}"


def untested(logic: Collection[str], tests: Collection[str], elsewhere: Mapping[str, str]) -> list[str]:
    """What is amiss: modules without a test, and entries of ``elsewhere`` that say nothing true any more."""
    amiss = []
    for place in sorted({*logic, *elsewhere}):
        if place not in logic:
            amiss.append(
                f"{place}: listed as tested by {elsewhere[place]}, but there is no such module with logic"
            )
        elif own_test(place) in tests:
            if place in elsewhere:
                amiss.append(f"{place}: has a test of its own; take it off the list")
        elif place not in elsewhere:
            amiss.append(f"{place}: give it a tests/{own_test(place)}.py, or say in TESTED_BY what holds it")
        elif elsewhere[place] not in tests:
            amiss.append(f"{place}: tests/{elsewhere[place]}.py is not there")
    return amiss


def test_every_module_has_its_tests() -> None:
    logic = {
        path.relative_to(ROOT / "refgrad").with_suffix("").as_posix()
        for path in sources("refgrad")
        if path.name != "__init__.py" and has_logic(path.read_text(encoding="utf-8"))
    }
    tests = {path.relative_to(ROOT / "tests").with_suffix("").as_posix() for path in sources("tests")}
    assert len(logic) > 100
    amiss = untested(logic, tests, TESTED_BY)
    assert not amiss, "\n".join(amiss)


def test_a_module_without_tests_is_found() -> None:
    tests = {"test_domain", "ops/test_every_op"}
    assert untested({"domain", "ops/gelu"}, tests, {"ops/gelu": "ops/test_every_op"}) == []
    assert untested({"errors"}, tests, {})[0].startswith(
        "errors: give it a tests/test_errors.py, or say in TESTED_BY"
    )
    assert untested({"domain"}, tests, {"domain": "ops/test_every_op"}) == [
        "domain: has a test of its own; take it off the list"
    ]
    assert untested({"ops/gelu"}, tests, {"ops/gelu": "ops/test_gone"}) == [
        "ops/gelu: tests/ops/test_gone.py is not there"
    ]
    assert "no such module" in untested(set(), tests, {"ops/gone": "ops/test_every_op"})[0]
    assert has_logic("class A: ...")
    assert has_logic("if True:\n    def f(): ...")
    assert not has_logic("from a import b\nX = [lambda: 1]")
