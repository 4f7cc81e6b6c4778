"""The array libraries, one adapter each, and `same`, the only comparison that tests make.

    with library.precision(dtype):
        x = library.array(record, dtype)
        value, grad = library.value_and_grad(lambda x: loss(x, labels), x)
    same(value, expected, dtype)

What comes back is NumPy, in the dtype that the library gave (ml_dtypes has bfloat16), so that
`same` can check the dtype too.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

torch.set_num_threads(1)

Array = NDArray[Any]
Function = Callable[[Any], Any]

FLOATS = ("float64", "float32", "bfloat16", "float16")
INTEGERS = ("bool", "int64", "uint8")  # dtypes of spikes without a derivative

# Relative and absolute. Half precision is computed in float32 and rounded once, at the end.
TOLERANCE = {
    "float64": (1e-12, 1e-13),
    "float32": (1e-5, 2e-6),
    "bfloat16": (2**-8, 2e-6),
    "float16": (2**-11, 2e-6),
}


def numpy_dtype(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def rounded(values: ArrayLike, dtype: str) -> Array:
    """The numbers that an array of that dtype holds, as float64."""
    return np.asarray(values).astype(numpy_dtype(dtype)).astype(np.float64)


@dataclass(frozen=True)
class Library:
    """NumPy, and what the other libraries change."""

    name: str = "numpy"
    differentiates: bool = False

    def precision(self, dtype: str = "float64") -> AbstractContextManager[Any]:
        """The context in which arrays of that dtype live."""
        return nullcontext()

    def array(self, values: ArrayLike, dtype: str | None = None) -> Any:
        """An array of this library; of the dtype of `values` unless told."""
        values = np.asarray(values)
        return values if dtype is None else values.astype(numpy_dtype(dtype))

    def to_numpy(self, x: Any) -> Array:
        """The same numbers, shape and dtype."""
        return np.asarray(x)

    def value(self, fn: Function, x: Any) -> Array:
        return self.to_numpy(fn(x))

    def value_and_grad(self, fn: Function, x: Any) -> tuple[Array, Array]:
        """fn(x), and the gradient of the sum of fn(x) with respect to x."""
        raise NotImplementedError(f"{self.name} does not differentiate")


class _Torch(Library):
    def array(self, values: ArrayLike, dtype: str | None = None) -> Any:
        made = torch.as_tensor(np.array(values))
        return made if dtype is None else made.to(getattr(torch, dtype))

    def to_numpy(self, x: Any) -> Array:
        x = x.detach()
        if x.dtype == torch.bfloat16:
            return x.float().numpy().astype(numpy_dtype("bfloat16"))
        return x.numpy()

    def value_and_grad(self, fn: Function, x: Any) -> tuple[Array, Array]:
        x = x.detach().clone().requires_grad_()
        value = fn(x)
        (grad,) = torch.autograd.grad(value.sum(), x)
        return self.to_numpy(value), self.to_numpy(grad)


class _Jax(Library):
    def precision(self, dtype: str = "float64") -> AbstractContextManager[Any]:
        """64-bit floats only where they are wanted; integers are int32 otherwise."""
        return jax.enable_x64(dtype == "float64")

    def array(self, values: ArrayLike, dtype: str | None = None) -> Any:
        if dtype == "float64" and not jax.config.jax_enable_x64:
            raise ValueError("dtype: expected float64 inside `with library.precision():`")
        return jnp.asarray(super().array(values, dtype))

    def value_and_grad(self, fn: Function, x: Any) -> tuple[Array, Array]:
        value, pull = jax.vjp(fn, x)
        (grad,) = pull(jnp.ones_like(value))
        return self.to_numpy(value), self.to_numpy(grad)


class _Strict(Library):
    """Values alone: what the array API standard does not have, it refuses."""

    def array(self, values: ArrayLike, dtype: str | None = None) -> Any:
        return array_api_strict.asarray(super().array(values, dtype))


NUMPY = Library()
TORCH = _Torch("torch", differentiates=True)
JAX = _Jax("jax", differentiates=True)
STRICT = _Strict("array_api_strict")
LIBRARIES = (NUMPY, TORCH, JAX)
DIFFERENTIABLE = (TORCH, JAX)


def named(library: Library) -> str:
    """The id of a library in a test: `parametrize("library", LIBRARIES, ids=named)`."""
    return library.name


def same(actual: Any, expected: ArrayLike, dtype: str = "float64") -> None:
    """Equal shapes, that dtype, and |actual - expected| <= relative |expected| + absolute.

    nan equals nan and nothing else, infinity itself. `actual` is an array of any library.
    """
    for library, kind in ((TORCH, torch.Tensor), (JAX, jax.Array)):
        if isinstance(actual, kind):
            actual = library.to_numpy(actual)
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype.name == dtype, f"dtype: expected {dtype}, got {actual.dtype.name}"
    assert actual.shape == expected.shape, f"shape: expected {expected.shape}, got {actual.shape}"
    if dtype not in TOLERANCE:
        assert np.array_equal(actual, expected), f"expected {expected}, got {actual}"
        return
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    relative, absolute = TOLERANCE[dtype]
    with np.errstate(invalid="ignore"):
        excess = np.abs(actual - expected) - (relative * np.abs(expected) + absolute)
    equal = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    excess = np.where(equal, 0.0, np.where(np.isfinite(excess), excess, np.inf))
    if np.any(excess > 0):
        worst = np.unravel_index(np.argmax(excess), excess.shape)
        place = ", ".join(str(int(i)) for i in worst)
        raise AssertionError(
            f"{np.sum(excess > 0)} of {excess.size} elements differ, most at [{place}]: "
            f"expected {float(expected[worst])!r}, got {float(actual[worst])!r} ({dtype})"
        )
