import pytest

from refgrad.errors import CaseFileError
from refgrad.report import exit_code
from refgrad.report.storage.load import load
from refgrad.report.storage.merge import merge
from tests.report.conftest import compressed_results

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}


def test_what_a_test_expected_is_known_and_what_it_did_not_is_wrong(make, save, tmp_path):
    header = make.header(deviations=[{"id": "asked for", "reason": "r", "link": ""}])
    lines = [header, make.wrong("a" * 16), make.wrong("b" * 16), make.result("c" * 16)]
    back = {"type": "expected", "ids": ["a" * 16, "c" * 16], "known": "asked for"}
    found = load(save([*lines, back, END]))
    assert [(r.id[0], r.status) for r in found.results] == [("a", "known"), ("b", "disagree")]
    assert exit_code(found) == 1
    assert exit_code(load(save([lines[0], lines[1], lines[3], back, END]))) == 0
    assert exit_code(load(save([lines[0], lines[1], lines[3], END]))) == 1  # nobody took it back
    again = tmp_path / "again.jsonl.gz"
    again.write_bytes(compressed_results(found))
    assert repr(merge([load(again)])) == repr(found)


@pytest.mark.parametrize("change", [{"ids": 3}, {"known": None}, {"known": ""}])
def test_a_line_that_takes_nothing_back_by_name_is_refused(make, save, change):
    line = {"type": "expected", "ids": ["a"], "known": "asked for"} | change
    with pytest.raises(CaseFileError, match=r"line 2: .* is expected"):
        load(save([make.header(), line]))
