"""Several backends in one command: their names, the scope that they share, and a whole run of three."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

import pytest

from refgrad.backends import Backend, Build
from refgrad.backends.shipped import FOLDER
from refgrad.cli import main
from refgrad.errors import ArgumentError, DtypeError
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.suite.several import addresses, labels, lacking_ops, shared_scopes
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.vocabulary import Shared, Vocabulary
from refgrad.testing.judging.observation import Observation
from tests.whole_runs import conformance

TEMPLATE = FOLDER / "template_worker.py"


class MadeUp(Backend):
    """A backend that says what it has, and computes nothing."""

    def __init__(
        self, name: str, release: str = "1", ops: str = "exp tanh", dtypes: str = "float64 float32"
    ) -> None:
        self.name, self.address, self.release = name, name, release
        self.offered, self.dtypes, self.modes = ops.split(), dtypes.split(), {"value": "value"}

    @property
    def build(self) -> Build:
        return Build(self.name, self.release)

    @property
    def ops(self) -> list[str]:
        return self.offered

    def computes(self, dtype: str, device: str) -> bool:
        self.require(device)
        return dtype in self.dtypes

    def observe(self, case: Case) -> Observation:
        raise NotImplementedError(case.id)


def options(**changes: object) -> argparse.Namespace:
    usual: dict[str, object] = dict.fromkeys(
        (
            "family",
            "op",
            "dtype",
            "device",
            "require_device",
            "shard",
            "budget",
            "examples",
            "profile",
            "seed",
        )
    )
    return argparse.Namespace(**usual | {"last_failed": False, "workers": 1} | changes)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (None, ["torch"]),
        (["torch,jax, tensorflow=/a/python"], ["torch", "jax", "tensorflow=/a/python"]),
        (["torch", "jax"], ["torch", "jax"]),
        (["ssh host python3 a,b.py"], ["ssh host python3 a,b.py"]),
        ([" jax "], ["jax"]),
    ],
)
def test_names_are_separated_by_commas_and_a_command_is_whole(
    values: list[str] | None, found: list[str]
) -> None:
    assert addresses(values) == found


@pytest.mark.parametrize(
    ("values", "said"), [(["a,,b"], "a name is empty"), (["a,b", "a"], "a stands twice")]
)
def test_a_list_of_names_that_cannot_be_meant_is_an_error(values: list[str], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        addresses(values)


def test_backends_of_one_name_are_told_apart_by_their_releases() -> None:
    assert labels([MadeUp("torch"), MadeUp("jax", "0.10"), MadeUp("jax", "0.12")]) == [
        "torch",
        "jax 0.10",
        "jax 0.12",
    ]
    with pytest.raises(ArgumentError, match=r"two of them are jax 0\.10"):
        labels([MadeUp("jax", "0.10"), MadeUp("jax", "0.10")])


def test_ops_that_one_lacks_are_left_out_for_all() -> None:
    def own(*ops: str, half: Collection[str] = (), fixed: Collection[str] = ()) -> Shared:
        return {
            ("cpu", "float32"): Vocabulary(frozenset(ops), frozenset(fixed)),
            ("cpu", "float16"): Vocabulary(frozenset(half or ops), frozenset(fixed)),
        }

    found = {
        "a": own("exp", "tanh", "sin"),
        "b": own("exp", "sin", half=["exp"], fixed=["where"]),
        "c": own("exp"),
    }
    drawn = ["exp", "tanh", "sin", "erf"]
    # Not erf, which all lack.
    assert lacking_ops(found, drawn) == {"parameter where": "b", "sin": "b in float16, c", "tanh": "b, c"}
    assert lacking_ops({"a": found["a"], "a2": found["a"]}, drawn) == {}


def test_all_have_the_same_scope() -> None:
    found = [MadeUp("a", ops="exp tanh"), MadeUp("b", ops="exp", dtypes="float16 float32")]
    one, other = shared_scopes(options(profile="nightly"), found)
    assert one.dtypes == other.dtypes == ["float32"]
    assert one.seed == other.seed  # which the profile nightly draws
    assert one.lacking == other.lacking == {"tanh": "b"}
    assert one.shared is not None
    assert one.shared == other.shared
    assert one.shared["cpu", "float32"].ops == {"exp"}
    assert one.left_out == other.left_out
    assert "mlp" in one.left_out
    assert one.beside == other.beside == ("a", "b")
    assert (one.families, one.devices) == (other.families, ["cpu"])
    assert (one.backend, other.backend) == tuple(found)


@pytest.mark.parametrize(
    ("changes", "others", "error", "said"),
    [
        ({"budget": 5.0}, {}, ArgumentError, "--for with several backends"),
        ({"last_failed": True}, {}, ArgumentError, "--last-failed with several backends"),
        (
            {},
            {"dtypes": "float16"},
            DtypeError,
            "no dtype is common to all .a: float64, float32; b: float16.",
        ),
        ({"op": ["tanh"]}, {"ops": "exp"}, ArgumentError, "b has no counterpart of the op 'tanh'"),
    ],
)
def test_what_cannot_be_shared_is_an_error_before_the_run(
    changes: dict[str, object], others: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        shared_scopes(options(**changes), [MadeUp("a"), MadeUp("b", **others)])


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The template under another name, with a wrong slope of tanh and without sin."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for old, new in (
        ("lambda x, y: (1 - y * y,)", "lambda x, y: (1 - y,)"),
        ('"framework": "template"', '"framework": "toy"'),
        ('    "sin": (np.sin, lambda x, y: (np.cos(x),)),\n', ""),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "toy.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.long
def test_one_command_judges_three_and_names_the_wrong_one(
    tmp_path: Path, toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On equal cases; the page of all leads to that of each, and the run is resumed as a run of one is."""
    pytest.importorskip("torch")
    names = ["--backend", f"torch,{TEMPLATE}", "--backend", str(toy)]
    more = [
        *names,
        "--family",
        "ops",
        "--dtype",
        "float32",
        "--device",
        "cpu",
        "--examples",
        "20",
        "--workers",
        "0",
    ]
    done = conformance(tmp_path / "out", *more)
    assert done.code == 1, done.stderr
    assert "toy disagrees in" in done.printed
    assert "torch and template agree with the derivative" in done.printed
    runs = {name: load(tmp_path / "out" / name / "results.jsonl.gz") for name in ("torch", "template", "toy")}
    drawn = {name: {r.id for r in each_result(run) if not r.shrunk} for name, run in runs.items()}
    assert drawn["torch"] == drawn["template"] == drawn["toy"]
    assert len(drawn["torch"]) > 15
    assert {op for r in each_result(runs["torch"]) for op in r.ops} == {
        "add",
        "exp",
        "multiply",
        "negative",
        "square",
        "tanh",
    }
    assert {run.header.beside for run in runs.values()} == {("torch", "template", "toy")}
    assert runs["torch"].header.left_out["sin"] == "toy"
    assert runs["torch"].header.left_out["arctan2"] == "template, toy"
    assert {r.op for r in runs["toy"].results if r.status == "disagree"} == {"tanh"}
    assert runs["template"].header.rounding["cpu"].source == "NumPy: at most 4 ULP"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'href="toy/report.html#disagree-tanh"' in page
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("refgrad: result=fail exit=1 cases=")
    assert "backends=torch:agree,template:agree,toy:fail report=" in last

    times = {name: (tmp_path / "out" / name / "results.jsonl").read_bytes() for name in runs}
    (tmp_path / "out" / "toy" / "results.jsonl").unlink()  # as if the run had ended before the third
    again = conformance(tmp_path / "out", *more, "--resume")
    assert again.code == 1
    assert "toy disagrees in" in again.printed
    for name in ("torch", "template"):
        assert (tmp_path / "out" / name / "results.jsonl").read_bytes() == times[name]
    fewer = ["--backend", f"torch,{TEMPLATE}", *more[4:], "--resume"]
    assert main(["conformance", *fewer, "--out", str(tmp_path / "out")]) == 2
    assert "left_out" in capsys.readouterr().err


def test_an_interrupted_command_compares_what_it_has(
    tmp_path: Path, toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And names the backend that it did not come to."""
    from refgrad.records import End, Result
    from refgrad.report.analysis.run import Run
    from refgrad.report.analysis.tally import Tally
    from refgrad.suite import runner

    def judge_the_first(path: Path, plan: runner._Planned, _: object) -> tuple[Run, int] | None:
        results = (Result("a" * 16, "ops", "float32", "cpu", "value", "agree", elements=3),)
        run = Run(plan.header, results, Tally.of(results), end=End(0, "", 1.0))
        return (run, 0) if path.parent.name == "template" else None

    monkeypatch.setattr(runner, "_run_one", judge_the_first)
    command = ["conformance", "--backend", f"{TEMPLATE},{toy}", "--op", "exp", "--dtype", "float32"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr()
    assert "The results of toy are missing." in said.out
    assert "refgrad: toy, 2 of 2 backends" in said.err
    assert "The results of toy are missing." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_backends_are_loaded_before_the_first_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conformance", "--backend", f"{TEMPLATE},no_such", "--out", str(tmp_path / "out")]) == 2
    assert "no backend named 'no_such'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
