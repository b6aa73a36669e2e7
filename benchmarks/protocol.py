"""What the protocol of workers costs, by case, and how many cases a second each backend answers.

``python -m benchmarks.protocol --backend autograd --backend jax=/path/to/python`` prints one table, measured in one run. Cases are those of
a run: 50 of the family ``graphs``, or of another one, with the ops that the backend has.

- encode  a case as a line of JSON
- parse   the worker's reading of that line, and its arrays
- pack    the worker's answer as a line of JSON
- pipe    a line of the size of the case to a process that sends a line of the size of the answer back
- decode  the answer as an observation
- answer  from a case to its observation: all of these, and the framework's own work, compilation included
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.families import family, vocabulary_of
from refgrad import backends
from refgrad.backends import Backend, WorkerBackend
from refgrad.backends.messages import observation, request
from refgrad.backends.process import Process
from refgrad.backends.shipped import FOLDER
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import CaseSequence
from refgrad.testing.runs.item import examine

ECHO = """
import json, sys
print("{}", flush=True)
for line in sys.stdin:
    size = json.loads(line[:line.index(",")] + "}")["size"]
    print(json.dumps("x" * size), flush=True)
"""
COLUMNS = ("encode", "parse", "pack", "pipe", "decode", "answer")


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a backend.

    milliseconds  by column, the median of a case; None for a backend in this process
    sent          the median of the characters of a case and of its answer
    answered      cases a second that the backend answers
    judged        cases a second with the judge's work
    """

    milliseconds: dict[str, float | None]
    sent: tuple[float, float]
    answered: float
    judged: float


def cases_of(backend: Backend, name: str, dtype: str, count: int, seed: int) -> list[Case]:
    """The first cases of a run of this family in this dtype on the CPU."""
    draw = family(name, (), vocabulary_of(backend, dtype, "cpu"))
    sequence = CaseSequence(draw, name, dtype, "cpu", seed)
    with quiet():
        return [sequence.case(k) for k in range(1, count + 1)]


def measured(backend: Backend, cases: Sequence[Case]) -> Costs:
    """The costs of these cases; the first answer, which may compile, is not counted."""
    backend.settle()
    backend.judged(cases[0])
    milliseconds: dict[str, list[float]] = {name: [] for name in COLUMNS}
    sizes: list[tuple[int, int]] = []
    answers = []
    began = time.perf_counter()
    for case in cases:
        before = time.perf_counter()
        answers.append(backend.judged(case))
        milliseconds["answer"].append(1e3 * (time.perf_counter() - before))
    answering = time.perf_counter() - began
    began = time.perf_counter()
    for case, answer in zip(cases, answers, strict=True):
        examine(case, lambda _, told=answer: told)  # asked again, a framework that compiles has the program
    judging = time.perf_counter() - began
    answered, judged = len(cases) / answering, len(cases) / (answering + judging)
    if isinstance(backend, WorkerBackend):
        _protocol(backend, cases, milliseconds, sizes)
    medians = {name: statistics.median(found) if found else None for name, found in milliseconds.items()}
    sent = (
        (statistics.median(a for a, _ in sizes), statistics.median(b for _, b in sizes))
        if sizes
        else (0.0, 0.0)
    )
    return Costs(medians, sent, answered, judged)


def _protocol(
    backend: WorkerBackend,
    cases: Sequence[Case],
    milliseconds: dict[str, list[float]],
    sizes: list[tuple[int, int]],
) -> None:
    """Measure the steps of the protocol, those of the worker by its own module in this process."""
    serving, echo = _serving(), Process([sys.executable, "-c", ECHO])
    echo.start(60.0)

    def step(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = work()
        milliseconds[name].append(1e3 * (time.perf_counter() - began))
        return found

    for case in cases:
        line = step("encode", lambda c=case: json.dumps(request(c), separators=(",", ":")))
        step("parse", lambda text=line: serving.Case(json.loads(text)["case"]))
        answer = backend.asked(request(case))
        reply = json.dumps(answer, separators=(",", ":"))
        arrays = [
            serving.array(x)
            for part in ("values", "cotangents", "tangents")
            for x in answer.get(part, ())
            if x
        ]
        step("pack", lambda xs=arrays: json.dumps([serving.sent(x) for x in xs]))
        step("pipe", lambda a=line, b=reply: echo.ask({"size": len(b), "text": "x" * len(a)}, 60.0))
        step("decode", lambda text=reply, c=case: observation(json.loads(text), c, backend.name))
        sizes.append((len(line), len(reply)))
    echo.kill()


def _serving() -> Any:
    """The module that workers share, loaded from its file: it is no part of a package."""
    spec = importlib.util.spec_from_file_location("serving", FOLDER / "serving.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.protocol", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--backend", action="append", metavar="NAME", help="as for refgrad conformance (repeatable)"
    )
    parser.add_argument("--family", default="graphs", help="of the cases (default: graphs)")
    parser.add_argument("--dtype", default="float32", help="of the cases (default: float32)")
    parser.add_argument("--cases", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the cases (default: 0)")
    args = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    print(
        f"{args.cases} cases of {args.family} in {args.dtype}, medians in ms; characters of a case and its answer"
    )
    heads = (*COLUMNS, "sent", "back", "answered/s", "judged/s")
    print(f"{'backend':<28}" + "".join(f"{head:>11}" for head in heads))
    for address in args.backend or ("torch", "autograd"):
        backend = backends.load(address)
        found = measured(backend, cases_of(backend, args.family, args.dtype, args.cases, args.seed))
        row = [found.milliseconds[name] for name in COLUMNS]
        texts = [f"{x:11.2f}" if x is not None else f"{'-':>11}" for x in row]
        texts += [f"{x:11.0f}" for x in found.sent] + [f"{found.answered:11.1f}", f"{found.judged:11.1f}"]
        print(f"{backend.name + ' ' + backend.build.release:<28}" + "".join(texts))


if __name__ == "__main__":
    main()
