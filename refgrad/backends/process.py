"""A worker process: started, asked within deadlines, and started again after it died, hung or answered what was not asked."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Sequence
from typing import Any, Final

from refgrad.errors import WorkerError

TOLD = 40  # last lines of a worker's standard error that are kept for messages
_END: Final = None  # of the worker's output


class Process:
    """One worker process. Its own log, on standard error, is kept for messages.

    A message is one JSON object on a line of its own. After any failure of ``ask`` the process is gone; the next ``start`` makes a new one.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self._running: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._log: collections.deque[str] = collections.deque(maxlen=TOLD)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._running is not None and self._running.poll() is None

    def start(self, limit: float) -> Any:
        """Start the process; its first message. Raises WorkerError where none comes within ``limit`` seconds."""
        self.kill()
        self._lines, self._log = queue.SimpleQueue(), collections.deque(maxlen=TOLD)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.pop("PYTHONPATH", None)  # it belongs to this interpreter, the worker may have another
        try:
            self._running = subprocess.Popen(  # noqa: S603 - the user's command
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=environment,
            )
        except OSError as error:
            raise WorkerError(f"{self.command[0]} cannot be started: {error.strerror or error}") from error
        for target, stream in ((self._read, self._running.stdout), (self._keep, self._running.stderr)):
            threading.Thread(target=target, args=(stream, self._lines, self._log), daemon=True).start()
        return self._next(limit, "sent no first message")

    def ask(self, message: Any, limit: float | None) -> Any:
        """The answer to a message. Raises WorkerError where the process dies, hangs or answers what is no message; then it is gone."""
        running = self._running
        assert running is not None
        assert running.stdin is not None
        try:
            running.stdin.write(json.dumps(message, allow_nan=False, separators=(",", ":")) + "\n")
            running.stdin.flush()
        except OSError:
            pass  # it died; the missing answer says so, with the exit code
        try:
            return self._next(limit, "did not answer")
        except (
            BaseException
        ):  # also a time limit of the caller: the answer may still come, and would be taken for the next one
            self.kill()
            raise

    def kill(self) -> None:
        """End the process."""
        running, self._running = self._running, None
        if running is None:
            return
        with contextlib.suppress(OSError):
            running.kill()
        running.wait()
        for stream in (running.stdin, running.stdout, running.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _next(self, limit: float | None, what: str) -> Any:
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            self.kill()
            raise WorkerError(f"the worker {what} within {limit:g} s and was ended{self._told()}") from None
        if line is _END:
            raise WorkerError(f"the worker {self._ended()}{self._told()}")
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            self.kill()
            raise WorkerError(
                f"the worker wrote a line that is no JSON: {line[:200]!r}{self._told()}"
            ) from None

    def _ended(self) -> str:
        """How the process ended."""
        code = None if self._running is None else self._running.wait()
        self.kill()
        return (
            f"was ended by signal {-code}"
            if code is not None and code < 0
            else f"ended with exit code {code}"
        )

    def _told(self) -> str:
        """The last lines of its standard error, for a message."""
        return "; it said:\n" + "\n".join(self._log) if self._log else ""

    @staticmethod
    def _read(stream: Any, lines: queue.SimpleQueue[str | None], _: Any) -> None:
        with contextlib.suppress(ValueError, OSError):  # closed by kill
            for line in stream:
                lines.put(line)
        lines.put(_END)

    @staticmethod
    def _keep(stream: Any, _: Any, log: collections.deque[str]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in stream:
                log.append(line.rstrip("\n"))
