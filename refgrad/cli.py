"""The command ``refgrad``: the conformance suite, single cases, reports, deviations, the table of ops."""

from __future__ import annotations

import argparse
import difflib
import errno
import sys
from collections.abc import Sequence
from typing import TypeAlias

from refgrad import collector, console
from refgrad.errors import DeviceMissingError, RefgradError, ResultsWriteError
from refgrad.exit_codes import FAIL, PASS, PROVED_NOTHING, USAGE
from refgrad.suite import option_values
from refgrad.suite.address import add_options, address

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
# The errors of an output that cannot be written.
UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0 agree, 1 disagree or error, 2 wrong use, 3 the run proved nothing."""
    collector.spare_exit()
    console.open_streams()
    console.forgive_standard_error()
    console.use_substitutes()
    parser = _parser()
    args, strangers = parser.parse_known_args(argv)
    if strangers:
        _refuse(getattr(args, "parser", parser), strangers)
    try:
        return console.flush(int(args.run(args)))
    except (DeviceMissingError, ResultsWriteError) as error:
        return _report_error(error, PROVED_NOTHING)
    except RefgradError as error:
        return _report_error(error, USAGE)
    except ModuleNotFoundError as error:
        needed = 'The suite needs torch, pytest, hypothesis and jinja2: pip install "refgrad[conformance]"'
        return _report_error(f"{error}. {needed}", USAGE)
    except KeyboardInterrupt:
        return _report_error("interrupted", PROVED_NOTHING)
    except SystemExit as error:  # of a framework: its exit code is no verdict
        return _report_error(f"ended by {error!r} from outside of refgrad", PROVED_NOTHING)
    except BrokenPipeError:  # such as `refgrad ops | head`
        console.discard_output()
        return FAIL
    except OSError as error:
        if error.filename is not None:  # such as a name that is too long
            return _report_error(f"{error.filename}: {error.strerror or error}", PROVED_NOTHING)
        if error.errno not in UNWRITTEN:
            raise
        console.discard_output()
        return _report_error(f"standard output: cannot be written: {error.strerror}", PROVED_NOTHING)


def _report_error(error: object, code: int) -> int:
    """Print an error to standard error, without control characters, and return the exit code."""
    print(f"refgrad: {console.printable_line(error)}", file=sys.stderr)
    return code


def _refuse(command: argparse.ArgumentParser, strangers: Sequence[str]) -> None:
    """End with the usage of the command that does not take these arguments, and name options like them."""
    options = [name for action in command._actions for name in action.option_strings]
    like = [
        n
        for s in strangers
        if s.startswith("-")
        for n in difflib.get_close_matches(s.partition("=")[0], options, 1)
    ]
    advice = f"; did you mean {' or '.join(dict.fromkeys(like))}?" if like else ""
    command.error(console.printable_line(f"unrecognized arguments: {' '.join(strangers)}{advice}"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="refgrad", description="An independent judge of gradients.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(run=_help(parser))
    commands = parser.add_subparsers(title="commands")
    for add in (
        _add_conformance,
        _add_repro,
        _add_report,
        _add_accept,
        _add_deviations,
        _add_ops,
        _add_backends,
    ):
        add(commands)
    for command in commands.choices.values():
        command.set_defaults(parser=command)
    return parser


def _add_conformance(commands: _Commands) -> None:
    command = commands.add_parser(
        "conformance", help="judge a framework's gradients on generated cases, write an HTML report"
    )
    command.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help="the framework to judge: a name, name=PYTHON, a worker's file or command, or module:attribute (default: torch; `refgrad "
        "backends` lists the names). Several, separated by commas or by repeating the option, judge the same cases and are compared",
    )
    add_options(command)
    command.add_argument(
        "--family",
        action="append",
        metavar="NAME",
        help="graphs, mlp, softmax, matmul, ops, casts, functions, complex, textbook or lectures (repeatable; default: all but lectures)",
    )
    command.add_argument(
        "--op",
        action="append",
        metavar="NAME",
        help="judge this op alone: the family ops draws nothing else (repeatable; `refgrad ops` lists them)",
    )
    command.add_argument(
        "--dtype",
        action="append",
        type=option_values.dtype,
        metavar="NAME",
        help="float64, float32, tf32, bfloat16, float16, float8_e4m3 or float8_e5m2 (repeatable; default: all that the devices have)",
    )
    command.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help="cpu, cuda, or one that a package registers, with --load (repeatable; default: those that the backend sees)",
    )
    command.add_argument(
        "--examples",
        type=option_values.positive,
        help="cases for each family, dtype and device (default: by profile)",
    )
    command.add_argument(
        "--for",
        dest="budget",
        type=option_values.duration,
        metavar="TIME",
        help="judge rounds of cases until this time is spent, such as 90s, 30m or 2h, instead of a number of cases",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on with the interrupted run of the same command in --out: judge what it lacks",
    )
    command.add_argument(
        "--last-failed", action="store_true", help="judge the failures of the last run in --out again"
    )
    command.add_argument(
        "--max-failures",
        type=option_values.positive,
        metavar="N",
        help="begin no further block of cases after N failures; the report is partial",
    )
    command.add_argument(
        "--seed",
        type=option_values.seed,
        help="seed of the cases (default: 0; nightly: a new one, which its shards have to share)",
    )
    command.add_argument(
        "--profile",
        choices=("dev", "ci", "nightly"),
        help="dev: 100 examples, ci: 400, nightly: 8,000 (default: HYPOTHESIS_PROFILE where it is one of these, else ci)",
    )
    command.add_argument(
        "--workers",
        type=option_values.count,
        help="processes, also of a GPU (default: one a core, at most 8, and at most one for each GiB of free GPU memory; "
        "0: this one, for a debugger, and what ends it ends the run)",
    )
    command.add_argument(
        "--shard", metavar="I/N", help="run the I-th of N parts; `refgrad report` joins them"
    )
    command.add_argument(
        "--require-device",
        action="append",
        metavar="NAME",
        help="exit with 3 where this device is missing (repeatable)",
    )
    command.add_argument(
        "--time-limit",
        type=option_values.seconds,
        metavar="SECONDS",
        help="what one case may take before it counts as an error (default: 60, with --compile 300; 0: any time)",
    )
    command.add_argument(
        "--out",
        type=option_values.folder,
        default="reports",
        metavar="DIR",
        help="where report.html and results.jsonl(.gz) land (default: reports)",
    )
    command.add_argument(
        "--deviations",
        action="append",
        type=option_values.file,
        default=[],
        metavar="FILE",
        help="known disagreements beside the built-in ones, as `refgrad accept` writes them (repeatable)",
    )
    _outputs(command)
    command.set_defaults(run=_conformance)


def _add_repro(commands: _Commands) -> None:
    command = commands.add_parser("repro", help="judge one case alone and print every verdict")
    command.add_argument("case", help="a case file (JSON), or a results file")
    command.add_argument(
        "--id", default="", help="of a results file, the case whose id begins so; a sole case needs none"
    )
    command.add_argument(
        "--backend",
        default="",
        metavar="NAME",
        help="the framework to judge (default: that of the results file, or torch)",
    )
    add_options(command)
    command.add_argument("--device", help="judge on this device instead of the case's own")
    command.add_argument(
        "--script", action="store_true", help="print a script that shows the failure with the framework alone"
    )
    command.set_defaults(run=_repro)


def _add_report(commands: _Commands) -> None:
    command = commands.add_parser("report", help="render results again")
    command.add_argument(
        "results", nargs="+", help="results.jsonl or results.jsonl.gz; all shards of a run are put together"
    )
    command.add_argument(
        "--out",
        type=option_values.folder,
        help="the HTML file, or a folder for it (default: report.html beside the first results); results.jsonl.gz goes with it",
    )
    _outputs(command)
    command.set_defaults(run=_report)


def _add_accept(commands: _Commands) -> None:
    command = commands.add_parser(
        "accept", help="record failures of a run as known, for `conformance --deviations`"
    )
    command.add_argument("results", nargs="+", help="results.jsonl or results.jsonl.gz")
    command.add_argument("--reason", required=True, metavar="TEXT", help="why they are accepted")
    command.add_argument(
        "--to", required=True, metavar="FILE", help="the deviations file; entries are added to it"
    )
    command.add_argument(
        "--op", action="append", default=[], metavar="NAME", help="of this op alone (repeatable)"
    )
    command.add_argument(
        "--id",
        action="append",
        default=[],
        metavar="ID",
        help="this case alone, or the beginning of its id (repeatable)",
    )
    command.set_defaults(run=_accept)


def _add_deviations(commands: _Commands) -> None:
    command = commands.add_parser(
        "deviations", help="the recorded disagreements and the releases in which they were seen"
    )
    command.add_argument("--file", metavar="FILE", help="a deviations file (default: the built-in one)")
    command.add_argument(
        "--update",
        metavar="RESULTS",
        help="write into the file in which release a run has seen each, or has not",
    )
    command.set_defaults(run=_deviations)


def _add_ops(commands: _Commands) -> None:
    command = commands.add_parser("ops", help="the tables of ops and of functions, and what each supports")
    command.set_defaults(run=_ops)


def _add_backends(commands: _Commands) -> None:
    command = commands.add_parser(
        "backends", help="the frameworks that can be judged, and how to install them"
    )
    command.set_defaults(run=_backends)


def _outputs(command: argparse.ArgumentParser) -> None:
    """The options of commands that write a report."""
    command.add_argument(
        "--baseline",
        action="append",
        type=option_values.file,
        default=[],
        metavar="FILE",
        help="results of an earlier run to compare with (repeatable: its shards)",
    )
    command.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=("new", "imprecise"),
        help="new: exit with 1 only for failures that the baseline lacks; imprecise: also for lost digits (repeatable)",
    )
    command.add_argument("--junit", type=option_values.file, metavar="FILE", help="also write JUnit XML")
    command.add_argument(
        "--gitlab", type=option_values.file, metavar="FILE", help="also write GitLab's code quality JSON"
    )
    command.add_argument(
        "--github",
        action="store_true",
        help="annotations and a job summary for GitHub (default: where GITHUB_ACTIONS is true)",
    )


def _help(parser: argparse.ArgumentParser) -> object:
    def run(args: argparse.Namespace) -> int:
        if args.version:
            from refgrad import __version__

            print(f"refgrad {__version__}")
            return PASS
        parser.print_help()
        return USAGE

    return run


def _conformance(args: argparse.Namespace) -> int:
    from refgrad.suite.runner import run

    return run(args)


def _repro(args: argparse.Namespace) -> int:
    from refgrad.suite.repro import repro
    from refgrad.suite.scope import location

    return repro(
        args.case,
        args.device,
        name=args.id,
        script=args.script,
        backend=address(args, args.backend),
        expected=location()[1],
        recorded=location()[1] / "deviations.toml",
    )


def _accept(args: argparse.Namespace) -> int:
    from refgrad.suite.accept import accept

    return accept(args.results, args.reason, args.to, args.op, args.id)


def _deviations(args: argparse.Namespace) -> int:
    from refgrad.suite.deviations import deviations

    return deviations(args.file, args.update)


def _report(args: argparse.Namespace) -> int:
    from refgrad.suite.report import render_again

    return render_again(args)


def _backends(_: argparse.Namespace) -> int:
    from refgrad import backends

    print("\n".join(backends.table()))
    return PASS


def _ops(_: argparse.Namespace) -> int:
    import refgrad.node  # noqa: F401  registers every op and declares every function
    from refgrad.op import FUNCTIONS, REGISTRY

    print(f"{'op':<18} {'operands':<16} {'derivative':<12} {'torch':<6} {'parameters'}")
    for name, op in sorted(REGISTRY.items()):
        sig = op.signature
        operands = ("*" if sig.variadic else "") + " ".join(sig.operands)
        derivative = "jvp, vjp" if sig.differentiable else "zero a.e."
        print(
            f"{name:<18} {operands:<16} {derivative:<12} {'yes' if op.torch else '-':<6} {' '.join(sig.defaults)}"
        )
    print(f"\n{'function of ops, with a counterpart in torch':<54} arguments")
    for name, function in sorted(FUNCTIONS.items()):
        print(f"{name:<54} {' '.join(function.names)}")
    return PASS


if __name__ == "__main__":
    raise SystemExit(main())
