"""Sorted lines: in memory and in the temporary file they are the same, and none is lost."""

from __future__ import annotations

import json
import random

import pytest

from refgrad.errors import CaseFileError
from refgrad.report.storage import lines as module
from refgrad.report.storage.lines import SortedLines

HEAD, END = b'{"type":"run"}', b'{"type":"end"}'


def drawn(seed: int) -> list[bytes]:
    draw = random.Random(seed)
    kinds = ("result", "case", "audit", "news")
    return [json.dumps({"type": draw.choice(kinds), "id": draw.randrange(300), "long": "x" * draw.randrange(200)}).encode()
            for _ in range(2000)]  # fmt: skip


def collected(lines: list[bytes]) -> SortedLines:
    found = SortedLines(HEAD)
    for line in lines:
        found.add(line)
    found.last = END
    return found


def expected(lines: list[bytes]) -> list[bytes]:
    """Sorted, with equal cases and equal news once."""
    shared = {line for line in lines if json.loads(line)["type"] in ("case", "news")}
    return [HEAD, *sorted([*shared, *(line for line in lines if line not in shared)]), END]


@pytest.mark.parametrize("chunk", [1, 1000, 50_000, 1 << 30])
def test_any_number_of_chunks_gives_the_same_lines(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    given = drawn(0) + drawn(0)[:500]
    if chunk == 1:
        given = given[:20] * 2  # each in a chunk of its own
    found = collected(given)
    assert list(found) == expected(given)
    assert list(found) == expected(given), "a second time"
    assert len(expected(given)) < len(given) + 2, "no line was there twice"


def test_a_line_longer_than_a_block_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)
    draw = random.Random(1)
    given = [b'{"type":"result","x":"%s"}' % draw.randbytes(150_000).hex().encode() for _ in range(5)]
    assert list(collected(given)) == [HEAD, *sorted(given), END]


def test_the_digest_is_of_the_lines_and_not_of_their_order() -> None:
    given = drawn(2)
    assert collected(given).digest == collected(given[::-1]).digest
    assert collected(given).digest != collected(given[1:]).digest
    torn = collected(given)
    torn.torn = True
    assert torn.digest != collected(given).digest
    assert list(torn)[-2:] == [b'{"type":"torn"}', END]


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "CHUNK", 1)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(CaseFileError, match=r"temporary file .* No space left on device; TMPDIR"):
        collected(drawn(0))
