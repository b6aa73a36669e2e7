"""What a run is asked for: names that mean nothing are said before anything runs, single ops and profiles are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad import backends
from refgrad.cli import _parser
from refgrad.modes import FURTHER
from refgrad.report.analysis.blame import END_TO_END
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.suite.scope import scope
from tests.whole_runs import conformance

pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("named", "asked", "profile"), [("dev", "ci", "ci"), ("dev", "", "dev"), ("nightly", "", "nightly"), ("mine", "", "ci"), ("", "", "ci")]
)  # fmt: skip
def test_the_profile_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, asked: str, profile: str
) -> None:
    from refgrad.cli import main
    from refgrad.suite import scope

    monkeypatch.setenv("HYPOTHESIS_PROFILE", named)
    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k nothing")
    monkeypatch.setattr(scope, "PROFILES", dict.fromkeys(scope.PROFILES, 1))
    more = ["--profile", asked] if asked else []
    main(
        [
            "conformance",
            "--family",
            "softmax",
            "--dtype",
            "float64",
            "--workers",
            "0",
            "--out",
            str(tmp_path),
            *more,
        ]
    )
    head = load(tmp_path / "results.jsonl").header
    assert head.profile == profile
    assert (head.seed == "0") == (profile != "nightly")


@pytest.mark.parametrize(
    ("families", "whole", "further"),
    [
        (["ops"], False, True),
        (["mlp"], True, False),
        (["casts"], True, True),
        (["functions", "graphs"], True, True),
    ],
)
def test_modes_are_those_in_which_cases_of_the_families_are_judged(
    families: list[str], whole: bool, further: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single ops in the further modes, where the backend has some; programs from end to end."""
    more = [x for name in families for x in ("--family", name)]
    args = _parser().parse_args(["conformance", *more])
    backend = backends.load("torch")
    found = set(scope(args, backend).modes)
    assert ({*END_TO_END} <= found) == whole == bool({*END_TO_END} & found)
    assert ({*FURTHER} <= found) == further == bool({*FURTHER} & found)
    monkeypatch.setattr(
        backend, "modes", {m: called for m, called in backend.modes.items() if m not in FURTHER}
    )
    assert {*END_TO_END} <= set(scope(args, backend).modes)


@pytest.mark.long
def test_single_ops_are_chosen_by_name(tmp_path: Path) -> None:
    """Nothing else is judged, deviations of other ops included; what does not exist in a dtype leaves that dtype out."""
    more = ("--op", "det", "--op", "inv", "--examples", "12", "--workers", "0", "--device", "cpu")
    done = conformance(tmp_path, *more, items="-k 'not test_mutant'")
    assert done.code == 0, done.stdout + done.stderr
    found = load(done.results)
    assert {op for r in each_result(found) for op in r.ops} == {"det", "inv"}
    assert {at.dtype for at in found.tally.cells} == {"float64", "float32"}
    assert sum(a.caught for a in found.audits if a.check == "single ops") > 25
    assert not found.partial


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--op", "tahn"], "did you mean tan or tanh or arctan"),
        (["--op", "floor"], "no op named 'floor' is drawn"),
        (["--op", "det", "--dtype", "float16"], "torch has none of the ops ['det'] in float16"),
        (
            ["--family", "ops", "--dtype", "float8_e4m3"],
            "'float8_e4m3' is a storage format, in which no arithmetic is judged",
        ),
        (["--op", "exp", "--family", "mlp", "--family", "ops"], "the families ['mlp'] draw programs of many"),
    ],
)
def test_an_op_or_dtype_that_cannot_be_chosen_is_an_error_that_says_so(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from refgrad.cli import main

    assert main(["conformance", "--device", "cpu", "--out", str(tmp_path), *more]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_shards_of_the_nightly_profile_share_a_seed_or_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would draw a seed of its own, and the parts would never make a whole."""
    from refgrad.cli import main

    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k test_family")
    nightly = [
        "conformance",
        "--profile",
        "nightly",
        "--family",
        "matmul",
        "--examples",
        "4",
        "--device",
        "cpu",
        "--workers",
        "0",
    ]
    assert main([*nightly, "--shard", "1/2", "--out", str(tmp_path / "1")]) == 2
    said = capsys.readouterr().err
    assert "--shard 1/2" in said
    assert "--seed N" in said
    assert not (tmp_path / "1").exists()
    for k in (1, 2):
        main([*nightly, "--seed", "7", "--shard", f"{k}/2", "--out", str(tmp_path / str(k))])
    parts = [str(tmp_path / str(k) / "results.jsonl.gz") for k in (1, 2)]
    assert main(["report", *parts, "--out", str(tmp_path / "whole")]) == 0
    whole = load(tmp_path / "whole" / "results.jsonl.gz")
    assert (whole.header.seed, whole.header.shard, whole.absent) == ("7", "", ())
    assert {at.dtype for at in whole.tally.cells} == {"float64", "float32", "bfloat16", "float16"}
