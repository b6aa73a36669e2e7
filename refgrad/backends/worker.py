"""A framework in a process of its own, as a backend: the process answers cases over a pipe (docs/extend/worker.md)."""

from __future__ import annotations

import atexit
import functools
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from refgrad.backends.contract import Backend, Build
from refgrad.backends.messages import Hello, observation, request
from refgrad.backends.process import Process
from refgrad.bounds.profiles import Profile
from refgrad.errors import WorkerError, WorkerLateError
from refgrad.modes import VALUE
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.vocabulary import Vocabulary
from refgrad.testing.judging.observation import NoAnswer, Observation

START_LIMIT = 180.0  # seconds: a framework may take 22 to import
CASE_LIMIT = 600.0  # seconds, where the caller has no time limit of its own
IN_A_ROW = 5  # cases without an answer, after which a case that was answered before decides whether the worker is asked on
MOST_LOST = 100  # processes that one backend may lose


class WorkerBackend(Backend):
    """The framework behind a command that speaks the protocol of workers.

    The process starts on first use and stays for the whole run. One that dies, hangs or answers nonsense costs the case that it was asked;
    the next case starts a new one. After IN_A_ROW such cases in a row the last case that was answered is asked again. If that gets no
    answer either, or none was ever answered, or MOST_LOST processes are lost, the worker is given up: every further case is an error at
    once.
    """

    def __init__(
        self, command: Sequence[str], start_limit: float = START_LIMIT, case_limit: float = CASE_LIMIT
    ) -> None:
        self.process, self.start_limit, self.case_limit = Process(command), start_limit, case_limit
        self._numbers = itertools.count(1)
        self._answered: Case | None = None  # the last case with an answer
        self._unanswered = 0  # cases without an answer since
        self._lost = 0  # processes
        self._given_up = ""  # why the worker is not asked any more
        atexit.register(self.process.kill)

    @functools.cached_property
    def hello(self) -> Hello:
        """What the worker says of itself. Raises WorkerError where it does not start, or where its hello cannot be read."""
        try:
            return Hello.read(self.process.start(self.start_limit))
        except WorkerError as error:
            self.process.kill()
            raise WorkerError(f"{' '.join(self.process.command)}: {error}") from error

    # --- what the hello tells ---

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

    def profile(self, device: str) -> Profile:
        """What the worker promises of its rounding on a device."""
        return self.hello.profiles.get(device, self.hello.profile)

    def environment(self) -> Mapping[str, str]:
        """What the framework's numbers depend on, as the worker says, and the command that starts it."""
        return {**self.hello.environment, "worker": " ".join(self.process.command)}

    # --- cases ---

    def limit(self, seconds: float) -> None:
        """Limit the time of a case. The deadline holds in the process of the worker, too, whatever the judge's own process waits for."""
        self.case_limit = seconds

    def suspend(self) -> None:
        """End the process; the next case starts another one."""
        self.hello  # noqa: B018 - it is read before
        self.process.kill()

    def observe(self, case: Case) -> Observation:
        """The answer of the worker. A worker that fails to give one is ended, and the case has an error in its words."""
        self.require(case.device)
        if self._given_up:
            return _nothing(case, NoAnswer(self._given_up, refused=False))
        try:
            seen = self._asked(case)
        except WorkerError as error:
            self.process.kill()
            self._unanswered, self._lost = self._unanswered + 1, self._lost + 1
            self._give_up(error)
            words, _, details = str(error).partition("\n")
            late = isinstance(error, WorkerLateError)
            return _nothing(case, NoAnswer(words, refused=False, details=details, late=late))
        self._answered, self._unanswered = case, 0
        return seen

    def _asked(self, case: Case) -> Observation:
        """The answer to a case. Raises WorkerError where there is none, or where it cannot be read."""
        return observation(self.asked(request(case)), case, self.name)

    def asked(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to a message, which is given a number. Raises WorkerError where none comes, or that of another message."""
        number = next(self._numbers)
        if not self.process.alive:
            again = Hello.read(self.process.start(self.start_limit))
            if (again.framework, again.version) != (self.hello.framework, self.hello.version):
                raise WorkerError(
                    f"the worker began with {self.hello.framework} {self.hello.version}, and now has {again.framework} {again.version}"
                )
        answer = self.process.ask({**message, "id": number}, self.case_limit)
        if not isinstance(answer, dict) or answer.get("id") != number:
            given = answer.get("id") if isinstance(answer, dict) else answer
            raise WorkerError(f"the worker answered case {given!r}, and was asked case {number}")
        return answer

    def _give_up(self, error: WorkerError) -> None:
        """Decide after a lost case whether the worker is asked on."""
        why = ""
        if self._lost >= MOST_LOST:
            why = f"{self._lost} cases without an answer"
        elif self._unanswered >= IN_A_ROW:
            why = f"{self._unanswered} cases in a row without an answer"
            if self._answered is not None:
                try:
                    self._asked(self._answered)
                    why, self._unanswered = "", 0
                except WorkerError:
                    self.process.kill()
                    why += ", and then none for a case that it had answered before"
        if why:
            last = str(error).partition("\n")[0]
            self._given_up = f"the worker is not asked any more after {why}; the last time: {last}"


def _nothing(case: Case, why: NoAnswer) -> Observation:
    """An observation without numbers."""
    nothing: list[np.ndarray | None] = [None] * len(case.graph.nodes)
    return Observation(
        list(nothing), list(nothing), list(nothing), dtypes={}, devices={}, unavailable={VALUE: why}
    )
