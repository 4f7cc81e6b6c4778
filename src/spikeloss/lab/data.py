"""Data sets: a name -> training and test samples, without a download.

Inputs are currents (S, B, features): S = 1 for one that stays the same at every step, S = T for a
sequence. `lengths` says how many steps of each sample are valid; None means all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .errors import InputError


class Split(NamedTuple):
    """Samples: inputs (S, B, features), labels (B,) and lengths (B,); all NumPy or all torch."""

    inputs: Any
    labels: Any
    lengths: Any = None

    def take(self, index: Any) -> "Split":
        """The samples at `index`."""
        lengths = None if self.lengths is None else self.lengths[index]
        return Split(self.inputs[:, index], self.labels[index], lengths)


class Dataset(NamedTuple):
    """Samples to learn from, samples to test on, and the number of classes."""

    train: Split
    test: Split
    classes: int


def digits(steps: int) -> Dataset:
    """1797 handwritten digits of 8 x 8 pixels, 360 of them for the test, always the same ones.

    Pixels are standardised by the mean and the deviation of the training samples, and enter the
    network as a constant current.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=360, random_state=0, stratify=labels
    )
    mean, deviation = train_x.mean(), train_x.std()

    def split(x: Any, y: Any) -> Split:
        return Split(((x - mean) / deviation).astype(np.float32)[None], y.astype(np.int64))

    return Dataset(split(train_x, train_y), split(test_x, test_y), classes=10)


def digits_cut(steps: int) -> Dataset:
    """The digits, each shown for a number of steps of its own, from half of `steps` to all."""
    rng = np.random.default_rng(0)

    def cut(split: Split) -> Split:
        shown = rng.integers((steps + 1) // 2, steps, size=len(split.labels), endpoint=True)
        return split._replace(lengths=shown)

    whole = digits(steps)
    return Dataset(cut(whole.train), cut(whole.test), whole.classes)


DATASETS: dict[str, Callable[[int], Dataset]] = {"digits": digits, "digits-cut": digits_cut}


def load(name: str, steps: int) -> Dataset:
    """The data set called `name`, for records of `steps` steps."""
    if name not in DATASETS:
        raise InputError(
            "--data", " or ".join(DATASETS), repr(name), "Name one of these data sets."
        )
    return DATASETS[name](steps)
