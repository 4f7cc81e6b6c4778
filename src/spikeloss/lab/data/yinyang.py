"""The Yin-Yang data set."""

import math

import numpy as np

from spikeloss.lab.errors import InputError

from .options import Option
from .recipe import DataRecipe
from .samples import Dataset, Dense, Numbers, Packed, Split, Store
from .sources import named

BIG, SMALL = 0.5, 0.1
SEEDS = {"train": 42, "validation": 41, "test": 40}


@named(
    steps=30,
    epochs=60,
    encoding="latency",
    makes=("current", "latency"),
    options=(
        Option("size", 5000, "Training samples; 1000 more to choose by, 1000 to test.", 2, 10**6),
        Option("late", 0, "The step of a coordinate of 1; 0 means the last.", 0, 10**6),
        Option("bias", False, "One feature more, with a spike at step 0 or a current of 1."),
    ),
)
def yin_yang(
    recipe: DataRecipe, steps: int, *, size: int = 5000, late: int = 0, bias: bool = False
) -> Dataset:
    """Points of a disc that are in its yin, its yang or one of its two dots: three classes.

    5000 points to learn from, 1000 to choose by and 1000 to test on, of the seeds 42, 41 and 40;
    these are, bit for bit, those that its authors published. A point has the four features x, y,
    1 - x and 1 - y. A feature v is one spike at step round(v late), or with the encoding "current"
    a constant current v. For comparison: its authors report 98.7 % for a network of 120 hidden
    units without spikes, and 64.3 % for one without a hidden layer. Source: L. Kriener, J. Goeltz
    and M. Petrovici, The Yin-Yang dataset (2022).
    """
    if late >= steps:
        raise InputError("late", f"a step from 0 to {steps - 1}", late, "Take more --steps.")
    spikes = (recipe.encoding or "latency") == "latency"

    def split(part: str, samples: int) -> Split:
        points, labels = _points(SEEDS[part], samples)
        values = np.concatenate([points, 1 - points], axis=1)
        if spikes:
            return Split(_spikes(values, steps, late or steps - 1, bias), labels, steps=steps)
        values = np.pad(values, ((0, 0), (0, int(bias))), constant_values=1)
        return Split(Dense(values.astype(np.float32)[None]), labels, steps=steps)

    return Dataset(split("train", size), split("test", 1000), 3, split("validation", 1000))


def _spikes(values: Numbers, steps: int, late: int, bias: bool) -> Store:
    """A spike of each value at step round(value * late)."""
    times = np.rint(values * late).astype(np.int64)
    return Packed.of_times(np.pad(times, ((0, 0), (0, int(bias)))), steps)


def _points(seed: int, samples: int) -> tuple[Numbers, Numbers]:
    """Points (B, 2) and their classes: a class is drawn first, then points until one is in it."""
    random = np.random.RandomState(seed)
    points, labels = np.empty((samples, 2)), np.empty(samples, np.int64)
    for sample in range(samples):
        labels[sample] = random.randint(3)
        area = None
        while area != labels[sample]:
            x, y = random.rand(2).tolist()
            area = _area(x, y)
        points[sample] = x, y
    return points, labels


def _area(x: float, y: float) -> int | None:
    """0 yin, 1 yang, 2 dot of the point (x, y); None outside the disc.

    Yang is the upper half without the right half-size disc, and the left one.
    """
    if math.hypot(x - BIG, y - BIG) > BIG:
        return None
    left, right = math.hypot(x - BIG / 2, y - BIG), math.hypot(x - 3 * BIG / 2, y - BIG)
    if min(left, right) < SMALL:
        return 2
    return int(left <= BIG / 2 or (y > BIG and right > BIG / 2))
