import pytest

from refgrad.errors import ArgumentError
from refgrad.report import exit_code, render, table
from refgrad.report.analysis.verdict import verdict
from refgrad.report.ci.junit import junit
from refgrad.report.storage.load import load
from refgrad.report.storage.merge import merge, merge_by_backend
from tests.report.conftest import compressed_results

END = {"type": "end", "exit": 0, "finished": "2026-11-21T05:02:00Z", "seconds": 10.0}
AUDIT = {"type": "audit", "mutation": "sign", "dtype": "float64", "planted": 3, "equivalent": 1, "caught": 2}


@pytest.fixture
def shard(make, save):
    def write(index, count, *lines, end=END, **changes):
        head = make.header(shard=f"{index}/{count}" if count else "", **changes)
        return load(save([head, *lines, *([end] if end else [])], f"{index}-{count}-{len(lines)}.jsonl"))

    return write


def test_parts_are_the_whole_in_any_order(make, save):
    lines = list(make.synthetic(40))
    whole = load(save(lines))
    parts = []
    for k in range(3):
        part = [
            {**lines[0], "shard": f"{k + 1}/3", "command": [*lines[0]["command"], "--shard", f"{k + 1}/3"]}
        ]
        end = lines[-1] | {"seconds": lines[-1]["seconds"] / 3}
        parts.append(load(save([*part, *lines[1 + k : -1 : 3], end], f"{k}.jsonl")))
    assert repr(merge(parts)) == repr(merge(parts[::-1]))
    together = merge(parts)
    assert repr(together.results) == repr(whole.results)  # from Python 3.13 on NaN in them equals nothing
    assert together.audits == whole.audits
    assert together.header == whole.header
    assert exit_code(together) == exit_code(whole)
    assert render(together).split("<dt>finished")[0] == render(whole).split("<dt>finished")[0]


def everything(run):
    """What a run is, to the last byte: a comparison by == would take no notice of its parts and its counts."""
    return repr(run), [list(lines) for lines in run.files], compressed_results(run), table(run), junit(run)


def test_neither_order_nor_steps_nor_repetition_matter(make, shard):
    a, b, c = (
        shard(k, 3, make.wrong(str(k) * 16), started=f"day {4 - k}", command=[str(k)]) for k in (1, 2, 3)
    )
    whole = everything(merge([a, b, c]))
    ways = {
        "another order": [c, a, b], "merges of merges": [merge([c, a]), b], "in another way": [a, merge([merge([b]), c])],
        "parts that overlap": [merge([a, b]), merge([b, c])], "the whole again": [merge([a, b, c])], "one twice": [a, b, c, a],
    }  # fmt: skip
    for name, runs in ways.items():
        assert everything(merge(runs)) == whole, name


def test_machines_may_come_in_any_order(make, shard):
    cpu = shard("cpu", 0, make.result("1" * 16), families=["mlp"], started="later")
    cuda = shard(
        "cuda", 0, make.result("2" * 16, device="cuda"), devices=["cuda"], families=["ops"], modes=["forward"]
    )
    assert everything(merge([cuda, cpu])) == everything(merge([cpu, cuda]))
    assert render(merge([cuda, cpu])) == render(merge([cpu, cuda]))


@pytest.mark.parametrize("kept", [(1,), (2, 3), (1, 2, 3)])
def test_what_was_merged_is_read_again_as_it_was(make, shard, tmp_path, kept):
    """Torn, without an end, for a reason of its own, incomplete: none of it is lost or mended by packing it."""
    parts = {
        1: shard(1, 3, AUDIT, make.wrong("1" * 16), end=END | {"exit": 1}),
        2: shard(2, 3, AUDIT, make.result("2" * 16), '{"type":"resu', end=None),
        3: shard(3, 3, make.result("3" * 16), {"type": "plan", "items": ["a", "b"]}, end=END | {"exit": 3}),
    }
    run = merge([parts[k] for k in kept])
    file = tmp_path / "results.jsonl.gz"
    file.write_bytes(compressed_results(run))
    again = merge([load(file)])
    assert everything(again) == everything(run)
    assert render(again) == render(run)
    assert exit_code(again) == exit_code(run)
    assert again.absent == tuple(f"{k}/3" for k in (1, 2, 3) if k not in kept)


def test_counts_of_planted_errors_are_added(shard):
    [a] = merge([shard(1, 2, AUDIT), shard(2, 2, AUDIT, AUDIT)]).audits
    assert (a.planted, a.equivalent, a.caught) == (9, 3, 6)


def test_a_shard_that_is_not_there_is_named_and_nothing_is_proved(make, shard):
    parts = [shard(k, 4, make.result(str(k) * 16)) for k in (1, 4)]
    run = merge(parts)
    assert run.absent == ("2/4", "3/4")
    assert run.partial
    assert exit_code(run) == 3
    assert "of its parts 2/4, 3/4 are not here" in render(run)
    assert exit_code(merge([parts[0]])) == 3  # also where a single one is given


@pytest.mark.parametrize(
    "other",
    [
        {"examples": 500},
        {"families": ["mlp"]},
        {"ops": ["tanh"]},
        {"dtypes": ["float16"]},
        {"environment": {"torch": "2.6.0+cpu"}},
    ],
)
def test_shards_of_different_runs_do_not_make_a_whole_one(make, shard, other):
    """The first half of one and the second half of another: neither was judged."""
    end = END | {"exit": 0}
    given = [
        shard(1, 2, make.result("1" * 16), end=end, examples=100),
        shard(2, 2, make.result("2" * 16), end=end, **{"examples": 100, **other}),
    ]
    run = merge(given)
    assert exit_code(run) == 3
    assert [name[:7] for name in sorted(run.absent)] == ["1/2 of ", "2/2 of "]
    assert "of its parts" in render(run)


def test_runs_that_were_divided_each_on_its_own_make_a_whole_one(make, shard):
    given = [shard(k, 2, make.result(str(k) * 16)) for k in (1, 2)]
    given += [shard(k, 3, dtypes=["float16"]) for k in (1, 2, 3)]
    assert not merge(given).absent
    assert merge(given[:-1]).absent[0].startswith("3/3 of cpu, ")


def test_builds_of_one_release_make_a_whole_one(make, shard):
    around = make.header()["environment"]
    given = [
        shard(k, 2, make.result(str(k) * 16), environment=around | {"torch": f"2.13.0{build}"})
        for k, build in ((1, "+cpu"), (2, ""))
    ]
    assert not merge(given).absent


def test_a_part_without_an_end_leaves_the_whole_without_one(make, shard):
    run = merge([shard(1, 2, make.result("1" * 16)), shard(2, 2, make.result("2" * 16), end=None)])
    assert run.end is None
    assert exit_code(run) == 3


def test_a_part_that_judged_nothing_by_itself_does_not_spoil_the_whole(make, shard):
    run = merge([shard(1, 2, make.result("1" * 16)), shard(2, 2, end=END | {"exit": 3})])
    assert exit_code(run) == 0


def test_a_part_that_ended_badly_for_a_reason_of_its_own_does(make, shard):
    bad = shard(2, 2, make.result("2" * 16), end=END | {"exit": 3})
    assert exit_code(merge([shard(1, 2, make.result("1" * 16)), bad])) == 3


def test_a_device_missing_in_one_part_is_missing_in_the_whole(make, shard):
    run = merge(
        [
            shard(1, 2, make.result("1" * 16)),
            shard(2, 2, make.result("2" * 16), missing={"cuda": "no cuda here"}),
        ]
    )
    assert exit_code(run) == 3
    assert "Required and missing: no cuda here." in render(run)


def test_runs_on_different_machines_are_one_page(make, shard):
    around = make.header()["environment"]
    there = {"environment": {**around, "processor": "other", "devices": {"cpu": "x", "cuda": "H200"}}}
    run = merge(
        [
            shard("cpu", 0, make.result("1" * 16)),
            shard("cuda", 0, make.result("2" * 16, device="cuda"), devices=["cuda"], **there),
        ]
    )
    assert run.header.devices == ("cpu", "cuda")
    assert run.header.present["cuda"] == "H200"
    assert run.header.environment["processor"] == "x86_64 / other"
    assert exit_code(run) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (({}, {"seed": 1}), r"not parts of one run: seed is '0' and '1' \(.*/0\.jsonl, .*/1\.jsonl\)"),
        (({}, {"refgrad": "0.2.0"}), "refgrad is '0.1.0' and '0.2.0'"),
        (
            ({"shard": "1/2"}, {"shard": "1/2", "started": "later"}),
            r"two runs of shard 1/2 were given \(.*/0\.jsonl, .*/1\.jsonl\)",
        ),
        (({}, {"started": "later"}), "two runs of graphs float32 cpu were given"),
        (({"shard": "1/2"}, {"shard": "1/3"}), r"divided differently: 1/2, 1/3 \(.*/0\.jsonl, .*/1\.jsonl\)"),
    ],
)
def test_what_does_not_belong_together_is_refused(make, save, changes, message):
    runs = [load(save([make.header(**c), END], f"{k}.jsonl")) for k, c in enumerate(changes)]
    with pytest.raises(ArgumentError, match=message):
        merge(runs)


def test_parts_judged_the_same_functions(make, shard):
    """A kernel in the place of torch's and torch itself are two runs, though both are of the backend torch."""
    kernel = "torch?replace=exp=mylib:exp"
    one, two = shard(1, 2, make.result("a" * 16), address=kernel), shard(2, 2, address="torch")
    with pytest.raises(ArgumentError, match="--replace puts exp=mylib:exp and nothing in the place"):
        merge([one, two])
    same = shard(2, 2, make.result("b" * 16), address="torch?load=mine&replace=exp=mylib:exp")
    assert merge([one, same]).cases == 2


def test_ops_that_any_part_selected_have_to_be_compared(make, shard):
    """Runs of two devices, each with an op of its own; nothing of one of the two was compared."""
    judged = {"examples": "4", "modes": ["value", "reverse"]}
    one = shard("cpu", 0, make.result("1" * 16, ops={"tanh": [1, 24, 0.1]}), ops=["tanh"], **judged)
    other = shard("cuda", 0, ops=["exp"], devices=["cuda"], end=END | {"exit": 3}, **judged)
    run = merge([one, other])
    assert run.header.ops == ("tanh", "exp")
    assert verdict(run).sentence.startswith("Nothing was proved of exp")
    everything = shard("cuda", 0, devices=["cuda"], **judged)
    assert merge([one, everything]).header.ops == ()


def test_a_missing_part_is_no_interruption(make, shard):
    (note,) = verdict(merge([shard(1, 2, make.result("a" * 16))])).notes
    assert note == "Partial: of its parts 2/2 is not here."


def test_nothing_cannot_be_merged():
    with pytest.raises(ArgumentError, match="at least one results file"):
        merge([])


def test_runs_of_two_backends_are_no_parts_of_one(make, shard):
    with pytest.raises(ArgumentError, match=r"backend is 'torch' and 'jax'|backend is 'jax' and 'torch'"):
        merge([shard(1, 2), shard(2, 2, backend="jax")])


def test_runs_of_several_backends_are_merged_each_by_itself(make, shard):
    """In the order of the command that made them all, whatever the order of the files."""
    both = {"beside": ["torch", "jax"]}
    one, two = (shard(k, 2, make.result(str(k) * 16), backend="jax", **both) for k in (1, 2))
    torch = shard("torch", 0, make.result("1" * 16), **both)
    found = merge_by_backend([two, torch, one])
    assert list(found) == ["torch", "jax"]
    assert found["jax"].cases == 2
    assert found["jax"].absent == ()
    assert found["torch"] is torch
    apart = [shard(name, 0, make.result("1" * 16), backend=name) for name in ("mxnet", "jax")]
    assert list(merge_by_backend(apart)) == ["mxnet", "jax"]


def test_releases_that_one_command_compares_stay_apart(make, shard):
    labels = ["jax 0.10.2", "jax 0.12.0"]
    runs = [
        shard(v, 0, make.result("1" * 16), backend="jax", beside=labels, environment={"jax": v})
        for v in ("0.10.2", "0.12.0")
    ]
    assert list(merge_by_backend(runs)) == labels


def test_shards_that_draw_from_other_ops_do_not_make_a_whole_run(make, shard):
    parts = [shard(k, 2, make.result(str(k) * 16), left_out={"erf": "jax"} if k == 1 else {}) for k in (1, 2)]
    assert len(merge(parts).absent) == 2
