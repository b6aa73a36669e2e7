"""One failing case on the page: its address, its file, and what is too large to travel."""

from __future__ import annotations

import base64
import json

import pytest

from refgrad.report.page.failing_case import MOST_CASE, MOST_SCRIPT, anchor, failing_case
from refgrad.report.storage.details import in_full
from refgrad.report.storage.load import load


@pytest.fixture
def shown(make, save):
    """The failing case of a results line with changes."""

    def of(name: str = "a" * 16, **changes):
        run = load(save([make.header(), make.wrong(name, **changes)]))
        [result] = in_full(run, run.results)
        return failing_case(result)

    return of


def test_the_link_is_the_case_file(shown) -> None:
    case = shown()
    kind, _, data = case.link.partition(",")
    assert kind == "data:application/json;base64"
    assert json.loads(base64.b64decode(data)) == case.result.case
    assert case.figure is not None
    assert case.name == f"case-{'a' * 16}.json"
    assert case.command == f"refgrad repro {case.name}"


def test_what_is_too_large_does_not_travel(shown) -> None:
    assert shown(script="x" * MOST_SCRIPT).script
    large = shown(script="x" * (MOST_SCRIPT + 1), nodes=MOST_CASE // 40)
    assert (large.script, large.link) == ("", "")
    assert large.command == f"refgrad repro results.jsonl.gz --id {'a' * 16}"
    assert large.figure is not None
    assert large.size == large.figure.length + 2000
    assert shown(script="x" * 10_000).size > 12_000


def test_the_command_is_that_of_the_result_and_needs_a_case(shown) -> None:
    assert shown(again="pytest tests/test_a.py").command == "pytest tests/test_a.py"
    assert shown(case={}).command == ""


def test_a_script_is_alone_unless_it_imports_refgrad(shown) -> None:
    assert shown(script="import torch\n").standalone
    assert not shown(script="import refgrad\n").standalone
    assert not shown(script="from refgrad import nn\n").standalone


def test_an_address_and_a_file_name_are_made_of_harmless_characters(shown) -> None:
    assert anchor("a b/ü", "func.vjp") == "case-a-b-func-vjp"
    assert anchor("a" * 16, "reverse") == shown().anchor
    assert shown("../../etc; rm -rf ü").name == "case-etcrm-rf.json"
    assert shown("üü").name == "case-unnamed.json"
