"""Counts of results: neither order nor division matters, and they are the counts of a plain loop."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.records import AGREE, Result
from refgrad.report import compare_with_baseline, render, table
from refgrad.report.analysis import row_tally
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Tally, median
from refgrad.report.ci.junit import junit
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load


@pytest.fixture
def run(make, save) -> Run:
    return load(save(make.synthetic(400, failing=0.05)))


@pytest.fixture
def results(run) -> list[Result]:
    held = {(r.id, r.mode): r for r in (*run.results, *run.tally.rows.kept)}
    return [held.get((r.id, r.mode), r) for r in each_result(run)]


@pytest.mark.parametrize("all_", [6000, 700, 20])
def test_order_and_division_do_not_matter(run, results, all_, monkeypatch) -> None:
    monkeypatch.setattr(row_tally, "ALL", all_)
    monkeypatch.setattr(row_tally, "SINGLE", all_ // 2)
    draw, shown = random.Random(0), []
    for parts in (1, 1, 3):
        draw.shuffle(results)
        tally = Tally()
        for k in range(parts):
            tally.update(Tally.of(results[k::parts]))
        again = replace(run, tally=tally)
        shown.append((render(again, compare_with_baseline(again, run)), table(again), junit(again)))
    whole = replace(run, tally=Tally.of(results))
    shown.append((render(whole, compare_with_baseline(whole, run)), table(whole), junit(whole)))
    assert shown[0] == shown[1] == shown[2] == shown[3]


def test_counts_are_those_of_a_loop(run, results) -> None:
    tally = run.tally
    assert (tally.results, tally.elements) == (len(results), sum(r.elements for r in results))
    assert Counter(r.status for r in results) == tally.statuses
    rounding = {r.dtype: FORMATS[r.dtype].u / 2 for r in results}
    seen = sorted(
        r.sensitivity for r in results if r.sensitivity is not None and r.sensitivity >= rounding[r.dtype]
    )
    assert median(tally.cells.values()) == seen[len(seen) // 2]
    worst = max(r.worst.ratio for r in results if r.worst is not None and r.status == AGREE)
    assert max(cell.worst or 0.0 for at, cell in tally.cells.items() if at.status == AGREE) == worst
    assert median([]) is None


def test_the_typical_smallest_error_leaves_exact_results_out(results) -> None:
    rounds = replace(results[0], dtype="float32", sensitivity=3e-8)  # half an ulp just below a power of two
    exact = [replace(rounds, id=f"{k:016x}", sensitivity=s) for k, s in enumerate((0.0, 1.5e-323, 2.9e-8))]
    assert median(Tally.of([rounds, *exact]).cells.values()) == 3e-8
    assert median(Tally.of(exact).cells.values()) is None
    assert median(Tally.of([replace(exact[2], dtype="float64")]).cells.values()) == 2.9e-8


def test_adding_a_tally_leaves_it_as_it_was(results) -> None:
    part, other = Tally.of(results[:300]), Tally.of(results[300:])
    before = (part.results, part.elements, len(part.cases), len(part.rows.kept))
    whole = Tally()
    for added in (part, other):
        whole.update(added)
    assert (part.results, part.elements, len(part.cases), len(part.rows.kept)) == before
    assert whole.results == len(results)
