"""Refusals that a function catches: the transformation raises them after the function, which went on with a constant.

A TracingError is raised inside a user's function, and often inside NumPy. ``except ValueError`` or ``contextlib.suppress`` may catch it.
So each TracingError is recorded for the runs whose derivative it concerns, and raised when they end. The same holds for NoRuleError,
and for the other errors of refgrad that a call raises where NumPy accepts its arguments (call_failures.py).
"""

from __future__ import annotations

import re
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from refgrad.errors import RUNS, NoRuleError, RefgradError, TracingError
from refgrad.op import Traced
from refgrad.tracing.reached_functions import follow
from refgrad.tree import flatten

# A traced array, as errors of Python and NumPy name it: unsupported operand 'Var', must be real number, not Var. json asks for __class__.
_OURS = re.compile(
    r"('|\b(not|from|type|of|got) )(Var|Dual|Ball|Symbol|Linear)\b|\b(Var|Dual|Ball)\(|float64 is not JSON|__array__ method not producing"
    r"|: (Var|Dual|Ball)$|object supporting the buffer API required"
)
_ATTRIBUTE = re.compile(r"'(Var|Dual|Ball|Symbol|Linear)' object has no attribute '(\w+)'")
_OF_TENSORS = frozenset({
    "backward", "clone", "contiguous", "cpu", "cuda", "detach", "double", "expand", "float", "grad", "half", "numpy", "permute",
    "requires_grad", "requires_grad_", "retain_grad", "sigmoid", "exp", "log", "sin", "cos", "tanh", "relu", "softmax", "unsqueeze",
})  # fmt: skip
_DEBUGGERS = frozenset(
    {"pdb", "bdb", "pydevd", "_pydevd_bundle", "debugpy", "inspect", "IPython", "rlcompleter"}
)


class Run:
    """One call of a function by a transformation, and what was refused in it."""

    __slots__ = ("_levels", "_others", "_thread", "args", "noted", "shown")

    def __init__(self, args: Sequence[Any]) -> None:
        self.args = args
        self.noted: list[RefgradError] = []
        self.shown: dict[float | str, tuple[int, ...]] = {}  # numbers in texts: see shown_numbers.py
        self._thread = threading.get_ident()
        self._others = frozenset(
            [t.ident for t in threading.enumerate()] if threading.active_count() > 1 else ()
        )
        self._levels: frozenset[int] | None = None

    def note(self, error: RefgradError) -> None:
        """Remember a refusal that concerns this run. What a debugger tries out is none of the function's."""
        if _debugged() or (isinstance(error, NoRuleError) and _is_named()):
            return
        here = self._thread == threading.get_ident()
        if self._concerned(error.levels) if any(error.levels) else here:
            self.noted.append(error)

    def may_be_here(self) -> bool:
        """Whether this thread may run code of the function: its own thread, or one that started after the function did."""
        here = threading.get_ident()
        return here == self._thread or here not in self._others

    def forget(self, error: RefgradError) -> None:
        """Remember a refusal no longer."""
        self.noted = [e for e in self.noted if e is not error]

    def _concerned(self, levels: tuple[int, ...]) -> bool:
        """Whether an array of these levels carries a derivative of an argument. A function may use threads: levels are never used twice."""
        if self._levels is None:
            arrays = [x for x in flatten(tuple(self.args))[0] if isinstance(x, Traced)]
            self._levels = frozenset(level for x in arrays for level in x._levels() if level)
        return not self._levels.isdisjoint(levels)


def run(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """f(*args, **kwargs). Raises TracingError where one was raised inside, whatever f made of it."""
    follow(f)
    this = Run(args)
    RUNS.append(this)
    try:
        y = f(*args, **kwargs)
    except RefgradError:
        raise
    except Exception as error:
        if this.noted:
            last = this.noted[-1]
            if isinstance(last, NoRuleError):
                raise NoRuleError(str(last)) from error
            raise TracingError(str(last), last.levels) from error
        if isinstance(error, AttributeError) and (missing := _ATTRIBUTE.search(str(error))):
            raise _without(missing[2], error) from error
        if isinstance(error, (TypeError, ValueError, LookupError, NameError)) and _OURS.search(str(error)):
            raise _met_unknown(error) from error
        raise
    finally:
        if RUNS[-1] is this:
            del RUNS[-1]
        else:  # another thread's began later
            _ended(this)
    if this.noted:
        first = this.noted[0]
        message = f"{_name(f)} caught an error of refgrad and went on, without a derivative: {first}"
        raise TracingError(message, first.levels) from first
    return y


def _debugged() -> bool:
    """Whether a debugger looks at the function's variables."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code is not run.__code__:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _is_named() -> bool:
    """Whether code of the function names NoRuleError or its base: it has another formula for what lacks a rule."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code is not run.__code__:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package != "refgrad" and not _NAMES.isdisjoint(frame.f_code.co_names + frame.f_code.co_freevars):
            return True
        frame = frame.f_back
    return False


_NAMES = frozenset({"NoRuleError", "RefgradError"})


def _ended(this: Run) -> None:
    for k in range(len(RUNS) - 1, -1, -1):
        if RUNS[k] is this:
            del RUNS[k]
            return


def _met_unknown(error: Exception) -> TracingError:
    """For an error of Python or NumPy that speaks of a traced array: code in C that asks for a number or an array of its own kind."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f for f in reversed(frames) if f.line), None)
    where = f" at {place.filename}:{place.lineno}, `{place.line}`," if place else ""
    return TracingError(
        f"the function{where} handed a traced array to code that does not know it, where its derivative would be lost "
        f"({type(error).__name__}: {error}). Var, Dual and Ball stand for NumPy's arrays and numbers. Write it with NumPy functions, or "
        "compute it from plain numbers."
    )


def _without(name: str, error: AttributeError) -> Exception:
    """For an attribute that a traced array lacks, as NumPy's arrays do."""
    if name in _OF_TENSORS:
        return TracingError(
            f"x.{name} is an attribute of torch's tensors; refgrad differentiates code in NumPy, and x stands for an np.ndarray. Write the "
            "function in NumPy (np.exp(x), x.copy(); rg.stop_gradient(x) for x.detach()): torch code is judged by refgrad.torch.gradcheck."
        )
    kind = error.obj.__class__.__name__ if isinstance(error.obj, Traced) else "ndarray"
    return AttributeError(f"'numpy.{kind}' object has no attribute '{name}'", name=name, obj=error.obj)


def _name(f: Any) -> str:
    """A function's name, unless it is one that a transformation made."""
    if str(getattr(f, "__module__", "")).partition(".")[0] == "refgrad":
        return "the function"
    return str(getattr(f, "__name__", type(f).__name__))
