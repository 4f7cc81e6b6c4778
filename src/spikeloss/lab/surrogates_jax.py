"""Spikes in JAX: 1 where u > 0, u being the membrane above the threshold; with a derivative."""

from collections.abc import Callable
from math import pi
from typing import Any

import jax

from .recipe import Recipe


def _atan(u: Any, k: float) -> Any:
    return k / 2 / (1 + (pi / 2 * k * u) ** 2)


def _fast_sigmoid(u: Any, k: float) -> Any:
    return 1 / (k * abs(u) + 1) ** 2


def _sigmoid(u: Any, k: float) -> Any:
    soft = jax.nn.sigmoid(k * u)
    return k * soft * (1 - soft)


SURROGATES = {
    "atan": (_atan, 2.0),
    "fast_sigmoid": (_fast_sigmoid, 25.0),
    "sigmoid": (_sigmoid, 25.0),
}
"""Derivatives in u and a steepness k, and its usual value, snnTorch's."""


def surrogate(recipe: Recipe) -> Callable[[Any], Any]:
    """The spike of a recipe.

    The derivative of `sigmoid` is finite everywhere, where snnTorch's is nan far below the
    threshold.
    """
    derivative, usual = SURROGATES[recipe.surrogate]
    steepness = usual if recipe.slope is None else recipe.slope

    @jax.custom_jvp
    def spike(u: Any) -> Any:
        return (u > 0).astype(u.dtype)

    @spike.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        return spike(*primals), derivative(primals[0], steepness) * tangents[0]

    return spike
