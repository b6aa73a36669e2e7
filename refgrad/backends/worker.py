"""A framework in a process of its own, as a backend: the process answers cases over a pipe (docs/extend/worker.md)."""

from __future__ import annotations

import atexit
import functools
import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from refgrad.backends.contract import Backend, Build
from refgrad.backends.messages import Hello, observation, request
from refgrad.backends.process import Process
from refgrad.bounds.profiles import Profile
from refgrad.errors import WorkerError
from refgrad.modes import VALUE
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.vocabulary import Vocabulary
from refgrad.testing.judging.observation import NoAnswer, Observation

START_LIMIT = 180.0  # seconds: a framework may take 22 to import
CASE_LIMIT = 600.0  # seconds, where the caller has no time limit of its own


class WorkerBackend(Backend):
    """The framework behind a command that speaks the protocol of workers.

    The process starts on first use and stays for the whole run. One that dies, hangs or answers nonsense costs the case that it was asked;
    the next case starts a new one.
    """

    def __init__(
        self, command: Sequence[str], start_limit: float = START_LIMIT, case_limit: float = CASE_LIMIT
    ) -> None:
        self.process, self.start_limit, self.case_limit = Process(command), start_limit, case_limit
        self._numbers = itertools.count(1)
        atexit.register(self.process.kill)

    @functools.cached_property
    def hello(self) -> Hello:
        """What the worker says of itself. Raises WorkerError where it does not start, or where its hello cannot be read."""
        try:
            return Hello.read(self.process.start(self.start_limit))
        except WorkerError as error:
            self.process.kill()
            raise WorkerError(f"{' '.join(self.process.command)}: {error}") from error

    @property
    def name(self) -> str:  # type: ignore[override]  # a class attribute of other backends
        """The name of the framework."""
        return self.hello.framework

    @property
    def known_devices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The devices in which the framework computes."""
        return tuple(self.hello.dtypes)

    @property
    def modes(self) -> Mapping[str, str]:  # type: ignore[override]
        """By mode, what the framework calls it."""
        return self.hello.modes

    @property
    def build(self) -> Build:
        """The framework's version."""
        return Build(self.hello.framework, self.hello.version, self.hello.kernels)

    @property
    def ops(self) -> Collection[str]:
        """The ops of the registry that the framework has."""
        return self.hello.ops

    def vocabulary(self, dtype: str, device: str) -> Vocabulary:  # noqa: ARG002 - the hello tells it by dtype alone
        """The ops that the framework has in a dtype."""
        return Vocabulary(self.hello.ops - self.hello.lacking.get(dtype, frozenset()), self.hello.fixed)

    def computes(self, dtype: str, device: str) -> bool:
        """Whether the worker computed in the dtype on the device. Raises DeviceMissingError where there is no such device."""
        self.require(device)
        return dtype in self.hello.dtypes[device]

    def profile(self, device: str) -> Profile:  # noqa: ARG002 - a worker has one profile
        """What the worker promises of its rounding."""
        return self.hello.profile

    def environment(self) -> Mapping[str, str]:
        """What the framework's numbers depend on, as the worker says."""
        return {**self.hello.environment, "worker": " ".join(self.process.command)}

    def observe(self, case: Case) -> Observation:
        """The answer of the worker. A worker that fails to give one is ended, and the case has an error in its words."""
        self.require(case.device)
        number = next(self._numbers)
        try:
            if not self.process.alive:
                Hello.read(self.process.start(self.start_limit))
            answer = self.process.ask(request(number, case), self.case_limit)
            if not isinstance(answer, dict) or answer.get("id") != number:
                given = answer.get("id") if isinstance(answer, dict) else answer
                raise WorkerError(f"the worker answered case {given!r}, and was asked case {number}")
            return observation(answer, case, self.name)
        except WorkerError as error:
            self.process.kill()
            lines = str(error).split("\n", 1)
            failed = NoAnswer(lines[0], refused=False, details=lines[1] if lines[1:] else "")
            nothing: list[np.ndarray | None] = [None] * len(case.graph.nodes)
            return Observation(
                list(nothing),
                list(nothing),
                list(nothing),
                dtypes={},
                devices={},
                unavailable={VALUE: failed},
            )
