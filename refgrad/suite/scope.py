"""What a run of the suite judges: families, ops, dtypes, devices, how many cases. What cannot be had is said before anything runs."""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refgrad.bounds.formats import DTYPES, judged
from refgrad.errors import ArgumentError, DeviceMissingError, DtypeError, RefgradError
from refgrad.records.shards import Shard

SINGLE = "ops"  # the family of single ops
TEXTBOOK = "textbook"  # the family whose items are written down, not generated
PROFILES = {"dev": 100, "ci": 400, "nightly": 8000}


@dataclass(frozen=True, slots=True)
class Scope:
    """A run, as it was asked for and as it can be had."""

    families: list[str]
    ops: list[str]  # those that the family of single ops is confined to; empty: all
    dtypes: list[str]
    devices: list[str]
    missing: dict[str, str]  # devices that were required and are not there, with the reason
    profile: str
    examples: int  # cases of each family, dtype and device
    seed: int
    shard: Shard | None
    workers: int

    @property
    def modes(self) -> list[str]:
        """What is compared in these families, in the order of a report."""
        from refgrad.testing.runs.judgement import MODES

        generated = MODES if set(self.families) - {TEXTBOOK} else ()
        return [*generated, *(_textbook().MODES if TEXTBOOK in self.families else ())]


def scope(args: argparse.Namespace, backend: Any) -> Scope:
    """What the options of ``refgrad conformance`` ask for.

    Raises ArgumentError for names that mean nothing and for options that exclude each other, DtypeError and DeviceMissingError for
    what is not there.
    """
    ops = list(dict.fromkeys(args.op or ()))
    wanted = _wanted(args.family, ops)
    shard = Shard.read(args.shard) if args.shard else None
    missing = _missing(backend, args.require_device or ())
    devices = args.device or _present(backend)
    devices = list(dict.fromkeys([*devices, *(d for d in args.require_device or () if d not in missing)]))
    dtypes = _dtypes(backend, args.dtype, wanted, ops, devices)
    profile = args.profile or _profile(os.environ)
    seed = args.seed
    if seed is None and profile == "nightly" and shard is not None:
        raise ArgumentError(
            f"--shard {shard} in the profile nightly: every shard would draw a seed of its own, and they would not be parts of one run. "
            "Give all shards the same one: --seed N, such as the number or the date of the run"
        )
    if seed is None:
        seed = secrets.randbelow(2**31) if profile == "nightly" else 0
    workers = min(_cores(), 8) if args.workers is None else args.workers
    return Scope(
        wanted, ops, dtypes, devices, missing, profile, args.examples or PROFILES[profile], seed, shard, workers
    )  # fmt: skip


def location() -> tuple[str, Path]:
    """Package name and folder of the suite: refgrad._suite in an installed wheel, conformance beside refgrad in a checkout."""
    if importlib.util.find_spec("refgrad._suite") is not None:
        import refgrad._suite as suite  # type: ignore[import-not-found]  # there in a wheel only

        return "refgrad._suite", Path(suite.__path__[0])
    beside = Path(__file__).resolve().parents[2] / "conformance"
    if (beside / "test_families.py").is_file():
        if str(beside.parent) not in sys.path:
            sys.path.insert(0, str(beside.parent))
        return "conformance", beside
    raise RefgradError(
        "the conformance suite is neither installed (refgrad._suite) nor beside the package (conformance/): reinstall refgrad"
    )


def _generated() -> Any:
    """The package with the families of generated cases."""
    return importlib.import_module(f"{location()[0]}.families")


def _textbook() -> Any:
    """The package with the items of the textbook."""
    return importlib.import_module(f"{location()[0]}.textbook")


def _wanted(asked: Sequence[str] | None, ops: Sequence[str]) -> list[str]:
    """The families; with ops chosen, the one of single ops."""
    known = [*_generated().FAMILIES, TEXTBOOK]
    wanted = list(dict.fromkeys(asked or ([SINGLE] if ops else known)))
    if set(wanted) - set(known):
        raise ArgumentError(f"no family named {sorted(set(wanted) - set(known))}; there are {sorted(known)}")
    names = _generated().NAMES
    for name in ops:
        if name not in names:
            like = " or ".join(difflib.get_close_matches(name, names, 3))
            raise ArgumentError(
                f"no op named {name!r} is drawn by the family {SINGLE}{f'; did you mean {like}?' if like else '.'} "
                "`refgrad ops` lists them: it takes a derivative and a counterpart in torch"
            )
    if ops and wanted != [SINGLE]:
        others = sorted(set(wanted) - {SINGLE})
        raise ArgumentError(
            f"--op chooses among single ops, and the families {others} draw programs of many: leave them out"
        )
    return wanted


def _dtypes(
    backend: Any, asked: Sequence[str] | None, wanted: list[str], ops: list[str], devices: list[str]
) -> list[str]:
    """The dtypes in which one of the devices computes, and in which there is something to judge."""
    items = [d for item in _textbook().ITEMS for d in item.dtypes] if wanted == [TEXTBOOK] else []
    for dtype in asked or ():
        judged(dtype)
    there = []
    for dtype in dict.fromkeys(asked or items or DTYPES):
        computing = [name for name in devices if backend.supported(name, dtype)]
        if computing:
            there.append(dtype)
        elif asked:
            raise DtypeError(
                f"dtype {dtype!r} was asked for, but none of the devices {devices} computes in it"
            )
    having = [d for d in there if _generated().names_in(d, ops)]
    if not having:
        raise DtypeError(f"torch has none of the ops {ops} in {' or '.join(there)}")
    if items and not {*items} & {*having}:
        raise ArgumentError(
            f"the family {TEXTBOOK} is for {' and '.join(dict.fromkeys(items))}, not for {having}"
        )
    return having


def _present(backend: Any) -> list[str]:
    try:
        backend.device("cuda")
    except DeviceMissingError:
        return ["cpu"]
    return ["cpu", "cuda"]


def _missing(backend: Any, required: Sequence[str]) -> dict[str, str]:
    """Of the devices that a run may not do without, those that are not there, with the reason."""
    missing = {}
    for name in required:
        try:
            backend.device(name)
        except DeviceMissingError as error:
            missing[name] = str(error)
    return missing


def _profile(environ: Mapping[str, str]) -> str:
    """The profile where none is named. HYPOTHESIS_PROFILE counts as far as it is one of ours: a project may have its own."""
    wanted = environ.get("HYPOTHESIS_PROFILE", "")
    return wanted if wanted in PROFILES else "ci"


def _cores() -> int:
    """The cores that this process may use: a container has fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
