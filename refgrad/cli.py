"""The command ``refgrad``: conformance, gradcheck of one case, reports, the table of ops."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from refgrad.errors import CaseFileError, DeviceMissingError, RefgradError

DTYPES = (
    "float64",
    "float32",
    "bfloat16",
    "float16",
    "tf32",
)  # refgrad.formats.DTYPES, without loading NumPy for --help
AGREE, DISAGREE, USAGE, PROVED_NOTHING = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 agree, 1 disagree or error, 2 wrong use, 3 the run proved nothing."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except DeviceMissingError as error:
        print(f"refgrad: {error}", file=sys.stderr)
        return PROVED_NOTHING
    except (CaseFileError, RefgradError) as error:
        print(f"refgrad: {error}", file=sys.stderr)
        return USAGE
    except ModuleNotFoundError as error:
        print(
            f'refgrad: {error}. The suite needs torch, pytest, hypothesis and jinja2: pip install "refgrad[conformance]"',
            file=sys.stderr,
        )
        return USAGE
    except KeyboardInterrupt:
        print("refgrad: interrupted; what was judged is in the results file", file=sys.stderr)
        return DISAGREE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="refgrad", description="An independent judge of gradients.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(run=_help(parser))
    commands = parser.add_subparsers(title="commands")

    suite = commands.add_parser(
        "conformance", help="judge torch's gradients on generated cases, write an HTML report"
    )
    suite.add_argument(
        "--family",
        action="append",
        metavar="NAME",
        help="graphs, mlp, softmax, matmul, ops or textbook (repeatable; default: all)",
    )
    suite.add_argument(
        "--dtype", action="append", choices=DTYPES, help="repeatable; default: all that the devices have"
    )
    suite.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help="cpu, cuda (repeatable; default: cpu, and cuda where torch sees one)",
    )
    suite.add_argument(
        "--examples", type=_positive, help="cases for each family, dtype and device (default: by profile)"
    )
    suite.add_argument("--seed", type=int, help="seed of the cases (default: 0; nightly: a new one)")
    suite.add_argument(
        "--profile",
        choices=("dev", "ci", "nightly"),
        default="ci",
        help="dev: 100 examples, ci: 400, nightly: 8,000",
    )
    suite.add_argument("--workers", type=_positive, help="processes (default: one a core)")
    suite.add_argument(
        "--out",
        default="reports",
        metavar="DIR",
        help="where report.html and results.jsonl land (default: reports)",
    )
    suite.set_defaults(run=_conformance)

    repro = commands.add_parser("repro", help="run one case file alone and print every verdict")
    repro.add_argument("case", help="a case file (JSON)")
    repro.add_argument("--device", help="judge on this device instead of the case's own")
    repro.set_defaults(run=_repro)

    report = commands.add_parser("report", help="render results again")
    report.add_argument("results", help="results.jsonl or results.jsonl.gz")
    report.add_argument("--out", help="the HTML file (default: report.html beside the results)")
    report.set_defaults(run=_report)

    ops = commands.add_parser("ops", help="the table of ops and what each supports")
    ops.set_defaults(run=_ops)
    return parser


def _help(parser: argparse.ArgumentParser) -> object:
    def run(args: argparse.Namespace) -> int:
        if args.version:
            from refgrad import __version__

            print(f"refgrad {__version__}")
            return AGREE
        parser.print_help()
        return USAGE

    return run


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return value


def _conformance(args: argparse.Namespace) -> int:
    from refgrad.suite import run

    return run(args)


def _repro(args: argparse.Namespace) -> int:
    from refgrad.suite import repro

    return repro(args.case, args.device)


def _report(args: argparse.Namespace) -> int:
    from pathlib import Path

    from refgrad import report

    run = report.load(args.results)
    out = Path(args.out) if args.out else Path(args.results).parent / "report.html"
    report.write(run, out)
    print(report.table(run, color=sys.stdout.isatty()))
    print(f"report: {out}")
    return int(report.exit_code(run))


def _ops(_: argparse.Namespace) -> int:
    import refgrad  # noqa: F401  registers every op
    from refgrad.op import REGISTRY

    print(f"{'op':<18} {'operands':<16} {'derivative':<12} {'torch':<6} {'parameters'}")
    for name, op in sorted(REGISTRY.items()):
        sig = op.signature
        operands = ("*" if sig.variadic else "") + " ".join(sig.operands)
        derivative = "jvp, vjp" if sig.differentiable else "zero a.e."
        print(
            f"{name:<18} {operands:<16} {derivative:<12} {'yes' if op.torch else '-':<6} {' '.join(sig.defaults)}"
        )
    return AGREE


if __name__ == "__main__":
    raise SystemExit(main())
