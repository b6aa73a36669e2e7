"""Recorded disagreements are narrow: an ordinary wrong number of the same op, mode and dtype fails under each of them."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance.families.arrays import rounded
from refgrad.graph import Graph, Node
from refgrad.modes import (
    AGREEMENT,
    FORWARD,
    FORWARD_END_TO_END,
    FURTHER,
    RECORDED_REVERSE,
    REPEATED_REVERSE,
    REVERSE,
    REVERSE_END_TO_END,
    REVERSE_OVER_REVERSE,
    TRANSPOSED_REVERSE,
    VALUE,
)
from refgrad.op import FUNCTIONS, REGISTRY, Op
from refgrad.op.function import Function, split
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation, mark
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.judging.end_to_end import judge_fused
from refgrad.testing.judging.judge import Draft
from refgrad.testing.judging.modes import judge_modes
from refgrad.testing.judging.node_by_node import NodeByNode, settle_node_by_node
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.sharing import share
from refgrad.testing.judging.verdict import AGREE, DISAGREE, IMPRECISE, UNDECIDED, Verdict
from refgrad.testing.runs.item import Observe
from refgrad.testing.runs.judgement import Observed, judge, judge_together
from refgrad.torch.devices import plain_arithmetic
from refgrad.torch.observe import observe
from tests.conformance.ordinary_arguments import ARGUMENTS_AT_THE_PLACE, ORDINARY_ARGUMENTS
from tests.recorded import ENTRIES

X, Y = np.array([0.7, 1.3, 0.9, 1.9]), np.array([1.2, 0.8, 1.6, 0.6])
M = np.array([[2.0, 0.5], [-0.75, 1.25]])
ORDINARY = {  # operands of ops that do not take any number
    "arccosh": (X + 1,), "logit": (X / 3,), "clip": (X, 0 * X + 0.25, 0 * X + 1.1), "kl_div": (X / 2, Y / 2),
    "logcumsumexp": (np.array([2.0, 0.5]),),  # where bfloat16 decides on second derivatives
    "det": (M,), "logabsdet": (M,), "matrix_exp": (M / 4,), "pinv": (M,), "solve": (M, X[:2]),
    "matmul": (np.stack([X, Y]), Y), "softmax": (np.stack([X, Y]),), "log_softmax": (np.stack([X, Y]),),
    "heaviside": (X, Y), "remainder": (X + 1, Y), "where": (X > 1, X, Y), "pad": (M,), "cross_entropy": (np.stack([X, Y]),),
    "conv": (X.reshape(1, 1, 4), Y[:2].reshape(1, 1, 2)), "conv_transposed": (X.reshape(1, 1, 4), Y[:2].reshape(1, 1, 2)),
}  # fmt: skip
# Sizes of tangents and cotangents; larger ones leave the range of a half format.
DIRECTIONS = {"matrix_exp": 1 / 32}
# Where the defaults do not fit the operands.
PARAMETERS = {"cross_entropy": {"labels": np.array([0, 2])}, "conv_transposed": {"size": (5,)}}
# Variances and eps of the size of 1, so that bounds of half formats are sharp enough for a factor of 5.
NORMALIZED = {
    "input": np.array([[1.0, -0.5, 0.25, -0.75], [0.5, 1.5, -1.0, 0.125]]),
    "weight": X,
    "bias": Y,
    "eps": 1.0,
}
ARGUMENTS = {  # of functions
    "nn.layer_norm": {**NORMALIZED, "normalized_shape": (4,)}, "nn.group_norm": {**NORMALIZED, "num_groups": 1},
    "nn.batch_norm": {
        "input": np.stack([X, Y, X * Y]).reshape(3, 2, 2), "running_mean": None, "running_var": None, "weight": X[:2], "bias": Y[:2],
        "training": True, "momentum": 0.1, "eps": 0.1,
    },
    "complex.polar": {"modulus": X, "angle": Y}, "complex.angle": {"z": X, "z_imag": Y}, "complex.det": {"z": M, "z_imag": M.T / 4},
    "complex.prod": {"z": X, "z_imag": Y, "axis": 0}, "complex.divide": {"z": X, "z_imag": Y, "w": Y, "w_imag": None},
    **{f"complex.{name}": {"z": X, "z_imag": Y, "n": 6, "dim": -1, "norm": "backward"} for name in ("hfft", "irfft")},
    **{f"complex.{name}": {"z": M, "z_imag": M.T / 4, "s": (2, 3), "dim": (-2, -1), "norm": "backward"} for name in ("irfft2", "irfftn")},
    "complex.power": {"z": X, "z_imag": Y, "exponent": Y, "exponent_imag": X},
    "complex.solve": {"z": M, "z_imag": M.T / 4, "b": M + 1, "b_imag": M - 1},
    "nn.grid_sample": {
        "input": M.reshape(1, 1, 2, 2), "grid": np.array([[[[0.25, -0.5]]]]), "mode": "bilinear", "padding_mode": "zeros",
        "align_corners": True,
    },
    "nn.conv_tbc": {"input": M.reshape(2, 1, 2), "weight": M.reshape(1, 2, 2), "bias": X[:2], "pad": 0},
    "nn.affine_grid": {
        "theta": np.array([[[1.5, 0.25, -0.5], [0.75, 2.0, 0.5]]]), "size": (1, 1, 2, 2), "align_corners": True,
    },
    "nn.pairwise_distance": {"x1": M, "x2": M.T / 4, "p": 3.0, "eps": 0.01, "keepdim": False},
    "nn.mean_squared_error": {"prediction": X, "target": Y, "reduction": "mean"},
    **ORDINARY_ARGUMENTS,
    "nn.scaled_dot_product_attention": {"query": M, "key": M.T / 4, "value": M + 1, "attn_mask": np.array([[True, False], [True, True]])},
}  # fmt: skip


def called(op: str, at: str = "") -> tuple[Op | Function, dict[str, Any], Any]:
    """The record of an op or a function, ordinary operands by name, and parameters; those at the place of an entry, ``at``."""
    if op in FUNCTIONS:
        record = FUNCTIONS[op]
        operands, params = split(ARGUMENTS_AT_THE_PLACE[at] if at else ARGUMENTS[op])
        return record, dict(operands), record.completed(params, len(operands))
    found = REGISTRY[op]
    xs = ORDINARY.get(op) or (X, Y, X + Y)[: 1 if found.signature.variadic else len(found.signature.operands)]
    return found, dict(zip("abc", xs, strict=False)), {**found.signature.defaults, **PARAMETERS.get(op, {})}


def family_of(entry: Deviation) -> str:
    """The family that the cases of an entry are judged as."""
    return "ops" if "ops" in entry.families else min(entry.families, default="ops")


@functools.cache
def answered(
    family: str, op: str, dtype: str, draw: int, observe: Observe, place: str = ""
) -> tuple[Case, Observation]:
    """A case, and what the framework answers. Entries and modes share them: nobody writes into the answer."""
    asked = case(family, op, dtype, draw, place)
    return asked, observe(asked)


@functools.cache
def judged_by_node(
    family: str, op: str, dtype: str, draw: int, observe: Observe, place: str
) -> tuple[NodeByNode, list[Verdict]]:
    """The judge of a case and its verdicts node by node, which the judgement of further modes starts from."""
    node_judge = NodeByNode(*answered(family, op, dtype, draw, observe, place))
    with quiet():
        return node_judge, [node_judge.value(), node_judge.reverse(), node_judge.forward()]


def anew(seen: Observation) -> Observation:
    """A copy of an observation that may be written into."""
    return copy.deepcopy(seen, {id(x): x for x in (seen.profile, seen.support)})


def case(family: str, op: str, dtype: str, draw: int, place: str = "") -> Case:
    """The op or function alone at ordinary operands; at those of an entry, ``place``."""
    record, xs, params = called(op, place)
    rng = np.random.default_rng(draw)
    graph = Graph()
    named = list(xs.items())
    plain = getattr(record, "plain", frozenset()) | {name for name, x in named if x.dtype.kind != "f"}
    graph.nodes = [Node(value=x) if name in plain else Node(name=name) for name, x in named]
    graph.nodes.append(Node(op=record, of=tuple(range(len(xs))), params=params))
    graph.outputs = (len(xs),)
    inputs = {name: rounded(x, dtype) for name, x in named if name not in plain}
    scale = DIRECTIONS.get(op, 1.0)
    tangents = {name: rounded(scale * (1.0 + rng.random(x.shape)), dtype) for name, x in inputs.items()}
    y_bar = rounded(scale * (1.0 + rng.random(np.shape(graph(inputs)))), dtype)
    order = 2 if inputs and family in ("ops", "functions", "complex") else 1
    return Case(family, graph, inputs, tangents, y_bar, dtype, order=order)


def planted(seen: Observation, mode: str, k: int) -> Iterator[tuple[Any, Any]]:
    """Arrays of an observation that a mode is judged by; another number is written into the last element of each."""
    if mode == VALUE:
        arrays = [x for x in (seen.values[k],) if x is not None]
    elif mode == FORWARD:
        arrays = [x for x in (seen.tangents[k],) if x is not None]
    elif mode == REVERSE:
        arrays = [x for x in seen.cotangents[:k] if x is not None]
    elif seen.modes is None:
        return
    else:
        asked = RECORDED_REVERSE if mode == AGREEMENT else mode
        answers = seen.modes.again if mode == REPEATED_REVERSE else seen.modes.answers.get(asked, ())
        arrays = [np.zeros(seen.values[j].shape) if x is None else x for j, x in enumerate(answers or ())]
        if asked in seen.modes.answers:  # a gradient that is left out stands for zeros
            seen.modes.answers[asked] = arrays
    yield from ((x, (-1,) * np.ndim(x)) for x in arrays if np.size(x))


ANSWERED_FUSED = {VALUE: VALUE, REVERSE_END_TO_END: REVERSE, FORWARD_END_TO_END: FORWARD}


def met(
    entry: Deviation,
    op: str,
    mode: str,
    dtype: str,
    observe: Observe = observe,
    place: str = "",
    draws: int = 3,
    wrong: float | None = None,
) -> int:
    """How many ordinary wrong numbers, or elements ``wrong``, were planted in what the framework answers; each must fail.

    A fused backend is judged from end to end alone, and answers these modes alone.
    """
    changed: list[tuple[int, Observed]] = []
    for draw in range(draws):
        asked, first = answered(family_of(entry), op, dtype, draw, observe, place)
        fused = first.profile is not None and first.profile.fused
        if fused and mode not in ANSWERED_FUSED:
            return 0
        part = ANSWERED_FUSED.get(mode, mode)
        positions = len(list(planted(anew(first), part, asked.graph.outputs[0])))
        for position in range(positions):
            seen = anew(first)
            x, at = list(planted(seen, part, asked.graph.outputs[0]))[position]
            if not np.isfinite(x[at]):
                continue
            if wrong == 0 and abs(x[at]) < 0.01:
                continue  # 0 may be right
            x[at] = rounded(gross(op, x[at]) if wrong is None else wrong, dtype)
            changed.append((draw, Observed(asked, only(mode, seen))))
    by_node = functools.partial(judged_by_node, family_of(entry), op, dtype, observe=observe, place=place)
    for (_, (asked, seen, _)), verdicts in zip(changed, judged(changed, mode, by_node), strict=True):
        mark(verdicts, [entry], Setting(asked, seen))
        [v] = [v for v in verdicts if v.mode == mode]
        nothing = v.status == UNDECIDED and v.reason.startswith("nothing to compare") and entry.narrow.error
        hidden = wrong == 0 and v.status in (AGREE, IMPRECISE)  # a wide bound may reach 0
        # An error entry may name a mode without a reference.
        assert v.status == DISAGREE or nothing or hidden, (v.status, v.reason)
        assert not v.known, v.message
    return len(changed)


def gross(op: str, x: float) -> float:
    """A grossly wrong number in the place of x: 0.5 where 0.1 is due, or where there is nothing but noise."""
    factor = 100.0 if op in FUNCTIONS else 5.0  # the bounds of compositions are wider
    return factor * x if abs(x) > 0.01 else factor / 10


def only(mode: str, seen: Observation) -> Observation:
    """The observation without the answers in further modes on which the verdict of this mode does not depend."""
    if seen.modes is not None and mode not in (AGREEMENT, REPEATED_REVERSE):
        answers = {name: answer for name, answer in seen.modes.answers.items() if name == mode}
        seen.modes = dataclasses.replace(seen.modes, answers=answers, again=None)
    return seen


DRAFTS = {
    VALUE: NodeByNode.draft_of_value,
    REVERSE: NodeByNode.draft_of_reverse,
    FORWARD: NodeByNode.draft_of_forward,
}


def drafted(o: Observed, mode: str, right: NodeByNode) -> Draft | Verdict:
    """The verdict on one mode, before it is settled. The judge of what was answered has what does not differ."""
    if mode != VALUE:
        o.seen.values = right.seen.values
    node_judge = NodeByNode(o.case, o.seen)
    share(node_judge, right)
    return DRAFTS[mode](node_judge)


def judged(
    changed: list[tuple[int, Observed]], mode: str, by_node: Callable[[int], tuple[NodeByNode, list[Verdict]]]
) -> list[list[Verdict]]:
    """The verdicts node by node on observations of one framework, by draws, and those on the asked mode where it is another one."""
    observed = [o for _, o in changed]
    with np.errstate(all="ignore"), quiet():
        if any(o.seen.profile is not None and o.seen.profile.fused for o in observed):
            return [judge_fused(o.case, o.seen) for o in observed]
        if mode in DRAFTS:
            return [
                [v] for v in settle_node_by_node([drafted(o, mode, by_node(draw)[0]) for draw, o in changed])
            ]
        if mode not in FURTHER:
            return judge_together(observed, end_to_end=True)
        found = []
        # The arrays of value, reverse and forward mode are as they were.
        for draw, (asked, seen, _) in changed:
            node_judge, first = by_node(draw)
            assert seen.modes is not None
            found.append([*map(copy.copy, first), *judge_modes(asked, seen, seen.modes, node_judge)])
        return found


def meant(entries: Sequence[Deviation] = ENTRIES) -> Iterator[Any]:
    for d in entries:
        for op in sorted(d.ops):
            for mode in sorted(d.modes):
                for dtype in sorted(d.dtypes):
                    if not (dtype in ("bfloat16", "float16") and op in ("det", "solve", "logabsdet")):
                        yield pytest.param(d, op, mode, dtype, id=f"{d.id}-{op}-{mode}-{dtype}")


@pytest.mark.parametrize(("entry", "op", "mode", "dtype"), list(meant()))
def test_an_ordinary_wrong_number_fails_under_every_entry(
    entry: Deviation, op: str, mode: str, dtype: str
) -> None:
    plain_arithmetic()
    entry = dataclasses.replace(entry, devices=frozenset({"cpu"}), stands=lambda: True)
    if not met(entry, op, mode, dtype):
        _, seen = answered(family_of(entry), op, dtype, 0, observe)
        # the transposed gradient is that of a gradient
        asked = {mode, REVERSE_OVER_REVERSE} if mode == TRANSPOSED_REVERSE else {mode}
        assert asked & {**seen.unavailable, **seen.modes.unavailable}.keys(), "nothing was planted"


WRONG = {"nan": np.nan, "inf": np.inf, "zero": 0.0}


@pytest.mark.parametrize(
    ("entry", "op", "mode", "dtype"),
    [p for p in meant() if p.values[0].narrow.got & WRONG.keys()],
)
def test_an_ordinary_nan_infinity_or_zero_fails_under_every_entry(
    entry: Deviation, op: str, mode: str, dtype: str
) -> None:
    """An entry that covers NaN says where NaN is expected, and hides none elsewhere."""
    plain_arithmetic()
    entry = dataclasses.replace(entry, devices=frozenset({"cpu"}), stands=lambda: True)
    for kind in sorted(entry.narrow.got & WRONG.keys()):
        met(entry, op, mode, dtype, draws=1, wrong=WRONG[kind])


def test_every_entry_is_tried() -> None:
    assert {p.values[0].id for p in meant()} == {d.id for d in ENTRIES}


@pytest.mark.parametrize("name", ARGUMENTS_AT_THE_PLACE)
def test_an_ordinary_wrong_number_fails_where_the_disagreement_is(name: str) -> None:
    """The entry states what the framework returns there: that is known, and another number is not."""
    plain_arithmetic()
    [entry] = [dataclasses.replace(d, stands=lambda: True) for d in ENTRIES if d.id == name]
    [op] = entry.ops
    tried = known = 0
    dtypes = {"float64", "bfloat16"} & entry.dtypes
    for dtype in sorted(dtypes):
        asked, seen = answered(family_of(entry), op, dtype, 0, observe, name)
        with np.errstate(all="ignore"):
            verdicts = judge(asked, anew(seen))
        mark(verdicts, [entry], Setting(asked, seen))
        known += sum(v.known == name for v in verdicts)
        tried += sum(met(entry, op, mode, dtype, observe, name, 1) for mode in sorted(entry.modes))
    assert known >= len(dtypes)
    assert tried >= known
