"""A worker process: started, asked within deadlines, and started again after it died, hung or answered what was not asked."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any, Final

from refgrad.backends import compiled
from refgrad.errors import WorkerError, WorkerLateError

TOLD = 40  # last lines of a worker's standard error that are kept for messages
LAST_WORDS = 2.0  # seconds to wait for the rest of the standard error of a process that has ended
# Settings that belong to this interpreter: the worker may have another, is no session at a prompt, and its warnings are no errors.
OF_THIS_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONINSPECT")
_END: Final = None  # of the worker's output, and of the messages to it


class Process:
    """One worker process. Its own log, on standard error, is kept for messages.

    A message is one JSON object on a line of its own. Threads write and read, so that a process that neither reads nor writes runs into the
    deadline as well. After any failure of ``ask`` the process is gone, with the processes that it started; the next ``start`` makes a new
    one. It has a session of its own: an interrupt from the terminal reaches refgrad alone.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self._running: subprocess.Popen[str] | None = None
        self._requests: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._log: collections.deque[str] = collections.deque(maxlen=TOLD)
        self._logging: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._running is not None and self._running.poll() is None

    def start(self, limit: float) -> Any:
        """Start the process; its first message. Raises WorkerError where none comes within ``limit`` seconds."""
        self.kill()
        self._requests, self._lines = queue.SimpleQueue(), queue.SimpleQueue()
        self._log = collections.deque(maxlen=TOLD)
        environment = {k: v for k, v in os.environ.items() if k not in OF_THIS_PYTHON}
        environment |= {
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
            compiled.VARIABLE: compiled.folder(),
        }
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
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerError(f"{self.command[0]} cannot be started: {error.strerror or error}") from error
        threads = [
            threading.Thread(target=target, args=(stream, where), daemon=True)
            for target, stream, where in (
                (_write, self._running.stdin, self._requests),
                (_read, self._running.stdout, self._lines),
                (_keep, self._running.stderr, self._log),
            )
        ]
        for thread in threads:
            thread.start()
        self._logging = threads[-1]
        return self._next(limit, "sent no first message")

    def ask(self, message: Any, limit: float | None) -> Any:
        """The answer to a message.

        Raises WorkerLateError where none comes within ``limit`` seconds, WorkerError where the process dies or answers what is no message.
        Then it is gone.
        """
        self._requests.put(json.dumps(message, allow_nan=False, separators=(",", ":")) + "\n")
        try:
            return self._next(limit, "did not answer")
        except BaseException:
            # Also after a time limit of the caller: the answer may still come, and would be taken for the next one.
            self.kill()
            raise

    def kill(self) -> None:
        """End the process and those that it started."""
        running, self._running = self._running, None
        if running is None:
            return
        self._requests.put(_END)
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                running.kill()
            else:
                os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    def _next(self, limit: float | None, what: str) -> Any:
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            told = self._told()
            self.kill()
            raise WorkerLateError(f"the worker {what} within {limit:g} s and was ended{told}") from None
        if line is _END:
            how = self._ended()
            raise WorkerError(f"the worker {how}{self._told()}")
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            self.kill()
            raise WorkerError(
                f"the worker wrote a line that is no JSON: {line[:200]!r}{self._told()}"
            ) from None

    def _ended(self) -> str:
        """How the process ended, after its last words have been read."""
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = None if self._running is None else self._running.wait(LAST_WORDS)
        if self._logging is not None and code is not None:
            self._logging.join(LAST_WORDS)
        self.kill()
        if code is None:
            return "closed its output and was ended"
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _told(self) -> str:
        """The last lines of its standard error, for a message."""
        return "; it said:\n" + "\n".join(list(self._log)) if self._log else ""


def _write(stream: IO[str], requests: queue.SimpleQueue[str | None]) -> None:
    with contextlib.suppress(OSError), stream:  # it died or was ended; the missing answer says so
        while (line := requests.get()) is not _END:
            stream.write(line)
            stream.flush()


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with contextlib.suppress(OSError), stream:
        for line in stream:
            lines.put(line)
    lines.put(_END)


def _keep(stream: IO[str], log: collections.deque[str]) -> None:
    with contextlib.suppress(OSError), stream:
        for line in stream:
            log.append(line.rstrip("\n"))
