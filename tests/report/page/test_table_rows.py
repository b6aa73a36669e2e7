"""The rows of the page's table: failures one by one, agreement together where there is much of it, all in one packed text."""

from __future__ import annotations

import base64
import json
import zlib

import pytest

from refgrad.report.analysis import row_tally
from refgrad.report.page import table_rows
from refgrad.report.page.table_rows import WORDS, payload
from refgrad.report.storage.load import load


def unpacked(made) -> list[dict[str, object]]:
    """The rows as the page's script reads them."""
    data = json.loads(zlib.decompress(base64.b64decode(made.text)))
    rows = []
    for k in range(len(data["id"])):
        words = {name: data["words"][name][data["index"][name][k]] for name in WORDS}
        rows.append(words | {key: data[key][k] for key in ("results", "elements", "ratio", "ulp", "id")})
    return rows


@pytest.fixture
def run(make, save):
    return load(
        save([
            make.header(), make.result("b" * 16), make.result("c" * 16, worst=None, elements=0), make.wrong("a" * 16, "sin"),
            make.result("d" * 16, worst={**make.result("d")["worst"], "ratio": "inf", "ulp": "nan"}),
        ])
    )  # fmt: skip


def test_failures_come_first_and_every_result_has_its_row(run) -> None:
    made = payload(run)
    rows = unpacked(made)
    assert (made.rows, made.grouped) == (4, 0)
    assert (rows[0]["status"], rows[0]["op"], rows[0]["id"]) == ("disagree", "sin", "a" * 16)
    by_id = {row["id"]: row for row in rows}
    assert by_id["b" * 16]["ratio"] == 0.41
    assert (by_id["c" * 16]["ratio"], by_id["c" * 16]["ulp"]) == (None, None)
    assert (by_id["d" * 16]["ratio"], by_id["d" * 16]["ulp"]) == ("inf", "nan")
    assert by_id["a" * 16]["text"].startswith("reverse: first wrong at op sin")


def test_in_a_large_run_what_agrees_is_put_together(run, monkeypatch) -> None:
    monkeypatch.setattr(row_tally, "ALL", 3)
    made = payload(run)
    rows = unpacked(made)
    assert (made.rows, made.grouped) == (2, 3)
    assert rows[0]["id"] == "a" * 16
    together = rows[1]
    assert (together["results"], together["elements"], together["status"]) == (3, 48, "agree")
    assert (together["id"], together["ratio"]) == ("d" * 16, "inf")  # the one that came nearest


def test_where_there_are_too_many_groups_ops_are_put_together_too(make, save, monkeypatch) -> None:
    monkeypatch.setattr(row_tally, "ALL", 1)
    monkeypatch.setattr(table_rows, "GROUPS", 2)
    lines = [
        make.result(
            f"{k:016x}", ops={f"op{k}": [1, 24, 0.1]}, worst={**make.result("a")["worst"], "op": f"op{k}"}
        )
        for k in range(4)
    ]
    run = load(save([make.header(), *lines]))
    assert [row["op"] for row in unpacked(payload(run))] == [""]
    monkeypatch.setattr(table_rows, "GROUPS", 4)
    assert [row["op"] for row in unpacked(payload(run))] == ["op0", "op1", "op2", "op3"]
