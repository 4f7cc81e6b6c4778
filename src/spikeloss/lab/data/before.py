"""The data sets as they were before recipes: a name and steps -> dense arrays.

For callers that have not moved to `DataRecipe` yet. Everything is dense here.
"""

from typing import Any, NamedTuple

import numpy as np

from spikeloss.lab.errors import InputError

from . import samples
from .sources import SOURCES, Source

NAMES = ("digits", "digits-cut", "japanese-vowels", "japanese-vowels-padded")


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


def plain(dataset: samples.Dataset) -> Dataset:
    """A data set with all its inputs at once."""
    train, test = (
        Split(*part.take(np.arange(len(part)))) for part in (dataset.train, dataset.test)
    )
    return Dataset(train, test, dataset.classes)


def source(name: str) -> Source:
    """The source of the data set called `name`."""
    if name not in NAMES:
        raise InputError("--data", " or ".join(NAMES), repr(name), "Name one of these data sets.")
    return SOURCES[name]
