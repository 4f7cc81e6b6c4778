"""The kernels in NumPy: values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .native import (
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
    NotFiniteError,
    View,
    core,
    threads,
)
from .outputs import KEEPS_TIME, dtypes, flat, flat_strides, shape_of
from .stages import Options

TYPES = {
    "float32": F32,
    "float64": F64,
    "float16": F16,
    "bfloat16": BF16,
    "bool": U8,
    "uint8": U8,
    "int32": I32,
    "int64": I64,
}


def unavailable() -> str | None:
    """Why no array of the library is read by a kernel."""
    return None


def always_as_fast(op: str, options: Options, x: Any) -> bool:
    """Whether the library itself is as fast on a record like x without lengths."""
    return False


as_fast = always_as_fast


def decides_as_fast(op: str, options: Options, entries: int) -> bool:
    """Whether it is on a decision of so many entries."""
    return False


def why_not(x: Any, y: Any = None) -> str | None:
    """Why the composed form is taken for these arrays."""
    if type(x) is not np.ndarray:
        return f"no kernel reads {type(x).__name__}"
    if x.dtype.name not in TYPES or not x.dtype.isnative:
        return f"no kernel reads {x.dtype}"
    return None


def run(op: str, options: Options, x: Any, y: Any, lengths: Any) -> Sequence[Any]:
    """The outputs of a kernel."""
    number, keeps = np.float64 if x.dtype == np.float64 else np.float32, op in KEEPS_TIME
    shape = shape_of(op, x.shape, options)
    out = [np.empty(shape, number if kind == "r" else np.int32) for kind in dtypes(op, options)]
    target = x
    if y is not None:
        y = y[..., None] if op == "ce" else y
        target = np.broadcast_to(y, (*x.shape[:-1], y.shape[-1]))
    held = [_one_batch(each) for each in (x, target, out[0])]
    where = (0, 0)
    if lengths is not None:
        lengths = np.ascontiguousarray(np.broadcast_to(lengths, (*x.shape[1:-1], 1)), np.int64)
        where = lengths.ctypes.data, 1
    found: Any = core()
    status = found.run(
        NUMBER[op],
        flat(x.shape),
        _view(held[0]),
        threads=threads(),
        y=NOTHING if y is None else _view(held[1]),
        grad=_view(held[2]) if keeps else NOTHING,
        lengths=where,
        out=() if keeps else [each.ctypes.data for each in out],
        options=options,
    )
    if status == NOT_FINITE:
        raise NotFiniteError
    return out


def _one_batch(x: Any) -> Any:
    """An array (T, *B, N) of which the samples have one stride."""
    if any(stride % x.itemsize for stride in x.strides):  # a field of a structure
        x = np.ascontiguousarray(x)
    return x if flat_strides(x.shape, x.strides) else x.reshape(flat(x.shape))


def _view(x: Any) -> View:
    """Where such an array lies."""
    strides = flat_strides(x.shape, [stride // x.itemsize for stride in x.strides])
    return (x.ctypes.data, *(strides or (0, 0, 0)), TYPES[x.dtype.name])
