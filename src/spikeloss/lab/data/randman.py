"""Smooth random manifolds."""

import math

import numpy as np

from spikeloss.lab.errors import InputError

from .options import Option
from .recipe import DataRecipe
from .samples import Dataset, Numbers, Packed, Split, check_size
from .sources import named

FREQUENCIES = 1000
"""The highest frequency, and one over the least coefficient that counts."""
CHUNK = 32


@named(
    steps=100,
    epochs=30,
    spikes=True,
    options=(
        Option("classes", 10, "Manifolds.", 2, 10**4),
        Option("units", 20, "Features: dimensions of the space.", 1, 10**5),
        Option("dim", 1, "Dimensions of a manifold.", 1, 100),
        Option("alpha", 1.0, "Smoothness: coefficients fall as frequency^-alpha.", 0, 100),
        Option("samples", 1000, "Samples of each class, four fifths to learn from.", 5, 10**6),
        Option("window", 0, "First steps, in which units fire; 0 means all.", 0, 10**6),
        Option("seed", 0, "Where the randomness starts.", 0, 2**63),
    ),
)
def randman(
    recipe: DataRecipe,
    steps: int,
    *,
    classes: int = 10,
    units: int = 20,
    dim: int = 1,
    alpha: float = 1.0,
    samples: int = 1000,
    window: int = 0,
    seed: int = 0,
) -> Dataset:
    """Points of smooth random manifolds as spike times; which manifold, is the class.

    A unit fires once, at step floor(v W), of the first W where `window` says so, else of all; v is
    a coordinate of the point, standardised to [0, 1] on its manifold. A coordinate is the product
    over the dimensions j of the manifold of sum_k k^-alpha a_jk sin(2 pi (k x_j b_jk + c_jk)),
    k = 1, 2, ..., with a, b, c and the point x uniform in [0, 1). The last fifth of every class is
    for the test. Source: F. Zenke and T. Vogels, The remarkable robustness of surrogate gradient
    learning for instilling complex function in spiking neural networks (2021).
    """
    if window > steps:
        raise InputError("window", f"steps from 0 to {steps}", window, "Take more --steps.")
    last = window or steps
    check_size("samples", Packed.size(steps, classes * samples, units), recipe.bytes)
    check_size("units", 8 * units * samples, recipe.bytes)
    random = np.random.default_rng(seed)
    times = np.empty((classes, samples, units), np.int32)
    for number in range(classes):
        points = random.random((samples, dim))
        values = _manifold(points, units, alpha, random)
        low, high = values.min(axis=0), values.max(axis=0)
        spread = np.where(high > low, high - low, 1)
        times[number] = np.minimum(last * (values - low) / spread, last - 1)
    cut = samples - samples // 5

    def split(times: Numbers) -> Split:
        labels = np.repeat(np.arange(classes), times.shape[1])
        return Split(Packed.of_times(times.reshape(-1, units), steps), labels, steps=steps)

    return Dataset(split(times[:, :cut]), split(times[:, cut:]), classes)


def _manifold(points: Numbers, units: int, alpha: float, random: np.random.Generator) -> Numbers:
    """Points x (samples, dim) as coordinates (samples, units) of one manifold."""
    last = FREQUENCIES if alpha <= 1 else math.ceil(FREQUENCIES ** (1 / alpha))
    k = np.arange(1.0, last + 1)
    values = np.ones((len(points), units))
    for unit in range(units):
        for x in points.T:
            a, b, c = random.random((3, last))
            weights = (a * k**-alpha).astype(np.float32)
            for start in range(0, len(x), CHUNK):
                part = slice(start, start + CHUNK)
                turns = x[part, None] * (k * b)
                turns += c
                turns -= np.floor(turns)
                values[part, unit] *= np.sin(2 * np.pi * turns.astype(np.float32)) @ weights
    return values
