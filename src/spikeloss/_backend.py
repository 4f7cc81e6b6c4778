"""All that is particular to an array library. No other module names torch, jax or numpy.

The mathematics of spikeloss is written in the vocabulary of the Python array API standard, which
`namespace(x)` gives for the library of `x` (through array-api-compat); the functions below are the
few operations that the standard lacks. A further library is one more class and one more table row.
"""

import os
from typing import Any

from ._shapes import Array

_HALVES = ("bfloat16", "float16")


class _Library:
    """What spikeloss needs of an array library; NumPy's answers are the defaults."""

    name = "numpy"

    def __init__(self) -> None:
        import array_api_compat.numpy as xp

        self.xp: Any = xp

    def unwrap(self, x: Array) -> Array:
        return x

    def kind(self, x: Array) -> str:
        """One of "float", "half", "integer", "bool", "other"."""
        if x.dtype.name in _HALVES:
            return "half"
        return {"f": "float", "i": "integer", "u": "integer", "b": "bool"}.get(
            x.dtype.kind, "other"
        )

    def readable(self, x: Array) -> bool:
        """Whether the values of `x` can be read now, and cheaply."""
        return True

    def concrete(self, x: Array) -> bool:
        """Whether `x` has values at all, rather than standing for them under tracing."""
        return True

    def place(self, x: Array) -> Any:
        """The device argument that puts a new array beside `x`."""
        return None

    def device(self, x: Array) -> str:
        """Where `x` lives, in words; empty where the library decides that itself."""
        return "cpu"

    def dense(self, x: Array) -> bool:
        return True

    def extent(self, x: Array) -> tuple[Any, Any]:
        read = x.__array__()
        return read.min().item(), read.max().item()

    def constant(self, x: Array) -> Array:
        return x

    def arange(self, count: int, x: Array) -> Array:
        return self.xp.arange(count, device=self.place(x))

    def scalar(self, value: Any, x: Array, dtype: Any) -> Array:
        return self.xp.asarray(value, dtype=dtype, device=self.place(x))

    def by_class(self, label: Array, z: Array, on: Any, off: Any) -> Array:
        xp, classes = self.xp, z.shape[-1]
        known = (label >= 0) & (label < classes)
        label = label[..., None]
        y = xp.where(label == arange(classes, z), like(on, z), like(off, z))
        return y if self.concrete(label) else xp.where(known[..., None], y, xp.nan)

    def squared_difference(self, z: Array, y: Array) -> Array:
        return (z - y) ** 2

    def log_softmax(self, z: Array) -> Array:
        xp = self.xp
        with xp.errstate(invalid="ignore", divide="ignore", over="ignore"):
            shifted = z - xp.max(z, axis=-1, keepdims=True)
            return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))

    def as_array(self, x: Array, dtype: Any) -> Array:
        return self.xp.asarray(x, dtype=dtype)

    def running_sum(self, x: Array) -> Array:
        return self.xp.cumulative_sum(x, axis=0)

    def index(self, label: Array) -> Array:
        return self.xp.astype(label, int, copy=False)

    def surprise(self, z: Array, label: Array) -> Array:
        label = self.xp.broadcast_to(label[..., None], (*z.shape[:-1], 1))
        return -self.xp.take_along_axis(self.log_softmax(z), label, axis=-1)

    def at(self, x: Array, step: Array) -> Array:
        return self.xp.take_along_axis(x, step, axis=0)

    def maximum(self, x: Array) -> Array:
        return self.xp.max(x, axis=0)

    def first_nonzero(self, x: Array) -> Array:
        xp, steps = self.xp, x.shape[0]
        t = xp.arange(steps, dtype=xp.int32, device=self.place(x))
        t = xp.reshape(t, (steps,) + (1,) * (x.ndim - 1))
        return xp.min(xp.where(x != 0, t, steps), axis=0)


class _Jax(_Library):
    name = "jax"

    def __init__(self) -> None:
        import jax

        self.jax: Any = jax
        self.xp = jax.numpy

    def unwrap(self, x: Array) -> Array:
        """Containers such as brainpy's `Array` give their JAX array by the `__jax_array__` rule."""
        is_jax = isinstance(x, (self.jax.Array, self.jax.core.Tracer))
        return x if is_jax else x.__jax_array__()

    def readable(self, x: Array) -> bool:
        return self.concrete(x) and self.device(x) == "cpu"

    def concrete(self, x: Array) -> bool:
        return not isinstance(x, self.jax.core.Tracer)

    def device(self, x: Array) -> str:
        # Arrays of several devices and tracers are placed by JAX itself.
        devices = x.devices() if self.concrete(x) else ()
        return next(iter(devices)).platform if devices else ""

    def constant(self, x: Array) -> Array:
        return self.jax.lax.stop_gradient(x)

    def log_softmax(self, z: Array) -> Array:
        return self.jax.nn.log_softmax(z, axis=-1)

    def maximum(self, x: Array) -> Array:
        # The maximum's own derivative is shared among ties; this is twice as fast as `argmax`.
        top = self.constant(self.xp.max(x, axis=0))
        first = self.first_nonzero(x == top)
        # A column with nan has no step that equals its maximum, nan; any index will do.
        slope = self.at(x, self.xp.where(first < x.shape[0], first, 0)[None])[0]
        return top + (slope - self.constant(slope))

    def surprise(self, z: Array, label: Array) -> Array:
        xp = self.xp
        # Traced labels cannot be checked; one that is out of range gives nan, not another class.
        label = xp.where(label < 0, z.shape[-1], label)
        label = xp.broadcast_to(label[..., None], (*z.shape[:-1], 1))
        z_y = xp.take_along_axis(z, label, axis=-1, mode="fill")
        # log sum_c exp z_c - z_y: half the passes of a log-softmax, of which one entry is used.
        top = self.constant(xp.max(z, axis=-1, keepdims=True))
        return xp.log(xp.sum(xp.exp(z - top), axis=-1, keepdims=True)) + (top - z_y)


class _Torch(_Library):
    name = "torch"

    def __init__(self) -> None:
        import array_api_compat.torch as xp
        import torch

        self.torch: Any = torch
        self.xp = xp
        self._kinds = {
            torch.float32: "float",
            torch.float64: "float",
            torch.float16: "half",
            torch.bfloat16: "half",
            torch.bool: "bool",
        }
        self._no_label = torch.iinfo(torch.int64).min
        self._compiling = torch.compiler.is_compiling
        self._wrapped = torch._C._functorch.is_functorch_wrapped_tensor
        self._fake = torch._subclasses.fake_tensor.FakeTensor

    def kind(self, x: Array) -> str:
        known = self._kinds.get(x.dtype)
        if known is not None:
            return known
        return "other" if x.dtype.is_floating_point or x.dtype.is_complex else "integer"

    def readable(self, x: Array) -> bool:
        return bool(x.is_cpu) and self.concrete(x)

    def concrete(self, x: Array) -> bool:
        if self._compiling() or self._wrapped(x) or isinstance(x, self._fake):
            return False
        return not x.is_meta

    def place(self, x: Array) -> Any:
        return x.device

    def device(self, x: Array) -> str:
        return "cpu" if x.is_cpu else str(x.device)

    def dense(self, x: Array) -> bool:
        return bool(x.layout == self.torch.strided)

    def extent(self, x: Array) -> tuple[Any, Any]:
        low, high = x.aminmax()
        return low.item(), high.item()

    def constant(self, x: Array) -> Array:
        return x.detach()

    def arange(self, count: int, x: Array) -> Array:
        return self.torch.arange(count, device=x.device)

    def scalar(self, value: Any, x: Array, dtype: Any) -> Array:
        return x.new_full((), value, dtype=dtype)

    def by_class(self, label: Array, z: Array, on: Any, off: Any) -> Array:
        plain = isinstance(on, (int, float)) and isinstance(off, (int, float))
        if not (plain and self.concrete(label)):
            return super().by_class(label, z, on, off)
        y = self.torch.full((*label.shape, z.shape[-1]), off, dtype=z.dtype, device=z.device)
        return y.scatter_(-1, label[..., None], on)

    def squared_difference(self, z: Array, y: Array) -> Array:
        # One pass forward and one backward, where (z - y) ** 2 takes two and four.
        return self.torch.nn.functional.mse_loss(z, y.expand_as(z), reduction="none")

    def log_softmax(self, z: Array) -> Array:
        if _narrow(z):
            return self._transposed_log_softmax(z).movedim(0, -1)
        return self.torch.log_softmax(z, -1)

    def _transposed_log_softmax(self, z: Array) -> Array:
        """Classes first, which is several times faster where rows are narrow."""
        return self.torch.log_softmax(z.movedim(-1, 0).contiguous(), 0)

    def as_array(self, x: Array, dtype: Any) -> Array:
        return x.to(dtype)

    def running_sum(self, x: Array) -> Array:
        # Not the compatibility layer's, which warns under torch.compile.
        return self.torch.cumsum(x, 0)

    def index(self, label: Array) -> Array:
        return label.long()

    def surprise(self, z: Array, label: Array) -> Array:
        *rows, classes = z.shape
        if _narrow(z):
            log_p, index = self._transposed_log_softmax(z), label.expand(1, *rows)
            return self.torch.gather(log_p, 0, index).neg().view(*rows, 1)
        if z.ndim != 2 or label.ndim != 1:
            flat = z.reshape(-1, classes), label.expand(rows).reshape(-1)
            return self.surprise(*flat).view(*rows, 1)
        nll = self.torch.nn.functional.nll_loss
        # The default of `ignore_index` is a number that a slip can produce.
        return nll(
            self.log_softmax(z), label, ignore_index=self._no_label, reduction="none"
        ).unsqueeze(-1)

    def at(self, x: Array, step: Array) -> Array:
        return self.torch.gather(x, 0, step.long())

    def maximum(self, x: Array) -> Array:
        return self.torch.max(x, 0).values  # those of the first maxima, as is documented

    def first_nonzero(self, x: Array) -> Array:
        # Compilers fuse the plain form, and `vmap` has no rule for comparisons in place.
        if not self.concrete(x):
            return super().first_nonzero(x)
        # T + min_t (t - T) spike_t, spike_t = 0 or 1 in the dtype of the record: on the CPU a mask
        # of bools and a selection by it are each 5 to 20 times slower than a multiplication.
        steps = x.shape[0]
        before = self.torch.arange(-steps, 0, dtype=x.dtype, device=x.device)
        before = before.view(-1, *(1,) * (x.ndim - 1))
        return x.detach().clone().ne_(0).mul_(before).amin(0).add_(steps).long()


def _narrow(z: Array) -> bool:
    """Whether torch's softmax over the last axis takes its scalar path, for rows shorter than a
    vector register."""
    return bool(z.shape[-1] < 16 and z.is_cpu)


_LIBRARIES = {"numpy": _Library, "torch": _Torch, "jax": _Jax, "jaxlib": _Jax}
_BY_TYPE: dict[type, _Library] = {}


def _library(x: Array) -> _Library:
    found = _BY_TYPE.get(type(x))
    return found if found is not None else _learn(type(x))


def _learn(kind: type) -> _Library:
    roots = [base.__module__.partition(".")[0] for base in kind.__mro__]
    named = next((_LIBRARIES[root] for root in roots if root in _LIBRARIES), None)
    if named is None and hasattr(kind, "__jax_array__"):
        named = _LIBRARIES["jax"]
    if named is None or not hasattr(kind, "__array__"):  # a dtype, a sparse matrix
        raise TypeError(f"not an array: {kind.__name__}")
    _BY_TYPE[kind] = named()
    return _BY_TYPE[kind]


def is_array(x: Any) -> bool:
    """Whether `x` is an array of a supported library."""
    if isinstance(x, (tuple, list)):  # torch.compile cannot look into the types of Python's own
        return False
    try:
        _library(x)
    except TypeError:
        return False
    return True


def unwrap(x: Array) -> Array:
    """The library's own array inside a container such as brainpy's `Array`."""
    return _library(x).unwrap(x)


def namespace(x: Array) -> Any:
    """The array API namespace of the library of `x`."""
    return _library(x).xp


def library(x: Array) -> str:
    """The name of the library of `x`: "torch", "jax" or "numpy"."""
    return _library(x).name


def kind(x: Array) -> str:
    """The kind of the dtype of `x`: "float", "half", "integer", "bool" or "other"."""
    return _library(x).kind(x)


def device(x: Array) -> str:
    """Where `x` lives, in words; empty where the library decides that itself."""
    return _library(x).device(x)


def dense(x: Array) -> bool:
    """Whether every entry of `x` is stored."""
    return _library(x).dense(x)


def beside(values: Any, x: Array) -> Array:
    """Numbers as an array of the library of `x`, beside `x`, of a dtype of their own."""
    lib = _library(x)
    return lib.xp.asarray(values, device=lib.place(x))


def like(values: Any, x: Array, dtype: Any = None) -> Array:
    """`values` as an array of the library of `x`, beside `x`; of the dtype of `x` unless told."""
    lib = _library(x)
    dtype = x.dtype if dtype is None else dtype
    if isinstance(values, (int, float)):
        return lib.scalar(values, x, dtype)
    return lib.xp.asarray(values, dtype=dtype, device=lib.place(x))


def arange(count: int, x: Array) -> Array:
    """0, 1, ... count - 1 beside `x`, in the dtype of `as_index`."""
    return _library(x).arange(count, x)


def concrete(x: Array) -> bool:
    """Whether `x` holds values now, and does not stand for them in a traced function."""
    return _library(x).concrete(x)


def checks_values(*arrays: Array) -> bool:
    """Whether the values of the arrays are to be checked.

    By default where that is cheap: eagerly on the CPU. `SPIKELOSS_CHECKS=on` checks on accelerators
    too, at the price of a synchronisation; `SPIKELOSS_CHECKS=off` never checks. Nothing can be
    checked under tracing.
    """
    switch = os.environ.get("SPIKELOSS_CHECKS", "auto")
    if switch not in ("auto", "on", "off"):
        raise ValueError(f"SPIKELOSS_CHECKS: expected auto, on or off, got {switch!r}. Unset it.")
    if switch == "off":
        return False
    test = concrete if switch == "on" else _readable
    return all(map(test, arrays))


def extent(x: Array) -> tuple[Any, Any]:
    """The smallest and the largest entry as Python numbers; nan if there is any."""
    return _library(x).extent(x)


def _readable(x: Array) -> bool:
    return _library(x).readable(x)


def constant(x: Array) -> Array:
    """`x` with the derivative zero."""
    return _library(x).constant(x)


def surrogate(value: Array, slope: Array) -> Array:
    """`value` with the derivative of `slope`: constant(value) + (slope - constant(slope))."""
    return constant(value) + (slope - constant(slope))


def by_class(label: Array, z: Array, on: Any, off: Any) -> Array:
    """on where the class is the label, else off: (*S) to (*S, C), beside the decision `z`.

    nan for a traced label that is no class: it cannot be checked.
    """
    return _library(z).by_class(label, z, on, off)


def squared_difference(z: Array, y: Array) -> Array:
    """(z - y)^2."""
    return _library(z).squared_difference(z, y)


def log_softmax(z: Array) -> Array:
    """z_c - log sum_k exp z_k over the last axis, shifted first, so that nothing overflows."""
    return _library(z).log_softmax(z)


def as_array(x: Array, dtype: Any) -> Array:
    """`x` with that dtype; a NumPy scalar becomes a 0-d array."""
    return _library(x).as_array(x, dtype)


def as_index(label: Array) -> Array:
    """Integers of any dtype in the one that the library indexes with."""
    return _library(label).index(label)


def surprise(z: Array, label: Array) -> Array:
    """-log softmax(z)_label, keeping the last axis; `label` broadcasts against z.shape[:-1]."""
    return _library(z).surprise(z, label)


def at(x: Array, step: Array) -> Array:
    """x[step] over the first axis; `step` is (*rest) or, for several steps, (F, *rest)."""
    found = _library(x).at(x, step if step.ndim == x.ndim else step[None])
    return found if step.ndim == x.ndim else found[0]


def running_sum(x: Array) -> Array:
    """sum_{s <= t} x_s over the first axis."""
    return _library(x).running_sum(x)


def first_nonzero(x: Array) -> Array:
    """min{t: x_t != 0} over the first axis, as integers; T where there is none."""
    return _library(x).first_nonzero(x)


def maximum(x: Array) -> Array:
    """max_t x_t over the first axis; the derivative goes to the first step that reaches it."""
    return _library(x).maximum(x)
