"""Known disagreements: where each was seen, the reason, and its evidence. Reports show them, and they do not fail a run.

An entry covers disagreements of its ops, modes, dtypes and devices, and of these only the wrong elements that it describes (see
``narrowing.py``). ``testing/runs/deviation_evidence.py`` decides in which releases of the framework an entry applies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refgrad.bounds.formats import FORMATS
from refgrad.modes import FORWARD_END_TO_END, REPEATS, REVERSE_END_TO_END, VALUE
from refgrad.testing.deviations import hidden_nodes
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.deviations.narrowing import Narrowing
from refgrad.testing.deviations.releases import Releases
from refgrad.testing.judging.attribution import attribute
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, UNDECIDED, Comparison, Element, Verdict


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Deviation:
    """One entry of a deviations file.

    backends  the backends with the disagreement, as the file names them
    case      the file of the evidence
    kernels   torch's names of the CPU's vector instructions (AVX2, AVX512) with which it was seen; empty: it does not depend on them
    families  families of cases; empty: all
    layouts   arrangements in memory, one of which an input has; empty: all
    narrow    which wrong elements, notes or errors it covers
    local     whether it is from a user's own file: there agreeing evidence means mended, whatever the record says
    stands    whether the disagreement exists in the installed release
    """

    id: str
    ops: frozenset[str]
    modes: frozenset[str]
    dtypes: frozenset[str]
    devices: frozenset[str]
    releases: Releases
    reason: str
    link: str
    case: Path
    backends: frozenset[str] = frozenset()
    kernels: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    layouts: frozenset[str] = frozenset()
    narrow: Narrowing = field(default_factory=Narrowing)
    local: bool = False
    stands: Callable[[], bool] = field(default=_always, compare=False, repr=False)

    def concerns(self, mode: str, setting: Setting) -> bool:
        """Whether the entry covers this mode, and the dtype, device, family and memory layouts of this case.

        A fused backend is judged from end to end, and an entry for reverse or forward mode covers that.
        An entry for the dtype in which a format is stored covers the format: tf32 is float32 but for matrix products. An entry for a kind
        of device ("cuda") covers each device of the kind ("cuda:1").
        """
        case = setting.case
        dtype = case.dtype in self.dtypes or FORMATS[case.dtype].storage in self.dtypes
        device = case.device in self.devices or case.device.partition(":")[0] in self.devices
        modes = {mode, REPEATS.get(mode, mode)} if setting.fused else {mode}
        laid_out = not self.layouts or bool(self.layouts & {*case.layouts.values()})
        here = bool(modes & self.modes) and dtype and device and laid_out
        return here and (not self.families or case.family in self.families)

    def may_cover(self, v: Verdict, ops: Sequence[str], setting: Setting) -> bool:
        """Whether the entry may cover a disagreement of these ops in this mode; ``narrow.meets`` decides for each element."""
        return set(ops) <= self.ops and self.concerns(v.mode, setting) and self.narrow.admits(v, setting)

    def raised(self, v: Verdict, setting: Setting) -> bool:
        """Whether the entry covers an error."""
        graph = setting.case.graph
        blamed = (
            {v.first_wrong[1]}
            if v.first_wrong is not None
            else {str(graph.nodes[k]) for k in graph.order() if graph.nodes[k].of}
        )
        return (
            bool(blamed & self.ops)
            and self.concerns(v.mode, setting)
            and self.narrow.raised(v, setting, self.ops)
            and self.stands()
        )


def mark(verdicts: list[Verdict], deviations: Sequence[Deviation], setting: Setting) -> None:
    """Mark the known disagreements and errors among the verdicts on one case, in place.

    A disagreement is known where valid entries cover every wrong node. An end-to-end disagreement, or one of a further mode that repeats
    the first derivative, is known where the node-by-node verdict on the same case is.
    """
    for v in verdicts:
        if v.status == ERROR:
            v.known = next((d.id for d in deviations if d.raised(v, setting)), "")
        elif v.status == DISAGREE and v.suspects:
            found = [
                _covering(v, ops, at, deviations, setting)
                for ops, at in zip(v.suspects, v.wrong_nodes, strict=True)
            ]
            if all(found):
                v.known = ", ".join(dict.fromkeys(n for names in found for n in names))
            else:
                v.known = hidden_nodes.inside(v, deviations, setting)
            if not v.known and v.name_first_wrong is not None:
                # a known disagreement does not fail the run
                v.name_first_wrong(next(k for k, names in enumerate(found) if not names))
    attribute(verdicts)  # end-to-end verdicts, by the ops that the node-by-node verdicts name now
    _repeated({v.mode: v for v in verdicts}, {d.id: d for d in deviations})


def _covering(
    v: Verdict,
    ops: Sequence[str],
    at: tuple[int, str, Comparison],
    deviations: Sequence[Deviation],
    setting: Setting,
) -> list[str]:
    """The ids of the entries that together cover the note and all wrong elements at one node; empty where one of them is not covered.

    ``ops`` are those that may be the cause.
    """
    node, op, found = at
    entries = [d for d in deviations if d.may_cover(v, ops, setting)]
    names = []
    if found.note or found.every_wrong is None:  # a wrong dtype or shape, or a missing gradient
        any_of_it = Element(0.0, 0.0, 0.0, 0.0, 0.0, (), node=node, op=op, place=found.place)
        named = (d for d in entries if d.narrow.noted(found.note, any_of_it, ops, setting) and d.stands())
        names = [d.id for d in named][:1]
        if not names:
            return []
    for e in found.every_wrong() if entries and found.every_wrong is not None else ():
        e.node, e.op, e.place, e.along = node, op, found.place, found.along
        name = next((d.id for d in entries if d.narrow.meets(e, v.mode, ops, setting) and d.stands()), "")
        if not name:
            return []
        names.append(name)
    return list(dict.fromkeys(names))


def _repeated(verdicts: dict[str, Verdict], deviations: Mapping[str, Deviation]) -> None:
    """Mark verdicts that repeat a known node-by-node disagreement, on the same numbers or on numbers computed from them.

    An entry that names the repeating mode itself has decided on its numbers already.
    """
    found = {mode: v.known for mode, v in verdicts.items() if v.status == DISAGREE}
    for mode, base in REPEATS.items():
        v = verdicts.get(mode)
        first = verdicts.get(base)
        if v is not None and v.status == ERROR and first is not None and first.status == ERROR:
            v.known = v.known or (first.known if first.reason == v.reason else "")
        if v is None or v.status != DISAGREE or v.known:
            continue
        names = found.get(base, "")
        v.known = "" if any(mode in deviations[n].modes for n in names.split(", ") if names) else names
        steps = [verdicts[m] for m in (VALUE, base) if m in verdicts]
        right = all(s.known or s.status in (AGREE, UNDECIDED) for s in steps)
        if mode in (FORWARD_END_TO_END, REVERSE_END_TO_END) and right:
            # every step is right or known, so the end-to-end result is, too
            v.known = v.known or found.get(VALUE, "")
