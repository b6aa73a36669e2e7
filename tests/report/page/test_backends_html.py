"""The page that compares backends: well formed, with links to the failures, closed to what results contain."""

from __future__ import annotations

import re

import pytest

from refgrad.report.analysis.backend_comparison import compare_backends
from refgrad.report.page.backends_html import MOST_ROWS, case_lines, render_backends
from refgrad.report.storage.load import load
from tests.report.page.test_html import Page

pytest.importorskip("jinja2")
A, B = "a" * 16, "b" * 16


@pytest.fixture
def comparison(make, save):
    """A function of lines by backend: their comparison."""

    def made(**lines):
        runs = {
            name: load(save([make.header(backend=name, beside=list(lines)), *mine], f"{name}.jsonl"))
            for name, mine in lines.items()
        }
        return compare_backends(runs)

    return made


FOLDERS = {"torch": "torch", "jax": "jax 1"}


def test_a_row_has_each_verdict_with_its_error_and_a_link_to_the_finding(make, comparison) -> None:
    found = comparison(
        torch=[make.result(A), make.wrong(B, known="x")],
        jax=[make.wrong(A), make.result(B, status="undecided", reason="kink", worst=None)],
    )
    first, second = case_lines(found, FOLDERS)
    assert [(c.status, c.ratio, c.link) for c in first.cells] == [
        ("agree", "0.41", ""),
        ("disagree", "8e5", "jax%201/report.html#disagree-tanh"),
    ]
    assert [(c.status, c.ratio, c.link) for c in second.cells] == [
        ("known", "8e5", f"torch/report.html#q=id:{B}"),
        ("undecided", "", ""),
    ]
    assert first.begins
    assert second.begins


def test_a_disagreement_without_a_wrong_number_shows_no_error(make, comparison) -> None:
    wrong = make.wrong(A, worst_elements=[], worst=make.result(A)["worst"])
    [line] = case_lines(comparison(torch=[make.result(A)], jax=[wrong]), FOLDERS)
    assert [c.ratio for c in line.cells] == ["0.41", ""]


def test_the_page_is_well_formed_and_names_everything(make, comparison) -> None:
    found = comparison(torch=[make.result(A), make.result(B)], jax=[make.wrong(A), make.result(B)])
    page = render_backends(found, FOLDERS)
    parsed = Page(page)
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    text = " ".join("".join(parsed.text).split())
    assert "jax disagrees in 1; " in text
    assert "✗ 1/2" in text
    assert A in text
    assert {"torch/report.html", "jax%201/report.html", "jax%201/report.html#disagree-tanh"} <= {
        *parsed.links
    }
    assert page == render_backends(found, FOLDERS)


def test_a_page_without_failures_says_so(make, comparison) -> None:
    page = render_backends(comparison(torch=[make.result(A)], jax=[make.result(A)]), FOLDERS)
    assert "No backend fails at an op." in page
    assert Page(page).open == []


def test_nothing_in_results_becomes_markup(make, save) -> None:
    evil = make.HOSTILE
    left_out = {evil: evil}
    runs = {
        name: load(
            save(
                [
                    make.header(backend=name, left_out=left_out, environment={name: evil}),
                    line | {"family": evil, "dtype": evil, "device": evil, "mode": evil},
                ],
                f"{k}.jsonl",
            )
        )
        for k, (name, line) in enumerate({evil: make.wrong(A, evil), "jax": make.result(A)}.items())
    }
    page = render_backends(compare_backends(runs), {evil: "x", "jax": "jax"})
    parsed = Page(page)
    assert parsed.open == []
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert not [tag for tag, _ in parsed.tags if tag == "img"]
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert not re.search("[\x1b\u202e]", page)


def test_rows_beyond_the_limit_are_counted(make, comparison) -> None:
    ids = [f"{k:016x}" for k in range(MOST_ROWS + 3)]
    found = comparison(torch=map(make.result, ids), jax=map(make.wrong, ids))
    assert len(case_lines(found, FOLDERS)) == MOST_ROWS
    assert f"The first {MOST_ROWS} of {MOST_ROWS + 3} rows" in render_backends(found, FOLDERS)
