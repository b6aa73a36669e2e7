"""The table of rounding profiles."""

from __future__ import annotations

from refgrad.records import Rounding
from refgrad.report import render
from refgrad.report.page.rounding_table import rounding_table
from refgrad.report.storage.load import load

ONE = Rounding("cpu", "a manual", {"float32": {"exp": 1.0, "tan": 1.5}, "float64": {"exp": 1.0}}, ("fused",))
OTHER = Rounding("jax", "measured", {"float32": {"exp": 2.5}})


def test_each_function_has_a_figure_where_the_profile_states_one() -> None:
    found = rounding_table({"torch cpu": ONE, "jax cpu": OTHER})
    assert found.spans == (("torch cpu", 2), ("jax cpu", 1))
    assert [fmt for _, fmt in found.columns] == ["float32", "float64", "float32"]
    assert found.rows == (("exp", ("1", "1", "2.5")), ("tan", ("1.5", "", "")))


def test_the_page_of_a_run_names_the_figures_and_their_source(make, save) -> None:
    page = render(load(save([make.header(rounding={"cpu": ONE.to_dict()}), make.result("a" * 16)])))
    assert "a manual" in page
    assert "Also assumed: fused" in page
    assert '<th scope="row">tan</th><td class="n">1.5</td><td class="n"></td>' in page


def test_an_older_file_has_no_table(make, save) -> None:
    assert "The rounding that the bounds assume" not in render(
        load(save([make.header(), make.result("a" * 16)]))
    )
