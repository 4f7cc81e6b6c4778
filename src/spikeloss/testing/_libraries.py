"""The array libraries that are installed: values and slopes of a function, as NumPy arrays."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

Function = Callable[..., Any]
NAMES = ("numpy", "torch", "jax")


class NumPy:
    """NumPy, which does not differentiate, and what the others change."""

    name = "numpy"
    differentiates = False
    compiles = False

    def precision(self) -> AbstractContextManager[Any]:
        """The context in which there are numbers of 64 bits."""
        return nullcontext()

    def array(self, x: Any) -> Any:
        """A copy of a NumPy array in this library; of anything else the thing itself."""
        return np.array(x) if isinstance(x, np.ndarray) else x

    def plain(self, x: Any) -> Any:
        """An array of the library as one of NumPy, with its dtype."""
        return np.asarray(x)

    def arrays(self, given: dict[str, Any]) -> dict[str, Any]:
        """Copies of NumPy arrays in this library, by name."""
        return {name: self.array(each) for name, each in given.items()}

    def value(self, f: Function, x: Any, given: dict[str, Any]) -> Any:
        """f(x, **given)"""
        with self.precision(), np.errstate(all="ignore"):
            return self.plain(f(self.array(x), **self.arrays(given)))

    def slope(self, f: Function, x: Any, given: dict[str, Any]) -> tuple[Any, Any]:
        """f(x, **given), and the gradient of the sum of it; None: the library has none."""
        return self.value(f, x, given), None


class Torch(NumPy):
    """PyTorch."""

    name = "torch"
    differentiates = True

    def __init__(self) -> None:
        import torch

        self.torch: Any = torch

    def array(self, x: Any) -> Any:
        return self.torch.tensor(x) if isinstance(x, np.ndarray) else x

    def plain(self, x: Any) -> Any:
        return x.detach().numpy()

    def slope(self, f: Function, x: Any, given: dict[str, Any]) -> tuple[Any, Any]:
        x = self.array(x).requires_grad_()
        value = f(x, **self.arrays(given))
        if not value.requires_grad:
            return self.plain(value), np.zeros(tuple(x.shape))
        (slope,) = self.torch.autograd.grad(value.sum(), x, allow_unused=True)
        return self.plain(value), np.zeros(tuple(x.shape)) if slope is None else self.plain(slope)


class Jax(NumPy):
    """JAX, which compiles what it is given."""

    name = "jax"
    differentiates = True
    compiles = True

    def __init__(self) -> None:
        import jax

        self.jax: Any = jax

    def precision(self) -> AbstractContextManager[Any]:
        place = self.jax
        if not hasattr(place, "enable_x64"):  # as in older versions
            place = import_module("jax.experimental")
        found: AbstractContextManager[Any] = place.enable_x64(True)
        return found

    def array(self, x: Any) -> Any:
        return self.jax.numpy.asarray(x) if isinstance(x, np.ndarray) else x

    def slope(self, f: Function, x: Any, given: dict[str, Any]) -> tuple[Any, Any]:
        def both(x: Any, known: dict[str, Any]) -> tuple[Any, Any]:
            value, pull = self.jax.vjp(lambda x: f(x, **known), x)
            return value, pull(self.jax.numpy.ones_like(value))[0]

        with self.precision():
            value, slope = self.jax.jit(both)(self.array(x), self.arrays(given))
            return self.plain(value), self.plain(slope)


def installed(wanted: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Those of the libraries that are installed, by name, and why others are left out."""
    found: dict[str, Any] = {}
    others = {}
    for name, made in zip(NAMES, (NumPy, Torch, Jax), strict=True):
        if name not in wanted:
            others[name] = "not asked for"
        elif find_spec(name) is None:
            others[name] = "not installed"
        else:
            found[name] = made()
    return found, others
