"""The scope of a run: backend, families, ops, dtypes, devices, number of cases. Invalid options are errors before the run."""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from refgrad.backends import Backend
from refgrad.bounds.formats import DTYPES, judged
from refgrad.errors import ArgumentError, DtypeError, RefgradError
from refgrad.modes import MODES, Mode
from refgrad.records.shards import Shard
from refgrad.suite.processes import default_workers
from refgrad.suite.selection import Failures
from refgrad.testing.cases.vocabulary import Shared
from refgrad.testing.runs.item import BLOCK, Item
from refgrad.testing.runs.plan import items as planned_items
from refgrad.testing.runs.plan import name_of_test

TEXTBOOK = "textbook"  # the family of fixed items, which are not generated
LECTURES = "lectures"  # the family of the textbook's programs as cases, for any backend; a run has it on request alone
FIXED = frozenset({TEXTBOOK, LECTURES})  # the families with a fixed number of items
TEXTBOOK_BACKENDS = ("torch",)  # the backends for which its programs are written
PROFILES = {"dev": 100, "ci": 400, "nightly": 8000}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run judges.

    backend   the framework
    families  the families of cases; TEXTBOOK is one of them
    ops       the ops of the family of single ops, and the functions of theirs; empty: all that the backend implements
    missing   the required devices that are missing, with the reason
    examples  the number of cases of each family, dtype and device; with a budget, that of the first rounds
    budget    the time to spend instead of a number of cases, in seconds
    left_out  the families whose ops the backend lacks
    beside    the backends that judge the same cases, as reports call them; empty: this backend alone
    lacking   by op that not all of these have, those that lack it
    shared    what all of these have
    """

    backend: Backend
    families: list[str]
    ops: list[str]
    dtypes: list[str]
    devices: list[str]
    missing: dict[str, str]
    profile: str
    examples: int
    seed: int
    shard: Shard | None
    workers: int
    budget: float | None = None
    left_out: list[str] = field(default_factory=list)
    beside: tuple[str, ...] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)
    shared: Shared | None = None

    @property
    def blocks(self) -> dict[str, int]:
        """The block of each test that judges a block of cases, by name."""
        return {name_of_test(i.name): i.block for i in self.items}

    @property
    def items(self) -> list[Item]:
        """The items of generated cases."""
        families = [f for f in self.families if f not in FIXED]
        planned = planned_items(families, self.devices, self.dtypes, self.examples, self.seed)
        return [i for i in planned if _generated().can_draw(i.family, None, i.dtype)]

    def of_failures(self, failures: Failures) -> Scope:
        """The scope of a run that judges the failures of an earlier run again."""
        head = failures.header
        return replace(
            self,
            families=list(head.families),
            ops=list(head.ops),
            dtypes=list(head.dtypes),
            devices=list(head.devices),
            profile=head.profile,
            seed=int(head.seed or 0),
            examples=int(head.examples or BLOCK),
            shard=None,
        )

    @property
    def cases(self) -> dict[str, int]:
        """The number of cases of each test, by name; tests that judge no cases are left out."""
        written = _textbook().ITEMS if TEXTBOOK in self.families else ()
        asked = _lectures().items(self.dtypes) if LECTURES in self.families else ()
        return {
            **{name_of_test(i.name): i.examples for i in self.items},
            **{f"test_item[{i.id}]": 1 for i in written},
            **{f"test_lecture[{i.id}]": 1 for i in asked},
        }

    @property
    def modes(self) -> list[str]:
        """The modes in which these families are judged, in the order of a report.

        A single op is judged in the further modes of the backend, where it has some; a program from end to end.
        """
        offered, generated, families = self.backend.modes, set(self.families) - {TEXTBOOK}, _generated()
        further = generated & families.IN_FURTHER_MODES and any(
            m.further and m.name in offered for m in MODES
        )
        whole = generated - families.OF_ONE_OP or not further

        def asked(mode: Mode) -> bool:
            if mode.further:
                return bool(further) and mode.name in offered
            return (bool(whole) or not mode.repeats) and (mode.name in offered or mode.repeats in offered)

        return [
            *(m.name for m in MODES if generated and asked(m)),
            *(_textbook().MODES if TEXTBOOK in self.families else ()),
        ]


def scope(args: argparse.Namespace, backend: Backend, shared: Shared | None = None) -> Scope:
    """The scope that the options of ``refgrad conformance`` select for a backend; ``shared`` is what it has in common with others.

    Raises ArgumentError for unknown names and for options that exclude each other, DtypeError for a dtype in which no device computes,
    DeviceMissingError for a missing device.
    """
    ops = list(dict.fromkeys(args.op or ()))
    families = _families(args.family, ops, backend)
    ops = ops or [op for op in sorted(backend.replaced) if op in _generated().SINGLE]
    shard = None if args.shard is None else Shard.read(args.shard)
    missing = {name: why for name in args.require_device or () if (why := backend.missing(name))}
    devices = args.device or backend.devices()
    devices = list(dict.fromkeys([*devices, *(d for d in args.require_device or () if d not in missing)]))
    check_profiles(backend, devices)
    dtypes = _dtypes(backend, args.dtype, families, ops, devices)
    families, left_out = _drawn(families, args.family or (), backend, dtypes, devices, shared)
    profile = args.profile or _profile(os.environ)
    seed = args.seed
    if seed is None and profile == "nightly" and shard is not None:
        raise ArgumentError(
            f"--shard {shard} in the profile nightly: every shard would draw a seed of its own, and they would not be parts of one run. "
            "Give all shards the same one: --seed N, such as the number or the date of the run"
        )
    if seed is None:
        seed = secrets.randbelow(2**31) if profile == "nightly" else 0
    if args.budget and (args.examples or shard):
        raise ArgumentError(
            "--for gives a time, --examples a number of cases, and --shard divides a number of cases: give one of them"
        )
    if args.budget and FIXED.issuperset(families):
        raise ArgumentError(
            f"--for draws on cases until a time is spent, and the family {families[0]} has a fixed number: leave --for out"
        )
    workers = default_workers(backend, devices) if args.workers is None else args.workers
    return Scope(
        backend=backend,
        families=families,
        ops=ops,
        dtypes=dtypes,
        devices=devices,
        missing=missing,
        profile=profile,
        examples=BLOCK if args.budget else args.examples or PROFILES[profile],
        seed=seed,
        shard=shard,
        workers=workers,
        left_out=left_out,
        budget=args.budget,
        shared=shared,
    )


def check_profiles(backend: Backend, devices: Sequence[str]) -> None:
    """Raise ArgumentError where a rounding profile was given for a device that is not judged."""
    unused = sorted(set(backend.stated) - {name.partition(":")[0] for name in devices})
    if unused:
        raise ArgumentError(
            f"--rounding: there is a profile for {', '.join(unused)}, and the run judges {', '.join(devices)}: name it with --device"
        )


def location() -> tuple[str, Path]:
    """Package name and folder of the suite: refgrad._suite in an installed wheel, conformance beside refgrad in a checkout."""
    if importlib.util.find_spec("refgrad._suite") is not None:
        import refgrad._suite as suite  # type: ignore[import-not-found]  # exists in a wheel only

        return "refgrad._suite", Path(suite.__path__[0])
    beside = Path(__file__).resolve().parents[2] / "conformance"
    if (beside / "test_families.py").is_file():
        if str(beside.parent) not in sys.path:
            sys.path.insert(0, str(beside.parent))
        return "conformance", beside
    raise RefgradError(
        "the conformance suite is neither installed (refgrad._suite) nor beside the package (conformance/): reinstall refgrad"
    )


def drawn_ops() -> frozenset[str]:
    """The ops that the families of generated cases draw."""
    found: frozenset[str] = _generated().DRAWN
    return found


def all_families() -> frozenset[str]:
    """The names of all families."""
    return FIXED.union(_generated().FAMILIES)


def _generated() -> ModuleType:
    """The package with the families of generated cases."""
    return importlib.import_module(f"{location()[0]}.families")


def _textbook() -> ModuleType:
    """The package with the items of the textbook."""
    return importlib.import_module(f"{location()[0]}.textbook")


def _lectures() -> ModuleType:
    """The module with the textbook's programs as cases."""
    return importlib.import_module(f"{location()[0]}.textbook.cases")


def _families(requested: Sequence[str] | None, ops: Sequence[str], backend: Backend) -> list[str]:
    """The families to judge; where ops or functions are selected, the families that draw them."""
    usual = [*_generated().FAMILIES, *([TEXTBOOK] if backend.name in TEXTBOOK_BACKENDS else [])]
    if backend.replaced:
        usual = _of_replaced(requested, backend)
    known = usual if backend.replaced else [*usual, LECTURES]
    if TEXTBOOK in (requested or ()) and TEXTBOOK not in known:
        raise ArgumentError(
            f"the programs of the family {TEXTBOOK} are written for {' and '.join(TEXTBOOK_BACKENDS)}, not for {backend.name}: "
            f"name the family {LECTURES}, which asks {backend.name} for the same programs as cases"
        )
    single = _generated().SINGLE
    drawing = list(dict.fromkeys(single[op] for op in ops if op in single))
    wanted = list(dict.fromkeys(requested or drawing or usual))
    if LECTURES in wanted and importlib.util.find_spec("torch") is None:
        raise ArgumentError(
            f"the items of the family {LECTURES} are written in torch, too, and it is missing: leave the family out, or install torch"
        )
    if strangers := sorted(set(wanted) - set(known)):
        near = dict.fromkeys(n for name in strangers for n in difflib.get_close_matches(name, known, 1))
        like = f"; did you mean {' or '.join(near)}?" if near else ";"
        raise ArgumentError(f"no family named {strangers}{like} there are {sorted(known)}")
    for name in ops:
        if name not in single:
            like = " or ".join(difflib.get_close_matches(name, single, 3))
            families = " and ".join(dict.fromkeys(single.values()))
            raise ArgumentError(
                f"no op named {name!r} is drawn by the families {families}{f'; did you mean {like}?' if like else '.'} "
                "`refgrad ops` lists them: it takes a derivative and a counterpart in torch"
            )
        if name not in backend.ops:
            raise ArgumentError(f"{backend.name} has no counterpart of the op {name!r}: leave it out")
        if backend.replaced and name not in backend.replaced:
            raise ArgumentError(
                f"--op {name}: the run judges the ops that --replace names, {', '.join(sorted(backend.replaced))}: leave it out, or "
                "judge it in a run of its own"
            )
    if ops and {*wanted} != {*drawing}:
        others = sorted({*wanted} ^ {*drawing})
        raise ArgumentError(
            f"--op chooses among single ops and functions, and the families {others} draw programs of many: leave them out"
        )
    return wanted


def _of_replaced(requested: Sequence[str] | None, backend: Backend) -> list[str]:
    """The families whose cases contain a replaced op. Raises ArgumentError for a requested family without any."""
    known = [*_generated().FAMILIES, TEXTBOOK]
    found = [f for f in known if f != TEXTBOOK and _generated().occurs(f, backend.replaced)]
    without = [f for f in requested or () if f in known and f not in found]
    if without:
        raise ArgumentError(
            f"the families {without} call none of the replaced ops {sorted(backend.replaced)}: leave them out; {found} do"
        )
    return found


def _dtypes(
    backend: Backend, requested: Sequence[str] | None, families: list[str], ops: list[str], devices: list[str]
) -> list[str]:
    """The dtypes in which one of the devices computes, and for which one of the ops is drawn."""
    fixed = FIXED.issuperset(families)
    written = [d for item in _textbook().ITEMS for d in item.dtypes] if fixed else []
    for dtype in requested or ():
        judged(dtype)
    computed = []
    for dtype in dict.fromkeys(requested or written or DTYPES):
        computing = [name for name in devices if backend.computes(dtype, name)]
        if computing:
            computed.append(dtype)
        elif requested:
            raise DtypeError(
                f"dtype {dtype!r} was asked for, but none of the devices {devices} computes in it"
            )
    dtypes = [d for d in computed if _generated().single_in(d, ops)]
    if not dtypes:
        raise DtypeError(f"{backend.name} has none of the ops {ops} in {' or '.join(computed)}")
    if written and not {*written} & {*dtypes}:
        raise ArgumentError(
            f"the family {families[0]} is for {' and '.join(dict.fromkeys(written))}, not for {dtypes}"
        )
    return dtypes


def _drawn(
    families: list[str],
    requested: Sequence[str],
    backend: Backend,
    dtypes: list[str],
    devices: list[str],
    shared: Shared | None,
) -> tuple[list[str], list[str]]:
    """The families that can be drawn from the ops of the backend, and those that cannot. Raises ArgumentError where one was asked for."""
    generated = _generated()

    def drawn(name: str) -> bool:
        return name in FIXED or any(
            generated.can_draw(name, generated.vocabulary_of(backend, dtype, device, shared), dtype)
            for dtype in dtypes
            for device in devices
            if backend.computes(dtype, device)
        )

    lacking = [name for name in families if not drawn(name)]
    if set(lacking) & set(requested) or lacking == families:
        who = backend.name if shared is None else "one of the backends"
        raise ArgumentError(
            f"{who} lacks the ops of the families {', '.join(lacking)}: leave them out, or give the backend the ops"
        )
    return [name for name in families if name not in lacking], lacking


def _profile(environ: Mapping[str, str]) -> str:
    """The default profile: that of HYPOTHESIS_PROFILE where it is one of refgrad's, else ci."""
    wanted = environ.get("HYPOTHESIS_PROFILE", "")
    return wanted if wanted in PROFILES else "ci"
