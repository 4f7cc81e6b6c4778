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

    def constant(self, x: Array) -> Array:
        return x

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

    def pick(self, z: Array, index: Array) -> Array:
        index = self.xp.broadcast_to(index[..., None], (*z.shape[:-1], 1))
        return self.xp.take_along_axis(z, index, axis=-1)

    def at(self, x: Array, step: Array) -> Array:
        return self.xp.take_along_axis(x, step, axis=0)


class _Jax(_Library):
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

    def pick(self, z: Array, index: Array) -> Array:
        # Traced labels cannot be checked; one that is out of range gives nan, not another class.
        index = self.xp.where(index < 0, z.shape[-1], index)
        index = self.xp.broadcast_to(index[..., None], (*z.shape[:-1], 1))
        return self.xp.take_along_axis(z, index, axis=-1, mode="fill")


class _Torch(_Library):
    def __init__(self) -> None:
        import array_api_compat.torch as xp
        import torch

        self.torch: Any = torch
        self.xp = xp

    def kind(self, x: Array) -> str:
        if x.dtype in (self.torch.bfloat16, self.torch.float16):
            return "half"
        if x.dtype in (self.torch.float32, self.torch.float64):
            return "float"
        if x.dtype == self.torch.bool:
            return "bool"
        return "other" if x.dtype.is_floating_point or x.dtype.is_complex else "integer"

    def readable(self, x: Array) -> bool:
        return bool(x.device.type == "cpu") and self.concrete(x)

    def concrete(self, x: Array) -> bool:
        if self.torch.compiler.is_compiling():
            return False
        fake = self.torch._subclasses.fake_tensor.FakeTensor
        return not (self.torch._C._functorch.is_functorch_wrapped_tensor(x) or isinstance(x, fake))

    def place(self, x: Array) -> Any:
        return x.device

    def device(self, x: Array) -> str:
        return str(x.device)

    def constant(self, x: Array) -> Array:
        return x.detach()

    def log_softmax(self, z: Array) -> Array:
        return self.torch.log_softmax(z, -1)

    def as_array(self, x: Array, dtype: Any) -> Array:
        return x.to(dtype)

    def running_sum(self, x: Array) -> Array:
        # Not the compatibility layer's, which warns under torch.compile.
        return self.torch.cumsum(x, 0)

    def index(self, label: Array) -> Array:
        return label.long()

    def pick(self, z: Array, index: Array) -> Array:
        return self.torch.gather(z, -1, index[..., None].expand(*z.shape[:-1], 1))

    def at(self, x: Array, step: Array) -> Array:
        return self.torch.gather(x, 0, step.long())


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
    if named is None:
        raise TypeError(f"not an array: {kind.__name__}")
    _BY_TYPE[kind] = named()
    return _BY_TYPE[kind]


def is_array(x: Any) -> bool:
    """Whether `x` is an array of a supported library."""
    try:
        _library(x)
    except TypeError:
        return False
    return hasattr(x, "shape")


def unwrap(x: Array) -> Array:
    """The library's own array inside a container such as brainpy's `Array`."""
    return _library(x).unwrap(x)


def namespace(x: Array) -> Any:
    """The array API namespace of the library of `x`."""
    return _library(x).xp


def library(x: Array) -> str:
    """The name of the library of `x`: "torch", "jax" or "numpy"."""
    return {"_Torch": "torch", "_Jax": "jax"}.get(type(_library(x)).__name__, "numpy")


def kind(x: Array) -> str:
    """The kind of the dtype of `x`: "float", "half", "integer", "bool" or "other"."""
    return _library(x).kind(x)


def device(x: Array) -> str:
    """Where `x` lives, in words; empty where the library decides that itself."""
    return _library(x).device(x)


def like(values: Any, x: Array, dtype: Any = None) -> Array:
    """`values` as an array of the library of `x`, beside `x`; of the dtype of `x` unless told."""
    lib = _library(x)
    return lib.xp.asarray(values, dtype=x.dtype if dtype is None else dtype, device=lib.place(x))


def arange(count: int, x: Array) -> Array:
    """0, 1, ... count - 1 as int32 beside `x`."""
    lib = _library(x)
    return lib.xp.arange(count, dtype=lib.xp.int32, device=lib.place(x))


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
    return all(test(x) for x in arrays)


def _readable(x: Array) -> bool:
    return _library(x).readable(x)


def constant(x: Array) -> Array:
    """`x` with the derivative zero."""
    return _library(x).constant(x)


def surrogate(value: Array, slope: Array) -> Array:
    """`value` with the derivative of `slope`: constant(value) + (slope - constant(slope))."""
    return constant(value) + (slope - constant(slope))


def log_softmax(z: Array) -> Array:
    """z_c - log sum_k exp z_k over the last axis, shifted first, so that nothing overflows."""
    return _library(z).log_softmax(z)


def as_array(x: Array, dtype: Any) -> Array:
    """`x` with that dtype; a NumPy scalar becomes a 0-d array."""
    return _library(x).as_array(x, dtype)


def as_index(label: Array) -> Array:
    """Integers of any dtype in the one that the library indexes with."""
    return _library(label).index(label)


def pick(z: Array, index: Array) -> Array:
    """z[..., index], keeping the last axis; `index` broadcasts against z.shape[:-1]."""
    return _library(z).pick(z, index)


def at(x: Array, step: Array) -> Array:
    """x[step] over the first axis; `step` is (*rest) or, for several steps, (F, *rest)."""
    found = _library(x).at(x, step if step.ndim == x.ndim else step[None])
    return found if step.ndim == x.ndim else found[0]


def running_sum(x: Array) -> Array:
    """sum_{s <= t} x_s over the first axis."""
    return _library(x).running_sum(x)


def first_true(mask: Array) -> Array:
    """min{t: mask_t} over the first axis, as integers; T where there is none."""
    xp = namespace(mask)
    steps = mask.shape[0]
    t = xp.reshape(arange(steps, mask), (steps,) + (1,) * (mask.ndim - 1))
    return xp.min(xp.where(mask, t, steps), axis=0)
