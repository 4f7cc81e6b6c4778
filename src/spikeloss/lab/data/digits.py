"""The handwritten digits of scikit-learn."""

from typing import Any

import numpy as np

from .recipe import DataRecipe
from .samples import Dataset, Dense, Split
from .sources import named


@named()
def digits(recipe: DataRecipe, steps: int) -> Dataset:
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
        inputs = ((x - mean) / deviation).astype(np.float32)[None]
        return Split(Dense(inputs), y.astype(np.int64), steps=steps)

    return Dataset(split(train_x, train_y), split(test_x, test_y), classes=10)


@named()
def digits_cut(recipe: DataRecipe, steps: int) -> Dataset:
    """The digits, each shown for a number of steps of its own, from half of `steps` to all."""
    rng = np.random.default_rng(0)

    def cut(split: Split) -> Split:
        shown = rng.integers((steps + 1) // 2, steps, size=len(split), endpoint=True)
        return Split(split.store, split.labels, shown, steps=steps)

    whole = digits(recipe, steps)
    return Dataset(cut(whole.train), cut(whole.test), whole.classes)
