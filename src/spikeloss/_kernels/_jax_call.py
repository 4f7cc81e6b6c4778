"""A kernel as XLA sees it: which arrays it takes and gives, and the foreign call itself."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from .native import BACKWARD, NUMBER, core, threads
from .outputs import GIVES, KEEPS_TIME

Array: TypeAlias = Any
Arrays: TypeAlias = tuple[Array, ...]

NAME = "spikeloss"

_SHAPE: Any = jax.ShapeDtypeStruct

NO_TARGET, LABEL_OF_SAMPLE, LABEL_OF_STEP, ROW_OF_SAMPLE, ROW_OF_STEP = range(5)


@cache
def unavailable() -> str | None:
    """Why JAX cannot use the native core, or None."""
    native = core()
    if isinstance(native, str):
        return native
    handler = getattr(native.library, "sl_xla", None)
    if handler is None:
        return "it was compiled without its part for XLA"
    ffi: Any = getattr(jax, "ffi", None)
    if ffi is None:
        return f"jax {jax.__version__} has no jax.ffi"
    try:
        address = ctypes.cast(handler, ctypes.c_void_p)
        ffi.register_ffi_target(NAME, ffi.pycapsule(address), platform="cpu")
    except Exception as error:  # whose type is that of another library, of no promised name
        return f"XLA does not take it: {error}"
    return None


@dataclass(frozen=True)
class Call:
    """What of a call is known before its arrays; equal calls are compiled once.

    The arrays are a record (T, B, N), or (B, T, N) where `batch_first`; lengths (B); the target.
    The composed form takes R, time first and one batch axis, and is given by the kernel and
    options; it may give None for what is no number.
    """

    op: str
    options: tuple[float, ...]
    composed: Callable[..., Arrays] = field(compare=False, repr=False)
    lengths: bool = False
    target: int = NO_TARGET
    batch_first: bool = False

    @property
    def given(self) -> int:
        """How many arrays the record, lengths and target are."""
        return 1 + self.lengths + (self.target != NO_TARGET)

    @property
    def keeps(self) -> bool:
        """Whether time is kept, so that the output lies as the record does."""
        return self.op in KEEPS_TIME

    @property
    def differentiable(self) -> tuple[int, ...]:
        """The outputs that have a derivative."""
        return GIVES[self.op].differs

    @property
    def record_axis(self) -> int:
        """The axis of samples of a record."""
        return 0 if self.batch_first else 1

    @property
    def given_axes(self) -> tuple[int, ...]:
        """The axes of samples of what is given."""
        late = self.target in (LABEL_OF_STEP, ROW_OF_STEP)
        target = (int(late),) if self.target != NO_TARGET else ()
        return (self.record_axis, *((0,) * self.lengths), *target)

    @property
    def out_axes(self) -> tuple[int, ...]:
        """The axes of samples of the outputs."""
        axis = self.record_axis if self.keeps else int(self.op == "spikes")
        return (axis,) * len(GIVES[self.op].dtypes)

    def outputs(self, record: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
        """Shape and type of every output, of what has those of a record."""
        samples, neurons = record.shape[self.record_axis], record.shape[2]
        shape: tuple[int, ...] = (samples, neurons if GIVES[self.op].per_class else 1)
        if self.op == "spikes":
            shape = (int(self.options[0]), *shape)
        for kind in GIVES[self.op].dtypes:
            dtype = real(record.dtype) if kind == "r" else np.dtype(np.int32)
            yield tuple(record.shape) if self.keeps else shape, dtype

    def split(self, given: Sequence[Array]) -> tuple[Array, Array | None, Array | None]:
        """The record, the target and the lengths."""
        lengths = given[1] if self.lengths else None
        return given[0], given[-1] if self.target != NO_TARGET else None, lengths

    def form(self, *given: Array) -> Arrays:
        """The outputs by the composed form."""
        x, y, lengths = self.split(given)
        expected = tuple(self.outputs(x))
        x = x.astype(real(x.dtype))
        if self.batch_first:
            x = jnp.swapaxes(x, 0, 1)
        found = self.composed(x, lengths) if y is None else self.composed(x, y, lengths)
        if self.keeps and self.batch_first:
            found = tuple(jnp.swapaxes(z, 0, 1) for z in found)
        return tuple(
            jnp.zeros(shape, dtype) if z is None else jnp.broadcast_to(z, shape).astype(dtype)
            for z, (shape, dtype) in zip(found[: len(expected)], expected, strict=True)
        )

    def numbers(self, *given: Array) -> Arrays:
        """Those that have a derivative."""
        found = self.form(*given)
        return tuple(found[i] for i in self.differentiable)

    def forward(self, *given: Array) -> Arrays:
        """The outputs by the kernel."""
        shapes = [_SHAPE(*each) for each in self.outputs(given[0])]
        return tuple(self._foreign(0, shapes, given, 0, 0))

    def backward(self, given: Arrays, outputs: Arrays, up: dict[int, Array]) -> Array:
        """The gradient of the record, from those of outputs, by the kernel."""
        x = given[0]
        shapes = [_SHAPE(x.shape, x.dtype)]
        outputs = () if self.keeps else outputs
        bits = sum(1 << i for i in up)
        arrays = (*given, *outputs, *(up[i] for i in sorted(up)))
        return self._foreign(BACKWARD, shapes, arrays, len(outputs), bits)[0]

    def _foreign(
        self, role: int, shapes: list[Any], arrays: Arrays, outputs: int, up: int
    ) -> Sequence[Array]:
        why = unavailable()
        if why is not None:
            raise RuntimeError(f"the native core: {why}")
        how = (NUMBER[self.op] + role, threads(), self.batch_first, self.lengths, self.target)
        options = [*self.options, *(0.0,) * (4 - len(self.options))]
        if role == BACKWARD:
            options[3] = 0.0  # the gradient is not 0 already
        call: Any = jax.ffi.ffi_call(NAME, shapes, vmap_method="sequential")
        found: Sequence[Array] = call(
            *arrays,
            how=np.array([*how, outputs, up, self.keeps], np.int64),
            options=np.array(options, np.float64),
        )
        return found


def real(dtype: Any) -> Any:
    """R: what a record of such a type is computed in."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)
