"""JAX: the reductions over time by the native core where JAX compiles for the CPU."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._jax_call import (
    LABEL_OF_SAMPLE,
    LABEL_OF_STEP,
    ROW_OF_SAMPLE,
    ROW_OF_STEP,
    Array,
    Arrays,
    Call,
    real,
    unavailable,
)
from ._jax_rules import alike, outputs_p
from .native import NotFiniteError
from .outputs import FINITE
from .stages import Kernel, Options

__all__ = ["TYPES", "compare", "reduce", "run", "trace", "unavailable", "why_not"]

TYPES = ("float32", "float64", "float16", "bfloat16", "bool", "uint8", "int32", "int64")
"""Of records that the kernels read."""


_WAIT: Any = jax.block_until_ready


def always_as_fast(op: str, options: Options, x: Any) -> bool:
    """Whether the library itself is as fast on a record like x without lengths."""
    return False


as_fast = always_as_fast


def decides_as_fast(op: str, options: Options, entries: int) -> bool:
    """Whether it is on a decision of so many entries: XLA computes one where it reads it."""
    return True


def why_not(x: Array, y: Array | None = None) -> str | None:
    """Why the composed form is taken for these arrays."""
    if x.dtype.name not in TYPES:
        return f"no kernel reads {x.dtype}"
    placed = isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)
    if placed and any(device.platform != "cpu" for device in x.devices()):
        return "XLA fuses the composed form there"
    return unavailable()


def run(
    op: str, options: tuple[float, ...], x: Array, y: Array | None, lengths: Array | None
) -> Arrays:
    """The outputs of a kernel, with the derivatives of the stage that it stands for."""
    kernel = Kernel(op, tuple(options))
    if y is not None:

        def compared(x: Array, y: Array, lengths: Array | None) -> Any:
            return kernel.composed(x, y, None if lengths is None else lengths[:, None])

        return compare(op, kernel.options, compared, x, y, lengths)

    def composed(x: Array, lengths: Array | None) -> Any:
        return kernel.composed(x, None, None if lengths is None else lengths[:, None])

    if op in ("trace", "window"):
        return (trace(op, kernel.options, lambda *given: composed(*given)[0], x, lengths),)
    try:
        found = reduce(op, kernel.options, composed, x, lengths)
        checked = op in FINITE and kernel.options[-1]
        return tuple(_WAIT(found)) if checked else found
    except (RuntimeError, ValueError) as error:  # jitted calls raise either
        if "expected finite numbers" in str(error):
            raise NotFiniteError from None
        raise


def reduce(
    op: str,
    options: tuple[float, ...],
    composed: Callable[..., Arrays],
    x: Array,
    lengths: Array | None,
) -> Arrays:
    """The outputs of a readout's reduction over time.

    Args:
        op: its kernel; with `options`, as `core/spikeloss.h` says. A check of values is none here:
            with it a call that finds one fails with XLA's error.
        composed: of a record (T, B, N) and lengths (B) the same outputs by the composed form. It
            is given by `op` and `options`, and kept with what was compiled: it holds no arrays.
        x: (T, *B, N), of one of `TYPES`.
        lengths: (*B) or (*B, 1), or None.

    Returns:
        The outputs with the batch axes of the record.
    """
    return _called(Call(op, options, composed, lengths is not None), x, None, lengths)


def compare(
    op: str,
    options: tuple[float, ...],
    composed: Callable[..., Arrays],
    x: Array,
    y: Array,
    lengths: Array | None,
) -> Arrays:
    """The totals of every sample of an every-step criterion.

    Args:
        op, options, x, lengths: as of `reduce`.
        composed: of a record (T, B, N), a target and lengths.
        y: labels (*B) or (T, *B), or numbers (*B, N) or (T, *B, N).
    """
    if op == "ce":
        target = LABEL_OF_STEP if y.ndim == x.ndim - 1 else LABEL_OF_SAMPLE
    else:
        target = ROW_OF_STEP if y.ndim == x.ndim else ROW_OF_SAMPLE
        y = jnp.asarray(y, real(x.dtype))
        y = jnp.broadcast_to(y, x.shape if y.ndim == x.ndim else x.shape[1:])
    return _called(Call(op, options, composed, lengths is not None, target), x, y, lengths)


def trace(
    op: str,
    options: tuple[float, ...],
    composed: Callable[..., Array],
    x: Array,
    lengths: Array | None,
) -> Array:
    """What keeps time, (T, *B, N); arguments as of `reduce`, `composed` gives one array."""

    def form(x: Array, lengths: Array | None) -> Arrays:
        return (composed(x, lengths),)

    return _called(Call(op, options, form, lengths is not None), x, None, lengths)[0]


def _called(call: Call, x: Array, y: Array | None, lengths: Array | None) -> Arrays:
    """With one batch axis, and back."""
    batch, samples = x.shape[1:-1], int(np.prod(x.shape[1:-1]))
    given = [_shaped(x, (x.shape[0], samples, x.shape[-1]))]
    if lengths is not None:
        wide = lengths.dtype in (np.int32, np.int64)
        lengths = lengths if wide else lengths.astype(np.int32)
        given.append(_shaped(lengths, (samples,)))
    if y is not None:
        steps = y.shape[:1] if call.target in (LABEL_OF_STEP, ROW_OF_STEP) else ()
        rest = y.shape[-1:] if call.target in (ROW_OF_SAMPLE, ROW_OF_STEP) else ()
        given.append(_shaped(y, (*steps, samples, *rest)))
    found = outputs_p.bind(*alike(given), call=call)
    return tuple(
        _shaped(z, (*z.shape[:axis], *batch, *z.shape[axis + 1 :]))
        for z, axis in zip(found, call.out_axes, strict=True)
    )


def _shaped(x: Array, shape: tuple[int, ...]) -> Array:
    """x of a shape; itself where it has it, as every operation costs time outside of `jit`."""
    return x if tuple(x.shape) == shape else jnp.reshape(x, shape)
