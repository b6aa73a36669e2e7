"""Every type of line: what is written is read back, and the documentation names its fields."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from refgrad.bounds.profiles import CUDA, Profile
from refgrad.records import (
    SCHEMA,
    STATUSES,
    TYPES,
    Audit,
    CaseRecord,
    Crash,
    Element,
    End,
    Expected,
    FinishedItem,
    Header,
    Measured,
    News,
    Numbers,
    Observed,
    Plan,
    PrintedNumber,
    Record,
    Result,
    Rounding,
    Running,
    TextbookItem,
    TextTable,
    Torn,
    encoded,
)
from refgrad.records.result import severity

PAGE = Path(__file__).parents[2] / "docs" / "results.md"
WORST = Element(1.25, 1.5, 3e-7, math.inf, 2e6, (0, 1), "gradient of x", 2, "tanh", 0.5)
NUMBERS = Numbers("sent", (3, 40), (7, 41), (1.0, math.inf), (1.5, 2.0), True, 2)
OBSERVED = Observed({5: (NUMBERS,)}, (5,))
ROUNDING = Rounding("cuda", "the vendor's tables", {"float32": {"exp": 2.5}}, ("reciprocal",))
FULL: tuple[Record, ...] = (  # every field differs from its default
    Header(
        "0.1.0", "2026-11-26T12:00:00Z", ("refgrad", "conformance"), "7", "ci", ("graphs",), ("float32",), ("cpu",), ("reverse",),
        {"torch": "2.13.0"}, {"cpu": "x86_64", "cuda": "not present"}, (("one", "why", "link"),), "2/4", (("cuda", "gone"),), "200", "2",
        "torch", {"reverse": "backward"}, ("tanh",), "90", "jax=/python", ("torch", "jax"), {"erfcx": "jax"}, {"cpu": ROUNDING},
    ),
    Plan(("a", "b")),
    CaseRecord("a" * 16, '{"dtype":"float32","graph":{}}'),
    Result(
        "a" * 16, "graphs", "float32", "cpu", "reverse", "disagree", "a reason", 24, 5, 4, 3, 2, 1.5, WORST, 1e-7,
        {"tanh": (1, 24, math.inf)}, (2, "tanh"), "a message", "one", (WORST,), "import torch\n", "pytest a", "a.py:3", 7, True,
        OBSERVED,
    ),
    TextbookItem(
        place=3, id="D0-power", deck="D0", title="Powers", text="dy/dx", flags=("a misprint",), figure={"nodes": []},
        printed=(PrintedNumber("y", "1.0", "1.0", True),), tables=(TextTable("t", ("a",), (("1",),)),),
    ),
    Measured("D0-power", "time", "1 s"),
    Audit("sign", "float32", 9, 1, 6, "mutants", 5, 1, 1),
    FinishedItem("a", 1.5, 50, 48, 2, 1, 3, "no time"),
    Crash("gw0", "a", "died"),
    Running("gw0", "a", "b" * 16, {"dtype": "float32"}),
    Expected(("a" * 16,), "asked for"),
    News("mended", "forward-maximum", "mended in 2.14.1"),
    Torn(),
    End(1, "2026-11-26T12:01:00Z", 63.5),
)  # fmt: skip
full = pytest.mark.parametrize("record", FULL, ids=[r.TYPE for r in FULL])


def again(record: Record) -> Record:
    line = json.loads(encoded(record))
    return TYPES[line["type"]](line)


def test_every_type_of_line_is_tried() -> None:
    assert {r.TYPE for r in FULL} == set(TYPES)


@full
def test_what_is_written_is_read_back(record: Record) -> None:
    known = replace(record, status="known") if isinstance(record, Result) else record  # recorded, so known
    assert again(record) == again(known) == known


@full
def test_a_line_is_strict_json_that_begins_with_its_type(record: Record) -> None:
    text = encoded(record).decode()
    assert text.startswith(f'{{"type":"{record.TYPE}"')
    assert text.count("\n") == 1
    json.loads(text, parse_constant=pytest.fail)


def test_every_field_stands_in_the_line() -> None:
    undeclared = {
        (kind.__name__, f.name)
        for kind in map(type, FULL)
        for f in fields(kind)
        if "column" not in f.metadata
    }
    assert {name for kind, name in undeclared if kind not in ("Header", "CaseRecord")} == {
        "case_record",
        "outline",
    }


def test_what_few_results_have_is_left_out_and_read_as_nothing() -> None:
    plain = Result("a" * 16, "graphs", "float32", "cpu", "value", "agree", elements=3)
    line = plain.to_dict()
    assert not line.keys() & {
        "script", "worst_elements", "again", "where", "wrong", "shrunk", "observed", "case",
    }  # fmt: skip
    assert again(plain) == plain
    assert "operand" not in Element(1.0, 1.0, 0.1, 0.0, 0.0, ()).to_dict()


def test_the_number_of_the_schema_stands_in_the_first_line() -> None:
    assert FULL[0].to_dict()["schema"] == SCHEMA == 2


def test_a_backend_is_called_with_its_release_where_another_one_of_its_name_is_judged_beside_it() -> None:
    head = Header("0", "", (), environment={"jax": "0.10.2"}, backend="jax")
    assert head.label == replace(head, beside=("torch", "jax")).label == "jax"
    assert replace(head, beside=("jax 0.10.2", "jax 0.12.0")).label == "jax 0.10.2"


def test_a_profile_is_recorded_with_every_figure_and_with_the_flags_that_hold() -> None:
    found = Rounding.of(replace(CUDA, flushing_products=frozenset({"float16", "bfloat16"})))
    assert found.name == "cuda"
    assert {fmt: dict(table) for fmt, table in found.ulp.items()} == {k: dict(v) for k, v in CUDA.ulp.items()}
    assert found.flags == ("truncating", "scanning", "reciprocal", "flushing_products: bfloat16, float16")
    assert Rounding.of(Profile("plain", {})).flags == ()


def test_a_ratio_that_is_no_number_is_the_worst() -> None:
    assert math.isnan(max([1.0, math.nan, 5.0], key=severity))


# --- the documentation ----------------------------------------------------------------------------------------------------


def documented() -> dict[str, list[str]]:
    """By type of line, the fields that the page names in the first column of the table below its heading."""
    sections = re.split(r"^## `(\w+)`.*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        kind: re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
        for kind, text in zip(sections[::2], sections[1::2], strict=True)
    }


def test_the_page_names_every_type_of_line_and_every_field() -> None:
    written = {r.TYPE: sorted(r.to_dict().keys() - {"type"}) for r in FULL}
    written |= {
        "element": sorted(WORST.to_dict()),
        "numbers": sorted(NUMBERS.to_dict()),
        "observed": sorted(OBSERVED.to_dict()),
        "rounding": sorted(ROUNDING.to_dict()),
    }
    assert {kind: sorted(names) for kind, names in documented().items()} == written


def test_the_page_names_the_statuses_in_order_and_the_schema() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert ", ".join(f"`{s}`" for s in STATUSES) in text
    assert f"schema {SCHEMA}" in text
