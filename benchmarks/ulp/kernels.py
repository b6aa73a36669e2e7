"""The kernels that are measured: torch's in this process, or those of a worker, which is asked for one op at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import conformance
from benchmarks.ulp.functions import Array
from benchmarks.ulp.points import Operands, held
from refgrad.backends import Profile, WorkerBackend
from refgrad.backends.messages import decoded, encoded
from refgrad.bounds.formats import DTYPES, FORMATS
from refgrad.bounds.profiles import CPU
from refgrad.encode import encode_param
from refgrad.errors import RefgradError
from refgrad.modes import VALUE
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.file import all_of
from refgrad.testing.deviations.operand_conditions import PLACES

# Ops with operands, which number the inputs first, and parameters.
Program = Sequence[tuple[str, tuple[int, ...], Mapping[str, Any]]]
CONTIGUOUS, STRIDED, SHORT = "contiguous", "strided", "short"
SOFTPLUS = {"threshold": None}  # the smooth branch everywhere


class NoValueError(RefgradError):
    """A worker has no answer: the words are its own."""


class Kernels(ABC):
    """The functions of one framework on a CPU.

    described  the framework, its version and the circumstances of the measurement
    profile    the figures that refgrad judges it with
    layouts    the memory layouts in which it is measured
    """

    described: str
    profile: Profile
    layouts: tuple[str, ...]

    @property
    @abstractmethod
    def names(self) -> Collection[str]:
        """The functions that it has."""

    @property
    @abstractmethod
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes in which it computes."""

    def has(self, name: str, dtype: str) -> bool:  # noqa: ARG002 - a framework that has its functions in all its dtypes
        """Whether it has the function in the dtype."""
        return name in self.names

    def excused(self, name: str, dtype: str, xs: Operands) -> Array:  # noqa: ARG002 - a framework without recorded disagreements
        """At which operands the value is a recorded disagreement, which no figure covers."""
        return np.zeros(xs[0].shape, bool)

    @abstractmethod
    def call(self, name: str, dtype: str, xs: Operands, layout: str) -> Array:
        """The function's values at these operands, laid out so."""


class TorchKernels(Kernels):
    """Torch's functions, called in this process on one thread."""

    profile = CPU
    layouts = (CONTIGUOUS, STRIDED, SHORT)
    dtypes = ("float32", "float64")

    def __init__(self) -> None:
        import torch  # only here: workers are measured without it

        torch.set_num_threads(1)
        self.torch = torch
        self.described = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
        own: dict[str, Callable[..., Any]] = {
            "power": torch.pow,
            "softplus": lambda x: -torch.nn.functional.logsigmoid(-x),
        }
        listed = (
            "exp exp2 expm1 log log2 log10 log1p sqrt reciprocal sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
            "arctan2 hypot sigmoid"
        )
        special = "erf erfc erfcx erfinv ndtri i0"
        self.functions = {
            **own,
            **{name: getattr(torch, name) for name in listed.split()},
            **{name: getattr(torch.special, name) for name in special.split()},
        }

    @property
    def names(self) -> Collection[str]:
        """Torch's functions; it has no cube root."""
        return self.functions.keys()

    def call(self, name: str, dtype: str, xs: Operands, layout: str) -> Array:  # noqa: ARG002 - the arrays have it
        """The function's values; strided operands are every second element of wider tensors."""
        tensors = [self.torch.from_numpy(x) for x in xs]
        if layout == STRIDED:
            wide = [self.torch.empty(2 * t.numel(), dtype=t.dtype) for t in tensors]
            for w, t in zip(wide, tensors, strict=True):
                w[::2] = t
            tensors = [w[::2] for w in wide]
        return self.functions[name](*tensors).numpy()


class WorkerKernels(Kernels):
    """The functions of a worker: a program of one op is a case, and its value is measured.

    The protocol states layouts, but a worker may ignore them: strided operands are sent only if ``strided``.
    """

    def __init__(self, backend: WorkerBackend, *, strided: bool = False) -> None:
        self.backend, self.profile = backend, backend.profile("cpu")
        self.layouts = (CONTIGUOUS, STRIDED, SHORT) if strided else (CONTIGUOUS, SHORT)
        self.described = f"{backend.build}, a worker: {' '.join(backend.process.command)}"
        self._asked = 0
        self._entries = self.recorded(backend.name)

    @staticmethod
    def recorded(name: str) -> list[Deviation]:
        """The recorded disagreements of a backend."""
        return all_of(Path(conformance.__file__).parent / "deviations.toml", (), name)

    @property
    def names(self) -> Collection[str]:
        """The ops of its hello."""
        return self.backend.ops

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes of its hello, the judged ones."""
        return tuple(d for d in DTYPES if d in self.backend.hello.dtypes["cpu"])

    def has(self, name: str, dtype: str) -> bool:
        """Whether the op is among those of its hello that it does not lack in the dtype."""
        return name in self.names and name not in self.backend.hello.lacking.get(dtype, ())

    def excused(self, name: str, dtype: str, xs: Operands) -> Array:
        """Where an entry about the value of the op names operands, or a range of magnitudes of the first one, those that it names."""
        found, fmt = np.zeros(xs[0].shape, bool), FORMATS[dtype].under(self.profile)
        for entry in self._entries:
            narrow = entry.narrow
            if name in entry.ops and VALUE in entry.modes and dtype in entry.dtypes:
                if narrow.where:
                    found |= PLACES[narrow.where](xs, SOFTPLUS if name == "softplus" else {}, fmt)
                elif narrow.operand:
                    found |= (np.abs(xs[0]) >= narrow.operand[0]) & (np.abs(xs[0]) <= narrow.operand[1])
        return found

    def call(self, name: str, dtype: str, xs: Operands, layout: str) -> Array:
        """The function's values. Raises NoValueError where the worker gives none."""
        params = SOFTPLUS if name == "softplus" else {}
        return self.run([(name, tuple(range(len(xs))), params)], dtype, xs, layout)[-1]

    def run(self, program: Program, dtype: str, xs: Operands, layout: str = CONTIGUOUS) -> list[Array]:
        """The values of a program's ops, its inputs left out. Raises NoValueError where the worker gives none."""
        fmt, inputs = FORMATS[dtype], {f"x{k}": encoded(np.asarray(x)) for k, x in enumerate(xs)}
        graph: list[dict[str, Any]] = [{"input": name} for name in inputs]
        for op, of, params in program:
            graph.append({"op": op, "of": list(of), "with": {k: encode_param(v) for k, v in params.items()}})
        shape = np.broadcast_shapes(*(np.shape(x) for x in xs))
        ones = {k: encoded(held(np.ones(np.shape(x)), fmt)) for k, x in zip(inputs, xs, strict=True)}
        case = {
            "schema": 1, "family": "ulp", "dtype": dtype, "device": "cpu",
            "graph": {"schema": 1, "outputs": [len(graph) - 1], "nodes": graph},
            "inputs": inputs, "tangents": ones, "cotangent": encoded(held(np.ones(shape), fmt)),
            "layouts": dict.fromkeys(inputs, STRIDED) if layout == STRIDED else {},
        }  # fmt: skip  # a message reads by its parts
        return [self._array(entry) for entry in self._ask(case)[len(xs) :]]

    def _ask(self, case: dict[str, Any]) -> list[Any]:
        self._asked += 1
        if not self.backend.process.alive:
            self.backend.process.start(self.backend.start_limit)
        answer = self.backend.process.ask({"id": self._asked, "case": case}, self.backend.case_limit)
        if "values" not in answer:
            told = answer.get("unsupported") or answer.get("error") or answer.get("unavailable")
            raise NoValueError(f"{self.backend.name} has no value: {told}")
        return list(answer["values"])

    @staticmethod
    def _array(entry: Any) -> Array:
        return None if entry is None else decoded(entry)
