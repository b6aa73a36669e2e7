import io
import re

from refgrad.report import table, wants_color
from refgrad.report.storage.load import load


def test_the_table_fits_eighty_columns(make, save):
    text = table(load(save(make.synthetic(300, failing=0.05))))
    assert max(map(len, text.splitlines())) <= 80
    assert "\nexit 1: " in text


def test_modes_of_one_group_share_a_row_and_a_project_s_own_mode_keeps_its_name(make, save):
    modes = ("reverse", "functional reverse", "forward end to end", "backward of mine")
    lines = [make.result(f"{k:016x}", mode=mode, elements=123_456_789) for k, mode in enumerate(modes)]
    text = table(load(save([make.header(), *lines])))
    rows = [line[16:34].strip() for line in text.splitlines()[1:4]]
    assert rows == ["reverse", "end to end", "backward of mine"]
    assert text.splitlines()[1].split()[-2] == "246M"
    assert max(map(len, text.splitlines())) <= 80


def test_numbers_of_any_size_stay_in_columns_of_their_own(make, save):
    worst = make.result("a")["worst"] | {"ratio": 1.234e-05}
    rows = [
        make.result(f"{k:016x}", mode=mode, elements=9_999_999, worst=worst)
        for k, mode in enumerate(make.MODES * 999)
    ]
    lines = table(load(save([make.header(), *rows]))).split("\n\n")[0].splitlines()[1:]
    assert len(lines) == len(make.MODES)
    for line in lines:
        assert line.split()[-7:] == ["999", "0", "0", "0", "0", "10.0G", "1.2e−5"]
        assert len(line) <= 80


def test_many_known_disagreements_do_not_push_the_verdict_away(make, save):
    rows = [make.wrong(f"{k:016x}", known=f"disagreement-number-{k}") for k in range(60)]
    text = table(load(save([make.header(), *rows, make.result("f" * 16)])))
    shown = text[text.index("\nknown ") + 1 :].split("\n\n")[0]
    assert shown.startswith("known     60 cases of 60 recorded disagreements: disagreement-number-0,\n")
    assert shown.endswith(" ...")
    assert len(shown.splitlines()) == 4
    few = table(load(save([make.header(), *rows[:2], make.result("f" * 16)])))
    assert "known     2 cases of 2 recorded disagreements: disagreement-number-0,\n" in few


def test_what_did_not_come_for_one_reason_is_said_once(make, save):
    text = table(load(save([make.header(families=[f"family {k}" for k in range(99)])])))
    assert text.count("no result came") <= 1
    assert "device cpu, dtype float64, dtype float32, mode " in text
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 24


def test_hostile_text_cannot_reach_the_terminal(make, save):
    run = load(save([make.header(), make.wrong("a" * 16, op=make.HOSTILE, message=make.HOSTILE, device=make.HOSTILE),
                     {"type": "crash", "worker": "gw0", "item": make.HOSTILE, "reason": "\x1b]0;title\x07"}]))  # fmt: skip
    text = table(run)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert max(map(len, text.splitlines())) <= 80


def test_names_are_not_broken_at_their_hyphens(make, save):
    names = [f"test_family[softmax-float64-cpu-{k}]" for k in range(60, 66)]
    for length in range(1, 80):  # wherever the line ends
        started = {"type": "plan", "items": ["x" * length, *names[:5]]}
        text = table(load(save([make.header(), started, make.result("a" * 16)])))
        assert "did not finish" in text
        assert all(name in text for name in names[:5])
        assert max(map(len, text.splitlines())) <= 80


def test_colour_changes_nothing_but_colour(make, save):
    run = load(save(make.synthetic(100, failing=0.05)))
    assert "\x1b[" not in table(run)
    assert re.sub(r"\x1b\[[\d;]*m", "", table(run, color=True)) == table(run)
    assert "\x1b[31m" in table(run, color=True)


def test_the_end_says_what_was_proved_and_what_was_not(make, save):
    text = table(
        load(
            save(
                [
                    make.header(),
                    make.result("a" * 16),
                    make.result("b" * 16, status="undecided", reason="kink", elements=0),
                ]
            )
        )
    )
    assert "undecided: kink" in text
    assert "not present: CUDA was not judged" in text
    assert "Partial" in text
    assert "\nexit 3: Nothing is proved yet" in text


def test_colour_is_for_terminals_whose_user_has_not_declined_it(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color(Terminal())
    assert not wants_color(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())
