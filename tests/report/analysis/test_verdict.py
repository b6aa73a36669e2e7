import pytest

from refgrad.report import exit_code
from refgrad.report.analysis.verdict import verdict
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}
CRASH = {"type": "crash", "worker": "gw0", "item": "test_graphs[0]", "reason": "crashed"}


def audit(caught):
    return {
        "type": "audit",
        "mutation": "sign",
        "dtype": "float64",
        "planted": 10,
        "equivalent": 2,
        "caught": caught,
    }


@pytest.fixture
def run(make, save):
    def read(*lines):
        return load(save([make.header(), *lines]))

    return read


def test_agreement_is_0(run, make):
    assert exit_code(run(make.result("a" * 16), END)) == 0


def test_results_without_a_verdict_beside_agreement_are_0(run, make):
    assert (
        exit_code(
            run(
                make.result("a" * 16),
                make.result("b" * 16, status="undecided", reason="kink", elements=0),
                END,
            )
        )
        == 0
    )


@pytest.mark.parametrize("status", ["disagree", "error"])
def test_a_failure_is_1(run, make, status):
    assert exit_code(run(make.result("a" * 16), make.result("b" * 16, status=status), END)) == 1


def test_a_crash_is_1(run, make):
    assert exit_code(run(make.result("a" * 16), CRASH, END)) == 1


def test_a_failure_in_a_partial_run_is_1(run, make):
    assert exit_code(run(make.wrong("a" * 16))) == 1


def test_nothing_compared_is_3(run, make):
    assert exit_code(run(END)) == 3
    assert exit_code(run(make.result("a" * 16, elements=0), END)) == 3


def test_a_partial_run_is_never_0(run, make):
    assert exit_code(run(make.result("a" * 16))) == 3
    assert exit_code(run(make.result("a" * 16), '{"type":"en')) == 3


def test_the_runner_may_ask_before_it_writes_the_end(run, make):
    assert exit_code(run(make.result("a" * 16)), complete=True) == 0
    assert exit_code(run(make.wrong("a" * 16)), complete=True) == 1
    assert exit_code(run(), complete=True) == 3


def test_never_greener_than_the_run_itself(run, make):
    assert exit_code(run(make.result("a" * 16), END | {"exit": 3})) == 3
    assert exit_code(run(make.wrong("a" * 16), END)) == 1


def test_an_audit_that_caught_nothing_is_3(run, make):
    assert exit_code(run(make.result("a" * 16), audit(0), END)) == 3
    assert exit_code(run(make.result("a" * 16), audit(7), END)) == 0


def test_the_sentence_counts_cases_and_the_notes_say_what_is_missing(run, make):
    said = verdict(
        run(make.wrong("a" * 16), make.wrong("a" * 16, mode="forward"), make.wrong("b" * 16), CRASH, audit(7))
    )
    assert said.sentence == "2 cases disagree with the derivative, first wrong at tanh; 1 test item crashed."
    assert said.notes[0].startswith("Partial: it has no end line")
    assert "1 planted error was not detected" in said.remarks[0]
    assert ("planted errors caught", "7 of 8") in said.proof
    assert ("cases judged", "2") in said.proof


def test_the_sentence_begins_with_the_first_finding(run, make):
    first = {"node": 2, "op": "sigmoid"}
    raised = [make.result(f"{k:016x}", status="error", reason="raised", first_wrong=first) for k in range(5)]
    assert verdict(run(*raised, make.wrong("f" * 16))).sentence == (
        "5 results could not be judged because of an error, at sigmoid; 1 case disagrees with the derivative, first wrong at tanh."
    )


def test_the_headline_shortens_long_names_and_counts_those_without_room(run, make):
    names = [f"tests/test_of_a_project.py::test_with_a_long_name_{k}_{'x' * 200}" for k in range(6)]
    wrong = [make.wrong(f"{k:016x}", name) for k, name in enumerate(names)]
    sentence = verdict(run(*wrong, END | {"exit": 1})).sentence
    assert sentence.startswith(
        "6 cases disagree with the derivative, first wrong at tests/test_of_a_project.py::"
    )
    assert sentence.endswith("… and 4 more.")
    assert len(sentence) < 180


def test_no_share_of_no_planted_errors_is_told(run, make):
    equivalent = audit(0) | {"planted": 2, "equivalent": 2}
    for lines in ((), (equivalent,)):
        said = verdict(run(make.result("a" * 16), *lines, END))
        assert ("planted errors caught", "none planted") in said.proof


def test_right_formulas_that_pass_are_proof_too(run, make):
    formulas = [audit(1) | {"mutation": f"mutant {k}", "right": 1, "refused": k % 2} for k in range(4)]
    assert ("right formulas accepted", "2 of 4") in verdict(run(make.result("a" * 16), *formulas, END)).proof
    assert "right formulas accepted" not in dict(verdict(run(make.result("a" * 16), audit(7), END)).proof)


def test_the_end_line_is_contradicted_openly(run, make):
    assert any("ended with exit code 0" in note for note in verdict(run(make.wrong("a" * 16), END)).notes)


def test_numbers_of_the_textbook_do_not_swell_the_count_of_elements(make, save):
    lesson = make.result("D3-training", family="textbook", elements=200_000_000)
    proof = dict(verdict(load(save([make.header(), make.result("a" * 16), lesson, END]))).proof)
    assert proof["elements compared (200M more in the textbook)"] == "24"
    alone = dict(verdict(load(save([make.header(), lesson, END]))).proof)
    assert "elements compared in the textbook" in alone


def test_rates_are_those_of_a_run_that_says_how_long_it_took(run, make):
    lines = [make.result("a" * 16, elements=3000), make.result("b" * 16, elements=1000), audit(7)]
    proof = dict(verdict(run(*lines, END | {"seconds": 4})).proof)
    assert (proof["cases per second"], proof["elements per second"]) == ("0.5", "1\u202f000")
    for end in ([END | {"seconds": 0}], [END | {"seconds": "nan"}], []):
        assert "cases per second" not in dict(verdict(run(*lines, *end)).proof)
