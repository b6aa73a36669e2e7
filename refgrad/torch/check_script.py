"""Writes a wrong answer as a program that needs torch and NumPy alone.

The program contains the function, its inputs in their memory layouts, the question and the expected elements. It exits with 1 while the
answer is outside its bounds, and with 0 once it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import BuiltinFunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import resolve_name

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, format_of
from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence
from refgrad.testing.checks.function_source import Source, UnwritableError, importable
from refgrad.testing.checks.script_frame import EXITS, assembled, heading, verified
from refgrad.testing.checks.script_text import (
    array,
    expected_rows,
    numbers,
    numpy_expression,
    one_line,
    reason_without_array,
)
from refgrad.torch import check_script_orders
from refgrad.torch.checking.layouts import CHANNELS_LAST, EXPANDED, GAPS, OFFSET, PERMUTED, arranged
from refgrad.torch.devices import short_operands

Strides = tuple[tuple[int, ...] | None, ...]  # of each array; none for what is no strided tensor

_TOOLS = '''\
def _tensor(numbers, shape, strides=None, offset=0, dtype=_DTYPE):
    """A tensor with its elements where they lay in memory, and NaN between them."""
    numbers = np.asarray(numbers).reshape(shape)
    if strides is None or not numbers.size:
        return torch.as_tensor(numbers).to(_DEVICE, dtype)
    size = offset + 1 + sum((n - 1) * s for n, s in zip(shape, strides))
    memory = np.full(size, np.nan if numbers.dtype.kind == "f" else 0, numbers.dtype)
    steps = [numbers.itemsize * s for s in strides]
    np.lib.stride_tricks.as_strided(memory[offset:], shape, steps)[...] = numbers
    return torch.as_tensor(memory).to(_DEVICE, dtype).as_strided(shape, strides, offset)
'''
_ASK = {
    "value": "    return outputs[{index}].detach()",
    "reverse": """\
    cotangents = {{{seeds}}}
    active = {active}
    found = torch.autograd.grad(
        [outputs[k] for k in cotangents], [inputs[k] for k in active], list(cotangents.values()), allow_unused=True
    )
    return found[active.index({index})]""",
    "forward": "        return forward_ad.unpack_dual(outputs[{index}]).tangent",
}
_CHECK = """\
_EXPECTED = [  # the worst elements: index, expected value (as the sum of two numbers), bound
{rows}]


def _main():
    got = _ask()
    if got is None:
        print({what}, "is missing")
        raise SystemExit({missing})
    print({what}, "has dtype", got.dtype, "and shape", tuple(got.shape))
    wrong = (got.dtype != {dtype} and {floating}) or tuple(got.shape) != {shape}
    if tuple(got.shape) == {shape}:
        for place, expected, rest, bound in _EXPECTED:
            g = got.detach()[place].item()
            met = g == expected or (math.isfinite(g) and abs((g - expected) - rest) <= bound)
            wrong = wrong or not met
            print(list(place), "got", g, "expected", expected, "+-", bound, "" if met else "WRONG")
    raise SystemExit(int(wrong))


_main()
"""


def rerun(fn: Callable[..., Any], title: str, device: str = "cpu") -> Callable[[str, str, ArrayVerdict], str]:
    """The function that ``Report.script`` holds: from a dtype, a mode and a part, the script of the part's evidence.

    fn, title, device   the function that was checked, the name of the check, the device on which it ran
    """
    return lambda dtype, mode, part: script(fn, title, device, dtype, mode, part)


def script(fn: Callable[..., Any], title: str, device: str, dtype: str, mode: str, part: ArrayVerdict) -> str:
    """The script of one wrong array, after a run in this process: see ``verified``."""
    return verified(
        lambda: written(fn, title, device, dtype, mode, part), f"{title}: {part.what}, {dtype} on {device}"
    )


def written(
    fn: Callable[..., Any], title: str, device: str, dtype: str, mode: str, part: ArrayVerdict
) -> str:
    """The script, before its first run. Raises UnwritableError."""
    e, fmt = part.evidence, format_of(dtype, device)
    assert e is not None
    if e.expected is None:
        raise UnwritableError(reason_without_array(part))
    if mode not in _ASK and mode not in check_script_orders.ORDERS:
        raise UnwritableError(f"no script asks in the mode {mode}")
    source = Source(_constant)
    expression, comments = _called(fn, source)
    places = (e.strides, e.offsets) if e.strides else _places(e.inputs, e.question.layout)
    dtypes = e.dtypes or ("",) * len(e.inputs)
    inputs = [_input(x, places[0], places[1], k, fmt, dtypes[k]) for k, x in enumerate(e.inputs)]
    if mode in _ASK:
        question = _asking(e, mode, fmt, expression)
    else:
        seed = partial(_seed, e, fmt)
        question = check_script_orders.asking(e, part.what, mode, expression, seed)
    head = check_script_orders.helpers(mode) + "def _ask():"
    asking = [head, "    inputs = [", *[f"        {x}," for x in inputs], "    ]", *question]
    imports, definitions = source.lines()
    imports += ["import math", "import numpy as np", "import torch"]
    if any("forward_ad" in line for line in asking):
        imports.append("from torch.autograd import forward_ad")
    setup = ["", f"_DEVICE, _DTYPE = torch.device({device!r}), torch.{fmt.storage}"]
    setup += _settings(dtype) if device.partition(":")[0] == "cuda" else []
    last = f"Made with torch {torch.__version__}. {EXITS}"
    heading_lines = heading(title, f"{dtype} on {device}", mode, part, last)
    return assembled(
        [*heading_lines, *comments],
        imports,
        [*setup, "\n", _TOOLS, ""],
        definitions,
        asking,
        _check(part, e, fmt),
    )


def _called(fn: Callable[..., Any], source: Source) -> tuple[str, list[str]]:
    """The expression that calls the function, and comments: from its source, or from its module where the source is not available."""
    try:
        return source.expression(fn), []
    except UnwritableError as error:
        imported = importable(fn)
        if not imported:
            raise
        source.imports, source.definitions = {"": imported}, []
        name = imported.rpartition(" ")[2]
        called = f"{name}.{fn.__name__}" if isinstance(getattr(fn, "__self__", None), type) else name
        return called, [f"# The function is imported: {one_line(str(error))}."]


def _settings(dtype: str) -> list[str]:
    """The lines that switch off the arithmetic that the bounds do not cover."""
    return [
        f"torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = {short_operands(dtype)}",
        "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False",
        "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False",
    ]


def _asking(e: Evidence, mode: str, fmt: Format, expression: str) -> list[str]:
    """The lines after the inputs: the inputs that require a gradient, the call, the question."""
    q = e.question
    floats = [k for k, x in enumerate(e.inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    active = list(q.active) or floats
    lines: list[str] = []
    indent, seeds = "    ", ""
    if mode == "forward":
        lines = ["    with forward_ad.dual_level():"]
        indent = "        "
        places = list(range(len(e.inputs))) if len(e.seeds) == len(e.inputs) else active
        for at, (k, t) in enumerate(zip(places, e.seeds, strict=True)):
            if t is not None:
                tangent = _tensor(t, e.seed_strides, e.seed_offsets, at, fmt, e.dtypes[k] if e.dtypes else "")
                lines.append(
                    f"{indent}inputs[{k}] = torch.autograd.forward_ad.make_dual(inputs[{k}], {tangent})"
                )
    elif active and q.mode != "forward":
        lines += [f"    for k in {active}:", "        inputs[k].requires_grad_()"]
    lines += [
        f"{indent}outputs = {expression}(*inputs)",
        f"{indent}outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)",
        f"{indent}outputs = tuple(y for y in outputs if y is not None)",
    ]
    if mode == "reverse":
        places = list(q.used) if q.used and len(e.seeds) == len(q.used) else list(range(len(e.seeds)))
        for at, (k, s) in enumerate(zip(places, e.seeds, strict=True)):
            if s is not None:
                seeds += f"\n        {k}: {_seed(e, fmt, at)},"
            elif k in q.used:
                seeds += f"\n        {k}: torch.zeros_like(outputs[{k}]),"
    lines.append(_ASK[mode].format(index=e.index, active=active, seeds=seeds + ("\n    " if seeds else "")))
    return lines


def _check(part: ArrayVerdict, e: Evidence, fmt: Format) -> str:
    """The worst elements with their expected values and bounds, and the comparison."""
    expected = np.asarray(e.expected, fmt.wide)
    required = bool(np.any(expected != 0))  # a missing array stands for zeros
    rows = expected_rows(part, e, fmt)
    floating = np.asarray(e.expected).dtype.kind == "f"
    return _CHECK.format(
        rows=rows,
        what=ascii(part.what),
        shape=tuple(expected.shape),
        missing=int(required),
        floating=floating,
        dtype=f"torch.{e.dtype}" if e.dtype else "_DTYPE",
    )


def _input(
    x: Any, strides: Strides, offsets: tuple[int, ...], k: int, fmt: Format, own_dtype: str = ""
) -> str:
    """An input as an expression: a tensor, or an object of any other type as it is."""
    tensor = not strides or (k < len(strides) and strides[k] is not None)
    if isinstance(x, np.ndarray) and (tensor or x.dtype.kind == "f"):
        return _tensor(x, strides, offsets, k, fmt, own_dtype)
    try:
        return Source(_constant).value(x)
    except UnwritableError as error:
        raise UnwritableError(f"input {k}: {error}") from None


def _seed(e: Evidence, fmt: Format, k: int) -> str:
    """The k-th seed as a call of the script's ``_tensor``."""
    x, strides, offsets = e.seeds[k], e.seed_strides, e.seed_offsets
    assert x is not None, "a seed that was not given is not written"
    if not strides:
        strides, offsets = _places(e.seeds, e.question.seed_layout)
    return _tensor(x, strides, offsets, k, fmt)


def _places(arrays: Sequence[Any], layout: str) -> tuple[Strides, tuple[int, ...]]:
    """The strides and offsets of arrays in a layout that has a name; empty for any other layout."""
    if layout not in {PERMUTED, GAPS, OFFSET, CHANNELS_LAST, EXPANDED}:
        return (), ()
    found = [
        arranged(torch.zeros(np.shape(x)), layout).tensor if isinstance(x, np.ndarray) else None
        for x in arrays
    ]
    strides = tuple(None if y is None else tuple(y.stride()) for y in found)
    return strides, tuple(0 if y is None else int(y.storage_offset()) for y in found)


def _tensor(
    x: PlainArray, strides: Strides, offsets: tuple[int, ...], k: int, fmt: Format, own_dtype: str = ""
) -> str:
    """Element k of the inputs or the seeds as a call of the script's ``_tensor``: floating-point numbers, integers or booleans.

    own_dtype   the dtype of floating-point numbers; "" for the judged one
    """
    x = np.asarray(x)
    short = fmt.bits <= 24 and (not own_dtype or torch.finfo(getattr(torch, own_dtype)).bits <= 32)
    kind = {"f": "f4" if short else "f8", "b": "b1"}.get(x.dtype.kind, x.dtype.str[1:])
    own = strides[k] if k < len(strides) else None
    where = "" if own is None else f", {tuple(map(int, own))}, {int(offsets[k]) if k < len(offsets) else 0}"
    named = own_dtype if x.dtype.kind == "f" else x.dtype.name
    dtype = f", dtype=torch.{named}" if named else ""
    return f"_tensor({numbers(x, kind)}, {x.shape}{where}{dtype})"


def _constant(x: Any) -> str | None:
    """A value of torch or NumPy as an expression of the script; None for anything else."""
    if isinstance(x, Tensor):
        if x.is_complex() or x.layout != torch.strided:
            raise UnwritableError(f"a tensor of dtype {x.dtype} and layout {x.layout} cannot be written")
        on_cpu = x.detach().cpu()
        elements = (on_cpu.double() if x.is_floating_point() else on_cpu).numpy()
        device = "" if x.device.type == "cpu" else f", device={str(x.device)!r}"
        text = f"torch.tensor({array(elements)}, dtype={x.dtype}{device})"
        return f"{text}.requires_grad_()" if x.requires_grad else text
    if (numpys := numpy_expression(x)) is not None:
        return numpys
    if isinstance(x, (torch.dtype, torch.memory_format, torch.layout)):
        return str(x)
    if isinstance(x, torch.device):
        return f"torch.device({str(x)!r})"
    if isinstance(x, BuiltinFunctionType):
        name = resolve_name(x)
        return None if name is None else str(name)
    return f"torch.Size({list(x)})" if isinstance(x, torch.Size) else None
