"""The kernels in PyTorch: operators that differentiate, batch and compile as its own do.

`spikeloss::run` is a reduction over time, `spikeloss::back` its derivative from the gradients of
what it gives. A call outside of all transforms goes to the core directly, in a `Function`; under a
compiler, an exporter or `torch.func` the operator is one node. Derivatives of second order and
those of forward mode are of the composed form.
"""

import mmap
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.function import _SingleLevelFunction as Function

from .native import (
    BACKWARD,
    BF16,
    F16,
    F32,
    F64,
    I32,
    I64,
    NOT_FINITE,
    NOTHING,
    NUMBER,
    U8,
    Core,
    NotFiniteError,
    View,
    core,
)
from .outputs import GIVES, KEEPS_TIME, PICK, dtypes, flat, flat_strides, shape_of
from .stages import Kernel, Options

SMALL = {"se": 32_768, "sum": 32_768, "max": 20_000, "highest": 1_000_000}
"""Entries of records of which an operation of PyTorch takes less time than the call of a kernel;
"highest": of a maximum without a derivative, for which nobody asks where it is. From 32,768 on
PyTorch wakes its threads up."""

FEW = 16_384
"""Entries of a decision of which an operation computes the cross-entropy sooner than the kernel."""

NARROW = 32
"""Entries of a step below which PyTorch goes through the steps of a maximum one by one."""

LARGE = 2**25
"""Bytes from which on memory comes from the system, and goes back to it."""

MAPPED = hasattr(mmap, "MADV_HUGEPAGE")

TYPES = {
    torch.float32: F32,
    torch.float64: F64,
    torch.float16: F16,
    torch.bfloat16: BF16,
    torch.bool: U8,
    torch.uint8: U8,
    torch.int32: I32,
    torch.int64: I64,
}


# The core, called with tensors


class _Given:
    """Where the tensors of a call lie, and what keeps them there."""

    def __init__(self) -> None:
        self.held: list[Tensor] = []

    def view(self, x: Tensor, known: tuple[int, int, int] | None = None) -> View:
        """A tensor (T, *B, N); `known`: its strides of time, samples and neurons."""
        if known is not None and not x.is_neg():
            return (x.data_ptr(), *known, TYPES[x.dtype])
        x = x.resolve_neg() if x.is_neg() else x
        strides = flat_strides(x.shape, x.stride())
        if strides is None:
            x = x.reshape(flat(x.shape))
            strides = flat_strides(x.shape, x.stride()) or (0, 0, 0)
        self.held.append(x)
        return (x.data_ptr(), *strides, TYPES[x.dtype])

    def target(self, op: str, shape: torch.Size, y: Tensor | None) -> View:
        """Labels (*B) or (T, *B), numbers (*B, N) or (T, *B, N)."""
        if y is None:
            return NOTHING
        lacking = len(shape) - y.ndim - (op == "ce")
        if len(shape) == 3 and not y.is_neg():  # what the views below come to
            self.held.append(y)
            strides = (0,) * lacking + y.stride() + (0,) * (op == "ce")
            return (y.data_ptr(), *strides, TYPES[y.dtype])  # type: ignore[return-value]
        y = y[..., None] if op == "ce" else y
        y = y[None] if lacking else y
        return self.view(y.expand(*shape[:-1], y.shape[-1]))

    def lengths(self, shape: torch.Size, lengths: Tensor | None) -> tuple[int, int]:
        """Integers (*B, 1), or what is the same for all."""
        if lengths is None:
            return 0, 0
        if lengths.dtype not in (torch.int32, torch.int64):
            lengths = lengths.long()
        if lengths.numel() != prod(shape[1:-1]):
            lengths = lengths.expand(*shape[1:-1], 1)
        lengths = lengths.contiguous()
        self.held.append(lengths)
        return lengths.data_ptr(), int(lengths.dtype == torch.int64)


class _Known(NamedTuple):
    """What is known of a kernel for records of a kind."""

    number: int
    outputs: tuple[tuple[tuple[int, ...], torch.dtype], ...]
    """Their shapes and dtypes."""
    flat: tuple[int, int, int]
    strides: tuple[int, int, int] | None
    """Those of time, samples and neurons; None: the samples have no single one."""
    keeps: bool
    """Whether it keeps time."""


@lru_cache(maxsize=256)
def _known(
    op: str,
    options: tuple[float, ...],
    shape: torch.Size,
    strides: tuple[int, ...],
    dtype: torch.dtype,
) -> _Known:
    out = shape_of(op, tuple(shape), options)
    return _Known(
        NUMBER[op],
        tuple((out, each) for each in _dtypes(op, options, dtype)),
        flat(shape),
        flat_strides(shape, strides),
        op in KEEPS_TIME,
    )


def _forward(
    x: Tensor, y: Tensor | None, lengths: Tensor | None, op: str, options: Sequence[float]
) -> list[Tensor]:
    given, shape = _Given(), x.shape
    known = _known(op, tuple(options), shape, x.stride(), x.dtype)
    out = [x.new_empty(of, dtype=dtype) for of, dtype in known.outputs]
    status = _core().run(
        known.number,
        known.flat,
        given.view(x, known.strides),
        threads=torch.get_num_threads(),
        y=NOTHING if y is None else given.target(op, shape, y),
        grad=given.view(out[0]) if known.keeps else NOTHING,
        lengths=(0, 0) if lengths is None else given.lengths(shape, lengths),
        out=() if known.keeps else [each.data_ptr() for each in out],
        options=options,
    )
    if status == NOT_FINITE:
        raise NotFiniteError
    return out


def _dtypes(op: str, options: Sequence[float], dtype: torch.dtype) -> list[torch.dtype]:
    number = torch.float64 if dtype == torch.float64 else torch.float32
    return [number if kind == "r" else torch.int32 for kind in dtypes(op, options)]


class _Like(NamedTuple):
    """What a gradient is like."""

    shape: torch.Size
    strides: tuple[int, ...]
    dtype: torch.dtype

    def empty(self, dense: bool) -> Tensor:
        """In the order of the record in memory, if that has every entry once."""
        if not dense:
            return torch.empty(self.shape, dtype=self.dtype, device="cpu")
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device="cpu")

    def zeros(self) -> Tensor:
        """Of a large one, which are not written: the system makes them where they are read."""
        count = prod(self.shape)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        room = mmap.mmap(-1, count * self.dtype.itemsize, flags=flags)
        room.madvise(mmap.MADV_HUGEPAGE)
        flat = torch.frombuffer(room, dtype=self.dtype, count=count)
        return flat.as_strided(self.shape, self.strides)

    @property
    def dense(self) -> bool:
        """Whether the entries lie without gaps and each once."""
        expected = 1
        for stride, size in sorted(zip(self.strides, self.shape, strict=True)):
            if size != 1:
                if stride != expected:
                    return False
                expected *= size
        return True


class _Place(NamedTuple):
    """Where a gradient is to lie."""

    dense: bool
    large: bool
    """Whether its memory comes from the system, of which it can be had as zeros."""
    flat: tuple[int, int, int]
    strides: tuple[int, int, int] | None
    """Those of time, samples and neurons, which are the record's; None: it has others, or none."""


@lru_cache(maxsize=256)
def _place(like: _Like) -> _Place:
    shape, dense = like.shape, like.dense
    large = MAPPED and dense and prod(shape) * like.dtype.itemsize >= LARGE
    return _Place(dense, large, flat(shape), flat_strides(shape, like.strides) if dense else None)


def _backward(
    like: _Like,
    x: Tensor | None,
    y: Tensor | None,
    lengths: Tensor | None,
    up: Sequence[Tensor | None],
    kept: Sequence[Tensor],
    op: str,
    options: Sequence[float],
) -> Tensor:
    place, gives, given = _place(like), GIVES[op], _Given()
    fresh, strides = op in PICK and place.large, place.strides
    grad = like.zeros() if fresh else like.empty(place.dense)
    into = given.view(grad, strides)
    written = given.held[0] if given.held else grad  # another, where samples have no single stride
    ups, outs = [0, 0, 0], [0, 0, 0, 0]
    for i, each in zip(gives.differs, up, strict=True):
        if each is not None:
            given.held.append((each.resolve_neg() if each.is_neg() else each).contiguous())
            ups[i] = given.held[-1].data_ptr()
    for i, each in zip(gives.keeps, kept, strict=True):
        given.held.append(each.contiguous())
        outs[i] = given.held[-1].data_ptr()
    timed = up[0] if op in KEEPS_TIME else None
    _core().run(
        NUMBER[op] + BACKWARD,
        place.flat,
        (*NOTHING[:4], TYPES[like.dtype]) if x is None else given.view(x, strides),
        threads=torch.get_num_threads(),
        y=given.target(op, like.shape, y) if timed is None else given.view(timed),
        grad=into,
        lengths=given.lengths(like.shape, lengths),
        up=() if timed is not None else ups,
        out=outs,
        options=(*options[:3], *(0.0,) * (3 - len(options)), float(fresh)),
    )
    return grad if written is grad else written.reshape(grad.shape)


def _core() -> Core:
    found = core()
    if isinstance(found, str):
        raise RuntimeError(f"SPIKELOSS_KERNELS: expected the native core, got none. {found}.")
    return found


# The derivatives of the operators


def _plain() -> bool:
    """Whether nothing but autograd looks at what is called."""
    return not (
        torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state() is not None
    )


class _below:  # noqa: N801  # it is written as a context
    """Calls of operators below autograd; each level of torch.func has an autograd of its own."""

    def __init__(self) -> None:
        nested = torch._C._are_functorch_transforms_active()
        self.contexts: list[Any] = [torch.enable_grad()] if nested else []
        self.contexts.append(torch._C._AutoDispatchBelowAutograd())

    def __enter__(self) -> None:
        for context in self.contexts:
            context.__enter__()

    def __exit__(self, *error: Any) -> None:
        for context in reversed(self.contexts):
            context.__exit__(*error)


_LINEAR = ("sum", "max", "last", "spikes", "first", "trace", "window")
"""Kernels whose derivative does not depend on the record, but for the steps that are kept."""


class _Run(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Any, lengths: Any, op: str, options: Any) -> Any:
        plain = _plain()
        if plain:
            out = _forward(x, y, lengths, op, options)
        else:
            with _below():
                out = _run(x, y, lengths, op, options)
        gives = GIVES[op]
        ctx.like, ctx.op, ctx.options = _Like(x.shape, x.stride(), x.dtype), op, options
        needed = None if plain and op in _LINEAR else x
        ctx.save_for_backward(needed, y, lengths, *(out[i] for i in gives.keeps))
        if len(out) > len(gives.differs):
            ctx.mark_non_differentiable(*(o for i, o in enumerate(out) if i not in gives.differs))
        ctx.set_materialize_grads(False)
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *up: Any) -> Any:
        x, y, lengths, *kept = ctx.saved_tensors
        up = tuple(up[i] for i in GIVES[ctx.op].differs)
        if all(each is None for each in up):
            return None, None, None, None, None
        if any(map(_of_batch, up)):
            grad = _by_composed(ctx.like, x, y, lengths, up, kept, ctx.op, ctx.options)
        elif _plain() and not torch.is_grad_enabled():
            grad = _backward(ctx.like, x, y, lengths, up, kept, ctx.op, ctx.options)
        elif x is None:
            rest = ctx.op, ctx.options, len(up), *up, *kept
            grad = _Back.apply(ctx.like, None, y, lengths, *rest)  # type: ignore[attr-defined]
        else:
            grad = _back(x, y, lengths, list(up), kept, ctx.op, ctx.options)
        return grad, None, None, None, None


class _Back(Function):
    @staticmethod
    def forward(
        ctx: Any,
        like: _Like,
        x: Any,
        y: Any,
        lengths: Any,
        op: str,
        options: Any,
        count: int,
        *rest: Any,
    ) -> Any:
        up, kept = rest[:count], rest[count:]
        if _plain():
            grad = _backward(like, x, y, lengths, up, kept, op, options)
        else:
            with _below():
                grad = _back(x, y, lengths, list(up), list(kept), op, options)
        ctx.op, ctx.options, ctx.count, ctx.rest = op, options, count, len(rest)
        ctx.save_for_backward(x, y, lengths, *rest)
        return grad

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        x, y, lengths, *rest = ctx.saved_tensors
        up, kept = rest[: ctx.count], rest[ctx.count :]
        given = [i for i, each in enumerate(up) if each is not None]
        none: list[Any] = [None] * ctx.rest
        if x is None:
            none[0] = _transposed(slope, lengths, kept, ctx.op, ctx.options)
            return (None,) * 7 + tuple(none)

        def grad_of(x: Tensor, *ups: Tensor) -> Tensor:
            found = dict(zip(given, ups, strict=True))
            every = [found.get(i) for i in range(len(up))]
            return _composed_back(x, y, lengths, every, ctx.op, ctx.options)

        found = torch.func.vjp(grad_of, x, *(up[i] for i in given))[1](slope)
        for i, each in zip(given, found[1:], strict=True):
            none[i] = each
        return (None, found[0], None, None, None, None, None, *none)


def _transposed(
    slope: Tensor, lengths: Any, kept: Sequence[Tensor], op: str, options: Any
) -> Tensor:
    """What a linear derivative makes of a slope: the reduction itself, or the steps it picks."""
    if not kept:
        slope = slope if slope.dtype == torch.float64 else slope.float()
        return run(op, options, slope, None, lengths)[0]
    index = kept[0].long()
    steps = index if op == "spikes" else index[None]
    found = slope.gather(0, steps.clamp(min=0)) if slope.shape[0] else slope.new_zeros(steps.shape)
    found = found.where(steps >= 0, 0)
    found = found if slope.dtype == torch.float64 else found.float()
    if op == "first":
        found = -options[0] * found
    return found if op == "spikes" else found[0]


def _of_batch(x: Any) -> bool:
    """Whether it stands for many gradients at once, as `torch.autograd.grad` makes them."""
    return x is not None and bool(torch._C._functorch.is_legacy_batchedtensor(x))


def _by_composed(
    like: _Like,
    x: Tensor | None,
    y: Any,
    lengths: Any,
    up: Sequence[Any],
    kept: Sequence[Tensor],
    op: str,
    options: Any,
) -> Any:
    """The gradient by the composed form and its own derivatives, which take many at once."""
    given = [i for i, each in enumerate(up) if each is not None]
    with torch.enable_grad():
        record = _stand_in(like, kept, op) if x is None else x.view_as(x)
        record = record if record.requires_grad else record.requires_grad_()
        out = Kernel(op, tuple(options)).composed(record, y, lengths)
        differ: Any = [out[GIVES[op].differs[i]] for i in given]
    grad: Any = torch.autograd.grad(differ, record, [up[i] for i in given])[0]
    return grad.to(like.dtype)


def _stand_in(like: _Like, kept: Sequence[Tensor], op: str) -> Tensor:
    """A record of which a linear derivative is the same: 1 at the steps that are kept."""
    x = torch.zeros(like.shape, dtype=torch.float64 if like.dtype == torch.float64 else None)
    if not kept or 0 in like.shape:
        return x
    steps = kept[0].long() if op == "spikes" else kept[0].long()[None]
    return x.scatter(0, steps.clamp(min=0), (steps >= 0).to(x.dtype))


def _composed(op: str, options: Any, x: Tensor, y: Any, lengths: Any) -> list[Any]:
    """What a kernel gives, from the composed form; 0 for what is no number."""
    out = Kernel(op, tuple(options)).composed(x, y, lengths)
    shape = shape_of(op, tuple(x.shape), options)
    many = len(dtypes(op, options))
    return [x.new_zeros(shape, dtype=torch.int32) if each is None else each for each in out[:many]]


def _composed_back(
    x: Tensor, y: Any, lengths: Any, up: Sequence[Any], op: str, options: Any
) -> Tensor:
    """The gradient by the composed form."""
    given = [i for i, each in enumerate(up) if each is not None]

    def read(x: Tensor) -> tuple[Tensor, ...]:
        out = Kernel(op, tuple(options)).composed(x, y, lengths)
        return tuple(out[GIVES[op].differs[i]] for i in given)  # type: ignore[misc]

    grad: Tensor = torch.func.vjp(read, x)[1](tuple(up[i] for i in given))[0]
    return grad


def _applied(function: Any, *given: Any) -> Any:
    if torch._C._are_functorch_transforms_active():
        with enable_single_level_autograd_function():
            return function.apply(*given)
    return function.apply(*given)


def _differentiated(y: Any) -> bool:
    """Whether the target has a derivative, at this level of torch.func."""
    return y is not None and y.requires_grad and torch.is_grad_enabled()


def _run_autograd(x: Tensor, y: Any, lengths: Any, op: str, options: list[float]) -> list[Any]:
    if forward_ad._current_level >= 0 or _differentiated(y):
        return _composed(op, options, x, y, lengths)
    return list(_applied(_Run, x, y, lengths, op, options))


def _back_autograd(
    x: Tensor, y: Any, lengths: Any, up: list[Any], kept: list[Any], op: str, options: list[float]
) -> Any:
    if forward_ad._current_level >= 0 or _differentiated(y):
        return _composed_back(x, y, lengths, up, op, options)
    like = _Like(x.shape, x.stride(), x.dtype)
    return _applied(_Back, like, x, y, lengths, op, options, len(up), *up, *kept)


def _back_cpu(
    x: Tensor, y: Any, lengths: Any, up: list[Any], kept: list[Any], op: str, options: list[float]
) -> Tensor:
    like = _Like(x.shape, x.stride(), x.dtype)
    return _backward(like, x, y, lengths, up, kept, op, options)


# The operators


def _defined() -> None:
    """Define them, once in a process: they outlive this module, if it is imported anew."""
    torch_library: Any = torch.library  # whose functions here are not typed
    operators: Any = torch.ops.spikeloss
    if hasattr(operators, "run"):
        return
    library = torch_library.Library("spikeloss", "DEF")
    given = "Tensor x, Tensor? y, Tensor? lengths"
    library.define(f"run({given}, str op, float[] options) -> Tensor[]")
    library.define(f"back({given}, Tensor?[] up, Tensor[] kept, str op, float[] options) -> Tensor")
    library.impl("run", _forward, "CPU")
    library.impl("back", _back_cpu, "CPU")
    library.impl("run", _run_autograd, "AutogradCPU")
    library.impl("back", _back_autograd, "AutogradCPU")
    torch_library.register_fake("spikeloss::run", _run_fake, lib=library)
    torch_library.register_fake("spikeloss::back", _back_fake, lib=library)
    torch_library.register_vmap("spikeloss::run", _run_vmap, lib=library)
    torch_library.register_vmap("spikeloss::back", _back_vmap, lib=library)
    operators.library = library  # whose end would be theirs


def _run_fake(x: Tensor, y: Any, lengths: Any, op: str, options: list[float]) -> list[Tensor]:
    shape = shape_of(op, tuple(x.shape), tuple(options))
    return [x.new_empty(shape, dtype=dtype) for dtype in _dtypes(op, options, x.dtype)]


def _back_fake(x: Tensor, *_: Any) -> Tensor:
    like = _Like(x.shape, x.stride(), x.dtype)
    return torch.empty_like(x) if like.dense else x.new_empty(x.shape)


def _moved(x: Any, axis: int | None, size: int, to: int) -> Any:
    """A tensor with the mapped axis at a place of its own, or one that is the same for all."""
    if x is None:
        return None
    if axis is None:
        x = x.unsqueeze(to)
        return x.expand(*x.shape[:to], size, *x.shape[to + 1 :])
    return x.movedim(axis, to)


def _batched(op: str, x: Any, y: Any, lengths: Any, axes: Sequence[Any], size: int) -> Any:
    """Mapped samples as one more batch axis, the first."""
    record = x.ndim - (axes[0] is not None)
    timed = y is not None and y.ndim - (axes[1] is not None) == record - (op == "ce")
    return (
        _moved(x, axes[0], size, 1),
        _moved(y, axes[1], size, 1 if timed else 0),
        _moved(lengths, axes[2], size, 0),
    )


def _run_vmap(
    info: Any, axes: Any, x: Any, y: Any, lengths: Any, op: str, options: Any
) -> tuple[list[Tensor], list[int]]:
    out = _run(*_batched(op, x, y, lengths, axes, info.batch_size), op, options)
    return out, [int(op == "spikes" or op in KEEPS_TIME)] * len(out)


def _back_vmap(
    info: Any,
    axes: Any,
    x: Any,
    y: Any,
    lengths: Any,
    up: list[Any],
    kept: list[Any],
    op: str,
    options: Any,
) -> tuple[Tensor, int]:
    size, lead = info.batch_size, int(op == "spikes" or op in KEEPS_TIME)
    moved = [
        [_moved(each, axis, size, lead) for each, axis in zip(given, at, strict=True)]
        for given, at in ((up, axes[3]), (kept, axes[4]))
    ]
    grad: Tensor = _back(*_batched(op, x, y, lengths, axes, size), *moved, op, options)
    return grad, 1


_defined()
_run, _back = torch.ops.spikeloss.run.default, torch.ops.spikeloss.back.default

# What the engine calls


def unavailable() -> str | None:
    """Why no array of the library is read by a kernel."""
    return None


def always_as_fast(op: str, options: Options, x: Tensor) -> bool:
    """Whether PyTorch itself is as fast on a record like x without lengths."""
    if op == "last" or (op == "sum" and not options[0]):
        return True
    if op == "max" or (op == "se" and options[1]):  # Huber's takes many operations
        return False
    return x.numel() < SMALL.get(op, 0)


def as_fast(op: str, options: Options, x: Tensor) -> bool:
    """Whether it is on this one."""
    if op != "max":
        return always_as_fast(op, options, x)
    if not (x.requires_grad and torch.is_grad_enabled()):
        op = "highest" if x.numel() >= NARROW * len(x) else op
    return x.numel() < SMALL.get(op, 0)


def decides_as_fast(op: str, options: Options, entries: int) -> bool:
    """Whether it is on a decision of so many entries; a compiler computes one where it reads it."""
    if op == "se" and not options[1]:
        return True
    if op == "ce" and not options[0] and entries < FEW:
        return True
    return torch.compiler.is_compiling()


def why_not(x: Tensor, y: Tensor | None = None) -> str | None:
    """Why the composed form is taken for these tensors."""
    if not x.is_cpu:
        return f"the record is on {x.device}"
    if forward_ad._current_level >= 0:
        return "forward mode differentiates it"
    if y is not None and torch.is_grad_enabled() and (y.requires_grad or _hidden(y)):
        return "the target may be differentiated too"
    if x.dtype not in TYPES:
        return f"no kernel reads {x.dtype}"
    return None


def _hidden(y: Tensor) -> bool:
    """Whether a level of torch.func may stand between a tensor and its derivative."""
    if not y.is_floating_point() or torch.compiler.is_compiling():
        return False
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(y))


def run(op: str, options: Options, x: Tensor, y: Any, lengths: Any) -> Sequence[Tensor]:
    """The outputs of a kernel."""
    if type(x) in (Tensor, torch.nn.Parameter) and not torch.compiler.is_compiling() and _plain():
        if x.requires_grad and torch.is_grad_enabled():
            found: Sequence[Tensor] = _Run.apply(x, y, lengths, op, options)  # type: ignore[attr-defined]
            return found
        return _forward(x, y, lengths, op, options)
    out: list[Tensor] = _run(x, y, lengths, op, list(options))
    return out
