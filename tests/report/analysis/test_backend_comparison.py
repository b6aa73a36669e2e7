"""Several backends judged on the same cases: who agrees, in which cases one does not, and what the comparison leaves out."""

from __future__ import annotations

import pytest

from refgrad.report.analysis.backend_comparison import NOT_JUDGED, compare_backends
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 0, "finished": "2026-11-21T05:02:00Z", "seconds": 10.0}
BOTH = ("torch", "jax")


@pytest.fixture
def run(make, save):
    """A function of a backend and the lines of its results: the run in their file."""

    def made(backend, *lines, end=END, **changes):
        around = {"torch": "2.13.0", "jax": "0.10.2"}
        head = make.header(backend=backend, **{"beside": list(BOTH), "environment": around} | changes)
        return load(save([head, *lines, *([end] if end else [])], f"{backend}.jsonl"))

    return made


def case(number: int) -> str:
    return f"{number:x}" * 16


def compared(torch, jax, exits=None):
    return compare_backends({"torch": torch, "jax": jax}, exits)


def test_one_that_disagrees_is_named_with_its_cases_and_what_the_other_does_there(make, run) -> None:
    torch = run("torch", *(make.result(case(k)) for k in (1, 2, 3)))
    jax = run(
        "jax",
        make.result(case(1)),
        make.wrong(case(2)),
        make.result(case(3), status="undecided", reason="kink"),
    )
    found = compared(torch, jax)
    assert (
        found.sentence
        == "Of 3 cases that all backends judged: jax disagrees in 1; torch agrees with the derivative."
    )
    assert found.exit == 1
    assert found.notes == ()
    [row] = found.rows
    assert (row.id, row.mode, row.op) == (case(2), "reverse", "tanh")
    assert row.statuses == ("agree", "disagree")
    assert list(row.failing) == [1]
    assert [(b.label, b.exit, b.judged, b.of("disagree"), b.of("undecided")) for b in found.backends] == [
        ("torch", 0, 3, 0, 0),
        ("jax", 1, 2, 1, 1),
    ]


def test_all_agree(make, run) -> None:
    found = compared(run("torch", make.result(case(1))), run("jax", make.result(case(1))))
    assert found.sentence == "Of 1 case that all backends judged: torch and jax agree with the derivative."
    assert (found.exit, found.rows, found.shared) == (0, (), 1)


def test_a_known_disagreement_is_said_and_fails_nothing(make, run) -> None:
    jax = run(
        "jax", make.wrong(case(1), known="a name"), deviations=[{"id": "a name", "reason": "", "link": ""}]
    )
    found = compared(run("torch", make.result(case(1))), jax)
    assert found.sentence.endswith(
        "torch and jax agree with the derivative, but for known disagreements: jax in 1."
    )
    assert found.exit == 0
    assert [row.statuses for row in found.rows] == [("agree", "known")]


def test_an_error_and_a_crash_are_failures_in_their_own_words(make, run) -> None:
    error = make.result(case(1), status="error", reason="ValueError: no", worst=None, ops={})
    jax = run("jax", error, {"type": "crash", "worker": "gw0", "item": "x", "reason": "died"})
    found = compared(run("torch", make.result(case(1))), jax)
    assert "jax has an error in 1 and crashed in 1 test item; torch agrees" in found.sentence
    assert found.exit == 1
    assert [row.statuses for row in found.rows] == [("agree", "error")]


def test_what_one_alone_judged_is_no_part_of_the_comparison(make, run) -> None:
    """Such as the evidence of a recorded disagreement, and cases that shrinking made."""
    torch = run(
        "torch", make.result(case(1)), make.wrong(case(2), known="x"), make.wrong(case(3), shrunk=True)
    )
    found = compared(torch, run("jax", make.result(case(1)), make.result(case(3))))
    assert (found.shared, found.partly, found.rows) == (1, 2, ())
    assert found.backends[0].of("known") == 0
    assert "fails beyond these cases" in found.sentence  # the shrunk case fails the run of torch
    assert found.exit == 1


def test_a_row_from_end_to_end_is_left_out_where_node_by_node_says_the_same(make, run) -> None:
    jax = run(
        "jax",
        make.wrong(case(1)),
        make.wrong(case(1), mode="reverse end to end"),
        make.result(case(2)),
        make.wrong(case(2), mode="reverse end to end"),
    )
    torch = run("torch", make.result(case(1)), make.result(case(2)))
    assert [(row.id, row.mode) for row in compared(torch, jax).rows] == [
        (case(1), "reverse"),
        (case(2), "reverse end to end"),
    ]
    assert compared(torch, jax).rows[1].statuses == (NOT_JUDGED, "disagree")


def test_a_run_that_proved_nothing_and_runs_without_a_common_case(make, run) -> None:
    partial = run("jax", make.result(case(1)), end=None)
    found = compared(run("torch", make.result(case(1))), partial)
    assert found.exit == 3
    assert found.sentence.endswith("torch agrees with the derivative; the run of jax proved nothing.")
    assert found.notes == ("The run of jax is partial; its own page says why.",)
    apart = compared(run("torch", make.result(case(1))), run("jax", make.result(case(2))))
    assert (apart.exit, apart.sentence) == (
        3,
        "Nothing is compared: no case was judged on all of torch and jax.",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 7}, "seed"),
        ({"dtypes": ["float32"], "examples": 9}, "dtypes, examples"),
        ({}, "the ops of their backends"),
    ],
)
def test_runs_made_apart_say_in_what_they_differ(make, run, changes, said) -> None:
    torch = run("torch", make.result(case(1)), make.result(case(2)), beside=[])
    found = compared(torch, run("jax", make.result(case(1)), beside=[], **changes))
    [note] = found.notes
    assert note.startswith(
        f"The runs were made apart and differ in {said}: 1 further case was judged on some"
    )
    assert found.exit == 0


def test_failures_that_are_not_new_do_not_fail(make, run) -> None:
    torch, jax = run("torch", make.result(case(1))), run("jax", make.wrong(case(1)))
    found = compared(torch, jax, {"torch": 0, "jax": 0})
    assert found.exit == 0
    assert found.notes == ("The failures of jax are not new against its baseline.",)
    assert "jax disagrees in 1" in found.sentence


def test_ops_that_were_left_out_stand_by_the_backends_that_lack_them(make, run) -> None:
    left_out = {"erf": "jax", "solve": "jax, mxnet", "sort": "jax"}
    found = compared(*(run(name, make.result(case(1)), left_out=left_out) for name in BOTH))
    assert found.left_out_by_backend == (("jax", ("erf", "sort")), ("jax, mxnet", ("solve",)))


def test_a_backend_whose_results_are_missing_is_named(make, run) -> None:
    """The command was interrupted before it came to this backend, or its file was not given."""
    found = compare_backends({"torch": run("torch", make.result(case(1)))})
    assert found.sentence == "Of 1 case that torch judged: torch agrees with the derivative."
    assert found.notes == ("The results of jax are missing.",)
    assert found.exit == 3
