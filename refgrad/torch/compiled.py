"""torch.compile as a backend: each case is compiled by itself and judged from end to end.

A compiler keeps intermediate values to itself, and may compute them in another precision than it would return them. So only the value of
the output, the gradients of the inputs and the tangent of the output are judged (a fused profile).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import Unsupported
from torch.autograd.forward_ad import dual_level

from refgrad.backends.settings import NO_SETTINGS, Settings
from refgrad.bounds.formats import format_of
from refgrad.bounds.profiles import Profile
from refgrad.errors import OUTSIDE, ArgumentError
from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END, VALUE
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import NoAnswer, Observation
from refgrad.testing.judging.verdict import Verdict
from refgrad.torch.backend import TorchBackend
from refgrad.torch.case_script import program_of
from refgrad.torch.devices import device, plain_arithmetic
from refgrad.torch.observe import keep
from refgrad.torch.program import Program, tensor
from refgrad.torch.refusal import no_answer

INDUCTOR = "inductor"
Values = list[Tensor | None]


class CompiledTorch(TorchBackend):
    """torch.compile with one of its backends. A case has a longer time limit: the compiler takes seconds for one.

    Raises ArgumentError where the compiler for the CPU needs a C++ compiler that is missing.
    """

    time_limit = 300.0

    def __init__(self, compiler: str, settings: Settings = NO_SETTINGS) -> None:
        super().__init__(settings)
        self.compiler, self.name = compiler, f"torch-compile-{compiler}"
        called = f"torch.compile(backend={compiler!r})"
        self.modes = {
            VALUE: called,
            REVERSE_END_TO_END: f"backward of {called}",
            FORWARD_END_TO_END: f"{called} of func.jvp",
        }
        if compiler == INDUCTOR:
            _require_cxx()

    def settle(self) -> None:
        """The settings of torch, and one process for the compiler: the processes of a run share the cores already."""
        super().settle()
        if self.compiler == INDUCTOR:
            import torch._inductor.config as inductor

            inductor.compile_threads = 1

    def profile(self, device: str) -> Profile:
        """The profile of the device; intermediate values are not those of the next operation."""
        return replace(super().profile(device), fused=True)

    def environment(self) -> Mapping[str, str]:
        """As for torch, and how each case is compiled."""
        how = f"torch.compile(backend={self.compiler!r}, fullgraph=True, dynamic=False)"
        return {**super().environment(), "compiled": f"{how}, each case by itself"}

    def observe(self, case: Case) -> Observation:
        """The value of the output, the gradients of the inputs and the tangent of the output, of the compiled program."""
        torch.compiler.reset()
        return _Compiled(case, self).observe()

    def script(self, case: Case, verdict: Verdict) -> str:  # noqa: ARG002 - the contract
        """None: a script that runs refgrad is written instead."""
        return ""


def eager(settings: Settings = NO_SETTINGS) -> CompiledTorch:
    """torch.compile that traces a program and runs what it traced."""
    return CompiledTorch("eager", settings)


def aot_eager(settings: Settings = NO_SETTINGS) -> CompiledTorch:
    """torch.compile that traces a program with its backward, and runs what it traced."""
    return CompiledTorch("aot_eager", settings)


def inductor(settings: Settings = NO_SETTINGS) -> CompiledTorch:
    """torch.compile as it is by default: kernels are generated for the program."""
    return CompiledTorch(INDUCTOR, settings)


class _Compiled:
    """One case, compiled twice: as a function of its inputs, and with its tangents.

    What is compiled is the text of the calls that torch receives, as a script has it: nothing of refgrad is left in it to be traced.
    """

    def __init__(self, case: Case, backend: CompiledTorch) -> None:
        self.case, self.backend = case, backend
        self.where = device(case.device)
        self.dtype: torch.dtype = getattr(torch, format_of(case.dtype, case.device).storage)
        if self.where.type != "cpu":
            plain_arithmetic(case.dtype)
        # Compiled tangents of inputs with an offset end in an internal assertion of torch (docs/findings/compiled-tangents-of-views.md).
        self.program = Program(case, self.where, self.dtype, backend.namespaces, behind=False)
        self.names = [name for name, leaf in self.program.leaves.items() if leaf.is_floating_point()]
        self.xs = tuple(self.program.leaves[name] for name in self.names)
        self.output = case.graph.outputs[0]
        self.f: Callable[..., Tensor] = torch.clone

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function as torch.compile makes it; it compiles on its first call."""
        made: Callable[..., Any] = torch.compile(
            function, backend=self.backend.compiler, fullgraph=True, dynamic=False
        )
        return made

    def observe(self) -> Observation:
        """The observation of the case. A mode that raises has no answer, as in ``observe.observe``."""
        nothing: Values = [None] * len(self.case.graph.nodes)
        seen = Observation(list(nothing), list(nothing), list(nothing), dtypes={}, devices={})
        try:
            self.f = program_of(self.case, self.backend.replacements)
            y = self.value(seen)
        except OUTSIDE:
            raise
        except BaseException as error:  # noqa: BLE001 - every exception of a framework is recorded
            seen.unavailable[VALUE] = _no_answer(error)
            return seen
        inputs = {self.case.graph.inputs[name]: self.program.leaves[name] for name in self.names}
        keep(seen, "values", [y if k == self.output else inputs.get(k) for k in range(len(nothing))])
        for part, mode, ask in (("cotangents", REVERSE, self.reverse), ("tangents", FORWARD, self.forward)):
            if mode in seen.unavailable:
                continue
            try:
                keep(seen, part, ask(y))
            except OUTSIDE:
                raise
            except BaseException as error:  # noqa: BLE001 - see above
                seen.unavailable[mode] = _no_answer(error)
                keep(seen, part, nothing)
        return seen

    def value(self, seen: Observation) -> Tensor:
        """The value of the output. A program whose backward the compiler refuses is compiled once more without one."""
        try:
            return self.compiled(self.f)(*self.xs)
        except Exception as error:
            refusal = _no_answer(error)
            if not refusal.refused or isinstance(error, Unsupported):
                raise
            seen.unavailable[REVERSE] = refusal
            return self.compiled(self.f)(*[x.detach() for x in self.xs])

    def reverse(self, y: Tensor) -> Values:
        """The gradients of the inputs, at their nodes."""
        found: Values = [None] * len(self.case.graph.nodes)
        if y.requires_grad:
            gradients = torch.autograd.grad(y, self.xs, self.program.cotangent, allow_unused=True)
            for name, x_bar in zip(self.names, gradients, strict=True):
                found[self.case.graph.inputs[name]] = x_bar
        return found

    def forward(self, _: Tensor) -> Values:
        """The tangent of the output, at its node, from the compiled forward-mode derivative."""
        x_dots = tuple(tensor(self.case.tangents[name], self.where, self.dtype) for name in self.names)

        def pushed(xs: tuple[Tensor, ...], x_dots: tuple[Tensor, ...]) -> Tensor:
            y_dot: Tensor = torch.func.jvp(self.f, xs, x_dots)[1]
            return y_dot

        try:
            with torch.no_grad():
                y_dot = self.compiled(pushed)(tuple(x.detach() for x in self.xs), x_dots)
        except BaseException:
            _close_level()
            raise
        return [y_dot if k == self.output else None for k in range(len(self.case.graph.nodes))]


def _close_level() -> None:
    """Close the level of forward mode that a compiler left open when it raised (docs/findings/compiled-tangents-of-views.md).

    torch has one level at a time. With one left open, forward mode would raise in every later case of the process.
    """
    try:
        with dual_level():
            return
    except RuntimeError:
        torch._C._exit_dual_level(0)


def _no_answer(error: BaseException) -> NoAnswer:
    """The record of an exception, of the one inside where the compiler wraps it. What the compiler says it cannot trace is a refusal."""
    inner = getattr(error, "inner_exception", None)
    found = no_answer(inner if isinstance(inner, BaseException) else error)
    return replace(found, refused=True, details="") if isinstance(error, Unsupported) else found


def _require_cxx() -> None:
    """Raise ArgumentError where there is no C++ compiler that inductor would call."""
    from torch._inductor import exc
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except exc.InvalidCxxCompiler as error:
        raise ArgumentError(
            f"--compile inductor needs a C++ compiler: install g++, or name another one in the environment variable CXX. {error}"
        ) from error
