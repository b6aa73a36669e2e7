"""The errors that refgrad raises. Each message names what was given, what was expected and what to do."""

from __future__ import annotations

from typing import Any


class RefgradError(Exception):
    """Base of all errors that refgrad raises on purpose."""

    # of the transformations whose derivative is lost; empty: all that run in this thread
    levels: tuple[int, ...] = ()


class RegistrationError(RefgradError, TypeError):
    """An op record contradicts itself: a rule asks for something that the op does not have."""


class NoRuleError(RefgradError, NotImplementedError):
    """A traced array reached a function for which refgrad has no rule. Never passed over in silence.

    The transformations in which this happens raise an error even where the function catches it and goes on, as for TracingError. A function
    that names this class, as ``except NoRuleError`` does, was written for refgrad: it may go on with another formula.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        note(self)


class TracingError(RefgradError, TypeError):
    """A traced array was used in a way that would lose its derivative, such as float(x).

    The transformations in which this happens raise it even where the function catches it and goes on: what it goes on with is a constant.
    ``levels`` are those whose derivative would be lost (see op.Traced); empty: all that run in this thread.
    """

    def __init__(self, message: str, levels: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.levels = levels
        note(self)


RUNS: list[Any] = []  # functions that transformations are calling now: see tracing/caught_refusals.py


def note(error: RefgradError) -> None:
    """Have the transformations that ``error`` concerns raise it at their end, should the function catch it."""
    for run in tuple(RUNS):
        run.note(error)


def forget(error: RefgradError) -> None:
    """Take back what ``note`` did: the plain program fails here, too."""
    for run in tuple(RUNS):
        run.forget(error)


class ArgumentError(RefgradError, ValueError):
    """An argument has the wrong shape, dtype or structure."""


class DtypeError(RefgradError, TypeError):
    """An argument has a dtype that cannot be differentiated (integer, boolean, complex, object), or is no NumPy array at all."""


class OperandError(TracingError, DtypeError):
    """A traced array met an operand of a dtype or class with which refgrad does not compute, though NumPy does."""


class GraphError(RefgradError, ValueError):
    """A graph is built or bound wrongly: a missing input, a node of another graph."""


class CaseFileError(RefgradError, ValueError):
    """A case or results file is not what refgrad wrote: malformed, truncated, or of another schema."""


class ResultsWriteError(RefgradError, OSError):
    """A verdict cannot be written: the disk is full, the file is not ours to write. What was written before is whole."""


class DeviationsFileError(RefgradError, ValueError):
    """The file of known disagreements cannot be read, or an entry of it is incomplete."""


class WorkerError(RefgradError, RuntimeError):
    """A worker process cannot be started, ended, did not answer in time, or sent what cannot be read."""


class WorkerLateError(WorkerError):
    """A worker process did not answer within its time limit."""


class DeviceMissingError(RefgradError, RuntimeError):
    """A required device is not present on this machine. Ends a run with exit code 3."""


class SideEffectError(RefgradError, RuntimeError):
    """Code under test has changed a setting of its framework."""


class GradientMismatch(RefgradError, AssertionError):
    """A gradient is not the derivative of its function; ``report`` holds the evidence."""

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class GradientUndecided(RefgradError, AssertionError):
    """A gradient could not be judged: nothing was compared, or no bound was tight enough to see an error. ``report`` holds the evidence."""

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class NoCaseError(RefgradError, LookupError):
    """A family drew no case of the kind that a run asks for. The number that was to draw it has no case."""


def is_tensor(x: Any) -> bool:
    """Whether x is a torch.Tensor or of a class derived from it, found out without importing torch."""
    return any(t.__name__ == "Tensor" and t.__module__.partition(".")[0] == "torch" for t in type(x).__mro__)


def refuse_tensor(x: Any, what: str) -> None:
    """Raises DtypeError where x is a torch tensor; ``what`` names it in the message."""
    if is_tensor(x):
        raise DtypeError(f"{what} is a torch tensor; {TENSOR}")


TENSOR = "a NumPy array is expected. Pass x.detach().numpy(); what torch code computes is judged by refgrad.torch.gradcheck."


class CaseTimeout(BaseException):
    """A case exceeded its time limit. It is a BaseException, so that ``except Exception`` in a framework does not catch it."""


class SignalInterrupt(KeyboardInterrupt):
    """A signal came that ends a run as Ctrl-C does."""


class CaseInterruptedError(RefgradError, RuntimeError):
    """Judged code raised KeyboardInterrupt although no signal came. It is an answer to the case, and no wish of the user."""


# What ends a case from outside. Any other exception of a framework is an answer to the case, also SystemExit and a test tool's skip.
OUTSIDE = (KeyboardInterrupt, CaseTimeout)
