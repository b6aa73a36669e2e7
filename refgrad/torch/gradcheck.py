"""gradcheck: the gradient of a torch callable, in the dtypes that are shipped, against the derivative of a NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from refgrad.arguments import kind, result
from refgrad.errors import ArgumentError, DtypeError
from refgrad.formats import DTYPES, Format, format_of
from refgrad.rounding import Ball, exact
from refgrad.testing.compare import compare
from refgrad.testing.outcome import Report
from refgrad.testing.planting import planted
from refgrad.testing.summary import Tally
from refgrad.testing.verdict import Comparison, Verdict
from refgrad.torch.dual import dual_level
from refgrad.torch.observe import laid_out, plain_arithmetic
from refgrad.torch.refusal import described, refuses
from refgrad.transforms import jvp, vjp
from refgrad.tree import flatten

Array = Any


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    reference: Callable[..., Any] | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    repeats: int = 3,
    seed: int = 0,
    check_forward: bool = True,
    raise_exception: bool = True,
    strict: bool = False,
) -> Report:
    """Check the value and the gradients of ``fn`` against the derivative of ``reference``, in each dtype, without tolerances.

    fn         any torch callable or ``torch.autograd.Function.apply``; one tensor, or a tuple of tensors, as result
    inputs     a tensor or a tuple; floating-point tensors with requires_grad are differentiated (all floating-point ones where none
               says so), cast to each dtype in turn; everything else is passed as it is
    reference  the same function in NumPy (``import numpy as np`` and refgrad.nn), called with arrays in place of tensors
    dtypes     which formats to judge: each is asked for its own gradients, within bounds of its own rounding
    repeats    how many random cotangents, at least 1; every second one is not contiguous in memory
    strict     whether an imprecise gradient is refused, too

    The bound is what rounding can do to a run of the reference's formula in that dtype, in any order of summation. A gradient that another
    right formula explains is ``imprecise``: it has fewer correct digits than the dtype allows.

    Returns a truthy Report; raises GradientMismatch (an AssertionError) naming the input, element, got, expected and bound,
    ArgumentError without a reference and for arguments of the wrong kind, DtypeError for complex or missing floating-point inputs.
    What fn itself raises comes through, with a note on how it was called.
    """
    if reference is None:
        raise ArgumentError(
            "gradcheck needs reference=, the same function written in NumPy: refgrad does not read torch's own formulas. "
            "Example: gradcheck(MyTanh.apply, (x,), reference=np.tanh)"
        )
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    _usage(fn, reference, dtypes, repeats)
    active = _active(arguments)
    report = Report(
        f"gradcheck({_title(fn)})",
        source=f"gradcheck(fn, inputs, reference=..., dtypes={tuple(dtypes)}, seed={seed})",
    )
    for dtype in dtypes:
        plain_arithmetic(dtype)
        check = _Check(fn, reference, arguments, active, dtype, repeats, seed)
        report.device = check.device
        report.verdicts += [(dtype, v) for v in check.verdicts(check_forward)]
    return report.settle(raise_exception, strict=strict)


def _usage(fn: Any, reference: Any, dtypes: Any, repeats: int) -> None:
    if isinstance(fn, type) and issubclass(fn, torch.autograd.Function):
        raise ArgumentError(
            f"fn is the class {fn.__name__}; a callable is expected. Pass {fn.__name__}.apply"
        )
    for name, given in (("fn", fn), ("reference", reference)):
        if not callable(given):
            raise ArgumentError(
                f"{name} is {kind(given)}; a callable is expected: gradcheck(fn, (x,), reference=...)"
            )
    if isinstance(dtypes, (str, torch.dtype)) or not dtypes:
        raise ArgumentError(
            f"dtypes is {dtypes!r}; a tuple of names is expected, such as ('float64', 'float32')"
        )
    for dtype in dtypes:
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise DtypeError(f"dtype {dtype!r} is not judged; a name is expected, one of {list(DTYPES)}")
    if repeats < 1:
        raise ArgumentError(
            f"repeats is {repeats}; at least 1 is expected, for no gradient is compared otherwise"
        )


def _active(arguments: tuple[Any, ...]) -> list[int]:
    for k, x in enumerate(arguments):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            raise DtypeError(
                f"input {k} is a NumPy array; a tensor is expected, which is cast to each dtype. Pass torch.tensor(x)"
            )
        if isinstance(x, (tuple, list, dict)) and any(isinstance(leaf, Tensor) for leaf in flatten(x)[0]):
            raise ArgumentError(
                f"input {k} is a {type(x).__name__} of tensors; each tensor is an input of its own: gradcheck(lambda a, b: fn([a, b]), "
                "(a, b), reference=...)"
            )
    tensors = [k for k, x in enumerate(arguments) if isinstance(x, Tensor)]
    for k in tensors:
        if arguments[k].is_complex():
            raise DtypeError(
                f"input {k} has dtype {arguments[k].dtype}: complex is not supported. Pass real and imaginary parts as two tensors."
            )
    floating = [k for k in tensors if arguments[k].is_floating_point()]
    asked = [k for k in floating if arguments[k].requires_grad]
    if not floating:
        raise DtypeError(
            f"no input can be differentiated: got {[_kind(x) for x in arguments]}; a floating-point tensor is expected, such as "
            "torch.randn(3, requires_grad=True)"
        )
    return asked or floating


def _title(fn: Any) -> str:
    owner = getattr(fn, "__self__", None)  # of SomeFunction.apply: the Function
    return str(owner.__name__ if isinstance(owner, type) else getattr(fn, "__qualname__", repr(fn)))


def _kind(x: Any) -> str:
    return str(x.dtype) if isinstance(x, Tensor) else type(x).__name__


class _Check:
    """One dtype: runs fn in torch and the reference over Balls."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reference: Callable[..., Any],
        arguments: tuple[Any, ...],
        active: list[int],
        dtype: str,
        repeats: int,
        seed: int,
    ) -> None:
        self.fn, self.reference, self.active, self.dtype, self.repeats = fn, reference, active, dtype, repeats
        self.rng = np.random.default_rng(seed)
        self.device = next(x.device.type for x in arguments if isinstance(x, Tensor))
        self.fmt: Format = format_of(dtype, self.device)
        self.torch_dtype = getattr(torch, self.fmt.storage)
        self.arguments = [
            x.detach().to(self.torch_dtype) if isinstance(x, Tensor) and x.is_floating_point() else x
            for x in arguments
        ]
        self.balls = [self._ball(x) for x in self.arguments]

    def _ball(self, x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return exact(_array(x), self.fmt) if x.is_floating_point() else x.cpu().numpy()

    def verdicts(self, check_forward: bool) -> list[Verdict]:
        """Value, reverse mode and, where torch does not say that fn has none, forward mode."""
        found, pullback = vjp(self._referenced, *[self.balls[k] for k in self.active])
        expected = found if isinstance(found, tuple) else (found,)
        leaves = {k: self.arguments[k].clone().requires_grad_() for k in self.active}
        outputs = self._call(leaves)
        if len(outputs) != len(expected):
            raise ArgumentError(
                f"fn returns {len(outputs)} tensor(s), reference {len(expected)} array(s); they have to be the same function"
            )
        value = Tally("value", self.dtype, self.device)
        for k, (y, y_ref) in enumerate(zip(outputs, expected, strict=True)):
            value.add(-1, "value", self._compare(y, y_ref, f"output {k}"))
        verdicts = [value.verdict(), self._reverse(leaves, outputs, expected, pullback)]
        return [*verdicts, self._forward()] if check_forward else verdicts

    def _referenced(self, *xs: Any) -> Any:
        full = list(self.balls)
        for k, x in zip(self.active, xs, strict=True):
            full[k] = x
        y = self.reference(*full)
        return tuple(
            result(x, "what reference returned") for x in (y if isinstance(y, (tuple, list)) else (y,))
        )

    def _call(self, leaves: dict[int, Tensor]) -> tuple[Tensor, ...]:
        try:
            y = self.fn(*[leaves.get(k, x) for k, x in enumerate(self.arguments)])
        except Exception as error:
            error.add_note(
                f"gradcheck called fn with tensors of {self.torch_dtype} that require gradients. dtypes= says which formats to judge. "
                "Where fn writes into its input, judge lambda x: fn(x.clone())."
            )
            raise
        outputs = tuple(y) if isinstance(y, (tuple, list)) else (y,)
        for x in outputs:
            if not isinstance(x, Tensor):
                raise ArgumentError(f"fn returned {kind(x)}; a tensor, or a tuple of tensors, is expected")
        return outputs

    def _reverse(
        self, leaves: dict[int, Tensor], outputs: tuple[Tensor, ...], expected: tuple[Any, ...], pullback: Any
    ) -> Verdict:
        tally = Tally("reverse", self.dtype, self.device)
        shapes = [np.shape(y) if not isinstance(y, Ball) else y.shape for y in expected]
        obstacle = self._obstacle(outputs, shapes)
        if obstacle:
            for k in self.active:
                tally.add(-1, "backward", Comparison(note=f"gradient of input {k}: {obstacle}"))
            return tally.verdict()
        for repeat in range(self.repeats):
            cotangents = [self._weights(shape) for shape in shapes]
            layout = "strided" if repeat % 2 else "contiguous"
            seeds = [laid_out(self._tensor(c), layout) for c in cotangents]
            pairs = [(y, s) for y, s in zip(outputs, seeds, strict=True) if y.requires_grad]
            try:
                bars = torch.autograd.grad(
                    [y for y, _ in pairs],
                    [leaves[k] for k in self.active],
                    [s for _, s in pairs],
                    retain_graph=True,
                    allow_unused=True,
                )
            except Exception as error:
                error.add_note(
                    f"gradcheck ran the backward in {self.torch_dtype}, with a cotangent that was {layout} in memory."
                )
                raise
            due = pullback(tuple(exact(c, self.fmt) for c in cotangents))
            for k, got, x_bar in zip(self.active, bars, due, strict=True):
                name = f"gradient of input {k}" + (" (non-contiguous cotangent)" if repeat % 2 else "")
                tally.add(
                    -1,
                    "backward",
                    self._absent(name, x_bar) if got is None else self._compare(got, x_bar, name),
                )
        return tally.verdict()

    @staticmethod
    def _obstacle(outputs: tuple[Tensor, ...], shapes: list[tuple[int, ...]]) -> str:
        """Why torch cannot be asked for a gradient; empty where it can."""
        for k, (y, shape) in enumerate(zip(outputs, shapes, strict=True)):
            if tuple(y.shape) != shape:
                return f"not asked for, because output {k} has shape {tuple(y.shape)}, expected {shape}"
            if y.is_complex():
                return f"not asked for, because output {k} has dtype {y.dtype}"
        if not any(y.requires_grad for y in outputs):
            return "the outputs are cut off from the inputs (requires_grad is False)"
        return ""

    def _forward(self) -> Verdict:
        tally = Tally("forward", self.dtype, self.device)
        tangents = {k: self._weights(tuple(self.arguments[k].shape)) for k in self.active}
        try:
            with dual_level():
                duals = {
                    k: forward_ad.make_dual(self.arguments[k].clone(), self._tensor(tangents[k]))
                    for k in self.active
                }
                found = [forward_ad.unpack_dual(y).tangent for y in self._call(duals)]
        except Exception as error:
            if refuses(error):
                return tally.unsupported(described(error))
            error.add_note(
                f"gradcheck ran forward mode in {self.torch_dtype}: fn was called with dual tensors. check_forward=False leaves it out."
            )
            raise
        _, due = jvp(
            self._referenced,
            [self.balls[k] for k in self.active],
            [exact(tangents[k], self.fmt) for k in self.active],
        )
        for k, (got, y_dot) in enumerate(zip(found, due, strict=True)):
            name = f"tangent of output {k}"
            tally.add(
                -1, "forward", self._absent(name, y_dot) if got is None else self._compare(got, y_dot, name)
            )
        return tally.verdict()

    def _absent(self, name: str, expected: Any) -> Comparison:
        value = getattr(expected, "value", expected)
        if np.any(np.asarray(value) != 0):
            return Comparison(note=f"{name}: fn gave none, one is due")
        return Comparison()

    def _compare(self, got: Tensor, expected: Any, what: str) -> Comparison:
        if got.dtype != self.torch_dtype:
            return Comparison(note=f"{what} has dtype {got.dtype}, expected {self.torch_dtype}")
        if got.device.type != self.device:
            return Comparison(note=f"{what} is on device {got.device}, expected {self.device}")
        found = compare(_array(got), expected, self.fmt, what, hidden=True)
        return planted(_array(got), expected, self.fmt, found)

    def _weights(self, shape: tuple[int, ...]) -> Array:
        return self.rng.integers(-8, 9, shape) / 4.0 + 0.25

    def _tensor(self, x: Array) -> Tensor:
        return torch.as_tensor(np.asarray(x)).to(self.device, self.torch_dtype)


def _array(t: Tensor) -> Array:
    return t.detach().to("cpu", torch.float64).numpy()
